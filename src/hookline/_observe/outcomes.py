"""How an attempt ended, as a label: few values, none of which a customer chooses."""

from hookline._domain.delivery import Failure, Outcome


def outcome_class(outcome: Outcome) -> str:
    """Return `success`, `status_4xx`, `status_5xx`, `status_other` or the failure's name."""
    if outcome.failure is None:
        return "success"
    if outcome.failure is not Failure.STATUS:
        return outcome.failure.value
    hundred = (outcome.status or 0) // 100
    return f"status_{hundred}xx" if hundred in {4, 5} else "status_other"


CLASSES = (
    "success",
    "status_4xx",
    "status_5xx",
    "status_other",
    *(failure.value for failure in Failure if failure is not Failure.STATUS),
)
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
"""Seconds: up to the longest timeout an endpoint may have."""
