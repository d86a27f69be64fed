"""Rows of a family, a tenant's day in its tables, read in columns, and which holds keep which of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from retention.holding import Holding, Mask
from retention.lake_state import FileState
from retention.policy import OWNER_TABLES
from retention.verdict import CONTENTS
from warehouse.lake import Lake
from warehouse.tables import TABLES

METRICS = "metrics"
_NO_PARTS = TABLES[CONTENTS].file_schema.empty_table()


@dataclass(frozen=True)
class FamilyRows:
    """Rows of some files of one table; `file` is each row's number in `files`."""

    table: str
    files: Sequence[FileState]
    columns: pa.Table
    file: npt.NDArray[np.int64]


def read_rows(lake: Lake, files: Sequence[FileState], columns: Sequence[str]) -> FamilyRows:
    """Some columns of some files of one table.

    Raises:
        OSError: a file is gone or cannot be read.
        ArrowException: it is no Parquet file.
    """
    folder = lake.table(files[0].table)
    parts = [pq.ParquetFile(folder / file.path, memory_map=True).read(columns=list(columns)) for file in files]
    numbers = np.repeat(np.arange(len(parts)), [part.num_rows for part in parts])
    return FamilyRows(files[0].table, files, pa.concat_tables(parts), numbers)


def held_rows(holds: Holding, tenant_id: str, rows: Mapping[str, FamilyRows]) -> "HeldRows":
    """Which holds keep which rows; of contents, each is asked with its record."""
    held = HeldRows({table: len(each.file) for table, each in rows.items()})
    if METRICS in rows:
        for hold, mask in holds.kept(METRICS, tenant_id, rows[METRICS].columns).items():
            held.add(hold, {METRICS: mask})
    parts = rows.get(CONTENTS)
    for table in OWNER_TABLES:
        given, places = _NO_PARTS, np.zeros(0, np.int64)
        if parts is not None:
            places = np.flatnonzero((pl.Series(parts.columns.column("owner_table")) == table).to_numpy())
            given = parts.columns.take(pa.array(places))
        if table not in rows and not len(places):
            continue
        # parts whose records are gone are asked all the same, alone
        owners = rows[table].columns if table in rows else TABLES[table].file_schema.empty_table()
        for hold, (records, contents) in holds.kept_families(table, tenant_id, owners, given).items():
            masks: dict[str, Mask] = {table: records} if table in rows else {}
            if parts is not None:
                masks[CONTENTS] = np.zeros(len(parts.file), np.bool_)
                masks[CONTENTS][places] = contents
            held.add(hold, masks)
    return held


class HeldRows:
    """Sets of holds by number, and the number of each row's set: 0 is the empty one."""

    def __init__(self, rows: Mapping[str, int]) -> None:
        self.codes = {table: np.zeros(count, np.int64) for table, count in rows.items()}
        self.names: list[tuple[str, ...]] = [()]

    def add(self, hold: str, masks: Mapping[str, Mask]) -> None:
        """A hold keeps these rows too."""
        for table, mask in masks.items():
            codes = self.codes[table]
            for code in np.unique(codes[mask]).tolist():
                wider = tuple(sorted({*self.names[code], hold}))
                if wider not in self.names:
                    self.names.append(wider)
                codes[mask & (codes == code)] = self.names.index(wider)
