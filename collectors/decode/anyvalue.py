"""AnyValue columns to JSON text, whole columns at a time and without loss.

| AnyValue | JSON text |
|---|---|
| string, bool, array, key-value list | string, `true`/`false`, array, object (duplicate keys kept, order kept) |
| int | an integer, whatever its size |
| double | a number with a point or an exponent; `{"$double":"NaN"}`, `"Infinity"`, `"-Infinity"` |
| bytes | `{"$bytes":"<base64>"}` |
| none set | `null` |

A key of a nested list that begins with `$` is written with one `$` more, so that `$bytes` and `$double` stay unambiguous.

Nested values are parsed one level at a time (see `wire`), never deeper than the limit.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from collectors.decode import wire
from collectors.decode.texts import (
    Flags,
    Ints,
    double_texts,
    escaped_strings,
    gather,
    integer_texts,
    lengths_of,
    offsets_of,
    steps,
    valid_rows,
    wrapped,
)

NOTHING, STRING, BOOL, INT, DOUBLE, BYTES, ARRAY, PAIRS = range(8)
"""Kinds of an AnyValue."""
_SCALARS: Final = (
    ("string_value", STRING),
    ("bool_value", BOOL),
    ("int_value", INT),
    ("double_value", DOUBLE),
    ("bytes_value", BYTES),
    ("array_value", ARRAY),
    ("kvlist_value", PAIRS),
)
VARIANTS: Final = 6
"""Pieces a key has in a glue dictionary: {first, after another, after a string} x {other, string}."""
_CONSTANTS = pa.array(["null", "false", "true"], pa.string())
_MOST_SHORT: Final = 64
_FEW: Final = 64
_NONE: Final = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Rendered:
    """JSON texts of a column of values.

    `index` finds each row's text in `pieces`; strings (where `is_string`) stand there escaped but without quotes, which
    the glue around them brings. `too_deep` and `unreadable` are the rows that must be refused.
    """

    pieces: pa.StringArray
    index: Ints
    is_string: Flags
    too_deep: Ints
    unreadable: Ints


def kinds_of(values: pa.StructArray) -> npt.NDArray[np.uint8]:
    """Which kind of AnyValue each row holds; containers win over scalars where a body sets two."""
    kinds = np.zeros(len(values), np.uint8)
    for name, kind in _SCALARS:
        child = values.field(name)
        if child.null_count < len(child):
            kinds[valid_rows(child)] = kind
    return kinds


def value_sizes(values: pa.StructArray) -> Ints:
    """Bytes of each value: text or bytes as they are, arrays and lists as the sum of their serialized members."""
    sizes = lengths_of(values.field("string_value")).astype(np.int64)
    raw = values.field("bytes_value")
    if raw.null_count < len(raw):
        sizes = sizes + lengths_of(raw)
    for name in ("array_value", "kvlist_value"):
        child = values.field(name)
        if child.null_count < len(child):
            lists = child.field("values")
            members = lists.values
            parts = [members.field("key"), members.field("value")] if pa.types.is_struct(members.type) else [members]
            for part in parts:
                sizes = sizes + steps(offsets_of(part)[offsets_of(lists)])
    return sizes


def render(values: pa.StructArray, kinds: npt.NDArray[np.uint8], keep: Flags | None, *, depth: int) -> Rendered:
    """JSON texts of the rows where `keep` (None means all); rows that are no strings are rendered in any case.

    `depth` is how many levels of arrays and lists may still be opened.
    """
    index = np.zeros(len(values), np.int64)
    sources = [_CONSTANTS]
    filled = len(_CONSTANTS)
    too_deep, unreadable = _NONE, _NONE
    present = np.bincount(kinds, minlength=PAIRS + 1)
    for kind in (STRING, BOOL, INT, DOUBLE, BYTES):
        if not present[kind]:
            continue
        rows = np.flatnonzero(kinds == kind if keep is None or kind != STRING else (kinds == kind) & keep)
        if kind == BOOL:
            index[rows] = 1 + values.field("bool_value").take(pa.array(rows)).cast(pa.int8()).to_numpy()
            continue
        if kind == STRING:
            strings, places = escaped_strings(values.field("string_value").take(pa.array(rows)))
            index[rows] = places + filled
            sources += strings
            filled += sum(map(len, strings))
            continue
        texts = _scalar_texts(values, kind, rows)
        index[rows] = np.arange(filled, filled + len(rows))
        filled += len(rows)
        sources.append(texts)
    for kind, name in ((ARRAY, "array_value"), (PAIRS, "kvlist_value")):
        if not present[kind]:
            continue
        rows, nested = _containers(values.field(name).field("values"), kinds == kind, kind, depth=depth)
        index[rows] = np.arange(filled, filled + len(rows))
        filled += len(rows)
        sources.append(nested.pieces)
        too_deep = np.concatenate((too_deep, rows[nested.too_deep]))
        unreadable = np.concatenate((unreadable, rows[nested.unreadable]))
    pieces = sources[0] if len(sources) == 1 else pa.concat_arrays(sources)
    return Rendered(pieces, index, kinds == STRING, too_deep, unreadable)


def _scalar_texts(values: pa.StructArray, kind: int, rows: Ints) -> pa.StringArray:
    if kind == INT:
        return integer_texts(values.field("int_value").take(pa.array(rows)))
    if kind == DOUBLE:
        return double_texts(values.field("double_value").take(pa.array(rows)))
    raw = pl.Series(values.field("bytes_value").take(pa.array(rows)))
    encoded = raw.bin.encode("base64").to_arrow().cast(pa.string())
    return wrapped('{"$bytes":"', encoded, '"}')


def _containers(lists: pa.ListArray, is_kind: Flags, kind: int, *, depth: int) -> tuple[Ints, Rendered]:
    """Rows that hold a container, and their texts; indices inside `Rendered` count those rows."""
    offsets = offsets_of(lists)
    # A body may set two members of the oneof; rows with children are taken along so that offsets stay contiguous.
    rows = np.flatnonzero(is_kind | (steps(offsets) > 0))
    bounds = np.append(offsets[rows], offsets[-1])
    every = np.arange(len(rows))
    if depth <= 0:
        null = _CONSTANTS.slice(0, 1).take(pa.array(np.zeros(len(rows), np.int64)))
        return rows, Rendered(null, every, np.zeros(len(rows), np.bool_), every, _NONE)
    if kind == ARRAY and (short := _short_members(lists.values)) is not None:
        texts = compose(bounds, _array_glue(), None, short)
        return rows, Rendered(texts, every, np.zeros(len(rows), np.bool_), _NONE, _NONE)
    keys, values, broken = _children(lists.values, kind)
    child = render(values, kinds_of(values), None, depth=depth - 1)
    if keys is None:
        texts = compose(bounds, _array_glue(), None, child)
    else:
        encoded = keys.dictionary_encode()
        glue = object_glue(tuple(_untagged(key) for key in encoded.dictionary.to_pylist()))
        texts = compose(bounds, glue, encoded.indices.to_numpy(), child)
    owners = [_owners(bounds, np.concatenate(found)) for found in ((child.too_deep,), (child.unreadable, broken))]
    return rows, Rendered(texts, every, np.zeros(len(rows), np.bool_), owners[0], owners[1])


def _short_members(members: pa.BinaryArray) -> Rendered | None:
    """Members of arrays from the cache, where all are short scalars of few values, as finish reasons and tags are.

    Parsing two dozen bytes the general way costs a call 0.2 ms, this way 20 us. None where it does not apply.
    """
    offsets = offsets_of(members)
    if int(offsets[-1] - offsets[0]) > _MOST_SHORT * len(members):
        return None
    encoded = members.dictionary_encode()
    if len(encoded.dictionary) > _FEW:
        return None
    found = [_short_text(member) for member in encoded.dictionary.to_pylist()]
    known = [entry for entry in found if entry is not None]
    if len(known) < len(found):
        return None
    codes = encoded.indices.to_numpy()
    pieces = pa.array([text for text, _ in known], pa.string())
    quoted = np.array([quoted for _, quoted in known], np.bool_)
    return Rendered(pieces, codes, quoted[codes], _NONE, _NONE)


@lru_cache(maxsize=4096)
def _short_text(serialized: bytes) -> tuple[str, bool] | None:
    """Text of one serialized scalar, and whether it is a string; None for containers, long and unreadable ones."""
    if len(serialized) > _MOST_SHORT:
        return None
    values, broken = wire.parse(wire.ANY_VALUE, pa.array([serialized], pa.binary()))
    kinds = kinds_of(values)
    if broken or kinds[0] in {ARRAY, PAIRS}:
        return None
    rendered = render(values, kinds, None, depth=0)
    return rendered.pieces[int(rendered.index[0])].as_py(), bool(rendered.is_string[0])


def _children(members: pa.Array, kind: int) -> tuple[pa.StringArray | None, pa.StructArray, Ints]:
    """Keys (of a key-value list), parsed values, and rows that could not be parsed.

    ptars stops at the first message type that contains itself: the members of a list are serialized KeyValues below a
    request, but structs with serialized values below an AnyValue that was parsed by itself.
    """
    if kind == ARRAY:
        values, broken = wire.parse(wire.ANY_VALUE, members)
        return None, values, np.array(broken, np.int64)
    if pa.types.is_struct(members.type):
        values, broken = wire.parse(wire.ANY_VALUE, members.field("value").fill_null(b""))
        return members.field("key"), values, np.array(broken, np.int64)
    pairs, broken = wire.parse(wire.KEY_VALUE, members)
    return pairs.field("key"), pairs.field("value"), np.array(broken, np.int64)


def _owners(bounds: npt.NDArray[np.integer], members: Ints) -> Ints:
    """Containers that hold these members."""
    if not len(members):
        return _NONE
    return np.unique(np.searchsorted(bounds, members, side="right") - 1)


def compose(
    offsets: npt.NDArray[np.integer],
    glue: pa.StringArray,
    codes: npt.NDArray[np.integer] | None,
    members: Rendered,
    chosen: Ints | None = None,
) -> pa.StringArray:
    """JSON text of each container from its members.

    `offsets` bound the containers within the members (within `chosen`, where given). `glue` holds three endings (empty,
    after another, after a string), then `VARIANTS` pieces for each key code; `codes` None means the one key of arrays.
    A member is two pieces, glue and value; a container ends with one more.
    """
    count = int(offsets[-1] - offsets[0])
    containers = len(offsets) - 1
    offsets = offsets - offsets[0]
    sizes = steps(offsets)
    filled = sizes > 0
    quoted = (members.is_string if chosen is None else members.is_string[chosen]).astype(np.int64)
    values = members.index if chosen is None else members.index[chosen]
    before = np.empty(count, np.int64)
    before[1:] = quoted[:-1] + 1
    firsts = offsets[:-1][filled]
    before[firsts] = 0
    if codes is None:
        starting = before * 2 + quoted + 3
    else:
        starting = (codes if chosen is None else codes[chosen]) * VARIANTS + before * 2 + quoted + 3
    ends = np.arange(containers) + 2 * offsets[1:]
    index = np.empty(2 * count + containers, np.int64)
    places = np.arange(count) * 2 + np.repeat(np.arange(containers), sizes)
    index[places] = starting
    index[places + 1] = values + len(glue)
    closing = np.zeros(containers, np.int64)
    closing[filled] = 1 + quoted[offsets[1:][filled] - 1]
    index[ends] = closing
    return gather(pa.concat_arrays([glue, members.pieces]), index, np.concatenate(([0], ends + 1)))


def _untagged(key: str) -> str:
    """Keys inside values that begin with `$` get another, so that no list can pass for tagged bytes or doubles."""
    return f"${key}" if key.startswith("$") else key


@lru_cache(maxsize=1)
def _array_glue() -> pa.StringArray:
    return pa.array(["[]", "]", '"]', "[", '["', ",", ',"', '",', '","'], pa.string())


def _key_pieces(key: str) -> tuple[str, ...]:
    text = msgspec.json.encode(key).decode()
    openings = ("{", ",", '",')
    return tuple(f"{opening}{text}:{quote}" for opening in openings for quote in ("", '"'))


def object_glue(keys: tuple[str, ...]) -> pa.StringArray:
    """Glue dictionary of JSON objects with these keys, for `compose`."""
    pieces = ["{}", "}", '"}']
    for key in keys:
        pieces.extend(_key_pieces(key))
    return pa.array(pieces, pa.string())
