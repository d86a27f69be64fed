"""Parquet files of a table: split by partition, sorted, written, and described for the Delta log.

The same rows always give the same bytes under the same name, so a replay after a crash overwrites a file with itself.
"""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from warehouse.durable import make_folder, sync_folder, sync_many
from warehouse.tables import STATISTICS_COLUMNS, Table

ROW_GROUP_ROWS = 65_536
WRITE_LEVEL = 1
COMPACT_LEVEL = 6
_EPOCH = dt.date(1970, 1, 1)

# Distinct in almost every row: a dictionary would be built only to be thrown away.
_PLAIN = frozenset({
    "salt", "body_salt", "span_id", "attributes", "events", "links", "body", "content_digests", "action_digest",
    "tool_call_id", "subjects", "histogram", "exemplars", "value", "value_int", "name_map",
})  # fmt: skip
_DELTA = frozenset({
    "log_index", "owner_index", "row", "time_unix_nano", "end_unix_nano", "duration_ns", "received_unix_nano",
    "observed_unix_nano", "start",
})  # fmt: skip


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
    parts = []
    folders = set()
    for tenant_id, day, part in _split(table, rows):
        where = folder / f"tenant_id={tenant_id}" / f"day={day}"
        make_folder(where)
        file = where / f"{stem}-{table.name}.parquet"
        write_file(table, part, file, level=WRITE_LEVEL)
        folders.add(where)
        parts.append(describe(table, part, folder, file, tenant_id=tenant_id, day=day))
    sync_many(folder / part.path for part in parts)
    for where in folders:
        sync_folder(where)
    return parts


def describe(table: Table, rows: pa.Table, folder: Path, file: Path, *, tenant_id: str, day: str) -> Part:
    """Describe a file just written from `rows`."""
    return Part(
        path=file.relative_to(folder).as_posix(),
        tenant_id=tenant_id,
        day=day,
        size_bytes=file.stat().st_size,
        rows=rows.num_rows,
        statistics=_statistics(table, rows),
    )


def write_file(table: Table, rows: pa.Table, file: Path, *, level: int) -> None:
    """Write one Parquet file; `rows` have the table's file schema and order."""
    names = table.file_schema.names
    dictionary = [
        n for n in names if n not in _PLAIN and n not in _DELTA and not pa.types.is_boolean(rows.schema.field(n).type)
    ]
    pq.write_table(
        rows,
        file,
        compression="zstd",
        compression_level=level,
        row_group_size=ROW_GROUP_ROWS,
        use_dictionary=dictionary,
        column_encoding={n: "DELTA_BINARY_PACKED" for n in names if n in _DELTA},
        write_statistics=[n for n in names if n in _DELTA or n in {"trace_id", "name", "tool_name", "agent_id"}],
        bloom_filter_options={name: {"ndv": max(rows.num_rows, 1)} for name in table.bloom} or None,
        store_schema=False,
    )


def _split(table: Table, rows: pa.Table) -> Iterator[tuple[str, str, pa.Table]]:
    """Yield (tenant, day, sorted rows in the file schema) for each partition, in order."""
    tenants = pc.dictionary_encode(rows.column("tenant_id")).combine_chunks()
    codes = tenants.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    days = rows.column("day").combine_chunks().cast(pa.int32()).to_numpy(zero_copy_only=False).astype(np.int64)
    keys = codes * 1_000_000 + days
    names = tenants.dictionary.to_pylist()
    for key in np.unique(keys).tolist():
        code, day = divmod(key, 1_000_000)
        mine = rows.filter(pa.array(keys == key)) if len(names) > 1 or (keys != key).any() else rows
        text = (_EPOCH + dt.timedelta(days=day)).isoformat()
        yield names[code], text, sort_rows(table, mine.select(table.file_schema.names))


def sort_rows(table: Table, rows: pa.Table) -> pa.Table:
    """Put rows into the table's file order."""
    return rows.take(pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in table.sort_by]))


def _statistics(table: Table, rows: pa.Table) -> str:
    names = [name for name in STATISTICS_COLUMNS if name in table.file_schema.names]
    bounds = {name: pc.min_max(rows.column(name)) for name in names}
    return json.dumps(
        {
            "numRecords": rows.num_rows,
            "minValues": {name: bound["min"].as_py() for name, bound in bounds.items() if bound["min"].is_valid},
            "maxValues": {name: bound["max"].as_py() for name, bound in bounds.items() if bound["max"].is_valid},
            "nullCount": {name: rows.column(name).null_count for name in names},
        }
    )
