"""An observer that says nothing: what others are made of, who listen to a few things only."""

from hookline._domain.endpoint import Target
from hookline._ports import Settlement


class Silent:
    """`_ports.Observer` that does nothing."""

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
