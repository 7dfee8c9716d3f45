"""What uvicorn serves: `/` at once, `/slow` after two seconds. IMPORT_SECONDS is how long its import takes.

At TERM uvicorn resets a connection that it has accepted a moment ago, so this application drains first, by
the web shop's `drain` (on PYTHONPATH). uvicorn itself is as it is published.
"""

import asyncio
import os
import time

import drain

time.sleep(float(os.environ.get("IMPORT_SECONDS", "0")))


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(2)
    words = "hello from worker {ARBITER_SLOT} generation {ARBITER_GENERATION}\n".format(**os.environ)
    headers = [(b"content-length", str(len(words)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": words.encode()})


async def live(receive, send):
    await receive()
    async with drain.drain_before_stop(app):
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
