"""A process that holds data for others: it answers each question on the socket that it is handed."""

import os
import socket
import threading


def answer(connection):
    with connection:
        try:
            question = connection.makefile("rb").readline()
            if question.endswith(b"\n"):
                # In two pieces, so that it can be killed in the midst of an answer.
                connection.sendall(b"answer to ")
                connection.sendall(question)
        except OSError:
            pass  # Whoever asked has died.


listener = socket.socket(fileno=int(os.environ["LISTEN_FDS"]) + 2)
while True:
    accepted, _ = listener.accept()
    threading.Thread(target=answer, args=(accepted,), daemon=True).start()
