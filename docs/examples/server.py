"""A small web server: answers on the listening socket whose number is its argument."""

import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(2)
        words = f"hello from worker {os.environ['ARBITER_SLOT']}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(words)))
        self.end_headers()
        self.wfile.write(words)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False  # the process ends when the last request has been answered


server = Server(("", 0), Hello, bind_and_activate=False)
server.socket = socket.socket(fileno=int(sys.argv[1]))
server.socket.setblocking(False)  # another worker may have taken the connection
# At TERM: take no further connection, answer what is under way, end.
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
