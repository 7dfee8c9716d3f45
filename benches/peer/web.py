"""A web application: `/` at once, `/slow` after a second.

BOOT is how long its import takes; with a file named `broken` in the directory the import fails. With EXIT
set the worker ends with that status.
"""

import os
import time

if "EXIT" in os.environ:
    os._exit(int(os.environ["EXIT"]))
time.sleep(float(os.environ.get("BOOT", "0")))
if os.path.exists("broken"):
    raise RuntimeError("this code is broken")


def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(1)
    start_response("200 OK", [("Content-Length", "6")])
    return [b"hello\n"]
