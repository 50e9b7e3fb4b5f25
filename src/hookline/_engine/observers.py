"""What observers are made of: one that does nothing, and several as one."""

from hookline._domain.endpoint import Target
from hookline._ports import Observer, Settlement


class Silent:
    """`_ports.Observer` that does nothing: for those who listen to a few things only."""

    def routed(self, message: bytes, event_type: str, endpoints: int) -> None:
        """Do nothing."""

    def attempted(self, settlement: Settlement) -> None:
        """Do nothing."""

    def unfiltered(self, message: bytes, target: Target, problem: str) -> None:
        """Do nothing."""

    def lost(self, settlement: Settlement) -> None:
        """Do nothing."""

    def failing(self, target: Target, milliseconds: int) -> None:
        """Do nothing."""

    def disabled(self, target: Target, reason: str) -> None:
        """Do nothing."""

    def verified(self, target: Target, released: int) -> None:
        """Do nothing."""

    def unverified(self, target: Target, reason: str, next_try_in: int | None) -> None:
        """Do nothing."""

    def trouble(self, what: str, error: BaseException) -> None:
        """Do nothing."""


class Observers:
    """Several observers as one."""

    def __init__(self, *observers: Observer) -> None:
        """Told in this order."""
        self._observers = observers

    def routed(self, message: bytes, event_type: str, endpoints: int) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.routed(message, event_type, endpoints)

    def attempted(self, settlement: Settlement) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.attempted(settlement)

    def unfiltered(self, message: bytes, target: Target, problem: str) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.unfiltered(message, target, problem)

    def lost(self, settlement: Settlement) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.lost(settlement)

    def failing(self, target: Target, milliseconds: int) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.failing(target, milliseconds)

    def disabled(self, target: Target, reason: str) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.disabled(target, reason)

    def verified(self, target: Target, released: int) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.verified(target, released)

    def unverified(self, target: Target, reason: str, next_try_in: int | None) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.unverified(target, reason, next_try_in)

    def trouble(self, what: str, error: BaseException) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.trouble(what, error)
