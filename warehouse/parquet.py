"""Parquet files of a table: split by partition, sorted, written, and described for the Delta log.

The same rows always give the same bytes under the same name, so a replay after a crash overwrites a file with itself.
"""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from warehouse.durable import PRIVATE_FOLDER, make_folder, sync_folders, sync_many, write_new
from warehouse.tables import STATISTICS_COLUMNS, Table

ROW_GROUP_ROWS = 65_536
WRITE_LEVEL = 1
COMPACT_LEVEL = 6
SMALL_FILE_ROWS = 256
"""Below this a file costs by its columns, not by its rows: plain pages, and zstd for the long texts alone, halve that
(3.4 ms to 1.6 ms for 10 spans with their contents) at 5% more bytes. Compaction writes them again anyway."""

_EPOCH = dt.date(1970, 1, 1)
_INT64 = np.iinfo(np.int64)
_DAYS_LIMIT = 1_000_000

# Random or hexadecimal: nothing in it repeats, and a higher level only finds false matches. `content_digests` takes 66.6
# bytes a span at level 1 and 73.1 at level 9; lengths apart from the bytes (DELTA_LENGTH_BYTE_ARRAY) save another 0.5-1.
_RANDOM = frozenset({
    "salt", "body_salt", "trace_id", "span_id", "parent_span_id", "content_digests", "action_digest",
})  # fmt: skip
_RANDOM_LEVEL = 1
# Distinct in almost every row: a dictionary would be built only to be thrown away.
_TEXT = frozenset({"attributes", "events", "links", "body", "tool_call_id", "histogram", "exemplars"})
_PLAIN = frozenset({"subjects", "value", "value_int"})
_DELTA = frozenset({
    "log_index", "owner_index", "row", "time_unix_nano", "end_unix_nano", "duration_ns", "received_unix_nano",
    "observed_unix_nano", "start",
})  # fmt: skip
_LONG = frozenset({
    "resource", "attributes", "envelope", "events", "links", "body", "content_digests", "histogram", "exemplars",
})  # fmt: skip
_BOUNDED = frozenset({*_DELTA, "trace_id", "name", "tool_name", "agent_id"})


@dataclass(frozen=True)
class Part:
    """One file written: its path below the table's folder, its partition, its size and statistics."""

    path: str
    tenant_id: str
    day: str
    size_bytes: int
    rows: int
    statistics: str

    def add_action(self, modification_time_ms: int) -> AddAction:
        """Describe the file to the Delta log."""
        return AddAction(
            path=self.path,
            size=self.size_bytes,
            partition_values={"tenant_id": self.tenant_id, "day": self.day},
            modification_time=modification_time_ms,
            data_change=True,
            stats=self.statistics,
        )


def write_parts(table: Table, rows: pa.Table, folder: Path, *, stem: str) -> list[Part]:
    """Write `rows` as one durable file a (tenant, day): `tenant_id=T/day=D/<stem>-<table>.parquet`.

    Raises:
        OSError: the disk refused.
    """
    make_folder(folder)
    parts = []
    folders = {folder}
    for tenant_id, day, statistics, part in _split(table, rows):
        where = folder / f"tenant_id={tenant_id}" / f"day={day}"
        _make_partition(where)
        file = where / f"{stem}-{table.name}.parquet"
        size_bytes = write_file(table, part, file, level=WRITE_LEVEL)
        # also where the partition is not new: what an attempt before this one made may not be durable in its parent yet
        folders |= {where, where.parent}
        parts.append(
            Part(file.relative_to(folder).as_posix(), tenant_id, day, size_bytes, part.num_rows, json.dumps(statistics))
        )
    sync_many(folder / part.path for part in parts)
    sync_folders(folders)
    return parts


def _make_partition(folder: Path) -> None:
    """Make `tenant_id=T/day=D`, not durable before both and the table's folder are synced.

    That is done once for all: on the first commit of a day of 300 tenants 1,200 flushes one after another took seconds.
    """
    if not folder.is_dir():
        folder.parent.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


def describe(table: Table, rows: pa.Table, folder: Path, file: Path, *, tenant_id: str, day: str) -> Part:
    """Describe a file just written from `rows`."""
    return Part(
        path=file.relative_to(folder).as_posix(),
        tenant_id=tenant_id,
        day=day,
        size_bytes=file.stat().st_size,
        rows=rows.num_rows,
        statistics=json.dumps(next(_statistics(table, rows, np.zeros(1, np.int64)))),
    )


def write_file(table: Table, rows: pa.Table, file: Path, *, level: int) -> int:
    """Write one Parquet file, mode 0600, and return its size; `rows` have the table's file schema and order."""
    group_rows = max(1, min(rows.num_rows, ROW_GROUP_ROWS))
    if rows.num_rows < SMALL_FILE_ROWS:
        options = _small_file_options(table) | {"bloom_filter_options": _bloom(table, group_rows)}
    else:
        options = file_options(table, level=level, group_rows=group_rows)
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, row_group_size=group_rows, **options)
    content = sink.getvalue()
    write_new(file, memoryview(content))
    return int(content.size)


def file_options(table: Table, *, level: int, group_rows: int) -> dict[str, Any]:
    """How pyarrow writes a file of `table`: encodings, zstd `level` for text, statistics, bloom filters.

    A bloom filter is one row group's, so `group_rows` bounds its distinct values; it takes about a byte a row.
    """
    return _column_options(table, level) | {"bloom_filter_options": _bloom(table, group_rows)}


@cache
def _column_options(table: Table, level: int) -> dict[str, Any]:
    schema = table.file_schema
    rare = _PLAIN | _DELTA | _RANDOM | _TEXT
    return {
        "compression": "zstd",
        "compression_level": {_leaf(field): _RANDOM_LEVEL if field.name in _RANDOM else level for field in schema},
        "use_dictionary": [f.name for f in schema if f.name not in rare and not pa.types.is_boolean(f.type)],
        "column_encoding": {f.name: "DELTA_BINARY_PACKED" for f in schema if f.name in _DELTA}
        | {f.name: "DELTA_LENGTH_BYTE_ARRAY" for f in schema if f.name in _RANDOM | _TEXT},
        "write_statistics": [f.name for f in schema if f.name in _BOUNDED],
        "store_schema": False,
    }


@cache
def _small_file_options(table: Table) -> dict[str, Any]:
    return {
        "compression": {_leaf(f): "zstd" if f.name in _LONG else "none" for f in table.file_schema},
        "compression_level": {f.name: WRITE_LEVEL for f in table.file_schema if f.name in _LONG},
        "use_dictionary": False,
        "write_statistics": [f.name for f in table.file_schema if f.name in _BOUNDED],
        "store_schema": False,
    }


def _bloom(table: Table, distinct: int) -> dict[str, dict[str, int]] | None:
    return {name: {"ndv": distinct} for name in table.bloom} or None


def _leaf(field: pa.Field) -> str:
    """Path of a field's Parquet column."""
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else str(field.name)


def _split(table: Table, rows: pa.Table) -> Iterator[tuple[str, str, dict[str, object], pa.Table]]:
    """Yield (tenant, day, statistics, sorted rows in the file schema) for each partition, in order.

    One sort over everything and then slices: a filter a partition would read every column once for each tenant.
    """
    tenants = pc.dictionary_encode(rows.column("tenant_id").combine_chunks())
    codes = tenants.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    days = rows.column("day").combine_chunks().cast(pa.int32()).to_numpy(zero_copy_only=False).astype(np.int64)
    keys = codes * _DAYS_LIMIT + days
    # only the keys are laid together for it: with all columns that would be one more copy of a segment
    order = np.asarray(pc.sort_indices(rows.select(table.sort_by).combine_chunks(), sort_keys=_sort_keys(table)))
    order = order[np.argsort(keys[order], kind="stable")]
    ordered = rows.select(table.file_schema.names).take(pa.array(order))
    found, starts = np.unique(keys[order], return_index=True)
    ends = np.append(starts[1:], len(order))
    statistics = _statistics(table, ordered, starts)
    names = tenants.dictionary.to_pylist()
    for key, start, end, bounds in zip(found.tolist(), starts.tolist(), ends.tolist(), statistics, strict=True):
        code, day = divmod(key, _DAYS_LIMIT)
        text = (_EPOCH + dt.timedelta(days=day)).isoformat()
        yield names[code], text, bounds, ordered.slice(start, end - start)


def sort_rows(table: Table, rows: pa.Table) -> pa.Table:
    """Put rows into the table's file order."""
    return rows.take(pc.sort_indices(rows, sort_keys=_sort_keys(table)))


def _sort_keys(table: Table) -> list[tuple[str, str]]:
    return [(name, "ascending") for name in table.sort_by]


def _statistics(table: Table, rows: pa.Table, starts: np.ndarray) -> Iterator[dict[str, object]]:
    """Delta statistics of each run of rows that begins at one of `starts`."""
    names = [name for name in STATISTICS_COLUMNS if name in table.file_schema.names]
    columns = {name: _bounds(rows.column(name), starts) for name in names}
    counts = np.diff(np.append(starts, rows.num_rows)).tolist()
    for place, count in enumerate(counts):
        known = [name for name in names if columns[name][2][place] < count]
        yield {
            "numRecords": count,
            "minValues": {name: columns[name][0][place] for name in known},
            "maxValues": {name: columns[name][1][place] for name in known},
            "nullCount": {name: columns[name][2][place] for name in names},
        }


def _bounds(column: pa.ChunkedArray, starts: np.ndarray) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """Minimum, maximum and number of NULLs of each run; the bounds mean nothing where all are NULL."""
    absent = column.is_null().combine_chunks().to_numpy(zero_copy_only=False)
    values = column.fill_null(0).combine_chunks().to_numpy()
    return (
        np.minimum.reduceat(np.where(absent, _INT64.max, values), starts).tolist(),
        np.maximum.reduceat(np.where(absent, _INT64.min, values), starts).tolist(),
        np.add.reduceat(absent.astype(np.int64), starts).tolist(),
    )
