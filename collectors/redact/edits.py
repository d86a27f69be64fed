"""Changes to a column of texts, put in place at once: what stays is gathered in runs, never row by row."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collectors.decode.texts import data_of, offsets_of, valid_rows

Ints = npt.NDArray[np.int64]
_NO_INTS: Ints = np.zeros(0, np.int64)


@dataclass(slots=True)
class Edits:
    """Changes of one column.

    `texts` replace whole rows, which are not empty; None leaves no value. Besides, bytes `starts[i]` to `ends[i]`, counted from
    the beginning of the column's first row, give way to `values[codes[i]]`, except in rows that are replaced whole.
    """

    texts: dict[int, str | None] = field(default_factory=dict)
    starts: Ints = field(default_factory=lambda: _NO_INTS)
    ends: Ints = field(default_factory=lambda: _NO_INTS)
    codes: Ints = field(default_factory=lambda: _NO_INTS)
    values: Sequence[bytes] = ()

    @property
    def are_any(self) -> bool:
        """Whether anything changes."""
        return bool(self.texts) or len(self.starts) > 0


def apply_edits(column: pa.StringArray, edits: Edits) -> pa.StringArray:
    """The column with all changes made."""
    if not edits.are_any:
        return column
    offsets = offsets_of(column).astype(np.int64)
    base = int(offsets[0])
    data = data_of(column)[base : int(offsets[-1])]
    offsets -= base
    starts, ends, codes, values = _spans(edits, offsets)
    # kept and replaced bytes by turns, then the replacements; taking from both in order writes the column's new bytes
    bounds = np.empty(2 * len(starts) + 2, np.int64)
    bounds[0], bounds[1:-1:2], bounds[2:-1:2], bounds[-1] = 0, starts, ends, len(data)
    old = _binary(bounds, data)
    index = np.arange(len(old))
    index[1::2] = len(old) + codes
    taken = pa.concat_arrays([old, pa.array(values, pa.binary())]).take(pa.array(index))
    new_sizes = offsets_of(taken)[2::2] - offsets_of(taken)[1:-1:2]
    grown = np.concatenate([[0], np.cumsum(new_sizes - (ends - starts))])
    # a change ends within its row, so a row's end moves by all changes that end up to it
    moved = offsets + grown[np.searchsorted(ends, offsets, side="right")]
    return _strings(moved, taken.buffers()[2], _valid(column, edits))


def _spans(edits: Edits, offsets: Ints) -> tuple[Ints, Ints, Ints, list[bytes]]:
    """All changes as ascending spans of bytes, with the numbers of their values."""
    if not edits.texts:
        return edits.starts, edits.ends, edits.codes, list(edits.values)
    rows = np.array(sorted(edits.texts), np.int64)
    apart = ~np.isin(np.searchsorted(offsets, edits.starts, side="right") - 1, rows)
    starts = np.concatenate([edits.starts[apart], offsets[rows]])
    ends = np.concatenate([edits.ends[apart], offsets[rows + 1]])
    codes = np.concatenate([edits.codes[apart], np.arange(len(rows)) + len(edits.values)])
    texts = [(edits.texts[row] or "").encode("utf8", "surrogatepass") for row in rows.tolist()]
    order = np.argsort(starts, kind="stable")
    return starts[order], ends[order], codes[order], [*edits.values, *texts]


def _valid(column: pa.StringArray, edits: Edits) -> npt.NDArray[np.bool_]:
    gone = [row for row, text in edits.texts.items() if text is None]
    valid = valid_rows(column)
    if gone:
        valid = valid.copy()
        valid[gone] = False
    return valid


def _binary(offsets: Ints, data: npt.NDArray[np.uint8]) -> pa.BinaryArray:
    packed = pa.py_buffer(offsets.astype(np.int32))
    return pa.BinaryArray.from_buffers(pa.binary(), len(offsets) - 1, [None, packed, pa.py_buffer(data)])


def _strings(offsets: Ints, data: pa.Buffer | None, valid: npt.NDArray[np.bool_]) -> pa.StringArray:
    nulls = len(valid) - int(valid.sum())
    bits = pa.py_buffer(np.packbits(valid, bitorder="little")) if nulls else None
    packed = pa.py_buffer(offsets.astype(np.int32))
    return pa.StringArray.from_buffers(len(valid), packed, data or pa.py_buffer(b""), bits, nulls)
