"""Alerts that fire or ended lately, and what each target was told of them."""

import sqlalchemy as sa
from alembic import op

revision = "r0007"
down_revision = "r0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the two tables."""
    op.create_table(
        "alerts",
        sa.Column("fingerprint", sa.Text(), primary_key=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("starts_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("ends_unix_nano", sa.BigInteger()),
        sa.Column("seen_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("began_recorded", sa.Boolean(), nullable=False),
        sa.Column("end_recorded", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "alert_deliveries",
        sa.Column("target", sa.Text(), primary_key=True),
        sa.Column("fingerprint", sa.Text(), primary_key=True),
        sa.Column("starts_unix_nano", sa.BigInteger()),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.Column("severity", sa.Text()),
        sa.Column("sent_unix_nano", sa.BigInteger()),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("tried_unix_nano", sa.BigInteger()),
        sa.Column("retry_unix_nano", sa.BigInteger()),
        sa.Column("problem", sa.Text()),
    )
