"""Text columns put together by gathering pieces.

Concatenating a few million short strings in Python is what makes decoding slow. Here a column of texts is one `take`
over a small dictionary of pieces: the taken array's data buffer already *is* the concatenation, so the rows are made by
keeping every n-th offset. JSON strings follow RFC 8259 §7.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
_Integer = TypeVar("_Integer", bound=np.integer[Any])
Flags = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

_QUOTE, _BACKSLASH, _FIRST_PRINTABLE = 0x22, 0x5C, 0x20
_SHORT = np.zeros(256, np.uint8)
for _char, _letter in ((0x22, '"'), (0x5C, "\\"), (8, "b"), (9, "t"), (10, "n"), (12, "f"), (13, "r")):
    _SHORT[_char] = ord(_letter)
_ESCAPES = pa.array(
    [
        b"\\" + bytes([_SHORT[byte]])
        if _SHORT[byte]
        else b"\\u%04x" % byte
        if byte < _FIRST_PRINTABLE
        else bytes([byte])
        for byte in range(256)
    ],
    pa.binary(),
)
"""What each byte of a text becomes between JSON quotes."""
_HEX_PAIRS = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), np.uint16)


def offsets_of(array: pa.Array) -> npt.NDArray[np.int32]:
    """Offsets of a string, binary or list array, its slice taken into account."""
    if len(array) == 0:
        return np.zeros(1, np.int32)
    return np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]


def data_of(array: pa.Array) -> Bytes:
    """Data buffer of a string or binary array; `offsets_of` indexes it."""
    buffer = array.buffers()[2]
    return np.frombuffer(buffer, np.uint8) if buffer is not None else np.zeros(0, np.uint8)


def lengths_of(array: pa.Array) -> npt.NDArray[np.int32]:
    """Length of each row of a string, binary or list array, nulls being 0."""
    return steps(offsets_of(array))


def steps(offsets: npt.NDArray[_Integer]) -> npt.NDArray[_Integer]:
    """Differences of neighbours; `numpy.diff` without its overhead on short arrays."""
    return offsets[1:] - offsets[:-1]


def integers_of(array: pa.Array) -> Ints:
    """Values of an int64 or uint64 column as int64 bits; what stands in null rows is arbitrary."""
    if len(array) == 0:
        return np.zeros(0, np.int64)
    return np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array)]


def valid_rows(array: pa.Array) -> Flags:
    """Which rows are not null."""
    if array.null_count == 0:
        return np.ones(len(array), np.bool_)
    bits = np.frombuffer(array.buffers()[0], np.uint8)
    return np.unpackbits(bits, count=array.offset + len(array), bitorder="little")[array.offset :].view(np.bool_)


def strings(offsets: npt.NDArray[np.integer], data: pa.Buffer | Bytes) -> pa.StringArray:
    """A string array without nulls over these offsets and this data."""
    buffer = data if isinstance(data, pa.Buffer) else pa.py_buffer(data)
    packed = pa.py_buffer(np.ascontiguousarray(offsets, np.int32))
    return pa.StringArray.from_buffers(len(offsets) - 1, packed, buffer)


@lru_cache(maxsize=1024)
def literal(text: str | None) -> pa.StringScalar:
    """A text as an Arrow scalar.

    Kernels take Python strings too, but pyarrow then looks for pandas on every call, at 50 us each where it is absent.
    """
    return pa.scalar(text, pa.string())


_EMPTY, _COMMA, _QUOTED = literal(""), literal(","), literal('"')


def when(chosen: Flags | pa.BooleanArray, texts: pa.Array) -> pa.Array:
    """The array where `chosen`, null elsewhere."""
    mask = pa.array(chosen) if isinstance(chosen, np.ndarray) else chosen
    return pc.if_else(mask, texts, pa.scalar(None, texts.type))


def equals(texts: pa.StringArray, text: str) -> pa.BooleanArray:
    """Which rows are this text; null where they are null."""
    return pc.equal(texts, literal(text))


def wrapped(before: str, texts: pa.StringArray, after: str) -> pa.StringArray:
    """Each text between two others; nulls stay null."""
    return pc.binary_join_element_wise(literal(before), texts, literal(after), _EMPTY)


def repeated(text: str | None, rows: int) -> pa.StringArray:
    """One text, or null, in every row."""
    return pa.repeat(pa.scalar(text, pa.string()), rows)


def gather(pieces: pa.StringArray, index: npt.NDArray[np.integer], starts: npt.NDArray[np.integer]) -> pa.StringArray:
    """Concatenate pieces row by row: row i is `pieces[index[starts[i]:starts[i + 1]]]` joined."""
    taken = pieces.take(pa.array(index))
    return strings(offsets_of(taken)[starts], taken.buffers()[2] or pa.py_buffer(b""))


def escape(array: pa.StringArray) -> pa.StringArray:
    """Escape every string for use between JSON quotes; the array itself where none needs it. Nulls stay null."""
    offsets = offsets_of(array)
    first = int(offsets[0])
    data = data_of(array)[first : int(offsets[-1])]
    positions = np.flatnonzero((data < _FIRST_PRINTABLE) | (data == _QUOTE) | (data == _BACKSLASH))
    if not len(positions):
        return array
    letters = _SHORT[data[positions]]
    if letters.all():
        changed = data.copy()
        changed[positions] = letters
        text: Any = np.insert(changed, positions, np.uint8(_BACKSLASH))
        moved = offsets - first + np.searchsorted(positions, offsets - first)
    else:
        escaped = _ESCAPES.take(pa.array(data))
        text = escaped.buffers()[2]
        moved = offsets_of(escaped)[offsets - first]
    validity = None if array.null_count == 0 else pa.py_buffer(np.packbits(valid_rows(array), bitorder="little"))
    return pa.StringArray.from_buffers(
        len(array), pa.py_buffer(moved.astype(np.int32)), pa.py_buffer(text), validity, array.null_count
    )


def escaped_strings(array: pa.StringArray) -> tuple[list[pa.StringArray], Ints]:
    """Escaped strings as one or two arrays, and where each row's stands in them: only rows that need it are rewritten."""
    offsets = offsets_of(array)
    first = int(offsets[0])
    data = data_of(array)[first : int(offsets[-1])]
    places = np.arange(len(array))
    positions = np.flatnonzero((data < _FIRST_PRINTABLE) | (data == _QUOTE) | (data == _BACKSLASH))
    if not len(positions):
        return [array], places
    needed = np.zeros(len(array), np.bool_)
    needed[np.searchsorted(offsets, positions + first, side="right") - 1] = True
    rows = np.flatnonzero(needed)
    places[rows] = np.arange(len(array), len(array) + len(rows))
    return [array, escape(array.take(pa.array(rows)))], places


def quote(array: pa.StringArray) -> pa.StringArray:
    """JSON string of each text; nulls stay null."""
    return pc.binary_join_element_wise(_QUOTED, escape(array), _QUOTED, _EMPTY)


def integer_texts(numbers: pa.Array) -> pa.StringArray:
    """Decimal text of integers; nulls stay null."""
    return numbers.cast(pa.string())


def double_texts(numbers: pa.DoubleArray) -> pa.StringArray:
    """JSON text of doubles that reads back as the same double, and as a double.

    Shortest digits that round-trip; `1.0` keeps its point; NaN and infinities become `{"$double":"NaN"}` and so on,
    which JSON has no number for.
    """
    values = numbers.to_numpy(zero_copy_only=False)
    texts = numbers.cast(pa.string())
    finite = np.isfinite(values)
    if (finite & (values == np.floor(values))).any():
        plain = finite & ~pc.match_substring_regex(texts, "[.e]").to_numpy(zero_copy_only=False)
        texts = pc.if_else(pa.array(plain), wrapped("", texts, ".0"), texts)
    if not finite.all():
        names = np.where(np.isnan(values), "NaN", np.where(values > 0, "Infinity", "-Infinity"))
        tagged = wrapped('{"$double":"', pa.array(names, pa.string()), '"}')
        texts = pc.if_else(pa.array(finite), texts, tagged)
    return texts


def hex_texts(rows: Bytes) -> pa.StringArray:
    """Lower-case hexadecimal text of an (n, size) matrix of bytes."""
    count, size = rows.shape
    return strings(np.arange(count + 1, dtype=np.int32) * (2 * size), _HEX_PAIRS[rows].reshape(-1).view(np.uint8))


def nonzero_rows(rows: npt.NDArray[Any]) -> Flags:
    """Which rows of a matrix have any value but zero."""
    found: Flags = np.any(rows, axis=1)
    return found


def fixed_rows(array: pa.BinaryArray, size: int) -> tuple[Bytes, npt.NDArray[np.int32]]:
    """An (n, size) matrix of a binary column, zero where a row has another size, and the sizes."""
    offsets = offsets_of(array)
    data = data_of(array)
    sizes = steps(offsets)
    if (sizes == size).all():
        return data[offsets[0] : offsets[-1]].reshape(-1, size), sizes
    rows = np.zeros((len(array), size), np.uint8)
    right = np.flatnonzero(sizes == size)
    rows[right] = data[offsets[right][:, None] + np.arange(size)]
    return rows, sizes


def nulled(array: pa.Array, is_null: Flags) -> pa.Array:
    """The array with nulls where `is_null`."""
    if not is_null.any():
        return array
    if is_null.all():
        return pa.nulls(len(array), array.type)
    return when(~is_null, array)


def filled_texts(array: pa.StringArray) -> pa.StringArray:
    """The array with nulls in place of empty texts."""
    return nulled(array, lengths_of(array) == 0)


def json_objects(members: Sequence[tuple[str, pa.StringArray]]) -> pa.StringArray:
    """JSON object of each row from columns of JSON texts; a null leaves its member out."""
    parts = [pc.binary_join_element_wise(literal(f'"{name}":'), texts, _EMPTY) for name, texts in members]
    if len(parts) == 1:
        return wrapped("{", parts[0].fill_null(_EMPTY), "}")
    return wrapped("{", pc.binary_join_element_wise(*parts, _COMMA, null_handling="skip"), "}")


def json_arrays(offsets: npt.NDArray[np.int32], items: pa.StringArray) -> pa.StringArray:
    """JSON array of each row's items."""
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items)
    return wrapped("[", pc.binary_join(lists, _COMMA), "]")
