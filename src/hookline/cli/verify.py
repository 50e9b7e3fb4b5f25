"""`hookline verify`: says whether a recorded webhook verifies, and names what is wrong if not."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hookline.receiver import Diagnosis

VARIABLE = "HOOKLINE_SECRET"
INVALID = 1


def verify(
    *,
    body: Annotated[
        str | None,
        typer.Option("--body", "-b", metavar="FILE", help="The body as it arrived; - is stdin."),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", metavar="LINE", help="'Name: value'; may be repeated."),
    ] = None,
    headers_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Headers as lines 'Name: value', or as JSON: an object or pairs."
        ),
    ] = None,
    request: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Instead: a whole request: headers, an empty line, body; - is stdin.",
        ),
    ] = None,
    original: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The body as it was sent, where it is known."),
    ] = None,
    secret_file: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help=f"A file with the secret, less its last line break; may be repeated. Without one, "
            f"{VARIABLE} is taken, or you are asked.",
        ),
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="The secret itself: others on this machine can see it while it runs.",
        ),
    ] = None,
    at: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Judge the age as of this Unix time, not of now."),
    ] = None,
    any_age: Annotated[
        bool, typer.Option("--any-age", help="Accept any age: for requests recorded earlier.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the diagnosis as JSON.")] = False,
) -> None:
    """Say whether a webhook's signature fits, and name the exact cause if it does not.

    Tries what usually happens to bodies, secrets and headers on the way. Shows no secret. Exits 0
    when the webhook is valid, 1 when it is not, 2 when the options do not make a request.

    hookline verify --body body.json --headers-file headers.txt --secret-file secret.txt
    """
    from hookline.receiver import TOLERANCE, diagnose  # noqa: PLC0415

    _one_stdin(body, headers_file, request, original, *(secret_file or ()))
    pairs, raw = _request(body, header or [], headers_file, request)
    found = diagnose(
        raw,
        pairs,
        _secrets(secret or [], secret_file or []),
        original=None if original is None else _read(original, "--original"),
        tolerance=None if any_age else TOLERANCE,
        now=at,
    )
    if as_json:
        typer.echo(
            json.dumps({"valid": found.valid, **asdict(found)}, ensure_ascii=False, indent=2)
        )
    else:
        _print(found)
    raise typer.Exit(0 if found.valid else INVALID)


# What is given -----------------------------------------------------------------------------------


def _one_stdin(*files: str | None) -> None:
    if files.count("-") > 1:
        raise typer.BadParameter("standard input can be one of the files only: give - once")


def _read(name: str, option: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{name}: {error.strerror or error}", param_hint=option) from None


def _request(
    body: str | None, header: list[str], headers_file: str | None, request: str | None
) -> tuple[list[tuple[str, Any]], bytes]:
    if (body is None) == (request is None):
        raise typer.BadParameter(
            "give --body FILE with the headers, or --request FILE with both; - reads stdin",
            param_hint="--body",
        )
    pairs = [_pair(line, "--header") for line in header]
    if headers_file is not None:
        pairs += _headers(_read(headers_file, "--headers-file"), "--headers-file")
    if body is not None:
        return pairs, _read(body, "--body")
    head, raw = _parted(_read(str(request), "--request"))
    return pairs + _headers(head, "--request"), raw


def _parted(whole: bytes) -> tuple[bytes, bytes]:
    """Return head and body, parted by the first empty line of either kind."""
    ends = [(at, end) for end in (b"\r\n\r\n", b"\n\n") if (at := whole.find(end)) >= 0]
    if not ends:
        raise typer.BadParameter(
            "no empty line between headers and body; with --body they are separate files",
            param_hint="--request",
        )
    at, end = min(ends)
    return whole[:at], whole[at + len(end) :]


def _headers(content: bytes, option: str) -> list[tuple[str, Any]]:
    text = content.decode("utf-8-sig", errors="replace").strip()
    if text[:1] in ("{", "["):
        return _from_json(text, option)
    bare = [line.removeprefix(">").strip() for line in text.splitlines()]
    lines = [line for line in bare if line]
    # The first line of a request, of what `curl -v` prints, or of an answer, is no header.
    if lines and ":" not in lines[0].partition(" ")[0]:
        lines = lines[1:]
    return [_pair(line, option) for line in lines]


def _from_json(text: str, option: str) -> list[tuple[str, Any]]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise typer.BadParameter("is no JSON", param_hint=option) from None
    if isinstance(value, dict):
        return list(value.items())
    if all(isinstance(each, str) for each in value):  # Node's rawHeaders
        return list(zip(value[::2], value[1::2], strict=False))
    if all(isinstance(each, list) and len(each) == 2 for each in value):  # noqa: PLR2004
        return [(str(name), text) for name, text in value]
    raise typer.BadParameter("expected an object, or [name, value] pairs", param_hint=option)


def _pair(line: str, option: str) -> tuple[str, Any]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter(f"{line!r} is no header; write 'Name: value'", param_hint=option)
    return name.strip(), value.strip()


def _secrets(given: list[str], files: list[str]) -> list[str]:
    secrets = [*given, *(_secret(name) for name in files)]
    if not secrets and VARIABLE in os.environ:
        secrets = [os.environ[VARIABLE]]
    if secrets:
        return secrets
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            f"no secret: give --secret-file FILE, or set {VARIABLE}", param_hint="--secret-file"
        )
    return [typer.prompt("Secret", hide_input=True, err=True)]


def _secret(name: str) -> str:
    content = _read(name, "--secret-file")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{name}: is no UTF-8", param_hint="--secret-file") from None
    # The break an editor leaves; what else is there is the secret's, and is told of.
    return text.removesuffix("\n").removesuffix("\r")


# What is said ------------------------------------------------------------------------------------


def _print(found: "Diagnosis") -> None:
    from rich.console import Console  # noqa: PLC0415 - a third of the start-up time of --help
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False)
    if found.valid:
        console.print(Text(f"✓ {found.sentence}", "green"), soft_wrap=True)
        return
    console.print(Text(f"✗ {found.cause}", "red"), soft_wrap=True)
    console.print(f"  {found.sentence}.", soft_wrap=True)
    console.print(Text("  What to do: ", "bold"), f"{found.remedy}.", sep="", soft_wrap=True)
