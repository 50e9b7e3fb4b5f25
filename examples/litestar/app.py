"""Litestar with SQLAlchemy: `uvicorn --app-dir examples/litestar app:app`."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from litestar import Litestar, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from hookline import Publisher, Webhooks
from hookline.litestar import HooklinePlugin

DATABASE = os.environ.get("DATABASE", "sqlite:///shop.db")

webhooks = Webhooks(database=DATABASE, events=["order.placed"])
webhooks.register(
    os.environ.get("WEBHOOK", "http://127.0.0.1:9000/webhook"),
    ["order.*"],
    secret="your-secret-key",
)

engine = create_async_engine(DATABASE.replace("sqlite:", "sqlite+aiosqlite:"))
new_session = async_sessionmaker(engine)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "shop_order"
    number: Mapped[str] = mapped_column(primary_key=True)


@dataclass
class OrderIn:
    number: str


async def get_session() -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        yield session


@post("/orders")
async def place(
    data: OrderIn,
    db_session: NamedDependency[AsyncSession],
    publisher: NamedDependency[Publisher],
) -> OrderIn:
    db_session.add(Order(number=data.number))
    await publisher.trigger("order.placed", data)
    try:
        await db_session.commit()
    except IntegrityError:  # the event is gone with the order
        raise HTTPException("this number is taken", status_code=409) from None
    return data


@asynccontextmanager
async def tables(_app: Litestar) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


app = Litestar(
    [place],
    lifespan=[tables],
    dependencies={"db_session": Provide(get_session)},
    plugins=[HooklinePlugin(webhooks, session="db_session")],
)
