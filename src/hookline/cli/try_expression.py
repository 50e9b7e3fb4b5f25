"""`hookline try-expression`: what an endpoint's filter and transformation make of an event."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hookline import Trial
    from hookline.errors import InvalidInput

NO_MATCH, BAD, FAILED = 1, 2, 3


def try_expression(
    *,
    filter_: Annotated[
        str | None, typer.Option("--filter", metavar="TEXT", help="The filter of an endpoint.")
    ] = None,
    filter_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="A file with it instead: nothing to quote.")
    ] = None,
    transform: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The transformation of an endpoint.")
    ] = None,
    transform_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="A file with it instead.")
    ] = None,
    data: Annotated[
        str,
        typer.Option("--data", "-d", metavar="FILE", help="The body of an event; - is stdin."),
    ] = "-",
    event: Annotated[
        str | None,
        typer.Option(metavar="TYPE", help="The file has the data only, of an event of this type."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Try an endpoint's filter and transformation on an event; nothing is sent or stored.

    Exits 0 when the endpoint would get the event, 1 when the filter is false for it, 2 when an
    expression or the event cannot be used, 3 when an expression failed on it.

    hookline try-expression --filter "data.country == 'DE'" --data event.json
    """
    from hookline._domain import expression  # noqa: PLC0415
    from hookline.errors import InvalidInput  # noqa: PLC0415

    condition = _text("filter", filter_, filter_file, data)
    shape = _text("transform", transform, transform_file, data)
    if condition is None and shape is None:
        raise typer.BadParameter("give --filter, --transform, or a file with one")
    body = _read(data, "--data")
    trials: dict[str, Trial] = {}
    try:
        if event is not None:
            body = _enveloped(event, body)
        if condition is not None:
            trials["filter"] = expression.try_filter(condition, body)
        if shape is not None:
            trials["transform"] = expression.try_transform(shape, body)
    except InvalidInput as error:
        _refuse(error, {"filter": condition, "transform": shape}, as_json=as_json)
    if as_json:
        typer.echo(json.dumps({n: _document(t) for n, t in trials.items()}, ensure_ascii=False))
    else:
        _print(trials)
    raise typer.Exit(_code(trials))


def _code(trials: "dict[str, Trial]") -> int:
    if any(trial.problem is not None for trial in trials.values()):
        return FAILED
    return NO_MATCH if any(trial.matched is False for trial in trials.values()) else 0


# What is given -----------------------------------------------------------------------------------


def _text(name: str, text: str | None, file: str | None, data: str) -> str | None:
    option = f"--{name}-file"
    if file is None:
        return text
    if text is not None:
        raise typer.BadParameter(f"give --{name} or {option}, not both", param_hint=option)
    if file == data == "-":
        raise typer.BadParameter("standard input is the event: name its file with --data")
    try:
        return _read(file, option).decode().strip()
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{file}: is no UTF-8", param_hint=option) from None


def _read(name: str, option: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{name}: {error.strerror or error}", param_hint=option) from None


def _enveloped(event: str, data: bytes) -> bytes:
    """Return the body of an event with this data, as of now."""
    import time  # noqa: PLC0415

    from hookline._domain.endpoint import Catalogue  # noqa: PLC0415
    from hookline._domain.envelope import envelope  # noqa: PLC0415
    from hookline.errors import InvalidInput  # noqa: PLC0415

    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise InvalidInput("data: is not JSON") from None
    return envelope(Catalogue().event_type(event), value, round(time.time() * 1000)).content


# What is said ------------------------------------------------------------------------------------


def _refuse(error: "InvalidInput", texts: dict[str, str | None], *, as_json: bool) -> None:
    name, position = getattr(error, "name", None), getattr(error, "position", None)
    if as_json:
        fault = {"expression": name, "position": position, "reason": str(error)}
        typer.echo(json.dumps({"error": fault}, ensure_ascii=False))
        raise typer.Exit(BAD)
    typer.echo(f"✗ {_printable(str(error))}")
    text = texts.get(name or "")
    if text is not None and position is not None:
        # The line of the expression it is in, and a mark below.
        before = text[: position - 1].rpartition("\n")[2]
        after = text[position - 1 :].partition("\n")[0]
        typer.echo(f"  {_printable(before + after)}")
        typer.echo(f"  {' ' * len(before)}^")
    raise typer.Exit(BAD)


def _document(trial: "Trial") -> dict[str, Any]:
    if trial.matched is not None:
        return {"matched": trial.matched, "problem": trial.problem}
    body = trial.result
    sent = None if body is None else json.loads(body)
    return {
        "result": sent,
        "bytes": None if body is None else len(body),
        "problem": trial.problem,
    }


def _print(trials: "dict[str, Trial]") -> None:
    judged, made = trials.get("filter"), trials.get("transform")
    if judged is not None:
        if judged.problem is not None:
            typer.echo(f"! the filter fails: {_printable(judged.problem)}")
            typer.echo("  The endpoint gets the event, and the log a warning.")
        elif judged.matched:
            typer.echo("✓ the filter is true: the endpoint gets the event")
        else:
            typer.echo("– the filter is false: the endpoint does not get the event")
    if made is None:
        return
    if made.result is None:
        typer.echo(f"✗ the transformation fails: {_printable(made.problem or '')}")
        typer.echo("  So does the attempt; it is tried again, with the expression of that time.")
    else:
        typer.echo(f"✓ sent instead, {len(made.result):,} bytes:")
        typer.echo(_printable(made.result.decode()))


def _printable(text: str) -> str:
    """Return a text without what could play tricks on a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
