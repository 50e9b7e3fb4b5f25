"""The reference page of the command line, for `generate.py`: what each command says of itself."""

# A script, not a package; and the rows of a table cannot be wrapped.
# ruff: noqa: INP001

from collections.abc import Iterable, Iterator
from typing import Any

from typer.core import TyperArgument
from typer.main import get_command

from hookline.cli import app


def page() -> str:
    """Return the page, from the Typer application."""
    commands = dict(_commands(get_command(app)))
    index = "\n".join(
        f"- [`hookline {name}`](#hookline-{name.replace(' ', '-')}): {_first_line(command.help)}"
        for name, command in commands.items()
    )
    chapters = "\n".join(_chapter(name, command) for name, command in commands.items())
    return f"""# Command line

{index}

`hookline COMMAND --help` shows the same on the terminal, `hookline --version` the version.
`python -m hookline` is the same command.

{_shared_chapter(commands)}
{chapters}"""


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every command with its whole name, those of groups one by one."""
    for name, command in vars(group)["commands"].items():
        if "commands" in vars(command):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield before + name, command


SHARED = ("--database", "--server", "--key", "--app", "--json")
"""What the commands about a deployment have in common: told once, above them all."""


def _reaches(command: Any) -> bool:
    return any("--server" in option.opts for option in command.params)


def _shared_chapter(commands: dict[str, Any]) -> str:
    options = {
        option.opts[0]: option for c in commands.values() if _reaches(c) for option in c.params
    }
    return f"""## Which deployment

The commands with “and which deployment” below take these options too. They ask a database, or,
with `--server`, a server.

{_table(options[name] for name in SHARED)}
They exit with 0 when it is done, 1 when it was refused or failed, 2 when it was asked for wrongly.
"""


def _chapter(name: str, command: Any) -> str:
    reaches = _reaches(command)
    own = [o for o in command.params if not (reaches and o.opts[0] in SHARED)]
    table = _table(own) if own else ""
    also = "and" if own else "Options:"
    more = f"\n{also} [which deployment](#which-deployment).\n" if reaches else ""
    return f"""## hookline {name}

{_text(command.help)}

{table}{more}"""


def _table(options: Iterable[Any]) -> str:
    rows = "\n".join(_row(option) for option in options)
    return f"| option | default | |\n|---|---|---|\n{rows}\n"


def _first_line(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split()).rstrip(".")


def _text(text: str) -> str:
    """Return a help text, its examples as code."""
    parts = text.strip().split("\n\n")
    return "\n\n".join(
        f"```sh\n{part}\n```" if part.startswith("hookline ") else part for part in parts
    )


def _row(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    if isinstance(option, TyperArgument):
        return f"| `{option.metavar}` | | {option.help} |"
    value = "" if option.is_flag else f" `{option.metavar or _kind(option)}`"
    plain = option.is_flag or option.default in (None, (), [])
    default = "" if plain else f"`{option.default}`"
    return f"| {names}{value} | {default} | {option.help} |"


def _kind(option: Any) -> str:
    if getattr(option, "min", None) is not None or option.type_descriptor.annotation in (
        int,
        float,
    ):
        return "NUMBER"
    return "FILE" if option.name.endswith("file") else "TEXT"
