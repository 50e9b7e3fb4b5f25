"""The reference: a bare libcurl-multi loop. Same body and headers, no database, nothing else."""

import select
import time
from typing import Any

import pycurl

from benchmarks import child, payload

EVENTS = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}


class Loop:
    """libcurl on epoll: handles and connections are used again, sockets stay registered."""

    def __init__(self, urls: list[str], in_flight: int) -> None:
        self.epoll = select.epoll()
        self.deadline: float | None = None
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, self.on_socket)
        self.multi.setopt(pycurl.M_TIMERFUNCTION, self.on_timer)
        self.multi.setopt(pycurl.M_MAXCONNECTS, 1024)
        self.urls = urls
        self.lines = lines("msg_0000000000000000000000000000")
        self.handles = [new_handle() for _ in range(in_flight)]

    def on_socket(self, what: int, fd: int, _multi: Any, _data: Any) -> None:
        """Wait for what libcurl asks for."""
        if what == pycurl.POLL_REMOVE:
            return  # a kept connection, most likely used again; a closed one leaves by itself
        try:
            self.epoll.modify(fd, EVENTS[what])
        except FileNotFoundError:
            self.epoll.register(fd, EVENTS[what])

    def on_timer(self, milliseconds: int) -> None:
        """Remember when libcurl wants to be called without any event."""
        self.deadline = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def step(self) -> list[pycurl.Curl]:
        """Wait once, and return the handles whose request is done."""
        timeout = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        for fd, events in self.epoll.poll(timeout):
            mask = pycurl.CSELECT_IN if events & ~select.EPOLLOUT else 0
            if events & select.EPOLLOUT:
                mask |= pycurl.CSELECT_OUT
            self.multi.socket_action(fd, mask)
        if self.deadline is not None and self.deadline <= time.monotonic():
            self.deadline = None
            self.multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        _, good, bad = self.multi.info_read(1024)
        if bad:
            raise RuntimeError(f"the sink failed the bare loop: {bad[0][1:]}")
        return good  # type: ignore[no-any-return]

    def run(self, requests: int) -> None:
        """Send so many requests."""
        started = done = 0
        for handle in self.handles[:requests]:
            self.begin(handle, started)
            started += 1
        while done < requests:
            for handle in self.step():
                done += 1
                self.multi.remove_handle(handle)
                if handle.getinfo(pycurl.RESPONSE_CODE) != 200:
                    raise RuntimeError("the sink did not answer 200")
                if started < requests:
                    self.begin(handle, started)
                    started += 1

    def begin(self, handle: pycurl.Curl, number: int) -> None:
        """Start the nth request: each has its URL, headers and body, as with any client."""
        handle.setopt(pycurl.URL, self.urls[number % len(self.urls)])
        handle.setopt(pycurl.HTTPHEADER, self.lines)
        handle.setopt(pycurl.POSTFIELDS, payload.BODY)
        self.multi.add_handle(handle)

    def one(self, message_id: str) -> float:
        """Send one request; return when it began (Unix seconds)."""
        handle = self.handles[0]
        self.lines = lines(message_id)
        began = time.time()
        self.begin(handle, 0)
        while not self.step():
            continue
        self.multi.remove_handle(handle)
        return began


def lines(message_id: str) -> list[str]:
    return [f"{name}: {value}" for name, value in payload.headers(message_id).items()] + ["Expect:"]


def new_handle() -> pycurl.Curl:
    handle = pycurl.Curl()
    handle.setopt(pycurl.POST, 1)
    handle.setopt(pycurl.NOSIGNAL, 1)
    handle.setopt(pycurl.NOPROXY, "*")
    handle.setopt(pycurl.WRITEFUNCTION, lambda _: None)
    return handle


def main(urls: list[str], requests: int, in_flight: int = 128, pause: float = 0) -> None:
    """Send `requests`, as fast as possible, or (with a `pause`) one by one with their times."""
    loop = Loop(urls, in_flight)
    loop.run(min(2_000, requests))
    child.wait_for_go()
    began, cpu, starts = time.monotonic(), time.process_time(), {}
    if pause:
        for n in range(requests):
            message_id = f"msg_bare{n}"
            starts[message_id] = loop.one(message_id)
            time.sleep(pause)
    else:
        loop.run(requests)
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    child.say(done=requests, seconds=seconds, cpu=cpu, starts=starts)


if __name__ == "__main__":
    main(**child.spec())
