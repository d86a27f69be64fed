"""Merges Parquet files into one sorted file, in bounded memory.

An external merge sort: rows are read until `sort_bytes` are in memory and sorted; where there is more than that, each
sorted run is spilled as compressed Arrow IPC and the runs are merged a batch at a time. The inputs need not be sorted.
"""

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.durable import PRIVATE_FILE, PRIVATE_FOLDER, sync_file, sync_folder
from warehouse.errors import CorruptionError
from warehouse.parquet import COMPACT_LEVEL, ROW_GROUP_ROWS, file_options, sort_rows
from warehouse.tables import Table

_READ_ROWS = 8192
_MIN_READ_ROWS = 16
_READ_BYTES = 8 * 1024 * 1024
_RUN_BATCH_BYTES = 1024 * 1024
_GROUP_BYTES = 64 * 1024 * 1024
_MIN_GROUP_ROWS = 1024
_SPILL_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


def merge_files(table: Table, inputs: Sequence[Path], output: Path, *, rows: int, spill: Path, sort_bytes: int) -> None:
    """Write all rows of `inputs` into `output`, sorted, with file and folder durable.

    `rows` is what the Delta log says that the inputs hold. `spill` is a folder for temporary files; what is put there is
    removed again.

    Raises:
        CorruptionError: the inputs hold another number of rows than the log says.
        FileNotFoundError: an input is gone.
        OSError: the disk refused.
    """
    folder = spill / f"compact-{secrets.token_hex(8)}"
    folder.mkdir(mode=PRIVATE_FOLDER)
    try:
        written = write_groups(table, _sorted(table, _read(table, inputs), folder, sort_bytes), output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if written != rows:
        raise CorruptionError(
            f"{table.name}: merge of {len(inputs)} files: expected {rows} rows as the Delta log says, got {written}; "
            f"first file {inputs[0]}",
            hint="run `muniment verify`: a file of this partition is not the one that was committed",
        )
    sync_file(output)
    sync_folder(output.parent)


def _read(table: Table, inputs: Sequence[Path]) -> Iterator[pa.Table]:
    """Rows of all inputs, a few thousand at a time, in the table's present columns."""
    schema = table.file_schema
    for file in inputs:
        with pq.ParquetFile(file, pre_buffer=False) as parquet:
            for batch in parquet.iter_batches(batch_size=read_batch_rows(parquet.metadata), use_threads=False):
                yield conform(pa.table(batch), schema)


def read_batch_rows(metadata: pq.FileMetaData) -> int:
    """How many rows to read at a time: long contents make few."""
    size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    row_bytes = max(1, size // max(1, metadata.num_rows))
    return int(min(_READ_ROWS, max(_MIN_READ_ROWS, _READ_BYTES // row_bytes)))


def conform(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Add columns that came into the table after the file was written, as NULL."""
    if rows.schema.names == schema.names:
        return rows.cast(schema)
    known = set(rows.schema.names)
    columns = [
        rows.column(field.name).cast(field.type) if field.name in known else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _sorted(table: Table, rows: Iterable[pa.Table], spill: Path, sort_bytes: int) -> Iterator[pa.Table]:
    runs: list[Path] = []
    waiting: list[pa.Table] = []
    size = 0
    for part in rows:
        waiting.append(part)
        size += part.nbytes
        if size >= sort_bytes:
            runs.append(_spill_run(table, waiting, spill / f"{len(runs)}.arrow"))
            waiting, size = [], 0
    if not runs:
        if waiting:
            yield sort_rows(table, pa.concat_tables(waiting))
        return
    if waiting:
        runs.append(_spill_run(table, waiting, spill / f"{len(runs)}.arrow"))
    waiting = []
    yield from _merge_runs(table, runs)


def _spill_run(table: Table, parts: list[pa.Table], file: Path) -> Path:
    run = sort_rows(table, pa.concat_tables(parts))
    batch_rows = max(1, int(run.num_rows * _RUN_BATCH_BYTES / max(run.nbytes, 1)))
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, run.schema, options=_SPILL_OPTIONS) as writer:
        writer.write_table(run, max_chunksize=batch_rows)
    return file


def _merge_runs(table: Table, files: Sequence[Path]) -> Iterator[pa.Table]:
    """Rows of sorted runs in order, holding one batch of each.

    Everything up to the smallest last row among the batches held can go: no later row of any run comes before it.
    """
    sources = [_run_batches(file) for file in files]
    held: dict[int, pa.Table] = {}
    ended: set[int] = set()
    while True:
        for number, source in enumerate(sources):
            if number not in ended and number not in held:
                batch = next(source, None)
                if batch is None:
                    ended.add(number)
                else:
                    held[number] = batch
        if not held:
            return
        numbers = list(held)
        keys = pa.concat_tables([held[number].select(table.sort_by) for number in numbers])
        order = np.asarray(pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in table.sort_by]))
        ends = np.cumsum([held[number].num_rows for number in numbers])
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        cut = int(place[ends - 1].min()) + 1
        # the sort is stable and each batch is sorted, so what goes of a batch is its beginning
        going = np.bincount(np.searchsorted(ends, order[:cut], side="right"), minlength=len(numbers)).tolist()
        heads = pa.concat_tables([held[number].slice(0, count) for number, count in zip(numbers, going, strict=True)])
        yield heads.take(pa.array(np.argsort(_places_of_heads(place, ends, going))))
        rest = {number: held[number].slice(count) for number, count in zip(numbers, going, strict=True)}
        held = {number: batch for number, batch in rest.items() if batch.num_rows}


def _places_of_heads(place: np.ndarray, ends: np.ndarray, going: Sequence[int]) -> np.ndarray:
    """Sorted places of the rows that go, batch after batch."""
    starts = np.concatenate(([0], ends[:-1]))
    return np.concatenate([place[start : start + count] for start, count in zip(starts, going, strict=True)])


def _run_batches(file: Path) -> Iterator[pa.Table]:
    with pa.OSFile(str(file), "rb") as source, pa.ipc.open_file(source) as reader:
        for number in range(reader.num_record_batches):
            yield pa.Table.from_batches([reader.get_batch(number)])


def write_groups(table: Table, parts: Iterable[pa.Table], output: Path, *, level: int = COMPACT_LEVEL) -> int:
    """Write sorted rows, one row group at a time, with zstd at `level`, and return their number."""
    written = 0
    writer: pq.ParquetWriter | None = None
    try:
        for group in _row_groups(parts):
            if writer is None:
                os.close(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE))
                options = file_options(table, level=level, group_rows=group.num_rows)
                writer = pq.ParquetWriter(output, table.file_schema, **options)
            writer.write_table(group, row_group_size=group.num_rows)
            written += group.num_rows
    finally:
        if writer is not None:
            writer.close()
    return written


def _row_groups(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Regroup rows into tables of one row group each: as many rows as fit 64 MiB, at most `ROW_GROUP_ROWS`."""
    waiting: list[pa.Table] = []
    rows = limit = 0
    for part in parts:
        limit = limit or _group_rows(part)
        rest = part
        while rows + rest.num_rows >= limit:
            head = rest.slice(0, limit - rows)
            yield pa.concat_tables([*waiting, head])
            waiting, rows, rest = [], 0, rest.slice(head.num_rows)
        if rest.num_rows:
            waiting.append(rest)
            rows += rest.num_rows
    if waiting:
        yield pa.concat_tables(waiting)


def _group_rows(sample: pa.Table) -> int:
    row_bytes = max(1, sample.nbytes // max(1, sample.num_rows))
    return int(min(ROW_GROUP_ROWS, max(_MIN_GROUP_ROWS, _GROUP_BYTES // row_bytes)))
