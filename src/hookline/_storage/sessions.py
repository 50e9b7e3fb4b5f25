"""What becomes of a caller's SQLAlchemy transaction."""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hookline.errors import SessionMismatch

T = TypeVar("T")


def begin(session: Any) -> Awaitable[Any] | None:
    """Begin the session's transaction, as publishing in it does; return what is to be awaited."""
    if hasattr(session, "on_commit"):
        return None
    sync_session(session)
    begun = _own(session).connection()
    return begun if isawaitable(begun) else None


def _own(session: Any) -> Any:
    return session() if hasattr(session, "registry") else session  # a scoped one


def sync_session(session: Any) -> Session:
    """Return the session whose events tell of commits. Raises SessionMismatch if it has none."""
    own = _own(session)
    found = getattr(own, "sync_session", own)
    if not isinstance(found, Session):
        what = f"{type(session).__module__}.{type(session).__qualname__}"
        raise SessionMismatch(
            f"connection: a {what} does not tell when it commits, so the outbox cannot know what "
            "counts; publish with a session here, or test this with a database and a receiver"
        )
    return found


class Follower(Generic[T]):
    """Holds what was said inside a Session's transaction until it commits, or rolls back.

    What was said inside a savepoint shares its fate: gone with it, or part of what is around it.
    """

    def __init__(
        self,
        session: Any,
        on_commit: Callable[[list[T]], None],
        on_rollback: Callable[[list[T]], None],
    ) -> None:
        """Both are called where the session's own commit or rollback is."""
        self._session = session
        self._on_commit = on_commit
        self._on_rollback = on_rollback
        self._held: list[tuple[Any, T]] = []
        sa.event.listen(session, "after_commit", self._committed)
        sa.event.listen(session, "after_soft_rollback", self._rolled_back)
        sa.event.listen(session, "after_transaction_end", self._ended)

    @property
    def held(self) -> list[T]:
        """What is neither committed nor rolled back."""
        return [item for _, item in self._held]

    def add(self, item: T) -> None:
        """Hold something until the transaction that is open now ends."""
        session = self._session
        self._held.append((session.get_nested_transaction() or session.get_transaction(), item))

    def stop(self) -> None:
        """Listen no more."""
        sa.event.remove(self._session, "after_commit", self._committed)
        sa.event.remove(self._session, "after_soft_rollback", self._rolled_back)
        sa.event.remove(self._session, "after_transaction_end", self._ended)

    def _committed(self, session: Any) -> None:
        if session.in_nested_transaction():
            return  # a savepoint was released: nothing is committed yet
        held, self._held = self.held, []
        if held:
            self._on_commit(held)

    def _rolled_back(self, _session: Any, previous: Any) -> None:
        self._drop(previous)

    def _ended(self, _session: Any, transaction: Any) -> None:
        # A savepoint that ends without a rollback is part of what is around it.
        if transaction.parent is None:
            self._drop(transaction)

    def _drop(self, transaction: Any) -> None:
        gone = [item for t, item in self._held if _inside(t, transaction)]
        self._held = [(t, item) for t, item in self._held if not _inside(t, transaction)]
        if gone:
            self._on_rollback(gone)


def _inside(transaction: Any, other: Any) -> bool:
    while transaction is not None and transaction is not other:
        transaction = transaction.parent
    return transaction is other
