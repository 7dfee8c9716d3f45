#!/usr/bin/env python3
"""Checks that PROTOCOL.md is enough: a client that knows only the page sends what the page's conversation
shows, reads what it answers, and reads and writes every golden message. Starts nothing."""

import unittest

import client
from wire import CODEC, PAGE, Malformed

GOLDEN = PAGE.parent / "tests" / "golden"
TOKEN = bytes.fromhex("5a01c37e90440bf26d38a9e117c082fd")


def conversation(caption, page=None):
    """The bytes under `caption`: in each line up to two spaces."""
    page = page or PAGE.read_text(encoding="utf-8")
    block = page.split(f"**{caption}**\n\n```text\n")[1].split("```")[0]
    return b"".join(bytes.fromhex(line.split("  ")[0]) for line in block.splitlines())


def golden(file):
    """The messages of a golden file by name."""
    lines = (GOLDEN / file).read_text(encoding="utf-8").splitlines()
    return {name: bytes.fromhex(data) for name, data in (line.split(" ") for line in lines)}


class Conversation(unittest.TestCase):
    """The page's conversation."""

    def test_the_client_says_what_the_page_shows(self):
        self.assertEqual(conversation("client: hello"), client.hello_frame())
        self.assertEqual(conversation("client: ping"), client.request_frame(1, *client.verb_of(["ping"])))
        self.assertEqual(conversation("client: status"), client.request_frame(2, *client.verb_of(["status"])))
        verb, token = client.verb_of(["restart", "redis"])
        self.assertEqual(conversation("client: restart"), client.request_frame(3, verb, TOKEN))
        self.assertNotEqual(token, client.verb_of(["restart", "redis"])[1], "each change has its own token")

    def test_the_client_reads_what_the_page_answers(self):
        self.assertEqual(client.read_hello(conversation("manager: hello")[4:]), "0.1.0")
        pong = CODEC.decode("Response", conversation("manager: pong")[4:])
        self.assertEqual(pong, {"id": 1, "reply": {"Done": {"answer": "Done"}}})
        status = CODEC.decode("Response", conversation("manager: status")[4:])["reply"]["Done"]["answer"]
        worker = status["Status"]["status"]["workers"]["processes"][0]
        self.assertEqual((worker["process"]["pid"], worker["process"]["state"]), (12, "Running"))
        refused = CODEC.decode("Response", conversation("manager: not found")[4:])
        self.assertEqual(refused["reply"]["Failed"]["failure"]["kind"], "NotFound")

    def test_a_hello_of_another_protocol_or_version_is_refused(self):
        for wrong in (b"", b"GET / HTTP/1.1\r\n\r\n padded to length", client.MAGIC + bytes(16)):
            with self.assertRaises(Malformed):
                client.read_hello(wrong)


class Golden(unittest.TestCase):
    """The golden bytes, read and written by the page's tables alone."""

    def check(self, file, kind, choice):
        messages = golden(file)
        self.assertGreaterEqual(len(messages), len(CODEC.tables.choices[choice]))
        for name, data in messages.items():
            with self.subTest(name):
                value = CODEC.decode(kind, data)
                self.assertEqual(CODEC.encode(kind, value), data)
                with self.assertRaises(Malformed):
                    CODEC.decode(kind, data + b"\0")
                with self.assertRaises(Malformed):
                    CODEC.decode(kind, data[:-1])

    def test_every_golden_request_is_what_the_tables_say(self):
        self.check("request.hex", "Request", "Verb")

    def test_every_golden_response_is_what_the_tables_say(self):
        self.check("response.hex", "Response", "Answer")

    def test_every_golden_hello_is_read(self):
        programs = [client.read_hello(data) for data in golden("hello.hex").values()]
        self.assertIn("0.1.0", programs)


if __name__ == "__main__":
    unittest.main()
