"""A receiver that costs as little as Python allows: bare epoll, 200 to everything.

Says its port, then answers GET with what it saw: how many requests arrived, the most that waited
for their answer at once, when the first and the last came, and (`stamps`) when each one did.
"""

import json
import select
import socket
import time
from collections import deque
from typing import Any

from benchmarks import child

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
HOST = 1
"""`host(1)` is 127.0.0.1."""


def host(number: int) -> str:
    """Return the address of the nth host, all of them on loopback."""
    return f"127.0.{number // 250}.{number % 250 + HOST}"


class Connection:
    """What one client sent and has not been answered yet."""

    __slots__ = ("buffer", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""


class Sink:
    """Serves until it is killed."""

    def __init__(self, *, hosts: int = 1, delay: float = 0, stamps: bool = False) -> None:
        """Listen on so many addresses; answer after `delay` seconds."""
        self.count = self.waiting = self.most_waiting = 0
        self.first = self.last = 0.0
        self.stamps: dict[str, float] | None = {} if stamps else None
        self.delay = delay
        self.late: deque[tuple[float, Connection]] = deque()
        self.epoll = select.epoll()
        self.listeners: dict[int, socket.socket] = {}
        self.connections: dict[int, Connection] = {}
        self.port = 0
        for number in range(hosts):
            listener = socket.create_server((host(number), self.port), backlog=4096)
            listener.settimeout(0)
            self.port = listener.getsockname()[1]
            self.epoll.register(listener, select.EPOLLIN)
            self.listeners[listener.fileno()] = listener

    def serve(self) -> None:
        """Answer for ever."""
        while True:
            timeout = max(0.0, self.late[0][0] - time.monotonic()) if self.late else None
            for fd, _ in self.epoll.poll(timeout):
                if fd in self.connections:
                    self.read(fd)
                else:
                    self.accept(self.listeners[fd])
            while self.late and self.late[0][0] <= time.monotonic():
                self.waiting -= 1
                self.send(self.late.popleft()[1], ANSWER)

    def accept(self, listener: socket.socket) -> None:
        """Take every connection that waits."""
        while True:
            try:
                sock, _ = listener.accept()
            except BlockingIOError:
                return
            sock.settimeout(0)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections[sock.fileno()] = Connection(sock)
            self.epoll.register(sock, select.EPOLLIN)

    def read(self, fd: int) -> None:
        """Read once and answer every whole request."""
        connection = self.connections[fd]
        try:
            data = connection.sock.recv(65536)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self.epoll.unregister(fd)
            connection.sock.close()
            del self.connections[fd]
            return
        connection.buffer = connection.buffer + data if connection.buffer else data
        answers = []
        while (answer := self.one(connection)) is not None:
            answers.append(answer)
        if answers:
            self.send(connection, b"".join(answers))

    def send(self, connection: Connection, answer: bytes) -> None:
        """Write an answer; they are small enough for any socket's buffer."""
        try:
            connection.sock.sendall(answer)
        except OSError:  # it did not wait
            return

    def one(self, connection: Connection) -> bytes | None:
        """Take one request off the buffer; return its answer, empty for one that comes later."""
        data = connection.buffer
        head = data.find(b"\r\n\r\n")
        if head < 0:
            return None
        if data.startswith(b"GET"):
            connection.buffer = data[head + 4 :]
            return self.report()
        at = data.find(b"Content-Length: ")
        end = head + 4 + int(data[at + 16 : data.find(b"\r\n", at)])
        if len(data) < end:
            return None
        connection.buffer = data[end:]
        self.note(data)
        if not self.delay:
            return ANSWER
        self.late.append((time.monotonic() + self.delay, connection))
        self.waiting += 1
        self.most_waiting = max(self.waiting, self.most_waiting)
        return b""

    def note(self, data: bytes) -> None:
        """Count a request."""
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.count += 1
        if self.stamps is not None:
            at = data.find(b"webhook-id: ")
            self.stamps[data[at + 12 : data.find(b"\r\n", at)].decode()] = time.time()

    def report(self) -> bytes:
        """Return what was seen, as an answer."""
        seen: dict[str, Any] = {
            "count": self.count,
            "most_waiting": self.most_waiting,
            "first": self.first,
            "last": self.last,
            "cpu": time.process_time(),
            "stamps": self.stamps,
        }
        body = json.dumps(seen).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


if __name__ == "__main__":
    sink = Sink(**child.spec())
    child.say(port=sink.port)
    sink.serve()
