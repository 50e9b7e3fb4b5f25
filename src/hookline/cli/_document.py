"""Configuration documents as files: JSON, or YAML where PyYAML is installed."""

import json
import sys
from pathlib import Path
from typing import Any

from hookline.cli._database import fail

MAX_BYTES = 64 << 20
NEEDS_YAML = "YAML needs PyYAML: pip install 'hookline[server]'; or use JSON"


def as_text(document: Any, form: str) -> str:
    """Return a document as `yaml` or `json`."""
    if form == "json":
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    import yaml  # noqa: PLC0415 - an extra

    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return text


def has_yaml() -> bool:
    """Tell whether YAML can be read and written."""
    from importlib.util import find_spec  # noqa: PLC0415

    return find_spec("yaml") is not None


def read(command: str, file: str) -> Any:
    """Return the document in a file, `-` for standard input; a faulty one ends the command."""
    try:
        raw = sys.stdin.buffer.read(MAX_BYTES + 1) if file == "-" else Path(file).read_bytes()
    except OSError as error:
        fail(command, f"{file}: {error.strerror}", code=2)
    if len(raw) > MAX_BYTES:
        fail(command, f"{file}: larger than {MAX_BYTES:,} bytes", code=2)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fail(command, f"{file}: byte {error.start}: is not UTF-8", code=2)
    if text.lstrip().startswith("{"):  # JSON, which YAML readers take for something else at times
        return _json(command, file, text)
    return _yaml(command, file, text)


def _json(command: str, file: str, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        fail(command, f"{file}: {place}: {error.msg}", code=2)
    except (ValueError, RecursionError) as error:
        fail(command, f"{file}: {error}", code=2)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} is there twice in one object")
        found[name] = value
    return found


def _yaml(command: str, file: str, text: str) -> Any:
    if not has_yaml():
        fail(command, f"{file}: {NEEDS_YAML}", code=2)
    import yaml  # noqa: PLC0415 - an extra

    class Loader(yaml.SafeLoader):
        """Without aliases, which make a small file a huge document, and without repeated names."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                event = self.peek_event()  # type: ignore[no-untyped-call]
                raise yaml.composer.ComposerError(
                    None, None, "aliases are not taken", event.start_mark
                )
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for name, _ in node.value:
                if name.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{name.value!r} is there twice", name.start_mark
                    )
                seen.add(name.value)
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        fail(command, f"{file}: {place}{error.problem}", code=2)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        fail(command, f"{file}: {error}", code=2)
