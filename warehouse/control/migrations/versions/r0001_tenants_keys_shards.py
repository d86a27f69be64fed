"""Tenants, API keys and shards."""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "tenants",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("closed_unix_nano", sa.BigInteger()),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("tenant_id", sa.Text(), sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("label", sa.Text()),
        sa.Column("agent", sa.Text()),
        sa.Column("event_patterns", sa.Text()),
        sa.Column("created_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("expires_unix_nano", sa.BigInteger()),
        sa.Column("revoked_unix_nano", sa.BigInteger()),
        sa.Column("rotated_to", sa.Text(), sa.ForeignKey("api_keys.id")),
        sa.Column("overlap_ends_unix_nano", sa.BigInteger()),
    )
    op.create_index("api_keys_by_tenant", "api_keys", ["tenant_id"])
    op.create_table(
        "shards",
        sa.Column("identity", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner_host", sa.Text(), nullable=False),
        sa.Column("owner_pid", sa.BigInteger(), nullable=False),
        sa.Column("created_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("closed_unix_nano", sa.BigInteger()),
        sa.Column("closed_reason", sa.Text()),
    )
    op.create_index("shards_by_name", "shards", ["name"])
