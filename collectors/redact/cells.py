"""One table's texts as one run of bytes: which cell each offset lies in, and the way back to columns."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collectors.decode.texts import data_of, lengths_of, offsets_of
from collectors.redact.edits import Edits, apply_edits
from collectors.redact.fields import JSON_COLUMNS

_NOBODY = pa.scalar(-1, pa.int32())
_CONTINUES, _CONTINUED = 0xC0, 0x80
"""Bits of a byte of UTF-8 that continues a character."""
Ints = npt.NDArray[np.int64]
_SHARED_COLUMNS = frozenset({"resource", "envelope"})
"""Long texts that many rows share: each is looked at once."""


@dataclass(slots=True)
class TextColumn:
    """A column of a table. `values` are its texts, each once where rows share them; `codes` then are the rows' texts."""

    name: str
    values: pa.StringArray
    codes: pa.Array | None
    edits: Edits
    is_json: bool

    def treated(self) -> pa.StringArray:
        """The column with its changes."""
        values = apply_edits(self.values, self.edits)
        return values if self.codes is None else values.take(self.codes)

    def rows_of(self, place: int) -> Ints:
        """Rows that have the text at a place of `values`."""
        if self.codes is None:
            return np.array([place])
        return np.flatnonzero(self.codes.fill_null(_NOBODY).to_numpy() == place)


class Cells:
    """Some columns' texts, joined."""

    def __init__(self, batch: pa.RecordBatch, names: Iterable[str], *, share: bool) -> None:
        """Join the texts of these columns, as far as `batch` has them; `share` where all its rows are of one tenant."""
        self.columns = [_column(batch, name, share=share) for name in names if _is_text(batch, name)]
        self.marked: dict[tuple[int, int], Ints] = {}
        """Offsets behind the marks of a cell, from its first byte, by (column, place); of a cell that is not in it nobody knows."""
        self.data = b"".join(_bytes_of(column.values) for column in self.columns)
        sizes = [int(lengths_of(column.values).sum()) for column in self.columns]
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._offsets = [
            offsets_of(column.values).astype(np.int64) - int(offsets_of(column.values)[0]) for column in self.columns
        ]

    @property
    def bounds(self) -> Ints:
        """Offsets at which cells begin, and where the last one ends."""
        begins = [start + offsets for start, offsets in zip(self._starts.tolist(), self._offsets, strict=False)]
        return np.concatenate([*begins, self._starts[-1:]])

    def place(self, offsets: Ints) -> tuple[Ints, Ints, Ints]:
        """For each offset of a byte: its column's number, its place in the column's values, and its offset in them."""
        columns = np.searchsorted(self._starts, offsets, side="right") - 1
        inside = offsets - self._starts[columns]
        places = np.zeros(len(offsets), np.int64)
        for number in np.unique(columns).tolist():
            mine = columns == number
            places[mine] = np.searchsorted(self._offsets[number], inside[mine], side="right") - 1
        return columns, places, inside

    def start_of(self, column: int) -> int:
        """Where a column's first byte lies."""
        return int(self._starts[column])

    def start_of_cell(self, column: int, place: int) -> int:
        """Where a cell's first byte lies."""
        return self.start_of(column) + int(self._offsets[column][place])

    def marks_in(self, column: int, place: int) -> Ints | None:
        """Offsets behind the marks of a cell in characters, ascending; None where nobody knows."""
        marks = self.marked.get((column, place))
        if marks is None:
            return None
        start = self.start_of_cell(column, place)
        end = self.start_of(column) + int(self._offsets[column][place + 1])
        if self.data[start:end].isascii():
            return marks
        begins = (np.frombuffer(self.data, np.uint8, end - start, start) & _CONTINUES) != _CONTINUED
        characters: Ints = np.cumsum(begins)[np.minimum(marks, end - start) - 1]
        return characters

    def text(self, column: int, place: int) -> str:
        """One text."""
        start = self.start_of(column)
        offsets = self._offsets[column]
        return self.data[start + int(offsets[place]) : start + int(offsets[place + 1])].decode("utf8", "surrogatepass")


def _is_text(batch: pa.RecordBatch, name: str) -> bool:
    if batch.schema.get_field_index(name) < 0:
        return False
    column = batch.column(name)
    return bool(pa.types.is_string(column.type) and column.null_count < len(column))


def _column(batch: pa.RecordBatch, name: str, *, share: bool) -> TextColumn:
    column = batch.column(name)
    if share and name in _SHARED_COLUMNS and len(column) > 1:
        encoded = column.dictionary_encode()
        return TextColumn(name, encoded.dictionary, encoded.indices, Edits(), is_json=True)
    return TextColumn(name, column, None, Edits(), is_json=name in JSON_COLUMNS)


def _bytes_of(array: pa.StringArray) -> memoryview:
    offsets = offsets_of(array)
    return data_of(array)[int(offsets[0]) : int(offsets[-1])].data
