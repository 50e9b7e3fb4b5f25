"""What the resources share: who is calling, looking a row up, paging, guarded moves."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, HTTPException, Path, Query, Request, status
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Base, Moves
from app.schemas import MAX_ID, Problem

Row = TypeVar("Row", bound=Base)

RowId = Annotated[int, Path(ge=1, le=MAX_ID, examples=[1])]


@dataclass(frozen=True, slots=True)
class CallerInfo:
    """Who is calling, and from where."""

    user_id: str
    ip_address: str

    def metadata(self, action: str) -> dict[str, str]:
        """Return the `metadata` of an event that this caller causes."""
        return {"user_id": self.user_id, "ip_address": self.ip_address, "action": action}


def _caller(
    request: Request,
    x_user_id: Annotated[
        str | None, Header(max_length=100, description="Who is calling; goes into the metadata.")
    ] = None,
) -> CallerInfo:
    return CallerInfo(
        user_id=x_user_id or "anonymous",
        ip_address=request.client.host if request.client else "",
    )


Caller = Annotated[CallerInfo, Depends(_caller)]


@dataclass(frozen=True, slots=True)
class Paging:
    """Which part of a list is asked for."""

    limit: Annotated[int, Query(ge=1, le=100, description="How many items at most.")] = 20
    offset: Annotated[int, Query(ge=0, le=MAX_ID, description="How many to pass over.")] = 0


Paged = Annotated[Paging, Depends()]


async def find(session: AsyncSession, kind: type[Row], row_id: int) -> Row:
    """Return the row, or answer 404."""
    row = await session.get(kind, row_id)
    if row is None:
        detail = f"{kind.__tablename__} {row_id} does not exist"
        raise HTTPException(status.HTTP_404_NOT_FOUND, detail)
    return row


async def page(
    session: AsyncSession, kind: type[Row], paging: Paging, *conditions: ColumnElement[bool]
) -> dict[str, Any]:
    """Return one page of the rows, in the order they were made, as a `Page`."""
    counting = select(func.count()).select_from(kind).where(*conditions)
    listing = select(kind).where(*conditions).order_by(kind.id)
    total = await session.scalar(counting)
    items = await session.scalars(listing.limit(paging.limit).offset(paging.offset))
    return {
        "items": items.all(),
        "total": total,
        "limit": paging.limit,
        "offset": paging.offset,
    }


def apply(row: Base, changes: dict[str, Any]) -> bool:
    """Set what differs; tell whether anything did."""
    different = {name: value for name, value in changes.items() if getattr(row, name) != value}
    for name, value in different.items():
        setattr(row, name, value)
    return bool(different)


def guard(what: str, moves: Moves, old: StrEnum, new: StrEnum) -> None:
    """Answer 409 to a move of the status that isn't in the table."""
    allowed = moves[old]
    if new in allowed:
        return
    detail = f"{what} is {old}: it can't become {new}"
    hint = f", only {' or '.join(sorted(allowed))}" if allowed else f", {old} is final"
    raise HTTPException(status.HTTP_409_CONFLICT, detail + hint)


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return the entries of the API documentation for what a request may be refused with."""
    return {code: {"model": Problem, "description": _REASONS[code]} for code in codes}


_REASONS = {
    404: "There is no such thing.",
    409: "It is in the way of something else, or its status doesn't allow it.",
    413: "The file is too large.",
    415: "The file's type isn't accepted, or isn't what was declared.",
}
