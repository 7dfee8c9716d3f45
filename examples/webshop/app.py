"""The web shop: takes orders, tells what became of them.

    GET  /             which worker answers
    POST /orders       {"items": [...], "work": seconds}: 202 and the id once the order is on disk, else 503
    GET  /orders/ID    state, number of runs, receipt
    GET  /stock        what the scheduler's periodic job counted last
"""

import json
import os
import uuid

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import drain
import orders

MOST_ITEMS = 100
MOST_WORK_SECONDS = 10.0

redis = orders.connect()


async def home(_request: Request) -> JSONResponse:
    return JSONResponse(
        {
            "shop": "webshop",
            "pid": os.getpid(),
            "slot": os.environ.get("ARBITER_SLOT"),
            "generation": os.environ.get("ARBITER_GENERATION"),
        }
    )


async def post_order(request: Request) -> JSONResponse:
    try:
        body = await request.json()
        items, work = body["items"], float(body.get("work", 0))
        if not isinstance(items, list) or not 0 < len(items) <= MOST_ITEMS or not 0 <= work <= MOST_WORK_SECONDS:
            raise ValueError
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return JSONResponse({"error": "expected {'items': [1 to 100], 'work': 0 to 10 seconds}"}, 400)
    order = uuid.uuid4().hex
    await run_in_threadpool(orders.accept, redis, order, items, work)
    return JSONResponse({"id": order}, 202, {"Location": f"/orders/{order}"})


async def get_order(request: Request) -> JSONResponse:
    order = await run_in_threadpool(orders.read, redis, request.path_params["order"])
    if order is None:
        return JSONResponse({"error": "no such order"}, 404)
    return JSONResponse(order)


async def get_stock(_request: Request) -> JSONResponse:
    return JSONResponse(await run_in_threadpool(orders.read_stock, redis))


async def unavailable(_request: Request, _error: Exception) -> JSONResponse:
    return JSONResponse({"error": "the order book cannot be reached, try again"}, 503, {"Retry-After": "1"})


app = Starlette(
    routes=[
        Route("/", home),
        Route("/orders", post_order, methods=["POST"]),
        Route("/orders/{order:str}", get_order),
        Route("/stock", get_stock),
    ],
    exception_handlers={orders.Unavailable: unavailable},
    lifespan=drain.drain_before_stop,
)
