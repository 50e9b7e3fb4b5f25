"""The other thing a Python team would write: `async with httpx.AsyncClient()` for each request."""

import asyncio
import itertools
import time

import httpx

from benchmarks import child, payload

CALLERS = 64


async def send(url: str) -> None:
    """Sign and POST."""
    async with httpx.AsyncClient() as client:
        answer = await client.post(url, content=payload.BODY, headers=payload.headers())
        answer.raise_for_status()


async def main(url: str, requests: int) -> None:
    """Send so many from concurrent callers."""
    await send(url)
    child.wait_for_go()
    began, cpu = time.monotonic(), time.process_time()
    todo = itertools.repeat(url, requests)

    async def caller() -> None:
        for each in todo:
            await send(each)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    child.say(seconds=seconds, cpu=cpu)


if __name__ == "__main__":
    asyncio.run(main(**child.spec()))
