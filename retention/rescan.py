"""Searches a tenant's part of a lake again for what was deleted: every live file is read, and the metadata that names files.

By the keys under which certificates name rows, so nothing that was deleted has to be known again. Reading is in columns, a file at a
time.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from retention.family_rows import FamilyRows
from retention.lake_state import FileState
from retention.named import Bounds, may_name, named_parts, named_rows, parts_of, runs_by_table
from retention.policy import OWNER_TABLES, QUARANTINE
from retention.snapshot import list_tenant
from retention.verdict import CONTENTS
from warehouse.errors import UnavailableError
from warehouse.lake import Lake
from warehouse.ledger.certificates import Deleted
from warehouse.maintenance.log import log_entries, newest_checkpoint
from warehouse.tables import TABLES

_MORE_ATTEMPTS = 4


@dataclass(frozen=True)
class Rescanned:
    """What a search read, and what it found that should be gone. Sizes in bytes.

    Attributes:
        rows_found: rows of the deletion that are there still, by table.
        files_on_disk: replaced files that are there still.
        files_named: replaced files that a table's log still calls live.
        oldest_versions: the version from which on each table can be read; none before it can.
    """

    files: int
    rows: int
    size_bytes: int
    rows_found: Mapping[str, int]
    files_on_disk: tuple[str, ...]
    files_named: tuple[str, ...]
    oldest_versions: Mapping[str, int]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.rows_found and not self.files_on_disk and not self.files_named

    def problems(self) -> str:
        """What was found, in words; empty where nothing was."""
        said = [f"{count} rows of {table}" for table, count in sorted(self.rows_found.items())]
        said += [f"the file {name} on the disk" for name in self.files_on_disk]
        said += [f"the file {name} in a table's log" for name in self.files_named]
        return ", ".join(said)

    def to_json(self) -> dict[str, Any]:
        """As a certificate has it."""
        return {
            "files_read": self.files,
            "rows_read": self.rows,
            "bytes_of_files": self.size_bytes,
            "rows_found": dict(self.rows_found),
            "files_on_disk": list(self.files_on_disk),
            "files_named": list(self.files_named),
            "oldest_readable_versions": dict(self.oldest_versions),
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Rescanned":
        """As a certificate says it."""
        return cls(
            said["files_read"],
            said["rows_read"],
            said["bytes_of_files"],
            said["rows_found"],
            tuple(said["files_on_disk"]),
            tuple(said["files_named"]),
            said["oldest_readable_versions"],
        )


def rescan(lake: Lake, tenant_id: str, deleted: Deleted, replaced: Collection[str]) -> Rescanned:
    """Look for rows of a deletion in every live file of a tenant, and for the files that it replaced. Changes nothing.

    Raises:
        UnavailableError: a file cannot be read.
    """
    named = _Named(runs_by_table(deleted), parts_of(deleted))
    for last in (False,) * _MORE_ATTEMPTS + (True,):
        try:
            return _search(lake, tenant_id, named, replaced)
        except FileNotFoundError as exc:
            # a compaction replaced it since the files were listed: its rows are in a file of the next listing
            if last:
                raise UnavailableError(f"{exc.filename or exc}: is gone", hint="search again") from exc
    raise AssertionError("the last attempt returns or raises")


def _search(lake: Lake, tenant_id: str, named: "_Named", replaced: Collection[str]) -> Rescanned:
    found: dict[str, int] = {}
    files = [file for file in list_tenant(lake, tenant_id) if file.table != QUARANTINE]
    rows = 0
    for file in files:
        try:
            with pq.ParquetFile(
                lake.table(file.table) / file.path, memory_map=True, read_dictionary=["shard"]
            ) as parquet:
                columns = parquet.read(columns=_keys(file.table))
                if file.table == CONTENTS and may_name(columns.column("owner_index").to_numpy(), named.parts).any():
                    columns = parquet.read(columns=["shard", "owner_index", "part"])
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException) as exc:
            raise UnavailableError(f"{file.table}/{file.path}: cannot be read: {exc}", hint="search again") from exc
        rows += columns.num_rows
        if file.table in OWNER_TABLES or file.table == CONTENTS:
            count = named.count(file, columns)
            if count:
                found[file.table] = found.get(file.table, 0) + count
    return Rescanned(
        len(files),
        rows,
        sum(file.size_bytes for file in files),
        found,
        tuple(sorted(name for name in replaced if _is_on_disk(lake, name))),
        tuple(sorted(_named_live(lake, replaced))),
        _oldest_versions(lake),
    )


def _keys(table: str) -> list[str]:
    if table == CONTENTS:
        return ["shard", "owner_index"]
    return ["shard", "log_index"] if table in OWNER_TABLES else ["time_unix_nano"]


@dataclass(frozen=True)
class _Named:
    runs: Mapping[str, Bounds]
    parts: pl.DataFrame

    def count(self, file: FileState, columns: pa.Table) -> int:
        """How many of these rows of a file the deletion names."""
        rows = FamilyRows(file.table, [file], columns, np.zeros(columns.num_rows, np.int64))
        if file.table == CONTENTS:
            return int(named_parts(rows, self.parts).sum())
        return int(named_rows(rows, self.runs.get(file.table, {})).sum())


def _is_on_disk(lake: Lake, name: str) -> bool:
    return any((lake.table(table) / name).exists() for table in TABLES) or (lake.quarantine / name).exists()


def _named_live(lake: Lake, replaced: Iterable[str]) -> set[str]:
    """Which replaced files an entry or checkpoint of a table's log adds."""
    wanted = set(replaced)
    found: set[str] = set()
    for table in TABLES:
        log = lake.table(table) / "_delta_log"
        base = newest_checkpoint(log)
        if base >= 0:
            file = log / f"{base:020d}.checkpoint.parquet"
            added = pq.read_table(file, columns=["add.path"], partitioning=None)
            # a checkpoint of a table without files has no such column
            rows = added.column("add").drop_null().to_pylist() if "add" in added.column_names else []
            found |= wanted & {each["path"] for each in rows if each["path"]}
        for _, entry in log_entries(log):
            for line in entry.read_bytes().splitlines():
                if line.startswith(b'{"add"'):
                    found |= wanted & {json.loads(line)["add"]["path"]}
    return found


def _oldest_versions(lake: Lake) -> dict[str, int]:
    """The first version of each table that can be read still."""
    found = {}
    for table in TABLES:
        folder = lake.table(table)
        try:
            if DeltaTable.is_deltatable(str(folder)):
                entries = [version for version, _ in log_entries(folder / "_delta_log")]
                base = newest_checkpoint(folder / "_delta_log")
                found[table] = base if base >= 0 else min(entries, default=0)
        except DeltaError as exc:
            raise UnavailableError(f"table {table}: its log cannot be read: {exc}") from exc
    return found
