"""The task a Python team would write, and (as a child) the process that enqueues it."""

import os
import time

import requests
from celery import Celery

from benchmarks import child, payload

app = Celery("benchmarks")
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
_sessions: dict[int, requests.Session] = {}


@app.task(name="send")
def send(url: str, body: str) -> None:
    """Sign and POST over the process's own session: kept connections, the generous reading."""
    session = _sessions.get(os.getpid())
    if session is None:
        session = _sessions[os.getpid()] = requests.Session()
    session.post(url, data=body.encode(), headers=payload.headers(), timeout=15).raise_for_status()


def main(broker: str, url: str, tasks: int, warm_up: int) -> None:
    """Enqueue a warm-up, then what is measured."""
    app.conf.broker_url = broker
    body = payload.BODY.decode()
    for _ in range(warm_up):
        send.delay(url, body)
    child.wait_for_go()
    began, cpu = time.monotonic(), time.process_time()
    for _ in range(tasks):
        send.delay(url, body)
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    child.say(seconds=seconds, cpu=cpu)


if __name__ == "__main__":
    main(**child.spec())
