"""Starlette with SQLAlchemy Core: `uvicorn --app-dir examples/starlette app:app`."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from hookline import Webhooks

DATABASE = os.environ.get("DATABASE", "sqlite:///shop.db")

webhooks = Webhooks(database=DATABASE, events=["order.placed"])
webhooks.register(
    os.environ.get("WEBHOOK", "http://127.0.0.1:9000/webhook"),
    ["order.*"],
    secret="your-secret-key",
)

engine = create_async_engine(DATABASE.replace("sqlite:", "sqlite+aiosqlite:"))
tables = sa.MetaData()
orders = sa.Table("shop_order", tables, sa.Column("number", sa.Text, primary_key=True))


async def place(request: Request) -> JSONResponse:
    order = await request.json()
    try:
        async with engine.begin() as connection:
            await webhooks.trigger("order.placed", order, connection=connection)
            await connection.execute(orders.insert(), {"number": order["number"]})
    except IntegrityError:  # the event is gone with the order
        return JSONResponse({"detail": "this number is taken"}, 409)
    return JSONResponse(order, 201)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with webhooks.lifespan(app):
        async with engine.begin() as connection:
            await connection.run_sync(tables.create_all)
        yield
        await engine.dispose()


app = Starlette(routes=[Route("/orders", place, methods=["POST"])], lifespan=lifespan)
