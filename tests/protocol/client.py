#!/usr/bin/env python3
"""Asks a running arbiter over its control socket, knowing nothing but PROTOCOL.md.

    client.py SOCKET ping|version|status
    client.py SOCKET restart NAME

Prints the answer as JSON and exits with 0; for a failure the failure and 1.
"""

import json
import os
import socket
import struct
import sys

from wire import CODEC, Malformed

MAGIC = b"ARBITER\n"
VERSION = 1
PROGRAM = "example"
HELLO_MAX = 256
FRAME_MAX = 1 << 20
NO_TOKEN = bytes(16)
TIMEOUT_SECONDS = 60


def frame(payload):
    """`payload` with its length before it."""
    return struct.pack("<I", len(payload)) + payload


def hello_frame():
    """What this client says first."""
    text = PROGRAM.encode()
    return frame(MAGIC + struct.pack("<IIQ", VERSION, VERSION, len(text)) + text)


def request_frame(number, verb, token=NO_TOKEN):
    """A request that is answered when the thing is done."""
    request = {"id": number, "token": token, "wait": True, "verb": verb}
    return frame(CODEC.encode("Request", request))


def read_hello(payload):
    """The other side's program version, if a protocol version is spoken by both."""
    if payload[:8] != MAGIC or len(payload) < 24:
        raise Malformed("the other side does not speak this protocol")
    lowest, highest, length = struct.unpack("<IIQ", payload[8:24])
    if not lowest <= VERSION <= highest:
        raise Malformed(f"the other side speaks versions {lowest} to {highest}, this client {VERSION}")
    if len(payload) < 24 + length:
        raise Malformed("a hello that ends early")
    return payload[24 : 24 + length].decode()


class Connection:
    """An open connection whose hellos have been exchanged."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.socket.connect(path)
        self.socket.sendall(hello_frame())
        self.program = read_hello(self._payload(HELLO_MAX))

    def close(self):
        """Ends the conversation."""
        self.socket.close()

    def _exactly(self, length):
        data = b""
        while len(data) < length:
            piece = self.socket.recv(length - len(data))
            if not piece:
                raise ConnectionError("the manager has closed the connection")
            data += piece
        return data

    def _payload(self, limit):
        length = struct.unpack("<I", self._exactly(4))[0]
        if length > limit:
            raise Malformed(f"a frame of {length} bytes")
        return self._exactly(length)

    def ask(self, number, verb, token=NO_TOKEN):
        """The last word on the request: {"Done": ...} or {"Failed": ...}."""
        self.socket.sendall(request_frame(number, verb, token))
        parts = []
        while True:
            response = CODEC.decode("Response", self._payload(FRAME_MAX))
            part = response["reply"].get("Part")
            if response["id"] == number and part:
                if part["number"] != len(parts):
                    raise Malformed(f"part {part['number']} where {len(parts)} is due")
                parts.append(part["bytes"])
                if not part["last"]:
                    continue
                response = CODEC.decode("Response", b"".join(parts))
            if response["id"] in (0, number) and response["reply"].keys() & {"Done", "Failed"}:
                return response["reply"]


def verb_of(words):
    """The verb and its token."""
    match words:
        case ["ping"]:
            return "Ping", NO_TOKEN
        case ["version"]:
            return "Version", NO_TOKEN
        case ["status"]:
            return {"Status": {"names": []}}, NO_TOKEN
        case ["restart", name]:
            return {"Restart": {"names": [name]}}, os.urandom(16)
    sys.exit(__doc__.strip())


def plain(value):
    """`value` as JSON has it: bytes in hexadecimal, a Duration as seconds."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return value[0] + value[1] / 1e9
    return value


def main():
    """Asks once."""
    if len(sys.argv) < 3:
        sys.exit(__doc__.strip())
    verb, token = verb_of(sys.argv[2:])
    try:
        connection = Connection(sys.argv[1])
        reply = connection.ask(1, verb, token)
        connection.close()
    except (OSError, Malformed) as error:
        sys.exit(f"client.py: {sys.argv[1]}: {error}")
    answer = reply.get("Done", reply.get("Failed"))
    print(json.dumps(plain(answer), indent=2, ensure_ascii=False))
    sys.exit("Failed" in reply)


if __name__ == "__main__":
    main()
