"""Finding what a replay selects, page by page along the keys there are, and making it due.

Three walks, each a range of one index read in its order, so that a page costs the same wherever it
is and however much is selected:

- `LIVE`: the live queue by message and endpoint, for what is held or waits for a retry;
- `LOG`: the attempts of one endpoint after the other (or of the one message), for what has ended;
- `MISSING`: the messages, for what an endpoint wants and never got.

A page gives candidates. Whether one is selected is judged from its live row and its last attempt,
as they are then: once when it is found, and again in the transaction that makes it due.
"""

from hookline._storage.replay.audience import SENT_TO, Audience, Audiences
from hookline._storage.replay.due import RELEASED, lock, make_due, release, release_all
from hookline._storage.replay.find import PAGE, page
from hookline._storage.replay.terms import (
    HERE,
    Candidate,
    Chosen,
    Cursor,
    Frame,
    Page,
    Walk,
    along_indexes,
    frame,
)
from hookline._storage.replay.verdict import judge

__all__ = [
    "HERE",
    "PAGE",
    "RELEASED",
    "SENT_TO",
    "Audience",
    "Audiences",
    "Candidate",
    "Chosen",
    "Cursor",
    "Frame",
    "Page",
    "Walk",
    "along_indexes",
    "frame",
    "judge",
    "lock",
    "make_due",
    "page",
    "release",
    "release_all",
]
