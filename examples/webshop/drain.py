"""Lets uvicorn stop without dropping a connection it has just accepted.

At TERM uvicorn closes every connection that has not sent a request yet, so a client
that connected a moment ago gets an empty answer although it did nothing wrong. As a
lifespan of the application this module puts a pause before that: at the first TERM the
worker stops accepting, gives the connections it already has the time to send their
request, and only then passes the signal on to uvicorn, which finishes what is in flight.

A worker of a pool can do this because the listening socket is shared: whatever is not
accepted here is accepted by the next worker. It needs `--loop asyncio`.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator

# A client sends its request right after it connected; who is silent for longer is idle.
PATIENCE_SECONDS = 2.0
LOOK_EVERY_SECONDS = 0.02


@contextlib.asynccontextmanager
async def drain_before_stop(_app) -> AsyncIterator[None]:
    """A Starlette lifespan. Does nothing where the TERM handler is not uvicorn's."""
    loop = asyncio.get_running_loop()
    stop = signal.getsignal(signal.SIGTERM)
    server = getattr(stop, "__self__", None)
    draining: set[asyncio.Task] = set()

    def on_term(number, frame):
        if draining:
            stop(number, frame)
        else:
            loop.call_soon_threadsafe(lambda: draining.add(loop.create_task(drain(number))))

    async def drain(number):
        try:
            stop_accepting(loop, server)
            await first_requests(server)
        finally:
            stop(number, None)

    if hasattr(server, "server_state"):
        signal.signal(signal.SIGTERM, on_term)
    yield


def stop_accepting(loop, server):
    """Takes the listening sockets out of the event loop, without closing them."""
    for listening in getattr(server, "servers", []):
        for socket in listening.sockets:
            loop.remove_reader(socket.fileno())


async def first_requests(server):
    """Returns when each accepted connection has sent a request, or the patience is over."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    # Two rounds at least: a connection accepted in this turn of the loop is listed in the next.
    for _ in range(2):
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    while asyncio.get_running_loop().time() < deadline:
        if all(connection.cycle is not None for connection in server.server_state.connections):
            return
        await asyncio.sleep(LOOK_EVERY_SECONDS)
