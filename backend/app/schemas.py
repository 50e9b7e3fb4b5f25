"""What comes in and what goes out.

Each `…Data` class is the `data` of an event, key for key as the guide prints it. What the API
answers is the same and a little more, so a caller and a receiver see one and the same thing.
"""

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from app.models import CustomerStatus, DocumentStatus

MAX_ID = 2**63 - 1  # the largest that a database can hold


def _one_line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("control characters aren't accepted here")
    return value


def _no_nul(value: str) -> str:
    # PostgreSQL can't store it.
    if "\0" in value:
        raise ValueError("the NUL character isn't accepted here")
    return value


def _not_null(value: Any) -> Any:
    if value is None:
        raise ValueError("null isn't accepted here: leave the field out to keep its value")
    return value


Item = TypeVar("Item")
Id = Annotated[int, Field(ge=1, le=MAX_ID)]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(_one_line),
]
CustomerNo = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]
Phone = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^\+?[0-9](?:[ ()-]{0,2}[0-9]){3,19}$")
]
Prose = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=2000), AfterValidator(_no_nul)
]
Kept = BeforeValidator(_not_null)  # for a field of an update: may be left out, but not emptied


class Input(BaseModel):
    """What a caller sends: a field nobody knows is a mistake, so it is refused."""

    model_config = ConfigDict(extra="forbid")


class Output(BaseModel):
    """What is read from a row; ids go out as text, as in the guide."""

    model_config = ConfigDict(from_attributes=True, coerce_numbers_to_str=True)

    @classmethod
    def data(cls, row: object) -> dict[str, Any]:
        """Return the row as the `data` of an event."""
        return cls.model_validate(row).model_dump(mode="json")


class Timestamps(BaseModel):
    """When a row was made and last changed; named first as a base, its fields come last."""

    created_at: datetime
    updated_at: datetime


class Page(BaseModel, Generic[Item]):
    """One page of a list, and how long the whole list is."""

    items: list[Item]
    total: int
    limit: int
    offset: int


class ProductCreate(Input):
    """A new product."""

    name: Name = Field(examples=["个人住房贷款"])
    description: Prose = Field(default="", examples=["首套住房，最长三十年"])


class ProductUpdate(Input):
    """What is to change; a field that is left out stays as it is."""

    name: Annotated[Name | None, Kept] = Field(default=None, examples=["个人住房贷款（二套）"])
    description: Annotated[Prose | None, Kept] = Field(default=None, examples=["最长二十五年"])


class ProductData(Output):
    """The `data` of `product.*`."""

    id: str = Field(examples=["1"])
    name: str = Field(examples=["个人住房贷款"])
    description: str = Field(examples=["首套住房，最长三十年"])


class ProductOut(Timestamps, ProductData):
    """A product."""


class CustomerCreate(Input):
    """A new customer; without a `customer_no` the next free one is given: C001 and so on."""

    customer_no: CustomerNo | None = Field(default=None, examples=["C001"])
    name: Name = Field(examples=["张三"])
    phone: Phone = Field(examples=["13800138000"])
    product_id: Id | None = Field(default=None, examples=[1])


class CustomerUpdate(Input):
    """What is to change; a field that is left out stays. The status has its own address."""

    customer_no: Annotated[CustomerNo | None, Kept] = Field(default=None, examples=["C001"])
    name: Annotated[Name | None, Kept] = Field(default=None, examples=["张三"])
    phone: Annotated[Phone | None, Kept] = Field(default=None, examples=["13900139000"])
    product_id: Id | None = Field(default=None, examples=[1])


class StatusChange(Input):
    """The status that a customer is to get."""

    status: CustomerStatus = Field(examples=["reviewing"])


class CustomerData(Output):
    """The `data` of `customer.created`, `customer.updated` and `customer.deleted`."""

    id: str = Field(examples=["123"])
    customer_no: str = Field(examples=["C001"])
    name: str = Field(examples=["张三"])
    phone: str = Field(examples=["13800138000"])
    product_id: str | None = Field(examples=["1"])
    status: CustomerStatus = Field(examples=["collecting"])


class CustomerStatusChanged(Output):
    """The `data` of `customer.status_changed`."""

    id: str = Field(examples=["123"])
    customer_no: str = Field(examples=["C001"])
    old_status: CustomerStatus = Field(examples=["collecting"])
    new_status: CustomerStatus = Field(examples=["completed"])


class CustomerOut(Timestamps, CustomerData):
    """A customer."""


class Approval(Input):
    """What the reviewer says about a document that is fine."""

    review_note: Prose | None = Field(default=None, examples=["审核通过"])


class Rejection(Input):
    """What the reviewer says about a document that isn't."""

    review_note: Annotated[Prose, Field(min_length=1)] = Field(examples=["照片模糊，请重新上传"])


class DocumentData(Output):
    """The `data` of `document.*`."""

    id: str = Field(examples=["456"])
    customer_id: str = Field(examples=["123"])
    file_name: str = Field(examples=["身份证.jpg"])
    file_type: str = Field(examples=["image/jpeg"])
    status: DocumentStatus = Field(examples=["approved"])
    review_note: str | None = Field(examples=["审核通过"])


class DocumentOut(Timestamps, DocumentData):
    """A document; its content is at `/api/documents/{id}/file`."""

    size: int = Field(examples=[48213])
    sha256: str = Field(
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]
    )


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str = Field(examples=["customer 7 does not exist"])
