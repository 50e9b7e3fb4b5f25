"""64 clients of the REST API: kept connections, requests made beforehand but for their own key."""

import asyncio
import json
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import uvloop

from benchmarks import child, machine, payload

END = b"\r\n\r\n"
LENGTH = b"content-length: "


async def caller(url: str, head: bytes, body: bytes, todo: Iterator[int]) -> None:
    """Post until nothing is left, each message once the one before is answered."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    for number in todo:
        writer.write(head + b"idempotency-key: auto_%d\r\n\r\n" % number + body)
        answer = (await reader.readuntil(END)).lower()
        if b" 202 " not in answer[:20]:
            raise RuntimeError(f"the API answered {answer!r}")
        await reader.readexactly(int(answer.partition(LENGTH)[2].partition(b"\r")[0]))
    writer.close()


async def main(url: str, token: str, messages: int, callers: int, pid: int, warm_up: int) -> None:
    """Publish so many messages over so many connections; `pid` is the server's process."""
    sent = {"eventType": payload.EVENT, "payload": json.loads(payload.BODY)}
    body = json.dumps(sent, ensure_ascii=False).encode()
    parts = urlsplit(url)
    head = (
        f"POST {parts.path}?{parts.query} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    ).encode()
    numbers = iter(range(warm_up + messages))

    async def publish(count: int) -> None:
        todo = iter([next(numbers) for _ in range(count)])
        await asyncio.gather(*(caller(url, head, body, todo) for _ in range(callers)))

    await publish(warm_up)
    child.wait_for_go()
    cpu, began = machine.tree_cpu(pid), time.monotonic()
    await publish(messages)
    child.say(seconds=time.monotonic() - began, cpu=machine.tree_cpu(pid) - cpu, done=messages)


if __name__ == "__main__":
    uvloop.run(main(**child.spec()))
