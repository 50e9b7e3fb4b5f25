"""FastAPI with SQLAlchemy: `uvicorn --app-dir examples/fastapi app:app`."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from hookline import Publisher, Webhooks
from hookline.fastapi import publisher

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


class OrderIn(BaseModel):
    number: str


async def get_session() -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]
Publish = Annotated[Publisher, Depends(publisher(webhooks, get_session))]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with webhooks.lifespan(app):
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.post("/orders", status_code=201)
async def place(order: OrderIn, session: Session, publish: Publish) -> OrderIn:
    session.add(Order(number=order.number))
    await publish.trigger("order.placed", order)
    try:
        await session.commit()
    except IntegrityError:  # the event is gone with the order
        raise HTTPException(409, "this number is taken") from None
    return order
