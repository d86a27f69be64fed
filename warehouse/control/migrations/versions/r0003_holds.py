"""Legal holds, and the deletions that were made under the lock that they share."""

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision = "r0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the two tables."""
    op.create_table(
        "holds",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("tenant_id", sa.Text(), sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("case_reference", sa.Text()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("placed_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("placed_by", sa.Text(), nullable=False),
        sa.Column("release_asked_unix_nano", sa.BigInteger()),
        sa.Column("release_asked_by", sa.Text()),
        sa.Column("release_reason", sa.Text()),
        sa.Column("released_unix_nano", sa.BigInteger()),
        sa.Column("released_by", sa.Text()),
    )
    op.create_index("holds_by_tenant", "holds", ["tenant_id"])
    op.create_table(
        "deletions",
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("tenants", sa.Text(), nullable=False),
        sa.Column("began_unix_nano", sa.BigInteger(), nullable=False),
        sa.Column("ended_unix_nano", sa.BigInteger(), nullable=False),
    )
