"""One consistent view of a lake that goes on working: checkpoints first, then the tables, cut to what the checkpoints promise.

Checkpoints are read before the tables' files are listed, so each row that they promise is among the files. What the files hold
beyond is left out: files of segments above the checkpoints, by their log indices. A file that a rewrite committed in between
could mix both, so then the view is taken again. The copy therefore verifies as a whole, with nothing above the signed sizes.

Certificates are listed before anything else: the tables follow those. Cosignatures of a log are read before its checkpoint.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from deltalake import DeltaTable

from warehouse.backup.delta_log import live_actions, log_entry
from warehouse.backup.documents import stored_documents
from warehouse.clock import Clock
from warehouse.delta_reading import open_existing
from warehouse.errors import UnavailableError
from warehouse.lake import Lake
from warehouse.ledger.checkpoint import Checkpoint, read_unverified
from warehouse.ledger.keeper import CHECKPOINT_FILE
from warehouse.maintenance.log import application_ids
from warehouse.marks import read_marks
from warehouse.sequence import LEDGERED
from warehouse.tables import TABLES

_ATTEMPTS = 20
_NANOS_PER_MILLI = 1_000_000
_TILES = "tile"
_SEGMENT = r"(?P<shard>[a-z0-9-]+-[0-9a-f]{8})-(?P<segment>\d{10})-[^/]*\.parquet$"
_KEY = ["tenant", "shard", "segment"]


@dataclass(frozen=True)
class LogView:
    """One log: its folder below the lake's `ledger`, its checkpoint, and the small files beside its tiles by path."""

    tenant: str
    shard: str
    checkpoint: Checkpoint
    files: Mapping[str, bytes]

    @property
    def note(self) -> bytes:
        """The checkpoint's note."""
        return self.files[CHECKPOINT_FILE]


@dataclass(frozen=True)
class TableView:
    """One table: its files (path below its folder, size in bytes) and the log entry that describes them."""

    name: str
    files: tuple[tuple[str, int], ...]
    entry: bytes


@dataclass(frozen=True)
class Snapshot:
    """What one generation of a backup holds of logs and tables. `marks` is the highest segment of each shard in it."""

    time_unix_nano: int
    documents: tuple[str, ...]
    logs: tuple[LogView, ...]
    tables: tuple[TableView, ...]
    marks: Mapping[str, int]


@dataclass(frozen=True)
class _Listed:
    """A table's handle and its live files, each with tenant, shard and segment where its name says them."""

    handle: DeltaTable
    files: pl.DataFrame


def take_snapshot(lake: Lake, *, clock: Clock) -> Snapshot:
    """Look at the lake.

    Raises:
        UnavailableError: a Delta log cannot be read, or rewrites commit faster than the tables can be listed.
        NoteError: a checkpoint is not one.
    """
    now = clock()
    documents = tuple(file.name for file in stored_documents(lake.certificates))
    for _ in range(_ATTEMPTS):
        before = {name: _list(lake, name) for name in TABLES}
        marks = read_marks(lake)
        logs = _read_logs(lake)
        after = {name: _list(lake, name) for name in TABLES}
        if not any(_has_rewritten(before[name].files, after[name].files) for name in TABLES):
            kept = _cut(after, {(log.tenant, log.shard): log.checkpoint.size for log in logs}, marks)
            tables = tuple(_view(lake, name, after[name].handle, kept[name], now) for name in TABLES)
            return Snapshot(now, documents, logs, tables, _highest(kept, marks))
    raise UnavailableError(
        f"backup: expected a moment without a rewrite of a table, got {_ATTEMPTS} looks with one in each",
        hint="a compaction or purge is under way: try again when it is done",
    )


def _list(lake: Lake, name: str) -> _Listed:
    handle = open_existing(lake.table(name))
    files = live_actions(handle)
    names = pl.col("path").str.extract_groups(_SEGMENT)
    return _Listed(
        handle,
        files.with_columns(
            pl.col("partition").struct.field("tenant_id").alias("tenant"),
            names.struct.field("shard").alias("shard"),
            names.struct.field("segment").cast(pl.Int64).alias("segment"),
        ),
    )


def _has_rewritten(before: pl.DataFrame, after: pl.DataFrame) -> bool:
    """Whether a rewrite made a file between two looks."""
    new = after.filter(pl.col("shard").is_null()).join(before, on="path", how="anti")
    return new.height > 0


def _read_logs(lake: Lake) -> tuple[LogView, ...]:
    logs = []
    for folder in sorted((lake.path / "ledger").glob("*/*/")):
        # cosignatures before the checkpoint: a log must not be shorter than what a witness says of it
        files = {name: content for name, content in _small_files(folder) if name != CHECKPOINT_FILE}
        try:
            note = (folder / CHECKPOINT_FILE).read_bytes()
        except FileNotFoundError:
            continue  # tiles come before the first checkpoint
        logs.append(LogView(folder.parent.name, folder.name, read_unverified(note), {**files, CHECKPOINT_FILE: note}))
    return tuple(logs)


def _small_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """What lies beside the tiles: public keys, checkpoint, cosignatures. Tiles, of which there are many, are not walked."""
    for entry in sorted(folder.iterdir()):
        if entry.name == _TILES:
            continue
        for file in sorted(entry.rglob("*")) if entry.is_dir() else (entry,):
            if file.name.startswith(".") or not file.is_file():
                continue
            try:
                yield file.relative_to(folder).as_posix(), file.read_bytes()
            except FileNotFoundError:
                continue  # replaced just now


def _cut(
    tables: Mapping[str, _Listed], sizes: Mapping[tuple[str, str], int], marks: Mapping[str, int]
) -> dict[str, pl.DataFrame]:
    """The files of each table without those of segments that the checkpoints do not promise.

    A whole segment of a tenant is below its log's signed size or above it. Contents go with their owners; points of metrics, which
    no log promises, with their segment's mark.
    """
    signed = pl.DataFrame(
        [(tenant, shard, size) for (tenant, shard), size in sizes.items()],
        schema={"tenant": pl.Utf8, "shard": pl.Utf8, "signed": pl.Int64},
        orient="row",
    )
    marked = pl.DataFrame(list(marks.items()), schema={"shard": pl.Utf8, "mark": pl.Int64}, orient="row")
    kept = {}
    for name in LEDGERED:
        highest = pl.col("max").struct.field("log_index")
        files = tables[name].files.join(signed, on=["tenant", "shard"], how="left")
        kept[name] = files.filter(pl.col("shard").is_null() | (highest < pl.col("signed")))
    promised = pl.concat([kept[name].select(_KEY).drop_nulls() for name in LEDGERED]).unique()
    for name in TABLES.keys() - set(LEDGERED):
        files = tables[name].files.join(marked, on="shard", how="left")
        files = files.join(promised.with_columns(pl.lit(True).alias("promised")), on=_KEY, how="left")
        kept[name] = files.filter(
            pl.col("shard").is_null() | (pl.col("segment") <= pl.col("mark")) | pl.col("promised").fill_null(False)
        )
    return kept


def _highest(kept: Mapping[str, pl.DataFrame], marks: Mapping[str, int]) -> dict[str, int]:
    """Up to which segment each shard's files may be read: all that are in the backup."""
    highest = dict(marks)
    files = pl.concat([frame.select("shard", "segment").drop_nulls() for frame in kept.values()])
    for shard, segment in files.group_by("shard").agg(pl.col("segment").max()).iter_rows():
        highest[shard] = max(segment, highest.get(shard, -1))
    return highest


def _view(lake: Lake, name: str, handle: DeltaTable, files: pl.DataFrame, now_unix_nano: int) -> TableView:
    applications = application_ids(lake.table(name) / "_delta_log", handle.version())
    transactions = {app: version for app in applications if (version := handle.transaction_version(app)) is not None}
    entry = log_entry(handle, files.sort("path"), transactions, time_unix_milli=now_unix_nano // _NANOS_PER_MILLI)
    return TableView(name, tuple(files.select("path", "size_bytes").sort("path").iter_rows()), entry)
