"""`hookline sink`: a local receiver that shows what arrives."""

import errno
import os
import signal
import sys
import threading
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Self

import typer

from hookline.cli._values import duration, is_loopback
from hookline.errors import InvalidSecret

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookline.cli._sink.server import Sink
    from hookline.testing import Answer, Received, Receiver


def sink(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 9000,
    secret: Annotated[
        list[str] | None,
        typer.Option(help="The endpoint's secret, to check signatures; may be repeated."),
    ] = None,
    status: Annotated[
        int | None, typer.Option(help="Status to answer, else 200.", min=200, max=599)
    ] = None,
    fail_first: Annotated[
        int | None,
        typer.Option(help="Fail this many requests (with --status, else 500), then 200.", min=1),
    ] = None,
    delay: Annotated[
        float,
        typer.Option(help="Wait before each answer.", parser=duration, metavar="DURATION"),
    ] = "0s",  # type: ignore[assignment]  # the parser makes it seconds
    drop: Annotated[
        bool, typer.Option("--drop", help="Reset connections instead of answering.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="One line per webhook.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per webhook.")] = False,
) -> None:
    """Receive webhooks on this machine, check their signatures, and show them here and on a page.

    Durations are written 250ms, 2s, 1m.

    hookline sink --secret your-secret-key --status 503 --fail-first 3
    """
    from rich.console import Console  # noqa: PLC0415 - a third of the start-up time of --help

    from hookline.cli._sink import show  # noqa: PLC0415
    from hookline.cli._sink.server import Sink  # noqa: PLC0415

    plan = _Plan.of(status=status, fail_first=fail_first, delay=delay, drop=drop)
    # With --json, standard output belongs to the program that reads it.
    console = Console(stderr=as_json, highlight=False, markup=False, emoji=False)
    printer = show.as_line if as_json else show.readable(console, bodies=not quiet)
    ended = threading.Event()
    try:
        server = Sink(
            secret,
            host=host,
            port=port,
            show=_unless_gone(printer, ended),
            summary=plan.in_words(),
        )
    except InvalidSecret as error:
        raise typer.BadParameter(str(error), param_hint="--secret") from None
    plan.apply(server)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    _start(server, host, port)
    with server:
        show.welcome(console, server, secrets=len(secret or ()), exposed=not is_loopback(host))
        ended.wait()
    show.goodbye(console, server)


@dataclass(frozen=True)
class _Plan:
    """How to answer: `status` or a drop, for the first `times` requests (None: all), then 200."""

    status: int
    drop: bool
    times: int | None
    delay: float

    @classmethod
    def of(cls, *, status: int | None, fail_first: int | None, delay: float, drop: bool) -> Self:
        if drop and status is not None:
            raise typer.BadParameter(
                "a dropped connection has no status; leave one of the two out", param_hint="--drop"
            )
        if fail_first and status is not None and status < HTTPStatus.MULTIPLE_CHOICES:
            raise typer.BadParameter(
                f"{status} is a success; give a --status that fails, or none for 500",
                param_hint="--fail-first",
            )
        return cls(status or (500 if fail_first else 200), drop, fail_first, delay)

    def apply(self, receiver: "Receiver") -> None:
        receiver.answer(self._agree)
        if self.times or self.drop or self.status != HTTPStatus.OK:
            receiver.answer(self.status, drop=self.drop, delay=self.delay, times=self.times)

    def _agree(self, received: "Received") -> "Answer":
        """Answer 200, and the handshake's question, so that a sender can be tried with it on."""
        from hookline.testing import agree  # noqa: PLC0415

        return replace(agree(received), delay=self.delay)

    def in_words(self) -> str:
        what = "the connection is reset" if self.drop else str(self.status)
        if self.times:
            what += (
                f" for the first {self.times}, then 200" if self.times > 1 else " once, then 200"
            )
        return f"{what}, after {self.delay:g} s" if self.delay else what


def _start(server: "Sink", host: str, port: int) -> None:
    try:
        server.start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = f"port {port} is taken; stop what uses it, or take another: --port {port + 1}"
        elif error.errno == errno.EACCES:
            why = f"port {port} needs root; take one above 1023: --port 9000"
        else:
            why = f"cannot listen on {host}: {error.strerror or error}; see --host"
        typer.echo(f"hookline sink: {why}", err=True)
        raise typer.Exit(1) from None


def _unless_gone(
    printer: "Callable[[Received], None]", ended: threading.Event
) -> "Callable[[Received], None]":
    """Return the printer, ending the sink when nobody reads what it prints (`| head -1`)."""

    def show(received: "Received") -> None:
        try:
            printer(received)
        except (BrokenPipeError, SystemExit):  # Rich turns the one into the other
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ended.set()

    return show
