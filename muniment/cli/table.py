"""Rows as a table on a terminal: cut to its width, and to a number of rows that a person may read."""

import polars as pl
import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from warehouse.query.formats import plain_frame

MAX_ROWS = 200
_MAX_CELL_CHARACTERS = 200
_LEAST_COLUMN_WIDTH = 8
PIPE_WIDTH = 100_000
# What records hold was written by others: no byte of it may steer the terminal.
_CONTROL = r"[\x00-\x1f\x7f-\x9f\u{200e}\u{200f}\u{202a}-\u{202e}\u{2066}-\u{2069}]"


def print_table(reader: pa.RecordBatchReader, out: Console, notes: Console) -> int:
    """Print the first `MAX_ROWS` rows and count the others; return the number of all rows."""
    shown: list[pl.DataFrame] = []
    rows = kept = 0
    for batch in reader:
        if kept < MAX_ROWS:
            shown.append(plain_frame(batch.slice(0, MAX_ROWS - kept)))
            kept += shown[-1].height
        rows += batch.num_rows
    frame = pl.concat(shown) if shown else plain_frame(pa.RecordBatch.from_pylist([], schema=reader.schema))
    fitting = frame.width if not out.is_terminal else max(1, out.width // (_LEAST_COLUMN_WIDTH + 1))
    wide_enough(out, PIPE_WIDTH).print(_table(frame[:, :fitting]))
    if frame.width > fitting:
        notes.print(f"{frame.width - fitting} more columns not shown: --format json shows all", style="dim")
    if rows > kept:
        notes.print(f"the first {kept:,} rows: --format csv shows all", style="dim")
    return rows


def wide_enough(out: Console, width: int) -> Console:
    """Return `out` where it is a terminal, else a console of `width` characters on the same file: pipes have no edge."""
    return out if out.is_terminal else Console(file=out.file, width=width, highlight=False)


def _table(frame: pl.DataFrame) -> Table:
    table = Table(show_edge=False, pad_edge=False, header_style="bold")
    for name, kind in frame.schema.items():
        table.add_column(
            Text(name), justify="right" if kind.is_numeric() else "left", no_wrap=True, overflow="ellipsis"
        )
    text = frame.select(_cell(name, kind) for name, kind in frame.schema.items())
    for row in text.iter_rows():  # at most MAX_ROWS
        table.add_row(*(Text(value) if value is not None else Text("NULL", style="dim") for value in row))
    return table


def _cell(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if kind.is_nested():
        column = pl.struct(column.alias("v")).struct.json_encode().str.slice(len('{"v":')).str.head(-1)
    else:
        column = column.cast(pl.String)
    return column.str.head(_MAX_CELL_CHARACTERS).str.replace_all(_CONTROL, "·").alias(name)
