"""What an order is in redis, and how one is accepted, read, finished and recovered.

An order is accepted when one transaction has stored three things: the order itself,
its place in the set of open orders, and its RQ job. redis answers only after that
transaction is on disk (`appendfsync always`), so whatever kills redis, a web worker
or an RQ worker afterwards, the order is still there and still open.
"""

import json
import os
import time

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, TimeoutError
from redis.retry import Retry as ConnectionRetry
from rq import Queue, Retry
from rq.registry import StartedJobRegistry
from rq.utils import current_timestamp, parse_composite_key

OPEN = "shop:open"
MISSED = "shop:missed"
STOCK = "shop:stock"
KEPT_SECONDS = 24 * 3600
# How long a request for redis may go on trying: longer than redis needs to come back.
PATIENCE_SECONDS = 8.0
# RQ books a running job in for at least 60 s beyond its last sign of life (every
# --job-monitoring-interval, 2 s here). Looking 45 s ahead means: silent for 15 s is dead.
LOOK_AHEAD_SECONDS = 45


class Unavailable(Exception):
    """redis could not be reached within the patience: nothing has been promised."""


def connect():
    """A client that never retries by itself: what may be repeated is decided here, not per command."""
    path = os.path.join(os.environ["WEBSHOP_STATE"], "redis.sock")
    return Redis(unix_socket_path=path, socket_timeout=3, retry=ConnectionRetry(NoBackoff(), 0))


def order_key(order):
    return f"shop:order:{order}"


def queue_on(redis):
    return Queue("orders", connection=redis, default_timeout=60)


def patiently(action):
    """Runs `action(first)` until redis answers; raises Unavailable when the patience is over."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    first = True
    while True:
        try:
            return action(first)
        except (ConnectionError, TimeoutError) as error:
            if time.monotonic() > deadline:
                raise Unavailable(str(error)) from error
        first = False
        time.sleep(0.05)


def enqueue(queue, order, pipe):
    """Begins the transaction of the fresh `pipe` with the order's job, which has the order's own id."""
    queue.enqueue_call(
        "tasks.fulfil", (order,), job_id=order, retry=Retry(max=10), result_ttl=60, failure_ttl=600, pipeline=pipe
    )


def accept(redis, order, items, work):
    """Stores the order and its job, durably and together. Raises Unavailable."""

    def store(first):
        # An answer that got lost may have been a yes: the transaction is all or nothing.
        if not first and redis.exists(order_key(order)):
            return
        with redis.pipeline(transaction=True) as pipe:
            enqueue(queue_on(redis), order, pipe)
            fields = {"state": "accepted", "items": json.dumps(items), "work": work, "runs": 0}
            pipe.hset(order_key(order), mapping=fields)
            pipe.sadd(OPEN, order)
            pipe.execute()

    patiently(store)


def read(redis, order):
    """The order as a dictionary, or None if there is none. Raises Unavailable."""
    fields = patiently(lambda _: redis.hgetall(order_key(order)))
    if not fields:
        return None
    text = {name.decode(): value.decode() for name, value in fields.items()}
    return {
        "id": order,
        "state": text["state"],
        "items": json.loads(text["items"]),
        "runs": int(text["runs"]),
        "receipt": text.get("receipt"),
    }


def begin(redis, order):
    """Counts one more run. Returns (items, seconds of work), or None if the order is done already."""
    with redis.pipeline(transaction=True) as pipe:
        pipe.hincrby(order_key(order), "runs", 1)
        pipe.hmget(order_key(order), "state", "items", "work")
        _, (state, items, work) = pipe.execute()
    if state == b"done":
        return None
    redis.hset(order_key(order), "state", "running")
    return json.loads(items), float(work)


def finish(redis, order, receipt):
    """Marks the order done; a second time changes nothing."""
    with redis.pipeline(transaction=True) as pipe:
        pipe.hset(order_key(order), mapping={"state": "done", "receipt": receipt})
        pipe.srem(OPEN, order)
        pipe.expire(order_key(order), KEPT_SECONDS)
        pipe.execute()


def take_stock(redis):
    """Writes down how many orders are open: the shop's periodic job."""
    with redis.pipeline(transaction=True) as pipe:
        pipe.hset(STOCK, mapping={"open": redis.scard(OPEN), "at": time.time()})
        pipe.hincrby(STOCK, "counted", 1)
        pipe.execute()


def read_stock(redis):
    """What take_stock wrote last. Raises Unavailable."""
    fields = patiently(lambda _: redis.hgetall(STOCK))
    return {"open": int(fields.get(b"open", 0)), "counted": int(fields.get(b"counted", 0))}


def recover(redis):
    """Gives the orders of dead RQ workers to living ones. Returns how many were found by hand.

    RQ's own cleanup does most of it: a job whose worker went silent is retried. What is
    left are jobs whose worker died between taking them and booking them in: orders that
    are open and in none of RQ's lists, in two sweeps running.
    """
    queue = queue_on(redis)
    registry = StartedJobRegistry(queue=queue)
    registry.cleanup(timestamp=current_timestamp() + LOOK_AHEAD_SECONDS)
    with redis.pipeline(transaction=True) as pipe:
        pipe.smembers(OPEN)
        pipe.lrange(queue.key, 0, -1)
        pipe.zrange(registry.key, 0, -1)
        pipe.smembers(MISSED)
        opened, queued, started, missed = pipe.execute()
    booked = {parse_composite_key(entry.decode())[0].encode() for entry in started}
    missing = opened - set(queued) - booked
    for order in missing & missed:
        with redis.pipeline(transaction=True) as pipe:
            enqueue(queue, order.decode(), pipe)
            pipe.lrem(queue.intermediate_queue_key, 0, order)
            pipe.srem(MISSED, order)
            pipe.execute()
    with redis.pipeline(transaction=True) as pipe:
        pipe.delete(MISSED)
        if missing - missed:
            pipe.sadd(MISSED, *(missing - missed))
        pipe.execute()
    return len(missing & missed)
