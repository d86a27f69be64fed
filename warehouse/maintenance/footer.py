"""Describes a Parquet file to the Delta log by its own footer."""

import json
from pathlib import Path

import pyarrow.parquet as pq

from warehouse.parquet import Part
from warehouse.tables import STATISTICS_COLUMNS, Table


def describe_file(table: Table, folder: Path, file: Path, *, tenant_id: str, day: str) -> Part:
    """Describe `file`, which lies below the table's `folder`; bounds of the statistics columns come from its footer."""
    metadata = pq.read_metadata(file)
    least: dict[str, int] = {}
    most: dict[str, int] = {}
    nulls: dict[str, int] = {}
    columns = {name: table.file_schema.get_field_index(name) for name in STATISTICS_COLUMNS}
    # a leaf's number in the footer is its column's number: lists have one leaf as well
    for name, number in ((name, number) for name, number in columns.items() if number >= 0):
        for group in range(metadata.num_row_groups):
            statistics = metadata.row_group(group).column(number).statistics
            nulls[name] = nulls.get(name, 0) + statistics.null_count
            if statistics.has_min_max:
                least[name] = min(least.get(name, statistics.min), statistics.min)
                most[name] = max(most.get(name, statistics.max), statistics.max)
    bounds = {"numRecords": metadata.num_rows, "minValues": least, "maxValues": most, "nullCount": nulls}
    return Part(
        path=file.relative_to(folder).as_posix(),
        tenant_id=tenant_id,
        day=day,
        size_bytes=file.stat().st_size,
        rows=metadata.num_rows,
        statistics=json.dumps(bounds),
    )
