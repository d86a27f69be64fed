"""Writes what stays of a Parquet file: the same rows in the same order, without those that go."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.durable import sync_file, sync_folder
from warehouse.errors import CorruptionError
from warehouse.maintenance.merge import conform, read_batch_rows, write_groups
from warehouse.parquet import WRITE_LEVEL
from warehouse.tables import Table


def filter_file(table: Table, source: Path, output: Path, *, stays: npt.NDArray[np.bool_]) -> None:
    """Write the rows of `source` for which `stays` is true into `output`, with file and folder durable, in bounded memory.

    Raises:
        CorruptionError: `source` holds another number of rows than `stays`.
        FileNotFoundError: `source` is gone.
        OSError: the disk refused.
    """
    # whoever waits for a deletion waits for this: 2.7 times as fast as at compaction's level, for files 2 to 15 % larger
    written = write_groups(table, _staying(table, source, stays), output, level=WRITE_LEVEL)
    if written != int(stays.sum()):
        raise CorruptionError(
            f"{source}: expected {len(stays)} rows, of which {int(stays.sum())} stay, got {written}",
            hint="run `muniment verify`: the file is not the one that was read before",
        )
    sync_file(output)
    sync_folder(output.parent)


def _staying(table: Table, source: Path, stays: npt.NDArray[np.bool_]) -> Iterator[pa.Table]:
    place = 0
    with pq.ParquetFile(source, pre_buffer=False) as parquet:
        if parquet.metadata.num_rows != len(stays):
            raise CorruptionError(f"{source}: expected {len(stays)} rows, got {parquet.metadata.num_rows}")
        for batch in parquet.iter_batches(batch_size=read_batch_rows(parquet.metadata), use_threads=False):
            mine = stays[place : place + batch.num_rows]
            place += batch.num_rows
            if mine.any():
                rows = pa.table(batch) if mine.all() else pa.table(batch).filter(pa.array(mine))
                yield conform(rows, table.file_schema)
