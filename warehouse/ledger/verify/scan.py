"""Rows from the tables, against the entries of their logs: in columns, a file at a time, record batch by record batch.

A commitment is made from the row as it is stored now, tenant and day taken from the path, and compared with the entry that
stands at the row's index. What is kept of a row afterwards is its index.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.ledger.commitments import commit_rows
from warehouse.ledger.errors import RecordTextError, TileError
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.tiles import ENTRY_BYTES, TILE_WIDTH, TilePlace
from warehouse.ledger.tree import HASH_BYTES, leaf_hashes
from warehouse.ledger.verify.accounting import PackedIndices
from warehouse.ledger.verify.events import event_rows
from warehouse.ledger.verify.files import TableFile
from warehouse.ledger.verify.leaves import NO_TILES, TileSet, read_bundle
from warehouse.tables import PARTITION_COLUMNS, TABLES

BATCH_ROWS = 8192
HELD_ROWS = 1 << 19
"""Commitments held before they are compared: 20 MiB, and the more there are, the less often a bundle is read."""
_BUFFER_BYTES = 256 * 1024
KEPT_ROWS = 256
"""Altered rows kept a task, to see whether they were swapped."""
TASK_ROWS = 65_536
"""Rows a task: one row group, some 0.7 s. A larger file is read by several workers, so that none ends long after the others."""
_NO_HASHES = np.empty((0, HASH_BYTES), np.uint8)
_PLACE_COLUMNS = ["shard", "log_index"]
_EVENTS = "audit_events"
_MAX_PARTS = 4096
"""Of one file, whatever the Delta log says that it holds."""


@dataclass(frozen=True)
class LogView:
    """What a scan needs to know of one log: rows below `since` were accounted for before."""

    folder: Path
    size: int
    since: int = 0
    by_hash: TileSet = NO_TILES
    blind: TileSet = NO_TILES


@dataclass(frozen=True)
class ScanTask:
    """Row groups of one file of a ledgered table, and the logs of its tenant by shard.

    The groups are the `place`-th of `places` stretches, as the file itself counts them: together the tasks of a file read
    each row once, however wrong the Delta log is about it.
    """

    file: TableFile
    logs: Mapping[str, LogView]
    place: int = 0
    places: int = 1
    by_number: bool = False
    """Only which indices have a row is looked at, not what the rows say."""

    @property
    def rows(self) -> int:
        """How many rows to expect."""
        return self.file.rows // self.places


@dataclass
class ShardRows:
    """Rows of one log found in a file. `altered` and `beyond`, which are not below the signed size, ascend.

    The counts stay as they are where the indices themselves are too many to be kept.
    """

    indices: PackedIndices
    beyond: np.ndarray
    altered: np.ndarray
    beyond_count: int
    altered_count: int


@dataclass
class ScanResult:
    """What a scan found. `problem` says why the file could not be read to its end; `vanished` that it is not there."""

    file: TableFile
    rows: int = 0
    shards: dict[str, ShardRows] = field(default_factory=dict)
    events: list[pa.Table] = field(default_factory=list)
    altered_rows: list[pa.RecordBatch] = field(default_factory=list)
    problem: str | None = None
    vanished: bool = False


def scan_tasks(file: TableFile, logs: Mapping[str, LogView], *, by_number: bool = False) -> list[ScanTask]:
    """Tasks over one file; audit events are compared whatever is asked, since judgements rest on them."""
    places = max(1, min(_MAX_PARTS, -(-file.rows // TASK_ROWS)))
    return [ScanTask(file, logs, place, places, by_number and file.table != _EVENTS) for place in range(places)]


def scan_rows(task: ScanTask) -> ScanResult:
    """Compare the rows of a task with the entries of their logs."""
    result = ScanResult(task.file)
    collector = _Collector(task.logs)
    columns = _PLACE_COLUMNS if task.by_number else None
    try:
        for batch in read_batches(task.file, since=_lowest(task), columns=columns, stretch=(task.place, task.places)):
            result.rows += batch.num_rows
            collector.add(batch, None if task.by_number else commit_rows(task.file.table, batch).hashes)
            if task.file.table == _EVENTS and (found := event_rows(batch)).num_rows:
                result.events.append(found)
        result.shards = collector.finish()
        altered = {shard: rows.altered for shard, rows in result.shards.items() if len(rows.altered)}
        result.altered_rows = _altered_rows(task, altered) if altered else []
    except FileNotFoundError:
        result.vanished = True
    except (OSError, pa.ArrowException, RecordTextError, KeyError, ValueError) as exc:
        result.problem = str(exc).partition("\n")[0]
        result.shards = collector.finish()
    return result


def read_batches(
    file: TableFile, *, since: int | None = None, columns: list[str] | None = None, stretch: tuple[int, int] = (0, 1)
) -> Iterator[pa.RecordBatch]:
    """A file's rows with their partition columns; row groups that end below index `since` are left out.

    `stretch` (k, n) reads the k-th of n stretches of its row groups.

    Raises:
        OSError, ArrowException: the file cannot be read.
    """
    parquet = pq.ParquetFile(file.path, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    wanted = columns or [name for name in TABLES[file.table].schema.names if name not in PARTITION_COLUMNS]
    place, places = stretch
    first, last = (parquet.num_row_groups * edge // places for edge in (place, place + 1))
    groups = [group for group in range(first, last) if not _ends_below(parquet, group, since)]
    day = dt.date.fromisoformat(file.day)
    for batch in parquet.iter_batches(BATCH_ROWS, row_groups=groups, columns=wanted, use_threads=False):
        rows = batch.num_rows
        partition = [pa.repeat(pa.scalar(file.tenant, pa.string()), rows), pa.repeat(pa.scalar(day, pa.date32()), rows)]
        yield pa.RecordBatch.from_arrays([*partition, *batch.columns], [*PARTITION_COLUMNS, *batch.schema.names])


def _ends_below(parquet: pq.ParquetFile, group: int, since: int | None) -> bool:
    """Whether a row group's statistics say that all its rows were accounted for before.

    Whoever altered them since did so below the size seen: a run over everything finds that.
    """
    if not since:
        return False
    metadata = parquet.metadata.row_group(group)
    place = parquet.schema_arrow.get_field_index("log_index")
    statistics = metadata.column(place).statistics if place >= 0 else None
    return bool(statistics is not None and statistics.has_min_max and statistics.max < since)


def _lowest(task: ScanTask) -> int:
    return min((view.since for view in task.logs.values()), default=0)


class _Collector:
    """Indices and commitments of rows, by shard, until enough are held to be compared."""

    def __init__(self, logs: Mapping[str, LogView]) -> None:
        self._logs = logs
        self._held: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        self._count = 0
        self._found: dict[str, list[_Compared]] = {}

    def add(self, batch: pa.RecordBatch, commitments: bytes | None) -> None:
        """Take a batch's rows with their commitments; without them their indices alone count."""
        shards = batch.column("shard").dictionary_encode()
        indices = batch.column("log_index").to_numpy(zero_copy_only=False)
        if shards.null_count or batch.column("log_index").null_count:
            raise ValueError("expected a shard and a log_index in every row, got NULL")
        hashes = _NO_HASHES if commitments is None else np.frombuffer(commitments, np.uint8).reshape(-1, HASH_BYTES)
        codes = shards.indices.to_numpy(zero_copy_only=False)
        names = shards.dictionary.to_pylist()
        for code, shard in enumerate(names):
            mine = slice(None) if len(names) == 1 else np.flatnonzero(codes == code)
            self._held.setdefault(shard, []).append((indices[mine], hashes[mine] if len(hashes) else hashes))
        self._count += batch.num_rows
        if self._count >= HELD_ROWS:
            self._compare()

    def finish(self) -> dict[str, ShardRows]:
        """Everything found."""
        self._compare()
        return {shard: _shard_rows(parts) for shard, parts in self._found.items()}

    def _compare(self) -> None:
        for shard, held in self._held.items():
            indices = np.concatenate([part for part, _ in held])
            hashes = np.concatenate([part for _, part in held])
            view = self._logs.get(shard, LogView(Path(), 0))
            self._found.setdefault(shard, []).append(_compare_rows(view, indices, hashes))
        self._held.clear()
        self._count = 0


class _Compared(NamedTuple):
    """Indices of rows compared: those below the signed size, those that are not, and those whose commitment differs."""

    indices: np.ndarray
    beyond: np.ndarray
    altered: np.ndarray


def _shard_rows(parts: list[_Compared]) -> ShardRows:
    indices, beyond, altered = (np.sort(np.concatenate(found)) for found in zip(*parts, strict=True))
    return ShardRows(PackedIndices.pack(indices), beyond, altered, len(beyond), len(altered))


def _compare_rows(view: LogView, indices: np.ndarray, hashes: np.ndarray) -> _Compared:
    if not len(hashes):
        indices = np.sort(indices[indices >= view.since] if view.since else indices)
        inside = (indices >= 0) & (indices < view.size)
        return _Compared(indices[inside], indices[~inside], indices[:0])
    if view.since:
        new = indices >= view.since
        indices, hashes = indices[new], hashes[new]
    inside = (indices >= 0) & (indices < view.size)
    beyond = np.sort(indices[~inside])
    indices, hashes = indices[inside], hashes[inside]
    order = np.argsort(indices, kind="stable")
    indices, hashes = indices[order], hashes[order]
    return _Compared(indices, beyond, indices[~_fits(view, indices, hashes)])


def _fits(view: LogView, indices: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """For each row, in ascending order of index, whether its commitment is the entry at its index."""
    log = LogTiles(view.folder)
    tiles = indices // TILE_WIDTH
    starts = np.flatnonzero(np.diff(tiles, prepend=-1))
    ends = np.append(starts, len(tiles))[1:]
    expected = np.empty((len(indices), ENTRY_BYTES), np.uint8)
    blind = np.zeros(len(indices), bool)
    for tile, start, end in zip(tiles[starts].tolist(), starts.tolist(), ends.tolist(), strict=True):
        if tile in view.blind:
            blind[start:end] = True
            continue
        offsets = indices[start:end] - tile * TILE_WIDTH
        width = min(TILE_WIDTH, view.size - tile * TILE_WIDTH)
        try:
            if tile in view.by_hash:
                leaves = np.frombuffer(log.read(TilePlace(0, tile), width), np.uint8).reshape(-1, HASH_BYTES)
                hashes[start:end] = np.frombuffer(
                    leaf_hashes(hashes[start:end].tobytes()), np.uint8
                ).reshape(-1, HASH_BYTES)  # fmt: skip
                expected[start:end] = leaves[offsets]
            else:
                expected[start:end] = read_bundle(log, tile, width)[offsets]
        except TileError:  # gone since the tiles were checked
            expected[start:end] = 0
    # eight bytes at a time: comparing single bytes takes six times as long
    fits: np.ndarray = (expected.view(np.uint64) == hashes.view(np.uint64)).all(axis=1)
    return fits | blind


def _altered_rows(task: ScanTask, altered: Mapping[str, np.ndarray]) -> list[pa.RecordBatch]:
    """The first altered rows themselves: the file is read again, which only happens where something is wrong."""
    kept = []
    room = KEPT_ROWS
    for batch in read_batches(task.file, stretch=(task.place, task.places)):
        indices = batch.column("log_index").to_numpy(zero_copy_only=False)
        chosen = np.zeros(len(indices), bool)
        for shard, wanted in altered.items():
            mine = pc.equal(batch.column("shard"), pa.scalar(shard)).to_numpy(zero_copy_only=False)
            chosen |= mine.astype(bool) & np.isin(indices, wanted)
        if chosen.any():
            found = batch.take(pa.array(np.flatnonzero(chosen)[:room]))
            kept.append(found)
            room -= found.num_rows
            if room <= 0:
                break
    return kept
