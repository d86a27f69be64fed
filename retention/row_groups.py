"""Reads some columns of some rows of a Parquet file, and of it only the row groups that hold them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from retention.subject_finds import Positions


def open_file(file: Path) -> pq.ParquetFile:
    """A file of which little is read: neither mapped nor read ahead, as what lies between the columns asked for is most of it.

    Raises:
        OSError: the file is gone or cannot be read.
    """
    return pq.ParquetFile(file, memory_map=False, pre_buffer=False)


def take_rows(parquet: pq.ParquetFile, positions: Positions, columns: list[str]) -> pa.RecordBatch:
    """Some columns of the rows at these positions, which ascend.

    Raises:
        OSError: the file cannot be read.
    """
    taken = []
    start = 0
    for group in range(parquet.num_row_groups):
        end = start + parquet.metadata.row_group(group).num_rows
        mine = positions[(positions >= start) & (positions < end)] - start
        if len(mine):
            taken.append(parquet.read_row_group(group, columns=columns, use_threads=False).take(pa.array(mine)))
        start = end
    if not taken:
        schema = pa.schema([parquet.schema_arrow.field(name) for name in columns])
        return pa.RecordBatch.from_arrays([pa.nulls(0, each.type) for each in schema], schema=schema)
    return pa.concat_tables(taken).combine_chunks().to_batches()[0]
