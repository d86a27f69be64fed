"""One derived table: read, and changed a tenant at a time together with the state of whoever computes it.

Whoever computes incrementally keeps two things that must never part: the rows, and up to where records were read for them.
So both change in one Delta commit. The state is a file of its own, written and synced before the commit, and named after a
number that the commit stores as its transaction's version: until the commit stands the number, and so the state, is the
old one. A crash between the two leaves a file that no number names, which the next commit overwrites.

Invariants:
- A partition (tenant, day) is one file. A commit replaces it whole.
- One process at a time changes a tenant's part of a table; readers are never in its way.
"""

import datetime as dt
import os
import secrets
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.transaction import RemoveAction

from warehouse.clock import system_clock
from warehouse.delta import DeltaStore
from warehouse.delta_reading import open_table
from warehouse.derived.tables import DERIVED
from warehouse.durable import make_folder, replace_file
from warehouse.errors import CorruptionError, UnavailableError
from warehouse.lake import Lake
from warehouse.locks import locked
from warehouse.maintenance.partition import Partition, partition_lock
from warehouse.parquet import Part, write_parts
from warehouse.tables import Table

REWRITE_PREFIX = "derived-"
_STATE = "_state"
_NANOS_PER_MILLI = 1_000_000
_UPDATE_SECONDS = 600.0
_PARTITION_SECONDS = 30.0
_POLL_SECONDS = 0.05


class DerivedStore:
    """One derived table of a lake; its Delta log is made at the first commit."""

    def __init__(self, lake: Lake, table: Table) -> None:
        self.lake = lake
        self.table = table
        self.folder = lake.table(table.name)

    def read(self, tenant: str, *, days: Collection[dt.date] | None = None) -> pa.Table:
        """Rows of a tenant, of `days` where given, with `tenant_id` and `day`.

        Raises:
            UnavailableError: the table cannot be read.
        """
        try:
            handle = open_table(self.folder)
            return self.table.schema.empty_table() if handle is None else self._rows(handle, tenant, days)
        except (OSError, DeltaError, pa.ArrowException) as exc:
            raise UnavailableError(f"table {self.table.name}: it cannot be read: {exc}") from exc

    @contextmanager
    def updating(self, tenant: str) -> Iterator["DerivedUpdate"]:
        """Be the only one who changes this tenant's part of the table, over the block.

        Raises:
            UnavailableError: another process kept it for ten minutes, or the table can be neither opened nor made.
        """
        make_folder(self.lake.run)
        lock = self.lake.run / f"derived-{self.table.name}-{tenant}.lock"
        with locked(lock, holder=f"pid {os.getpid()}", timeout_seconds=_UPDATE_SECONDS):
            yield DerivedUpdate(self, tenant)

    def _rows(self, handle: DeltaTable, tenant: str, days: Collection[dt.date] | None) -> pa.Table:
        files = _files_of(handle, tenant, days)
        parts = [self._read_file(path, tenant, day) for day, path in sorted(files)]
        return pa.concat_tables(parts) if parts else self.table.schema.empty_table()

    def _read_file(self, path: str, tenant: str, day: dt.date) -> pa.Table:
        rows = pq.read_table(self.folder / path, partitioning=None, schema=self.table.file_schema)
        tenants = pa.array([tenant]).cast(pa.string())
        given = {"tenant_id": _repeated(tenants, rows.num_rows), "day": _repeated(pa.array([day]), rows.num_rows)}
        columns = [given[name] if name in given else rows.column(name) for name in self.table.schema.names]
        return pa.Table.from_arrays(columns, schema=self.table.schema)


def derived_stores(lake: Lake) -> dict[str, DeltaStore]:
    """The Delta logs of the derived tables that exist: maintenance cleans them up like any other.

    Raises:
        UnavailableError: a table cannot be opened.
    """
    tables = [table for table in DERIVED.values() if (lake.table(table.name) / "_delta_log").is_dir()]
    return {table.name: DeltaStore(table, lake.table(table.name)) for table in tables}


class DerivedUpdate:
    """What `updating` gives: the old rows and state, and the one way to change them. Not thread-safe."""

    def __init__(self, store: DerivedStore, tenant: str) -> None:
        self.tenant = tenant
        self._store = store
        self._delta = DeltaStore(store.table, store.folder)
        self._application = f"state/{tenant}"
        self._number = self._delta.committed(self._application)
        self._states = store.folder / _STATE / f"tenant_id={tenant}"
        self.state = self._read_state()

    def read(self, days: Collection[dt.date] | None = None) -> pa.Table:
        """Rows as the last commit left them, of `days` where given."""
        return self._store.read(self.tenant, days=days)

    def commit(self, rows: Mapping[dt.date, pa.Table], *, state: bytes) -> None:
        """Make the rows of each day named exactly these, and `state` the state: both, or after a crash neither.

        `rows` hold the table's whole columns; a table without rows takes the day's rows away. Days that are not named stay.

        Raises:
            UnavailableError: the disk or the Delta log refused; nothing changed, or after a failed fsync all of it did.
            ConflictError: somebody else changed one of the files.
        """
        number = self._number + 1
        make_folder(self._states)
        replace_file(self._state_file(number), state)
        with ExitStack() as held:
            for day in sorted(rows):
                held.enter_context(self._partition(day))
            # opened after the locks, so that what it lists is what the commit replaces
            handle = self._delta.fresh()
            old = _files_of(handle, self.tenant, set(rows))
            new = [part for table in rows.values() if table.num_rows for part in self._write(table)]
            now = system_clock() // _NANOS_PER_MILLI
            remove = [RemoveAction(path=path, data_change=True, deletion_timestamp=now) for _, path in old]
            add = [part.add_action(now) for part in new]
            self._delta.rewrite(handle, remove, add, transactions=[(self._application, number)])
        self._number, self.state = number, state
        for file in self._states.glob("*.json"):
            if file != self._state_file(number):
                file.unlink(missing_ok=True)

    def _write(self, rows: pa.Table) -> list[Part]:
        return write_parts(self._store.table, rows, self._store.folder, stem=f"{REWRITE_PREFIX}{secrets.token_hex(16)}")

    @contextmanager
    def _partition(self, day: dt.date) -> Iterator[None]:
        """Hold a partition's maintenance lock: the orphan sweep takes it for a moment, nobody else does."""
        partition = Partition(self._store.table.name, self.tenant, day.isoformat())
        deadline = time.monotonic() + _PARTITION_SECONDS
        while True:
            with partition_lock(self._store.lake, partition) as held:
                if held:
                    yield
                    return
            if time.monotonic() >= deadline:
                raise UnavailableError(
                    f"{partition}: its maintenance lock was not free within {_PARTITION_SECONDS:g} s"
                )
            time.sleep(_POLL_SECONDS)

    def _state_file(self, number: int) -> Path:
        return self._states / f"{number}.json"

    def _read_state(self) -> bytes | None:
        if self._number < 0:
            return None
        file = self._state_file(self._number)
        try:
            return file.read_bytes()
        except FileNotFoundError as exc:
            raise CorruptionError(
                f"{file}: expected the state that the table's log names, got no file",
                hint=f"delete the folder {self._store.folder} to have the table computed anew from what the lake holds",
            ) from exc


def _files_of(handle: DeltaTable, tenant: str, days: Collection[dt.date] | None) -> list[tuple[dt.date, str]]:
    """(day, path below the table's folder) of a tenant's live files."""
    actions = pa.table(handle.get_add_actions(flatten=True))
    if not actions.num_rows:
        return []
    found = zip(
        actions.column("path").to_pylist(),
        actions.column("partition.tenant_id").to_pylist(),
        actions.column("partition.day").to_pylist(),
        strict=True,
    )
    return [(day, path) for path, owner, day in found if owner == tenant and (days is None or day in days)]


def _repeated(value: pa.Array, rows: int) -> pa.Array:
    return value.take(pa.array([0] * rows, pa.int64()))
