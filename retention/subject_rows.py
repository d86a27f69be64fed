"""The rows in which a person was found, whole: what a report on the person holds."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from retention.row_groups import open_file, take_rows
from retention.subject_finds import FileFinds, SubjectFinds
from retention.verdict import CONTENTS
from warehouse.errors import UnavailableError
from warehouse.lake import Lake
from warehouse.maintenance.merge import conform
from warehouse.tables import TABLES

_ORDER: Mapping[str, tuple[str, ...]] = {
    CONTENTS: ("shard", "owner_table", "owner_index", "part"),
    "metrics": ("shard", "segment", "row"),
}
_RECORD_ORDER = ("shard", "log_index")


def read_found(lake: Lake, finds: SubjectFinds) -> dict[str, pa.Table]:
    """Every row found, by table, with all columns of the table, in an order that does not hang on how files were compacted.

    Raises:
        UnavailableError: a file is gone, compacted or purged since it was searched, or cannot be read.
    """
    parts: dict[str, list[pa.Table]] = {}
    try:
        for file in finds.files:
            parts.setdefault(file.table, []).append(_read(lake, file))
    except (OSError, pa.ArrowException) as exc:
        raise UnavailableError(f"subject: {exc}", hint="files change all the time: try again") from exc
    return {
        table: pa.concat_tables(each).sort_by([(name, "ascending") for name in _ORDER.get(table, _RECORD_ORDER)])
        for table, each in sorted(parts.items())
    }


def _read(lake: Lake, file: FileFinds) -> pa.Table:
    table = TABLES[file.table]
    with open_file(lake.table(file.table) / file.path) as parquet:
        names = [name for name in table.file_schema.names if name in parquet.schema_arrow.names]
        rows = conform(pa.table(take_rows(parquet, file.rows, names)), table.file_schema)
    partition = {"tenant_id": file.tenant_id, "day": file.day}
    columns = [
        rows.column(field.name)
        if field.name not in partition
        else pa.repeat(pa.scalar(partition[field.name]), rows.num_rows).cast(field.type)
        for field in table.schema
    ]
    return pa.table(columns, schema=table.schema)


def parquet_bytes(rows: pa.Table) -> bytes:
    """Rows as a Parquet file; the same rows give the same bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd", store_schema=False)
    content: bytes = sink.getvalue().to_pybytes()
    return content
