"""A worker's first act is to take the time, and then to tell it."""

import os
import socket
import time


def post_fork(server, worker):
    born = time.monotonic_ns()
    path = os.environ.get("BENCH_STAMPS")
    if path:
        stamp = f"{os.environ['BENCH_LABEL']} 1 {os.getpid()} {born}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stamps:
            stamps.sendto(stamp.encode(), path)
