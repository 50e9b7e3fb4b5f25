"""FastAPI with SQLModel, synchronous: `uvicorn --app-dir examples/sqlmodel app:app`."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, Session, SQLModel, create_engine

from hookline import SyncPublisher, Webhooks
from hookline.fastapi import publisher

DATABASE = os.environ.get("DATABASE", "sqlite:///shop.db")

webhooks = Webhooks(database=DATABASE, events=["order.placed"])
webhooks.register(
    os.environ.get("WEBHOOK", "http://127.0.0.1:9000/webhook"),
    ["order.*"],
    secret="your-secret-key",
)
engine = create_engine(DATABASE.replace("+asyncpg", "+psycopg"))


class Order(SQLModel, table=True):
    __tablename__ = "shop_order"
    number: str = Field(primary_key=True)


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]
Publish = Annotated[SyncPublisher, Depends(publisher(webhooks.sync, get_session))]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with webhooks.lifespan(app):
        SQLModel.metadata.create_all(engine)
        yield
        engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.post("/orders", status_code=201)
def place(order: Order, session: SessionDep, publish: Publish) -> Order:
    session.add(Order(number=order.number))
    publish.trigger("order.placed", order)
    try:
        session.commit()
    except IntegrityError:  # the event is gone with the order
        raise HTTPException(409, "this number is taken") from None
    return order
