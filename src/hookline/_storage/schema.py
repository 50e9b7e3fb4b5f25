"""The tables, shared by all databases. Times are Unix milliseconds, keys UUIDv7 bytes.

The live queue is small and its rows go when they are final; history is append-only. Every table
carries the prefix `hookline_`, because it lives in the application's own database.
"""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from hookline._domain.tally import BUCKETS

PREFIX = "hookline_"
VERSION_TABLE = PREFIX + "version"

HELD = 1 << 62
"""`next_attempt_at` of a held delivery: it waits at infinity until its endpoint is enabled."""
IN_LINE = 1 << 61
"""`next_attempt_at` of a delivery of an ordered endpoint that is not the head of its line. From
here on, times never come."""

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)


class Key(sa.TypeDecorator[bytes]):
    """16 bytes; a native uuid on PostgreSQL."""

    impl = sa.LargeBinary(16)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Return the column type of the dialect."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.UUID(as_uuid=True))
        return dialect.type_descriptor(sa.LargeBinary(16))

    def process_bind_param(self, value: bytes | None, dialect: sa.Dialect) -> Any:
        """Hand bytes to the driver in its own form."""
        native = dialect.name == "postgresql" and value is not None
        return UUID(bytes=value) if native else value

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> bytes | None:  # noqa: ARG002
        """Return bytes, whatever the driver returned."""
        key: bytes | None = value.bytes if isinstance(value, UUID) else value
        return key


class Masked(str):
    """A text that is not shown: drivers log the parameters of a statement, errors carry them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Secret(sa.TypeDecorator[str]):
    """A text that may be readable, and is masked on its way to the driver."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> Any:  # noqa: ARG002
        """Mask the value."""
        return None if value is None else Masked(value)


Json = sa.JSON(none_as_null=True)


def _key(name: str, *constraints: sa.ForeignKey, primary: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, Key, *constraints, primary_key=primary, nullable=False)


def _number(name: str, *, nullable: bool = False, primary: bool = False) -> sa.Column[int]:
    return sa.Column(
        name, sa.BigInteger, nullable=nullable, primary_key=primary, autoincrement=False
    )


def _of(table: str) -> sa.ForeignKey:
    return sa.ForeignKey(f"{PREFIX}{table}.id", ondelete="CASCADE")


application = sa.Table(
    PREFIX + "application",
    metadata,
    _key("id", primary=True),
    # The customer's own name for it; None once it is deleted, so that the name is free.
    sa.Column("uid", sa.Text, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("metadata", Json, nullable=False),
    # Requests per second over all of its endpoints together.
    sa.Column("rate_limit", sa.Float),
    # What its endpoints have to do before they are sent to, and the name they know it by.
    sa.Column("handshake", sa.Text, nullable=False, default="none"),
    sa.Column("handshake_origin", sa.Text, nullable=False, default=""),
    # Counts changes of its endpoints: a cached routing table is current while this is unchanged.
    _number("revision"),
    _number("created_at"),
    _number("updated_at"),
    # Deleted for people; upkeep removes what it left, batch by batch, and then this row.
    _number("deleted_at", nullable=True),
)

event_type = sa.Table(
    PREFIX + "event_type",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("description", sa.Text, nullable=False),
    # JSON schemas by version, with examples inside; None for a type without.
    sa.Column("schemas", Json),
    sa.Column("archived", sa.Boolean, nullable=False),
    sa.Column("deprecated", sa.Boolean, nullable=False),
    sa.Column("group_name", sa.Text),
    sa.Column("feature_flags", Json),
    # What code declared last, as a digest of each field; None for what no code declares.
    sa.Column("declared", Json),
    _number("created_at"),
    _number("updated_at"),
)

endpoint = sa.Table(
    PREFIX + "endpoint",
    metadata,
    _key("id", primary=True),
    _key("app_id", _of("application")),
    sa.Column("uid", sa.Text),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("events", Json, nullable=False),
    # JSON, or that sealed.
    sa.Column("headers", Secret, nullable=False),
    sa.Column("retry_schedule", Json),
    sa.Column("timeout", sa.Float),
    _number("concurrency", nullable=True),
    sa.Column("rate_limit", sa.Float),
    sa.Column("ordered", sa.Boolean, nullable=False),
    # Options that have secrets in them: JSON, or that sealed.
    sa.Column("credentials", Secret),
    # What few endpoints have, by name.
    sa.Column("options", Json, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    # The URL it was declared with in code or file: what makes a second declaration an update.
    sa.Column("declared_url", sa.Text),
    # What was declared last, hashed: an unchanged declaration leaves later changes alone.
    sa.Column("declared_digest", sa.LargeBinary),
    _number("disabled_at", nullable=True),
    sa.Column("disabled_reason", sa.Text),
    # What its receiver permitted: the name this sender goes by, and requests per second.
    sa.Column("granted_origin", sa.Text),
    sa.Column("granted_rate", sa.Float),
    _number("revision"),
    _number("created_at"),
    _number("updated_at"),
    sa.UniqueConstraint("app_id", "declared_url"),
    sa.UniqueConstraint("app_id", "uid"),
    sa.Index(
        "ix_hookline_endpoint_ordered",
        "id",
        sqlite_where=sa.text("ordered"),
        postgresql_where=sa.text("ordered"),
    ),
)

endpoint_secret = sa.Table(
    PREFIX + "endpoint_secret",
    metadata,
    _key("id", primary=True),
    _key("endpoint_id", _of("endpoint")),
    sa.Column("secret", Secret, nullable=False),
    _number("expires_at", nullable=True),
    sa.Index(None, "endpoint_id"),
)

# The endpoints that are pending: one has a row until its receiver has proved that it expects
# webhooks. A try is claimed as a delivery is: `lease` is the claim's own number, 0 while nobody has
# it. `step` tries of the schedule were made, `tries` in all; after the last one the next is never.
handshake = sa.Table(
    PREFIX + "handshake",
    metadata,
    sa.Column("endpoint_id", Key, _of("endpoint"), primary_key=True, nullable=False),
    _number("since"),
    _number("step"),
    _number("tries"),
    _number("lease"),
    _number("next_try_at"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Index(None, "next_try_at"),
)

message = sa.Table(
    PREFIX + "message",
    metadata,
    _key("id", primary=True),
    _key("app_id"),
    sa.Column("event_type", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("ordering_key", sa.Text),
    # The sender's own id of the event, and what it is sorted by: JSON lists, as text.
    sa.Column("event_id", sa.Text),
    sa.Column("channels", sa.Text),
    sa.Column("tags", sa.Text),
    # The span that published it, where there was one: W3C Trace Context.
    sa.Column("traceparent", sa.Text),
    # Set for a test: it is for this endpoint alone, whatever others want to hear.
    sa.Column("only_endpoint", Key),
    _number("created_at"),
    _number("deliver_at", nullable=True),
    _number("canceled_at", nullable=True),
    sa.Index(None, "app_id", "id"),
    sa.Index(
        "ix_hookline_message_event_id",
        "app_id",
        "event_id",
        sqlite_where=sa.text("event_id IS NOT NULL"),
        postgresql_where=sa.text("event_id IS NOT NULL"),
    ),
)

# Committed and not yet routed. Separate from `message`, so that routing rewrites no body.
outbox = sa.Table(
    PREFIX + "outbox",
    metadata,
    _number("due_at", primary=True),
    _key("message_id", primary=True),
    # A message with very many endpoints is routed in steps: this one was the last that got it.
    sa.Column("after_endpoint", Key),
    sqlite_with_rowid=False,
)

# The live queue. The natural key makes routing idempotent; `lease` is the claim's own random
# number, which fences every write after it, and 0 while nobody has it. `attempts` were made in
# all, `step` of them by the schedule. `resume_at` is set while a manual attempt waits or is under
# way: when the automatic schedule goes on afterwards, 0 when there was none. `line` is set for
# ordered endpoints: of those with the same one, only the oldest is ever due.
delivery = sa.Table(
    PREFIX + "delivery",
    metadata,
    _key("message_id", primary=True),
    _key("endpoint_id", primary=True),
    _number("attempts"),
    _number("step"),
    _number("lease"),
    _number("next_attempt_at"),
    _number("resume_at", nullable=True),
    sa.Column("line", sa.Text),
    sa.Index(None, "endpoint_id", "next_attempt_at"),
    sa.Index(
        "ix_hookline_delivery_line",
        "endpoint_id",
        "line",
        "message_id",
        sqlite_where=sa.text("line IS NOT NULL"),
        postgresql_where=sa.text("line IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

attempt = sa.Table(
    PREFIX + "attempt",
    metadata,
    _key("message_id", primary=True),
    _key("id", primary=True),
    _key("endpoint_id"),
    _number("number"),
    sa.Column("trigger", sa.Text, nullable=False),
    _number("started_at"),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    _number("status", nullable=True),
    sa.Column("failure", sa.Text),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("response_headers", Json, nullable=False),
    sa.Column("response_body", sa.LargeBinary, nullable=False),
    _number("dns_us"),
    _number("connect_us"),
    _number("tls_us"),
    _number("first_byte_us"),
    _number("total_us"),
    _number("next_attempt_at", nullable=True),
    sa.Index(None, "endpoint_id", "id"),
    # The dead letters, without a look at the rest of the log.
    sa.Index(
        "ix_hookline_attempt_exhausted",
        "message_id",
        "id",
        sqlite_where=sa.text("state = 'exhausted'"),
        postgresql_where=sa.text("state = 'exhausted'"),
    ),
    sqlite_with_rowid=False,
)

# Endpoints in trouble only: a healthy one has no row, and its successes write nothing here.
circuit = sa.Table(
    PREFIX + "circuit",
    metadata,
    _key("endpoint_id", primary=True),
    sa.Column("state", sa.Text, nullable=False),
    _number("failures"),
    _number("failed"),
    _number("failing_since", nullable=True),
    _number("opened"),
    _number("blocked_until"),
    _number("ramp"),
    _number("warned"),
    sqlite_with_rowid=False,
)

# How many attempts ended how, by endpoint, application and all together (`subject` is zero), for
# `span` seconds from `at` (Unix seconds). `b0`… are the latencies of `_domain.tally.EDGES_MS`.
tally = sa.Table(
    PREFIX + "tally",
    metadata,
    _number("kind", primary=True),
    _key("subject", primary=True),
    _number("at", primary=True),
    _number("span", primary=True),
    _number("succeeded"),
    _number("failed"),
    _number("exhausted"),
    *(_number(f"b{number}") for number in range(BUCKETS)),
    sa.Index(None, "at"),
    sqlite_with_rowid=False,
)

# Who is delivering: each worker takes its share of every endpoint's limits.
worker = sa.Table(
    PREFIX + "worker",
    metadata,
    _key("id", primary=True),
    sa.Column("host", sa.Text, nullable=False),
    _number("pid"),
    _number("started_at"),
    _number("seen_at"),
)

# Replays. A step of one is claimed as a delivery is: `lease` is the claim's own number, 0 while
# nobody has it, and `next_step_at` is pushed out by the lease. A step goes on after the two keys,
# in the order of the walk it is in; first to count (until `counted`), then to make due.
job = sa.Table(
    PREFIX + "job",
    metadata,
    _key("id", primary=True),
    _key("app_id", _of("application")),
    # What it does with what it selects: sends it again, or erases it.
    sa.Column("task", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("selection", Json, nullable=False),
    sa.Column("rate", sa.Float),
    sa.Column("counted", sa.Boolean, nullable=False),
    _number("total"),
    _number("done"),
    _number("walk"),
    _key("after_first"),
    _key("after_second"),
    _number("lease"),
    _number("next_step_at"),
    _number("created_at"),
    _number("updated_at"),
    sa.Index(None, "app_id", "id"),
    sa.Index(None, "state", "next_step_at"),
)

# Of a token only its hash is here: it has 256 random bits, so that a plain SHA-256 does.
api_key = sa.Table(
    PREFIX + "api_key",
    metadata,
    _key("id", primary=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Column("scopes", Json, nullable=False),
    _number("created_at"),
    _number("expires_at", nullable=True),
    _number("last_used_at", nullable=True),
    _number("revoked_at", nullable=True),
)

# Requests to the API that may be sent again: claimed as a delivery is, by `lease`, and answered as
# the first time once `status` is set. `resource` is the id of what the request makes, the same in
# every try; `body` is missing where the answer held a secret.
answer = sa.Table(
    PREFIX + "answer",
    metadata,
    sa.Column("id", sa.LargeBinary, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    _key("resource"),
    _number("lease"),
    _number("lease_until"),
    _number("status", nullable=True),
    sa.Column("body", sa.LargeBinary),
    _number("expires_at"),
    sa.Index(None, "expires_at"),
)

# Who changed what, by its time: the key has it. Rows outlive what they tell of.
audit = sa.Table(
    PREFIX + "audit",
    metadata,
    _key("id", primary=True),
    sa.Column("app_id", Key),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("actor_id", sa.Text),
    sa.Column("actor_name", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("fields", Json, nullable=False),
    sa.Index(None, "app_id", "id"),
)

# What was done on days that are over; the log is counted once, not for every question.
usage = sa.Table(
    PREFIX + "usage",
    metadata,
    _number("day", primary=True),
    _key("app_id", primary=True),
    _number("messages"),
    _number("attempts"),
    sqlite_with_rowid=False,
)

idempotency = sa.Table(
    PREFIX + "idempotency",
    metadata,
    _key("app_id", primary=True),
    sa.Column("key", sa.Text, primary_key=True),
    _key("message_id"),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    _number("expires_at"),
    sa.Index(None, "expires_at"),
    sqlite_with_rowid=False,
)
