"""Subjects, and the state of the vault."""

import sqlalchemy as sa
from alembic import op

revision = "v0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the two tables."""
    op.create_table(
        "subjects",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("lookup", sa.LargeBinary(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_unix_nano", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("tenant_id", "lookup", name="subjects_by_lookup"),
        sa.UniqueConstraint("tenant_id", "token", name="subjects_by_token"),
    )
    op.create_table(
        "vault_state",
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("lake_id", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
    )
