"""Flask with SQLAlchemy: `gunicorn --chdir examples/flask app:app`, or `flask run`.

Before the first time: `flask --app examples/flask/app.py create-tables`.
"""

import os

import sqlalchemy as sa
from flask import Flask, Response, request
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from hookline.flask import Hookline

DATABASE = os.environ.get("DATABASE", "sqlite:///shop.db")

hookline = Hookline(events=["order.placed"])
hookline.register(
    os.environ.get("WEBHOOK", "http://127.0.0.1:9000/webhook"),
    ["order.*"],
    secret="your-secret-key",
)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "shop_order"
    number: Mapped[str] = mapped_column(primary_key=True)


engine = sa.create_engine(DATABASE.replace("+asyncpg", "+psycopg"))

app = Flask(__name__)
app.config["HOOKLINE_DATABASE"] = DATABASE
hookline.init_app(app)


@app.post("/orders")
def place() -> tuple[Response | dict[str, str], int]:
    order = request.get_json()
    try:
        with Session(engine) as session, session.begin():
            session.add(Order(number=order["number"]))
            hookline.trigger("order.placed", order, session=session)
    except IntegrityError:  # the event is gone with the order
        return {"detail": "this number is taken"}, 409
    return order, 201


@app.cli.command("create-tables")
def create_tables() -> None:
    """Make the shop's tables."""
    Base.metadata.create_all(engine)
