#!/usr/bin/env python3
"""A load client that tells apart every way in which a request can fail.

It speaks HTTP/1.1 over plain sockets, so that a refused connection, a reset, an
answer that never began and an answer that broke off are four different numbers.
Only the standard library is used. One JSON object is printed at the end.

    load.py --url http://127.0.0.1:8000 --count 200 --rate 20        post orders, wait until all are done
    load.py --url http://127.0.0.1:8000 --get / --seconds 10         only GET, for instance during reloads

TERM or INT ends the sending early; the summary is printed all the same.
Exit status: 0 nothing failed and every accepted order is done, 1 otherwise, 2 bad usage.
"""

import argparse
import collections
import json
import signal
import socket
import sys
import threading
import time
from urllib.parse import urlsplit

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
FAILURES = ("refused", "reset", "empty", "short", "timeout", "malformed", "other")
SHOWN_FAILURES = 20


class RequestFailed(Exception):
    """One request came to nothing; `kind` is one of FAILURES."""

    def __init__(self, kind, detail):
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


class Client:
    """One connection at a time to one server; opens a new one for each request unless kept alive."""

    def __init__(self, address, keep_alive, timeout):
        self.address = address
        self.keep_alive = keep_alive
        self.timeout = timeout
        self.socket = None
        self.reconnects = 0

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def request(self, method, path, body=b""):
        """Returns (status, body). Raises RequestFailed, and then the connection is closed.

        As every HTTP client does, a GET is repeated once when a reused connection turns out
        to have been closed meanwhile: a server may close an idle connection at any time.
        """
        reused = self.socket is not None
        try:
            return self._request_once(method, path, body)
        except RequestFailed as failure:
            if not (reused and method == "GET" and failure.kind in ("empty", "reset")):
                raise
            self.reconnects += 1
            return self._request_once(method, path, body)

    def _request_once(self, method, path, body):
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.address[0]}\r\n"
        if method == "POST":
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        if not self.keep_alive:
            head += "Connection: close\r\n"
        received = b""
        try:
            if self.socket is None:
                self.socket = socket.create_connection(self.address, timeout=self.timeout)
            self.socket.sendall(head.encode() + b"\r\n" + body)
            received = self._receive_head()
            status, length, closes = parse_head(received)
            head_end = received.index(b"\r\n\r\n") + 4
            while len(received) < head_end + length:
                piece = self.socket.recv(65536)
                if not piece:
                    raise RequestFailed("short", f"{len(received)} of {head_end + length} bytes")
                received += piece
        except RequestFailed:
            self.close()
            raise
        except ConnectionRefusedError as error:
            self.close()
            raise RequestFailed("refused", str(error)) from error
        except (ConnectionResetError, BrokenPipeError) as error:
            self.close()
            raise RequestFailed("reset", str(error)) from error
        except TimeoutError as error:
            self.close()
            raise RequestFailed("timeout", f"after {self.timeout} s") from error
        except OSError as error:
            self.close()
            raise RequestFailed("other", str(error)) from error
        if closes or not self.keep_alive:
            self.close()
        return status, received[head_end : head_end + length]

    def _receive_head(self):
        received = b""
        while b"\r\n\r\n" not in received:
            piece = self.socket.recv(65536)
            if not piece:
                if received:
                    raise RequestFailed("short", f"{len(received)} bytes of the head")
                raise RequestFailed("empty", "closed before the first byte")
            received += piece
        return received


def parse_head(received):
    """Returns (status, content length, whether the server closes). Raises RequestFailed."""
    lines = received.split(b"\r\n\r\n", 1)[0].decode("latin-1").split("\r\n")
    try:
        version, status = lines[0].split(" ", 2)[:2]
        headers = {k.strip().lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        closes = headers.get("connection", "").lower() == "close" or version == "HTTP/1.0"
        return int(status), int(headers["content-length"]), closes
    except (ValueError, KeyError) as error:
        raise RequestFailed("malformed", lines[0][:80]) from error


class Load:
    """Sends requests at a bounded rate from several threads and counts what came of each."""

    def __init__(self, options, address):
        self.options = options
        self.address = address
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.sent = 0
        self.reconnects = 0
        self.begun = time.monotonic()
        self.statuses = collections.Counter()
        self.failures = collections.Counter({kind: 0 for kind in FAILURES})
        self.first_failures = []
        self.latencies = []
        self.generations = collections.Counter()
        self.accepted = {}

    def next_number(self):
        """The number of the request to send next, waited for at the rate; None at the end."""
        with self.lock:
            number = self.sent
            due = self.begun + number / self.options.rate
            if self.stopping.is_set() or (self.options.count and number >= self.options.count):
                return None
            if self.options.seconds and due >= self.begun + self.options.seconds:
                return None
            self.sent += 1
        if self.stopping.wait(max(0.0, due - time.monotonic())):
            with self.lock:
                self.sent -= 1
            return None
        return number

    def send_all(self):
        client = Client(self.address, self.options.keep_alive, self.options.timeout)
        while (number := self.next_number()) is not None:
            begun = time.monotonic()
            try:
                status, body = self.send_one(client, number)
            except RequestFailed as failure:
                self.note_failure(failure)
            else:
                self.note_answer(status, body, time.monotonic() - begun)
        client.close()
        with self.lock:
            self.reconnects += client.reconnects

    def send_one(self, client, number):
        if self.options.get is not None:
            return client.request("GET", self.options.get)
        order = {"items": [f"item-{number}"], "work": self.options.work}
        return client.request("POST", "/orders", json.dumps(order).encode())

    def note_failure(self, failure):
        with self.lock:
            self.failures[failure.kind] += 1
            if len(self.first_failures) < SHOWN_FAILURES:
                at = round(time.monotonic() - self.begun, 3)
                self.first_failures.append({"at": at, "kind": failure.kind, "detail": failure.detail})

    def note_answer(self, status, body, seconds):
        try:
            answer = json.loads(body)
        except ValueError:
            answer = {}
        with self.lock:
            self.statuses[str(status)] += 1
            self.latencies.append(seconds)
            if isinstance(answer, dict):
                if "generation" in answer:
                    self.generations[str(answer["generation"])] += 1
                if status == 202:
                    self.accepted[answer["id"]] = time.monotonic()

    def run(self, work):
        """Runs `work` in each of the connections' threads until all have come back."""
        threads = [threading.Thread(target=work) for _ in range(self.options.connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class Completion:
    """Waits until every accepted order is done, or the deadline passes."""

    def __init__(self, load):
        self.load = load
        self.deadline = time.monotonic() + load.options.done_within
        self.lock = threading.Lock()
        self.open = collections.deque(load.accepted)
        self.runs = collections.Counter()
        self.done = 0
        self.unanswered = 0

    def poll(self):
        client = Client(self.load.address, True, self.load.options.timeout)
        while time.monotonic() < self.deadline:
            with self.lock:
                if not self.open:
                    break
                order = self.open.popleft()
            if not self.is_done(client, order):
                with self.lock:
                    self.open.append(order)
                time.sleep(0.02)
        client.close()

    def is_done(self, client, order):
        try:
            status, body = client.request("GET", f"/orders/{order}")
            answer = json.loads(body) if status == 200 else {}
        except (RequestFailed, ValueError):
            status, answer = 0, {}
        with self.lock:
            self.unanswered += status not in (200, 404)
            if answer.get("state") != "done":
                return False
            self.done += 1
            self.runs[str(answer["runs"])] += 1
        return True


def percentile(values, share):
    """The value below which `share` of the values lie, in milliseconds; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)


def summarise(load, sending_seconds, completion, waiting_seconds):
    """The JSON object that is printed."""
    answered = sum(load.statuses.values())
    ok = sum(n for status, n in load.statuses.items() if status.startswith("2"))
    summary = {
        "mode": "get" if load.options.get is not None else "orders",
        "sent": load.sent,
        "ok": ok,
        "failed": load.sent - ok,
        "statuses": dict(load.statuses),
        "failures": dict(load.failures),
        "reconnects": load.reconnects,
        "first_failures": load.first_failures,
        "generations": dict(load.generations),
        "seconds": round(sending_seconds, 2),
        "rate": round(answered / max(sending_seconds, 0.001), 1),
        "latency_ms": {
            "p50": percentile(load.latencies, 0.5),
            "p99": percentile(load.latencies, 0.99),
            "max": percentile(load.latencies, 1.0),
        },
    }
    if completion is not None:
        summary |= {
            "accepted": len(load.accepted),
            "done": completion.done,
            "not_done": sorted(completion.open),
            "runs": dict(completion.runs),
            "polls_unanswered": completion.unanswered,
            "done_after_seconds": round(waiting_seconds, 2),
        }
    return summary


def parse_options():
    parser = argparse.ArgumentParser(description="HTTP load with every kind of failure counted apart.")
    parser.add_argument("--url", required=True, help="http://127.0.0.1:PORT (only this machine)")
    parser.add_argument("--get", metavar="PATH", help="only GET this path; default: POST /orders")
    parser.add_argument("--connections", type=int, default=4, help="concurrent connections (default 4)")
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second, all together (default 20)")
    parser.add_argument("--count", type=int, default=0, help="stop after so many requests")
    parser.add_argument("--seconds", type=float, default=0.0, help="stop after so many seconds (default 10 without --count)")
    parser.add_argument("--keep-alive", action="store_true", help="reuse connections; default: a new one for each request")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds for one answer (default 10)")
    parser.add_argument("--work", type=float, default=0.0, help="seconds of work in each order (default 0)")
    parser.add_argument("--done-within", type=float, default=60.0, help="seconds until all orders must be done (default 60)")
    options = parser.parse_args()
    url = urlsplit(options.url)
    if url.scheme != "http" or url.hostname not in LOOPBACK or url.port is None:
        parser.error("--url must be http://127.0.0.1:PORT or another address of this machine")
    if options.rate <= 0 or options.connections < 1:
        parser.error("--rate and --connections must be positive")
    if not options.count and not options.seconds:
        options.seconds = 10.0
    return options, (url.hostname, url.port)


def main():
    options, address = parse_options()
    load = Load(options, address)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: load.stopping.set())
    load.run(load.send_all)
    sending_seconds = time.monotonic() - load.begun
    completion, waiting_seconds = None, 0.0
    if options.get is None:
        begun = time.monotonic()
        completion = Completion(load)
        load.run(completion.poll)
        waiting_seconds = time.monotonic() - begun
    summary = summarise(load, sending_seconds, completion, waiting_seconds)
    print(json.dumps(summary, indent=1))
    sys.exit(1 if summary["failed"] or summary.get("not_done") else 0)


if __name__ == "__main__":
    main()
