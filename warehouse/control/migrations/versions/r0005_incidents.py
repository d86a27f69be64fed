"""Incidents: what rules found, what became of it, and up to where each rule has read."""

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision = "r0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "incidents",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("runbook", sa.Text(), nullable=False),
        sa.Column("policy_hash", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text()),
        sa.Column("opened_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("last_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("detected_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_unix_nano", sa.BigInteger()),
        sa.Column("mitigated_unix_nano", sa.BigInteger()),
        sa.Column("closed_unix_nano", sa.BigInteger()),
        sa.Column("duplicate_of", sa.Text()),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "incident_rows",
        sa.Column("incident_id", sa.Text(), sa.ForeignKey("incidents.id"), primary_key=True),
        sa.Column("source_table", sa.Text(), primary_key=True),
        sa.Column("shard", sa.Text(), primary_key=True),
        sa.Column("log_index", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("time_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("trace_id", sa.Text()),
        sa.Column("agent_id", sa.Text()),
    )
    op.create_table(
        "incident_affected",
        sa.Column("incident_id", sa.Text(), sa.ForeignKey("incidents.id"), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), primary_key=True),
    )
    op.create_table(
        "incident_changes",
        sa.Column("incident_id", sa.Text(), sa.ForeignKey("incidents.id"), primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text()),
    )
    op.create_table(
        "incident_clocks",
        sa.Column("incident_id", sa.Text(), sa.ForeignKey("incidents.id"), primary_key=True),
        sa.Column("clock", sa.Text(), primary_key=True),
        sa.Column("started_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("due_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("stopped_unix_nano", sa.BigInteger()),
    )
    op.create_table(
        "incident_rules",
        sa.Column("tenant_id", sa.Text(), primary_key=True),
        sa.Column("rule", sa.Text(), primary_key=True),
        sa.Column("point_id", sa.Text()),
        sa.Column("evaluated_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.Text()),
        sa.Column("problem_since_unix_nano", sa.BigInteger()),
    )
    op.create_table(
        "incident_points",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("point", sa.Text(), nullable=False),
    )
    op.create_table(
        "incident_rounds",
        sa.Column("tenant_id", sa.Text(), primary_key=True),
        sa.Column("state", sa.Text(), nullable=False),
    )
    op.create_index("incidents_by_key", "incidents", ["tenant_id", "rule", "key_hash"])
