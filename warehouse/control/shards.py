"""Shards: the register of identities that were ever given out. The lock on a shard is the journal's, not this one's."""

from dataclasses import asdict

from sqlalchemy import Connection, RowMapping, insert, select, update

from warehouse.control.part import Part, check_text
from warehouse.control.records import ShardRecord
from warehouse.control.schema import SHARDS
from warehouse.errors import ConflictError, NotFoundError
from warehouse.names import check_name

_SUFFIX_BYTES = 4
_ATTEMPTS = 8


class Shards(Part):
    """The shards' part of the control store."""

    def claim_shard(self, name: str, *, host: str, pid: int) -> str:
        """Register a new identity `<name>-<8 hex>`, different from every one given out before, and return it.

        `host` and `pid` say in messages who has it. Safe from several processes at once, for the same name too.

        Raises:
            NameRuleError: the name is outside the rule of names.
        """
        check_name(name, "shard")
        check_text(host, "host name", at_most=255)
        with self._database.write() as connection:
            identity = self._unused_identity(connection, name)
            shard = ShardRecord(identity, name, host, pid, created_unix_nano=self._clock())
            connection.execute(insert(SHARDS).values(asdict(shard)))
        return identity

    def hold_shard(self, identity: str, *, host: str, pid: int) -> ShardRecord:
        """Note who writes an existing shard from now on; call it after taking the journal's lock.

        Raises:
            NotFoundError: no such identity was given out: the journal folder comes from another lake.
            ConflictError: the shard is closed, and a closed log is never continued.
        """
        with self._database.write() as connection:
            self._change_open(
                connection, identity, owner_host=check_text(host, "host name", at_most=255), owner_pid=pid
            )
            return _expect_shard(connection, identity)

    def close_shard(self, identity: str, reason: str) -> ShardRecord:
        """Close a shard for good, and say why: its journal was lost, copied or restored.

        Raises:
            NotFoundError: there is no such shard.
            ConflictError: it is closed already.
        """
        with self._database.write() as connection:
            closed = {"closed_unix_nano": self._clock(), "closed_reason": check_text(reason, "reason", at_most=1000)}
            self._change_open(connection, identity, **closed)
            return _expect_shard(connection, identity)

    def shard(self, identity: str) -> ShardRecord:
        """One shard.

        Raises:
            NotFoundError: there is none with this identity.
        """
        with self._database.read() as connection:
            return _expect_shard(connection, identity)

    def list_shards(self, name: str | None = None) -> list[ShardRecord]:
        """Every shard, or every one of a name, oldest first, closed ones too."""
        wanted = select(SHARDS).order_by(SHARDS.c.created_unix_nano, SHARDS.c.identity)
        if name is not None:
            wanted = wanted.where(SHARDS.c.name == name)
        with self._database.read() as connection:
            return [_shard_of(row) for row in connection.execute(wanted).mappings()]

    def _unused_identity(self, connection: Connection, name: str) -> str:
        for _ in range(_ATTEMPTS):
            identity = f"{name}-{self._random_bytes(_SUFFIX_BYTES).hex()}"
            if connection.execute(select(SHARDS.c.identity).where(SHARDS.c.identity == identity)).first() is None:
                return identity
        raise ConflictError(f"shard {name}: expected an unused identity, got {_ATTEMPTS} used ones in a row")

    def _change_open(self, connection: Connection, identity: str, **values: object) -> None:
        changed = connection.execute(
            update(SHARDS).where(SHARDS.c.identity == identity, SHARDS.c.closed_unix_nano.is_(None)).values(**values)
        )
        if changed.rowcount != 1:
            shard = _expect_shard(connection, identity)
            raise ConflictError(f"shard {identity} is closed: {shard.closed_reason}")


def _expect_shard(connection: Connection, identity: str) -> ShardRecord:
    row = connection.execute(select(SHARDS).where(SHARDS.c.identity == identity)).mappings().first()
    if row is None:
        raise NotFoundError(f"shard: expected an identity that this lake gave out, got {identity!r}")
    return _shard_of(row)


def _shard_of(row: RowMapping) -> ShardRecord:
    return ShardRecord(**row)
