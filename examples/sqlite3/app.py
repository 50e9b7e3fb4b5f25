"""A script on sqlite3: `python examples/sqlite3/app.py A-1 A-2`."""

import os
import sqlite3
import sys

from hookline import SyncReceipt, Webhooks

DATABASE = os.environ.get("DATABASE", "sqlite:///shop.db")

webhooks = Webhooks(database=DATABASE, events=["order.placed"]).sync
webhooks.register(
    os.environ.get("WEBHOOK", "http://127.0.0.1:9000/webhook"),
    ["order.*"],
    secret="your-secret-key",
)


def place(connection: sqlite3.Connection, number: str) -> SyncReceipt:
    with connection:  # a transaction: committed at its end, or rolled back
        receipt = webhooks.trigger("order.placed", {"number": number}, connection=connection)
        connection.execute("INSERT INTO shop_order VALUES (?)", [number])
    return receipt


def main(numbers: list[str]) -> None:
    connection = sqlite3.connect(DATABASE.removeprefix("sqlite:///"))
    connection.execute("CREATE TABLE IF NOT EXISTS shop_order (number TEXT UNIQUE)")
    with webhooks:
        receipts = []
        for number in numbers:
            try:
                receipts.append(place(connection, number))
            except sqlite3.IntegrityError:  # the event is gone with the order
                print(f"{number} is taken")
        for receipt in receipts:  # a service goes on; a script waits before it ends
            receipt.delivered()
    connection.close()


if __name__ == "__main__":
    main(sys.argv[1:])
