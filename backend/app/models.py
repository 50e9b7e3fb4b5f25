"""The tables, and as data the moves that a status may make."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import DateTime, Enum, ForeignKey, String, Text, TypeDecorator
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class CustomerStatus(StrEnum):
    """How far a customer has come."""

    COLLECTING = "collecting"
    REVIEWING = "reviewing"
    COMPLETED = "completed"
    REJECTED = "rejected"


class DocumentStatus(StrEnum):
    """What became of a document."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


Moves = Mapping[StrEnum, frozenset[StrEnum]]

# collecting → reviewing → completed or rejected. What isn't here is refused.
CUSTOMER_MOVES: Moves = {
    CustomerStatus.COLLECTING: frozenset({CustomerStatus.REVIEWING}),
    CustomerStatus.REVIEWING: frozenset({CustomerStatus.COMPLETED, CustomerStatus.REJECTED}),
    CustomerStatus.COMPLETED: frozenset(),
    CustomerStatus.REJECTED: frozenset(),
}
DOCUMENT_MOVES: Moves = {
    DocumentStatus.PENDING: frozenset({DocumentStatus.APPROVED, DocumentStatus.REJECTED}),
    DocumentStatus.APPROVED: frozenset(),
    DocumentStatus.REJECTED: frozenset(),
}


class UtcDateTime(TypeDecorator[datetime]):
    """Aware times in UTC on every database: SQLite alone would give naive ones back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Store every time as UTC."""
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give it back as UTC."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


def _now() -> datetime:
    return datetime.now(UTC)


def _text_enum(kind: type[StrEnum]) -> Enum:
    return Enum(
        kind,
        native_enum=False,
        length=16,
        values_callable=lambda members: [member.value for member in members],
    )


class Base(DeclarativeBase):
    """What all tables have in common."""

    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy's own way to declare it)
        datetime: UtcDateTime,
        CustomerStatus: _text_enum(CustomerStatus),
        DocumentStatus: _text_enum(DocumentStatus),
    }
    # A receiver remembers ids: the id of something deleted must not come back as something else.
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=_now)
    updated_at: Mapped[datetime] = mapped_column(default=_now, onupdate=_now)


class Product(Base):
    """Something a customer can ask for."""

    __tablename__ = "product"

    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(Text, default="")


class Customer(Base):
    """Somebody whose documents are collected and reviewed."""

    __tablename__ = "customer"

    customer_no: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    phone: Mapped[str] = mapped_column(String(32))
    product_id: Mapped[int | None] = mapped_column(ForeignKey("product.id"), index=True)
    status: Mapped[CustomerStatus] = mapped_column(default=CustomerStatus.COLLECTING, index=True)


class Document(Base):
    """A file of a customer; the content itself lies on disk under its hash."""

    __tablename__ = "document"

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    file_name: Mapped[str] = mapped_column(String(200))
    file_type: Mapped[str] = mapped_column(String(64))
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    status: Mapped[DocumentStatus] = mapped_column(default=DocumentStatus.PENDING)
    review_note: Mapped[str | None] = mapped_column(Text)
