"""What is published inside the application's own transactions."""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from hookline._engine.publish import conflict
from hookline._ports import NewMessage
from hookline._storage.sessions import Follower, sync_session

Commit = Callable[[list[NewMessage]], None]


class Joined:
    """Messages of open transactions: published when those commit, forgotten when they roll back.

    The application's session may be on any database, also one whose outer transaction a test rolls
    back in the end: what the application commits counts.
    """

    def __init__(self) -> None:
        self._followers: WeakKeyDictionary[Any, Follower[NewMessage]] = WeakKeyDictionary()
        self._waiting: list[NewMessage] = []
        self.rolled_back: list[NewMessage] = []

    @property
    def pending(self) -> list[NewMessage]:
        """What is in transactions that are open."""
        held = [each for follower in self._followers.values() for each in follower.held]
        return held + self._waiting

    def join(self, session: Any, message: NewMessage, commit: Commit) -> bytes:
        """Hold a message until the session commits; return the key it is known by.

        Raises IdempotencyConflict against what else waits; against what was committed before, the
        commit does. Raises SessionMismatch for a connection that does not tell when it commits.
        """
        for other in self.pending:
            if message.idempotency_key is None or (other.app, other.idempotency_key) != (
                message.app,
                message.idempotency_key,
            ):
                continue
            if other.digest != message.digest:
                raise conflict(message.idempotency_key)
            return other.key
        if hasattr(session, "on_commit"):  # a connection of Django's
            self._wait_for(session, message, commit)
            return message.key
        self._follower(sync_session(session), commit).add(message)
        return message.key

    def stop(self) -> None:
        """Listen to no session any more."""
        for follower in list(self._followers.values()):
            follower.stop()
        self._followers.clear()

    def _follower(self, session: Any, commit: Commit) -> Follower[NewMessage]:
        found = self._followers.get(session)
        if found is None:
            found = Follower(session, commit, self.rolled_back.extend)
            self._followers[session] = found
        return found

    def _wait_for(self, connection: Any, message: NewMessage, commit: Commit) -> None:
        self._waiting.append(message)

        def committed() -> None:
            self._waiting.remove(message)
            commit([message])

        connection.on_commit(committed)
