"""What a lake holds and how it does: tables, rows, files, sizes, per tenant and table, from the Delta logs alone."""

from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.delta_reading import open_table
from warehouse.lake import Lake
from warehouse.marks import is_readable, read_marks
from warehouse.tables import TABLES


@dataclass(frozen=True)
class TableStatus:
    """One tenant's part of one table. `newest_unix_nano` is the latest own time among its rows, 0 for none."""

    tenant_id: str
    table: str
    rows: int
    files: int
    size_bytes: int
    newest_unix_nano: int


def missing_tables(lake: Lake) -> list[str]:
    """Tables whose folder or Delta log is not there: a lake has all of them from its first day."""
    return [name for name in TABLES if open_table(lake.table(name)) is None]


def table_status(lake: Lake, tenants: Collection[str]) -> list[TableStatus]:
    """Count rows, files and bytes by tenant and table; only what may be read, so files above their shard's mark are out."""
    marks = read_marks(lake)
    found = []
    for name in TABLES:
        handle = open_table(lake.table(name))
        if handle is None:
            continue
        actions = pa.table(handle.get_add_actions(flatten=True))
        if not actions.num_rows:
            continue
        readable = pa.array([is_readable(path, marks) for path in actions.column("path").to_pylist()])
        grouped = (
            actions.filter(readable)
            .group_by("partition.tenant_id")
            .aggregate(
                [("num_records", "sum"), ("size_bytes", "sum"), ("path", "count"), ("max.time_unix_nano", "max")]
            )
        )
        found += [
            TableStatus(
                tenant_id=row["partition.tenant_id"],
                table=name,
                rows=row["num_records_sum"] or 0,
                files=row["path_count"],
                size_bytes=row["size_bytes_sum"] or 0,
                newest_unix_nano=row["max.time_unix_nano_max"] or 0,
            )
            for row in grouped.filter(
                pc.is_in(grouped.column("partition.tenant_id"), pa.array(sorted(tenants)))
            ).to_pylist()
        ]
    return sorted(found, key=lambda status: (status.tenant_id, status.table))
