"""A script on psycopg: `DATABASE=postgresql://… python examples/psycopg/app.py A-1 A-2`."""

import os
import sys

import psycopg

from hookline import SyncReceipt, Webhooks

DATABASE = os.environ["DATABASE"]

webhooks = Webhooks(database=DATABASE, events=["order.placed"], migrate="always").sync
webhooks.register(
    os.environ.get("WEBHOOK", "http://127.0.0.1:9000/webhook"),
    ["order.*"],
    secret="your-secret-key",
)


def place(connection: psycopg.Connection, number: str) -> SyncReceipt:
    with connection.transaction():
        receipt = webhooks.trigger("order.placed", {"number": number}, connection=connection)
        connection.execute("INSERT INTO shop_order VALUES (%s)", [number])
    return receipt


def main(numbers: list[str]) -> None:
    with webhooks, psycopg.connect(DATABASE.replace("+asyncpg", "")) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS shop_order (number text UNIQUE)")
        connection.commit()
        receipts = []
        for number in numbers:
            try:
                receipts.append(place(connection, number))
            except psycopg.errors.UniqueViolation:  # the event is gone with the order
                print(f"{number} is taken")
        for receipt in receipts:  # a service goes on; a script waits before it ends
            receipt.delivered()


if __name__ == "__main__":
    main(sys.argv[1:])
