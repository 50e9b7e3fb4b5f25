"""An event that is its own data: an instance of the model its type was declared with."""

from typing import Any, ClassVar, Protocol


class PydanticModel(Protocol):
    """An instance of a pydantic model."""

    def model_dump(self) -> dict[str, Any]: ...


class DataclassInstance(Protocol):
    """An instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


Instance = PydanticModel | DataclassInstance
"""An instance of a model that an event type was declared with."""


class Missing:
    """The data of `trigger` when the event is its data."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = Missing()
