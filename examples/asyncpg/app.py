"""A script on asyncpg: `DATABASE=postgresql://… python examples/asyncpg/app.py A-1 A-2`."""

import asyncio
import os
import sys

import asyncpg

from hookline import Receipt, Webhooks

DATABASE = os.environ["DATABASE"]

webhooks = Webhooks(database=DATABASE, events=["order.placed"], migrate="always")
webhooks.register(
    os.environ.get("WEBHOOK", "http://127.0.0.1:9000/webhook"),
    ["order.*"],
    secret="your-secret-key",
)


async def place(connection: asyncpg.Connection, number: str) -> Receipt:
    async with connection.transaction():
        receipt = await webhooks.trigger("order.placed", {"number": number}, connection=connection)
        await connection.execute("INSERT INTO shop_order VALUES ($1)", number)
    return receipt


async def main(numbers: list[str]) -> None:
    async with webhooks, asyncpg.create_pool(DATABASE.replace("+asyncpg", "")) as pool:
        async with pool.acquire() as connection:
            await connection.execute("CREATE TABLE IF NOT EXISTS shop_order (number text UNIQUE)")
        receipts = []
        for number in numbers:
            async with pool.acquire() as connection:
                try:
                    receipts.append(await place(connection, number))
                except asyncpg.UniqueViolationError:  # the event is gone with the order
                    print(f"{number} is taken")
        for receipt in receipts:  # a service goes on; a script waits before it ends
            await receipt.delivered()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
