"""A worker that asks the data process at boot, and again and again: a byte for each answer goes to DIRECTORY/SLOT,
what is no answer to its own question to DIRECTORY/wrong."""

import os
import socket
import sys

directory, slot = sys.argv[1], os.environ["ARBITER_SLOT"]
address = os.environ["ARBITER_COMPANION_STORE"].removeprefix("unix:")
answers = open(os.path.join(directory, slot), "ab", buffering=0)


def ask(question):
    """Until there is a whole answer: a data process that is killed takes what it has begun with it."""
    while True:
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(address)
                connection.sendall(question)
                answer = connection.makefile("rb").readline()
            except (BrokenPipeError, ConnectionResetError):
                continue
        if answer.endswith(b"\n"):
            return answer


number = 0
while True:
    number += 1
    question = f"{slot} {os.getpid()} {number}\n".encode()
    answer = ask(question)
    if answer != b"answer to " + question:
        with open(os.path.join(directory, "wrong"), "ab") as wrong:
            wrong.write(question + answer)
    if number == 1:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    answers.write(b"x")
