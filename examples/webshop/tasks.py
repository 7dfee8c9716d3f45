"""The jobs that RQ workers run: one for each order, and the two that the scheduler asks for."""

import hashlib
import json
import logging
import time

import orders


def fulfil(order):
    """Works an order off. May run more than once: the receipt depends on the order alone."""
    redis = orders.connect()
    begun = orders.begin(redis, order)
    if begun is None:
        return
    items, seconds = begun
    time.sleep(seconds)  # stands for a slow partner: a payment, a warehouse
    receipt = hashlib.sha256(json.dumps([order, items]).encode()).hexdigest()
    orders.finish(redis, order, receipt)


def take_stock():
    orders.take_stock(orders.connect())


def recover():
    found = orders.recover(orders.connect())
    if found:
        logging.getLogger("rq.worker").warning("recovered %d orders that no worker had booked in", found)
