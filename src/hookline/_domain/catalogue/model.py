"""The model of an event's data: pydantic's, a dataclass or a TypedDict, through pydantic.

Pydantic is imported when a model is declared, and only then.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from functools import cache, cached_property
from importlib import import_module
from typing import Any

import orjson

from hookline._domain.catalogue.compare import kinds
from hookline.errors import InvalidInput, InvalidPayload

NEEDED = (2, 11)
"""The first version of pydantic in which a field is found by name and by alias at once."""
MOST_PROBLEMS = 5
LONGEST_VALUE = 40
MISSING_EXTRA = (
    "event types with a model need pydantic {needed} or newer{found}: "
    "pip install 'hookline[events]'"
)


class Model:
    """A model, and the event type it is of, for messages."""

    def __init__(self, model: type, label: str) -> None:
        """Raises ImportError without pydantic, or with one that is too old."""
        self._model = model
        self._label = label
        self._pydantic = _pydantic()

    @cached_property
    def _adapter(self) -> Any:
        try:
            adapter = self._pydantic.TypeAdapter(self._model)
            # A model with a reference to a class that comes later is finished here.
            adapter.rebuild(raise_errors=True)
        except Exception as error:  # whatever a class of somebody's does when it is looked at
            raise self._unusable(error) from error
        return adapter

    def _unusable(self, why: object) -> InvalidInput:
        name = getattr(self._model, "__qualname__", repr(self._model))
        said = _first_line(why) if isinstance(why, BaseException) else why
        return InvalidInput(f"event type {self._label}: {name} cannot be its model: {said}")

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the data as they are sent. Raises InvalidInput for no object."""
        try:
            found: dict[str, Any] = self._adapter.json_schema(
                mode="serialization", schema_generator=_generator()
            )
        except InvalidInput:
            raise
        except Exception as error:
            raise self._unusable(error) from error
        if kinds(found, found) != {"object"}:
            raise self._unusable("the data of an event are an object")
        # What the model's author wrote into it may be of any type.
        plain: dict[str, Any] = import_module("pydantic_core").to_jsonable_python(found)
        return plain

    def dumped(self, value: Any, name: str = "data") -> Any:
        """Return a value checked against the model, and made of what JSON has.

        Given is a dict, by names or aliases, the model itself, or any object with its attributes.
        What the model ignores is left out; defaults are filled in. Raises InvalidPayload.
        """
        given = _open(value)
        checked = self._validated(
            lambda: self._adapter.validate_python(
                given, from_attributes=True, by_alias=True, by_name=True
            ),
            name,
        )
        try:
            # An instance may have been changed since it was checked: what does not fit is refused.
            return self._adapter.dump_python(checked, mode="json", by_alias=True, warnings="error")
        except Exception as error:  # whatever a serializer of the model raises
            raise InvalidPayload(
                f"{self._label}: {name}: cannot be sent as {self._called}: {_warned(error)}"
            ) from error

    def check_body(self, body: Any) -> None:
        """Check the data in a body that is sent as it is. Raises InvalidPayload."""
        if "data" not in body:
            raise InvalidPayload(
                f"{self._label}: data: missing; publish sends a body as it is, and "
                f"{self._called} describes what is in its 'data'"
            )
        content = orjson.dumps(body["data"])
        self._validated(lambda: self._adapter.validate_json(content, by_alias=True), "data")

    def fits(self, value: Any) -> bool:
        """Tell whether data, as they would be sent, are what the model describes."""
        try:
            self.check_body({"data": value})
        except InvalidPayload:
            return False
        return True

    @property
    def _called(self) -> str:
        return self._model.__name__

    def _validated(self, validate: Callable[[], Any], name: str) -> Any:
        try:
            return validate()
        except self._pydantic.ValidationError as error:
            said = _problems(error, name, self._called, hidden=self._hides())
            raise InvalidPayload(f"{self._label}: {said}") from None
        except InvalidInput:
            raise
        except Exception as error:  # of a validator, or of an attribute that is read
            raise InvalidPayload(
                f"{self._label}: {name}: cannot be read as {self._called}: {_first_line(error)}"
            ) from error

    def _hides(self) -> bool:
        """Tell whether the model says that values are to be kept out of messages."""
        config = getattr(self._model, "model_config", None)
        return bool(isinstance(config, Mapping) and config.get("hide_input_in_errors"))


def _open(value: Any) -> Any:
    """Return a plain dataclass, which nobody has checked yet, and any mapping as a dict."""
    if type(value) is dict:
        return value
    if (
        is_dataclass(value)
        and not isinstance(value, type)
        and not hasattr(value, "__pydantic_validator__")
    ):
        return asdict(value)
    return dict(value) if isinstance(value, Mapping) else value


def _pydantic() -> Any:
    needed = ".".join(map(str, NEEDED))
    try:
        pydantic = import_module("pydantic")
    except ImportError as error:
        text = MISSING_EXTRA.format(needed=needed, found="")
        raise ImportError(text, name=error.name) from error
    found = tuple(int(part) for part in pydantic.VERSION.split(".")[:2])
    if found < NEEDED:
        raise ImportError(
            MISSING_EXTRA.format(needed=needed, found=f" (this is {pydantic.VERSION})"),
            name="pydantic",
        )
    return pydantic


@cache
def _generator() -> Any:
    """Return pydantic's generator of schemas, made to say what is sent.

    A field with a default is always there. Titles that only repeat its name are left out.
    """
    generator = import_module("pydantic.json_schema").GenerateJsonSchema

    def is_required(_: Any, field: Mapping[str, Any], total: bool) -> bool:
        if field["type"] == "typed-dict-field":
            return bool(field.get("required", total))
        return not (field.get("serialization_exclude") or field.get("serialization_exclude_if"))

    return type(
        "Sent",
        (generator,),
        {
            "field_is_required": is_required,
            "field_title_should_be_set": lambda _self, _schema: False,
        },
    )


# what is wrong ----------------------------------------------------------------------------------


def _problems(error: Any, name: str, model: str, *, hidden: bool) -> str:
    found = error.errors(include_url=False, include_context=False)
    said = [_problem(each, name, model, hidden=hidden) for each in found[:MOST_PROBLEMS]]
    if len(found) > MOST_PROBLEMS:
        said.append(f"and {len(found) - MOST_PROBLEMS} more")
    return "; ".join(said)


def _problem(each: Any, name: str, model: str, *, hidden: bool) -> str:
    where = name + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in each["loc"]
    )
    if each["type"] == "missing":
        return f"{where}: missing"
    if each["type"] == "extra_forbidden":
        return f"{where}: {model} has no such field"
    text = each["msg"]
    for start in ("Input should be ", "Value error, ", "Assertion failed, "):
        if text.startswith(start):
            text = ("expected " if start.startswith("Input") else "") + text.removeprefix(start)
            break
    return f"{where}: {text}, got {_value(each['input'], hidden=hidden)}"


def _value(value: Any, *, hidden: bool) -> str:
    kind = type(value).__name__
    if hidden or not (value is None or isinstance(value, str | int | float | bool)):
        return kind
    text = repr(value)
    if len(text) > LONGEST_VALUE:
        text = text[: LONGEST_VALUE - 1] + "…"
    return text if value is None else f"{text} ({kind})"


def _warned(error: BaseException) -> str:
    text = str(error).removeprefix("Pydantic serializer warnings:")
    return " ".join(text.split()) or type(error).__name__


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
