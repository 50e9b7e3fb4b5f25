"""The reference pages of the Python API, for `generate.py`: what each public name says of itself."""

# A script, not a package.
# ruff: noqa: INP001, E501

import ast
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cached_property
from importlib import import_module
from itertools import pairwise
from typing import Any

import hookline
from hookline import errors

FACADE = ("Webhooks", "ApplicationWebhooks", "Receipt")
DOORS = {
    "hookline.events": "declare event types with models, compare catalogues",
    "hookline.receiver": "verify what arrives; the standard library only",
    "hookline.once": "remember what was handled",
    "hookline.fastapi": "in FastAPI: lifespan, a publisher for dependencies, a receiver",
    "hookline.litestar": "in Litestar: a plugin, a publisher",
    "hookline.flask": "in Flask: an extension, a receiver",
    "hookline.django": "a Django application: publishing in its transactions, a receiver",
    "hookline.asgi": "a receiver as an ASGI application",
    "hookline.wsgi": "a receiver as a WSGI application",
    "hookline.testing": "a receiver that records, and a clock that stands still",
    "hookline.server": "the server as an ASGI application",
}
WIDTH = 96
PUBLIC = {getattr(hookline, name): name for name in hookline.__all__}
MADE_LATER = {("hookline.django", "webhooks")}
"""What is made when it is first used, of settings that are not there."""
UNTOLD = {"mro", "name", "value"}


def pages() -> dict[str, str]:
    """Return every page by its path below `docs/`."""
    rest = [name for name in hookline.__all__ if name not in FACADE]
    made = {
        "webhooks": _page(
            "Webhooks",
            "The façade: everything Hookline does is a method here. `Webhooks` is all of a "
            "deployment, and has the methods of `ApplicationWebhooks` for the application `default`.",
            [(hookline, name) for name in FACADE],
        ),
        "values": _page(
            "Values",
            "What methods take and return, from `hookline`. They are frozen.",
            [(hookline, name) for name in rest if name != "HooklineError"],
        ),
    }
    for module, said in DOORS.items():
        door = import_module(module)
        text = _first(door) or said
        made[module] = _page(f"`{module}`", text, [(door, name) for name in door.__all__])
    index = _index(rest)
    return {"reference/python/README.md": index} | {
        f"reference/python/{name}.md": _formatted(text) for name, text in made.items()
    }


def _formatted(page: str) -> str:
    """Return a page with its signatures as `make format` would have them."""
    command = [
        sys.executable,
        "-m",
        "ruff",
        "format",
        "--quiet",
        "--stdin-filename",
        "page.md",
        "-",
    ]
    done = subprocess.run(command, input=page, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout


def _index(rest: list[str]) -> str:
    values = ", ".join(
        f"[{name}](values.md#{name.lower()})" for name in rest if name != "HooklineError"
    )
    doors = "\n".join(
        f"| [`{module}`]({module}.md) | {said} | "
        + ", ".join(f"`{name}`" for name in import_module(module).__all__)
        + " |"
        for module, said in DOORS.items()
    )
    return f"""# Python API

| import | | names |
|---|---|---|
| `hookline` | [the façade](webhooks.md) | `Webhooks`, `ApplicationWebhooks`, `Receipt` |
| `hookline` | [values](values.md) | {values} |
{doors}
| `hookline.errors` | [every exception](../errors.md) | `HooklineError` and {len(errors.__all__) - 1} below it |

What is not here begins with an underscore, in its name or its module's, and may change without notice.
Everything is typed: the package has `py.typed`.
"""


def _first(door: Any) -> str:
    """Return the docstring of a module up to its first example."""
    parts = (inspect.getdoc(door) or "").split("\n\n")
    prose = [
        part for part in parts if not part.startswith((" ", "hookline", "uvicorn", "@", "from"))
    ]
    return "\n\n".join(part for part in prose if not part.endswith("::"))


def _page(title: str, said: str, names: list[tuple[Any, str]]) -> str:
    chapters = "\n".join(_chapter(module, name) for module, name in names)
    return f"# {title}\n\n{said}\n\n{chapters}"


def _chapter(module: Any, name: str) -> str:
    if (module.__name__, name) in MADE_LATER:
        return f"## {name}\n\n{_said_of(inspect.getsource(module))[name]}\n"
    thing = getattr(module, name)
    if inspect.isclass(thing):
        return "\n".join(_class(name, thing))
    if callable(thing) and hasattr(thing, "__code__"):
        return f"## {name}\n\n{_code(name, thing)}\n\n{_doc(thing)}\n"
    said = _said_of(inspect.getsource(module)).get(name, "")
    kind = "A type" if not isinstance(thing, int | str) else f"`{thing!r}`"
    return f"## {name}\n\n{said or kind + '.'}\n"


def _class(name: str, thing: type) -> Iterator[str]:
    yield f"## {name}\n"
    yield _doc(thing) + "\n"
    if issubclass(thing, Enum):
        said = _said_of(_source(thing))
        yield "\n".join(
            f"- `{each.value}`" + (f": {said[each.name]}" if said.get(each.name) else "")
            for each in thing
        )
        yield ""
        return
    if is_dataclass(thing) and (rows := list(_fields(thing))):
        yield "| field | type | |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    elif thing.__init__ is not object.__init__ and not issubclass(thing, Exception):
        yield _code(name, thing.__init__, drop_self=True, constructor=True) + "\n"
        if "__init__" in vars(thing) and _doc(thing.__init__):
            yield _doc(thing.__init__) + "\n"
    documented = {id(base) for base in thing.__mro__[1:] if base in PUBLIC}
    inherited = {
        member for base in thing.__mro__[1:] if id(base) in documented for member in dir(base)
    }
    for member in sorted(
        set(dir(thing)) - inherited - set(getattr(thing, "__dataclass_fields__", ()))
    ):
        yield from _member(name, thing, member)


def _member(owner: str, thing: type, member: str) -> Iterator[str]:
    if member.startswith("_") or member in UNTOLD:
        return
    value = inspect.getattr_static(thing, member)
    if isinstance(value, property | cached_property):
        getter = value.fget if isinstance(value, property) else value.func
        kind = _type(inspect.signature(getter).return_annotation)
        yield f"### {owner}.{member}\n\n`{kind}`: {_doc(getter)}\n"
    elif isinstance(value, staticmethod | classmethod) or inspect.isfunction(value):
        function = getattr(value, "__func__", value)
        if not function.__module__.startswith("hookline"):
            return  # of a base that is not ours
        drop = not isinstance(value, staticmethod)
        yield f"### {owner}.{member}\n\n{_code(member, function, drop_self=drop)}\n\n{_doc(function)}\n"


def _fields(thing: type) -> Iterator[str]:
    said = {}
    for base in reversed(thing.__mro__):
        if base.__module__.startswith("hookline"):
            said |= _said_of(_source(base))
    for each in fields(thing):
        if each.name.startswith("_"):
            continue
        kind = _type(each.type).replace("|", r"\|")
        default = "" if each.default is MISSING else f" = {_default(each.default)}"
        help_text = each.metadata.get("help", said.get(each.name, ""))
        yield f"| `{each.name}` | `{kind}{default}` | {help_text} |"


def _source(thing: type) -> str:
    return textwrap.dedent(inspect.getsource(thing))


def _said_of(source: str) -> dict[str, str]:
    """Return the strings that stand below assignments, by the names they are about."""
    tree: Any = ast.parse(source)
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else tree.body
    found = {}
    body = [each for part in body for each in (part.body if isinstance(part, ast.If) else [part])]
    for before, after in pairwise(body):
        if not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)):
            continue
        if isinstance(before, ast.AnnAssign | ast.Assign):
            target = before.target if isinstance(before, ast.AnnAssign) else before.targets[0]
            if isinstance(target, ast.Name):
                found[target.id] = " ".join(str(after.value.value).split())
    return found


def _doc(thing: Any) -> str:
    """Return a docstring; its examples become blocks that are only compiled."""
    text = inspect.getdoc(thing) or ""
    parts = []
    for part in text.split("\n\n"):
        if part.startswith("    "):
            parts.append(f"<!-- fragment: an example -->\n```python\n{textwrap.dedent(part)}\n```")
        else:
            parts.append(re.sub(r"::$", ":", part))
    return "\n\n".join(parts)


def _code(name: str, function: Any, *, drop_self: bool = False, constructor: bool = False) -> str:
    """Return a signature, over several lines when it is long."""
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())[1 if drop_self else 0 :]
    parts, starred = ["self"] if constructor else [], False
    for each in parameters:
        if each.kind is each.VAR_POSITIONAL:
            starred = True
        if each.kind is each.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        parts.append(_parameter(each))
    result = "" if constructor else f" -> {_type(signature.return_annotation)}"
    kind = "async def " if _coroutine(function) else "def "
    kind, end = ("", "") if constructor else (kind, ": ...")
    line = f"{kind}{name}({', '.join(parts)}){result}{end}"
    if len(line) > WIDTH:
        inner = "".join(f"    {part},\n" for part in parts)
        line = f"{kind}{name}(\n{inner}){result}{end}"
    if constructor:  # annotations are not allowed in a call
        line = (
            f"class {name}:\n"
            + textwrap.indent(line.replace(name, "def __init__", 1), "    ")
            + ": ..."
        )
    return f"<!-- fragment: a signature -->\n```python\n{line}\n```"


def _coroutine(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _parameter(each: inspect.Parameter) -> str:
    stars = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
    kind = "" if each.annotation is each.empty else f": {_type(each.annotation)}"
    if each.default is each.empty:
        return f"{stars}{each.name}{kind}"
    return f"{each.name}{kind}{' = ' if kind else '='}{_default(each.default)}"


def _default(value: Any) -> str:
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    text = repr(value)
    return (
        "..." if text.startswith("<") or "object at" in text else re.sub(r"\bdatetime\.", "", text)
    )


def _type(annotation: Any) -> str:
    """Return an annotation as it is written, without the modules names come from."""
    if annotation is inspect.Signature.empty:
        return "None"
    plain = isinstance(annotation, type) and not getattr(annotation, "__args__", None)
    text = annotation.__name__ if plain else str(annotation)
    text = re.sub(r"^\*<class '(.+)'>$", r"Unpack[\1]", text)
    text = re.sub(r"(?:\b\w+\.)+(?=\w)", "", text).replace("NoneType", "None").strip("'\"")
    return re.sub(r"^Optional\[(.+)\]$", r"\1 | None", text)
