"""The first schema: applications, endpoints, messages, the live queue and its history."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

KEY = sa.LargeBinary(16).with_variant(sa.UUID(as_uuid=False), "postgresql")


def upgrade() -> None:
    op.create_table(
        "hookline_application",
        sa.Column("id", KEY, nullable=False),
        sa.Column("uid", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("rate_limit", sa.Float),
        sa.Column("handshake", sa.Text, nullable=False),
        sa.Column("handshake_origin", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_hookline_application"),
        sa.UniqueConstraint("uid", name="uq_hookline_application_uid"),
    )
    op.create_table(
        "hookline_event_type",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("schemas", sa.JSON),
        sa.Column("archived", sa.Boolean, nullable=False),
        sa.Column("deprecated", sa.Boolean, nullable=False),
        sa.Column("group_name", sa.Text),
        sa.Column("feature_flags", sa.JSON),
        sa.Column("declared", sa.JSON),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_hookline_event_type"),
    )
    op.create_table(
        "hookline_endpoint",
        sa.Column("id", KEY, nullable=False),
        sa.Column("app_id", KEY, nullable=False),
        sa.Column("uid", sa.Text),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("events", sa.JSON, nullable=False),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("retry_schedule", sa.JSON),
        sa.Column("timeout", sa.Float),
        sa.Column("concurrency", sa.BigInteger),
        sa.Column("rate_limit", sa.Float),
        sa.Column("ordered", sa.Boolean, nullable=False),
        sa.Column("credentials", sa.Text),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("declared_url", sa.Text),
        sa.Column("declared_digest", sa.LargeBinary),
        sa.Column("disabled_at", sa.BigInteger),
        sa.Column("disabled_reason", sa.Text),
        sa.Column("granted_origin", sa.Text),
        sa.Column("granted_rate", sa.Float),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_hookline_endpoint"),
        sa.UniqueConstraint(
            "app_id", "declared_url", name="uq_hookline_endpoint_app_id_declared_url"
        ),
        sa.UniqueConstraint("app_id", "uid", name="uq_hookline_endpoint_app_id_uid"),
        sa.ForeignKeyConstraint(
            ["app_id"],
            ["hookline_application.id"],
            ondelete="CASCADE",
            name="fk_hookline_endpoint_app_id",
        ),
    )
    op.create_index(
        "ix_hookline_endpoint_ordered",
        "hookline_endpoint",
        ["id"],
        sqlite_where=sa.text("ordered"),
        postgresql_where=sa.text("ordered"),
    )
    op.create_table(
        "hookline_endpoint_secret",
        sa.Column("id", KEY, nullable=False),
        sa.Column("endpoint_id", KEY, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_hookline_endpoint_secret"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["hookline_endpoint.id"],
            ondelete="CASCADE",
            name="fk_hookline_endpoint_secret_endpoint_id",
        ),
    )
    op.create_index(
        "ix_hookline_endpoint_secret_endpoint_id", "hookline_endpoint_secret", ["endpoint_id"]
    )
    op.create_table(
        "hookline_handshake",
        sa.Column("endpoint_id", KEY, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.BigInteger, nullable=False),
        sa.Column("lease", sa.BigInteger, nullable=False),
        sa.Column("next_try_at", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("endpoint_id", name="pk_hookline_handshake"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["hookline_endpoint.id"],
            ondelete="CASCADE",
            name="fk_hookline_handshake_endpoint_id",
        ),
    )
    op.create_index("ix_hookline_handshake_next_try_at", "hookline_handshake", ["next_try_at"])
    op.create_table(
        "hookline_message",
        sa.Column("id", KEY, nullable=False),
        sa.Column("app_id", KEY, nullable=False),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("ordering_key", sa.Text),
        sa.Column("event_id", sa.Text),
        sa.Column("channels", sa.Text),
        sa.Column("tags", sa.Text),
        sa.Column("traceparent", sa.Text),
        sa.Column("only_endpoint", KEY),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("deliver_at", sa.BigInteger),
        sa.Column("canceled_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_hookline_message"),
    )
    op.create_index("ix_hookline_message_app_id_id", "hookline_message", ["app_id", "id"])
    op.create_index(
        "ix_hookline_message_event_id",
        "hookline_message",
        ["app_id", "event_id"],
        sqlite_where=sa.text("event_id IS NOT NULL"),
        postgresql_where=sa.text("event_id IS NOT NULL"),
    )
    op.create_table(
        "hookline_outbox",
        sa.Column("due_at", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("message_id", KEY, nullable=False),
        sa.Column("after_endpoint", KEY),
        sa.PrimaryKeyConstraint("due_at", "message_id", name="pk_hookline_outbox"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "hookline_delivery",
        sa.Column("message_id", KEY, nullable=False),
        sa.Column("endpoint_id", KEY, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("lease", sa.BigInteger, nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger, nullable=False),
        sa.Column("resume_at", sa.BigInteger),
        sa.Column("line", sa.Text),
        sa.PrimaryKeyConstraint("message_id", "endpoint_id", name="pk_hookline_delivery"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_hookline_delivery_endpoint_id_next_attempt_at",
        "hookline_delivery",
        ["endpoint_id", "next_attempt_at"],
    )
    op.create_index(
        "ix_hookline_delivery_line",
        "hookline_delivery",
        ["endpoint_id", "line", "message_id"],
        sqlite_where=sa.text("line IS NOT NULL"),
        postgresql_where=sa.text("line IS NOT NULL"),
    )
    op.create_table(
        "hookline_attempt",
        sa.Column("message_id", KEY, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("endpoint_id", KEY, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("status", sa.BigInteger),
        sa.Column("failure", sa.Text),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("response_headers", sa.JSON, nullable=False),
        sa.Column("response_body", sa.LargeBinary, nullable=False),
        sa.Column("dns_us", sa.BigInteger, nullable=False),
        sa.Column("connect_us", sa.BigInteger, nullable=False),
        sa.Column("tls_us", sa.BigInteger, nullable=False),
        sa.Column("first_byte_us", sa.BigInteger, nullable=False),
        sa.Column("total_us", sa.BigInteger, nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("message_id", "id", name="pk_hookline_attempt"),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (id)",
    )
    if op.get_bind().dialect.name == "postgresql":
        # Days are added ahead of time; what falls outside of them is still taken.
        op.execute("CREATE TABLE hookline_attempt_rest PARTITION OF hookline_attempt DEFAULT")
    op.create_index("ix_hookline_attempt_endpoint_id_id", "hookline_attempt", ["endpoint_id", "id"])
    op.create_index(
        "ix_hookline_attempt_exhausted",
        "hookline_attempt",
        ["message_id", "id"],
        sqlite_where=sa.text("state = 'exhausted'"),
        postgresql_where=sa.text("state = 'exhausted'"),
    )
    op.create_table(
        "hookline_tally",
        sa.Column("kind", sa.BigInteger, nullable=False),
        sa.Column("subject", KEY, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("span", sa.BigInteger, nullable=False),
        sa.Column("succeeded", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("exhausted", sa.BigInteger, nullable=False),
        *(sa.Column(f"b{number}", sa.BigInteger, nullable=False) for number in range(12)),
        sa.PrimaryKeyConstraint("kind", "subject", "at", "span", name="pk_hookline_tally"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_hookline_tally_at", "hookline_tally", ["at"])
    op.create_table(
        "hookline_circuit",
        sa.Column("endpoint_id", KEY, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("failing_since", sa.BigInteger),
        sa.Column("opened", sa.BigInteger, nullable=False),
        sa.Column("blocked_until", sa.BigInteger, nullable=False),
        sa.Column("ramp", sa.BigInteger, nullable=False),
        sa.Column("warned", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("endpoint_id", name="pk_hookline_circuit"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "hookline_worker",
        sa.Column("id", KEY, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_hookline_worker"),
    )
    op.create_table(
        "hookline_job",
        sa.Column("id", KEY, nullable=False),
        sa.Column("app_id", KEY, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("selection", sa.JSON, nullable=False),
        sa.Column("rate", sa.Float),
        sa.Column("counted", sa.Boolean, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("walk", sa.BigInteger, nullable=False),
        sa.Column("after_first", KEY, nullable=False),
        sa.Column("after_second", KEY, nullable=False),
        sa.Column("lease", sa.BigInteger, nullable=False),
        sa.Column("next_step_at", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_hookline_job"),
        sa.ForeignKeyConstraint(
            ["app_id"],
            ["hookline_application.id"],
            ondelete="CASCADE",
            name="fk_hookline_job_app_id",
        ),
    )
    op.create_index("ix_hookline_job_app_id_id", "hookline_job", ["app_id", "id"])
    op.create_index("ix_hookline_job_state_next_step_at", "hookline_job", ["state", "next_step_at"])
    op.create_table(
        "hookline_idempotency",
        sa.Column("app_id", KEY, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("message_id", KEY, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("app_id", "key", name="pk_hookline_idempotency"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_hookline_idempotency_expires_at", "hookline_idempotency", ["expires_at"])
    op.create_table(
        "hookline_answer",
        sa.Column("id", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("resource", KEY, nullable=False),
        sa.Column("lease", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.BigInteger, nullable=False),
        sa.Column("status", sa.BigInteger),
        sa.Column("body", sa.LargeBinary),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_hookline_answer"),
    )
    op.create_index("ix_hookline_answer_expires_at", "hookline_answer", ["expires_at"])
    op.create_table(
        "hookline_api_key",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_hookline_api_key"),
    )
    op.create_table(
        "hookline_usage",
        sa.Column("day", sa.BigInteger, nullable=False),
        sa.Column("app_id", KEY, nullable=False),
        sa.Column("messages", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("day", "app_id", name="pk_hookline_usage"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "hookline_audit",
        sa.Column("id", KEY, nullable=False),
        sa.Column("app_id", KEY),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("actor_id", sa.Text),
        sa.Column("actor_name", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("fields", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_hookline_audit"),
    )
    op.create_index("ix_hookline_audit_app_id_id", "hookline_audit", ["app_id", "id"])


def downgrade() -> None:
    for table in (
        "usage",
        "audit",
        "api_key",
        "answer",
        "idempotency",
        "job",
        "worker",
        "circuit",
        "tally",
        "attempt",
        "delivery",
        "outbox",
        "message",
        "handshake",
        "endpoint_secret",
        "endpoint",
        "event_type",
        "application",
    ):
        op.drop_table(f"hookline_{table}")
