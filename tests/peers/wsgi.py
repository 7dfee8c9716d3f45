"""What gunicorn serves: `/` at once, `/slow` after two seconds. IMPORT_SECONDS is how long its import takes."""

import os
import time

time.sleep(float(os.environ.get("IMPORT_SECONDS", "0")))


def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(2)
    words = "hello from worker {ARBITER_SLOT} generation {ARBITER_GENERATION}\n".format(**os.environ)
    start_response("200 OK", [("Content-Length", str(len(words)))])
    return [words.encode()]
