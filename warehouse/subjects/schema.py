"""Tables of the vault; `migrations/versions` makes them, a test holds the two against each other.

No column holds a value, and none holds what would confirm a guess of one without the lake's secret.
"""

from pathlib import Path

from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, Table, Text, UniqueConstraint

from warehouse.control.database import Schema
from warehouse.errors import VaultUnavailableError

HEAD = "v0001"
"""Newest revision in `migrations/versions`."""

METADATA = MetaData()

SUBJECTS = Table(
    "subjects",
    METADATA,
    Column("tenant_id", Text, nullable=False),
    Column("lookup", LargeBinary, nullable=False),
    Column("token", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_unix_nano", BigInteger, nullable=False),
    UniqueConstraint("tenant_id", "lookup", name="subjects_by_lookup"),
    UniqueConstraint("tenant_id", "token", name="subjects_by_token"),
)

VAULT_STATE = Table(
    "vault_state",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("lake_id", Text, nullable=False),
    # Counts destructions: who remembers tokens and sees another number forgets them.
    Column("generation", BigInteger, nullable=False),
)

MARK = "subjects.made"
"""File in `LAKE/keys` that says that the lake has a vault."""

VAULT = Schema(
    title="vault",
    head=HEAD,
    migrations=Path(__file__).with_name("migrations"),
    versions_table="vault_version",
    unavailable=VaultUnavailableError,
    missing_hint="put it back from the backup of the keys; only where it is lost for good, delete keys/"
    f"{MARK} to begin with an empty one: nobody can say any more whom the tokens given out so far meant",
)
