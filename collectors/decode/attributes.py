"""Attribute lists in columns: JSON text of what stays, rows of what is content, and what the dialects read off them.

Works on the flat list of all key-value pairs of all owners (spans, log records, resources…) at once; what depends on a
key alone is worked out once for each distinct key.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collectors.contents import MESSAGE_EVENT_KEYS, is_content
from collectors.decode.anyvalue import Rendered, compose, kinds_of, object_glue, render, value_sizes
from collectors.decode.texts import Flags, Ints, offsets_of, repeated, steps
from collectors.dialects.roles import KeyRoles, Roles, roles_of_keys
from collectors.exports import IntakeLimits

_CACHED_KEYS, _CACHED_CHARACTERS = 96, 8_192
"""Key sets up to this size are kept between groups; larger ones are rare and would fill the cache."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """What is known of each distinct key of a group of attributes, by its code."""

    keys: tuple[str, ...]
    glue: pa.StringArray
    is_content: Flags
    is_message: Flags
    roles: KeyRoles

    @classmethod
    def of(cls, keys: tuple[str, ...], roles: Roles) -> "KeySet":
        """Look up every key."""
        return cls(
            keys,
            object_glue(keys),
            np.fromiter(map(is_content, keys), np.bool_, len(keys)),
            np.fromiter((key in MESSAGE_EVENT_KEYS for key in keys), np.bool_, len(keys)),
            roles_of_keys(keys, roles),
        )


_cached_key_set = lru_cache(maxsize=256)(KeySet.of)


@dataclass(frozen=True, slots=True)
class Attributes:
    """Attributes of `len(offsets) - 1` owners.

    `json` is each owner's JSON object of the attributes that stay; `content_rows` are the pairs that leave it. `too_many`,
    `too_large`, `too_deep` and `unreadable` are owners to refuse.
    """

    offsets: npt.NDArray[np.int32]
    key_set: KeySet
    codes: npt.NDArray[np.int32]
    values: pa.StructArray
    kinds: npt.NDArray[np.uint8]
    rendered: Rendered
    content_rows: Ints
    json: pa.StringArray
    too_many: Ints
    too_large: Ints
    too_deep: Ints
    unreadable: Ints

    @property
    def count(self) -> int:
        """Number of owners."""
        return len(self.offsets) - 1

    def owners_of(self, rows: npt.NDArray[np.integer]) -> Ints:
        """Owners of these pairs."""
        return np.searchsorted(self.offsets, rows, side="right") - 1

    def row_owners(self) -> Ints:
        """Owner of every pair."""
        return np.repeat(np.arange(self.count), steps(self.offsets))

    def texts(self, rows: Ints) -> pa.StringArray:
        """Values of these pairs as text: strings as they are, others as JSON text."""
        raw = self.values.field("string_value").take(pa.array(rows))
        if raw.null_count == 0:
            return raw
        return pc.coalesce(raw, self.rendered.pieces.take(pa.array(self.rendered.index[rows])))


_NONE = np.zeros(0, np.int64)


def decode_attributes(
    lists: pa.ListArray,
    roles: Roles,
    limits: IntakeLimits,
    *,
    contents: bool = False,
    messages: Flags | None = None,
) -> Attributes | None:
    """Decode the attribute lists of some owners; None where no owner has any.

    `contents` says that contents leave `json`; `messages` marks owners whose `MESSAGE_EVENT_KEYS` are contents too.
    """
    offsets = offsets_of(lists)
    if offsets[-1] == offsets[0]:
        return None
    pairs = lists.values
    if offsets[0] or len(pairs) != offsets[-1]:
        pairs = pairs.slice(offsets[0], offsets[-1] - offsets[0])
        offsets = offsets - offsets[0]
    encoded = pairs.field("key").dictionary_encode()
    names = tuple(encoded.dictionary.to_pylist())
    key_set = (
        _cached_key_set if len(names) <= _CACHED_KEYS and sum(map(len, names)) <= _CACHED_CHARACTERS else KeySet.of
    )(names, roles)
    codes = encoded.indices.to_numpy()
    values = pairs.field("value")
    kinds = kinds_of(values)
    content = key_set.is_content[codes] if contents else np.zeros(len(codes), np.bool_)
    if messages is not None and messages.any():
        content = content | (key_set.is_message[codes] & np.repeat(messages, steps(offsets)))
    rendered = render(values, kinds, ~content, depth=limits.depth)
    content_rows, json = _json_of_kept(offsets, key_set, codes, rendered, content)
    sizes = value_sizes(values)
    counts = steps(offsets)
    return Attributes(
        offsets=offsets,
        key_set=key_set,
        codes=codes,
        values=values,
        kinds=kinds,
        rendered=rendered,
        content_rows=content_rows,
        json=json,
        too_many=np.flatnonzero(counts > limits.attributes) if counts.max() > limits.attributes else _NONE,
        too_large=_owners(offsets, np.flatnonzero(sizes > limits.attribute_bytes)),
        too_deep=_owners(offsets, rendered.too_deep),
        unreadable=_owners(offsets, rendered.unreadable),
    )


def _json_of_kept(
    offsets: npt.NDArray[np.int32], key_set: KeySet, codes: npt.NDArray[np.int32], rendered: Rendered, content: Flags
) -> tuple[Ints, pa.StringArray]:
    """Rows of contents, and the JSON object of each owner's other attributes."""
    content_rows = np.flatnonzero(content)
    if not len(content_rows):
        return content_rows, compose(offsets, key_set.glue, codes, rendered)
    kept = np.flatnonzero(~content)
    bounds = offsets - np.searchsorted(content_rows, offsets)
    return content_rows, compose(bounds, key_set.glue, codes, rendered, kept)


def _owners(offsets: npt.NDArray[np.int32], rows: Ints) -> Ints:
    return np.unique(np.searchsorted(offsets, rows, side="right") - 1) if len(rows) else _NONE


def json_of(attributes: Attributes | None, owners: int) -> pa.StringArray:
    """JSON object of each owner's attributes, `{}` where there are none at all."""
    return repeated("{}", owners) if attributes is None else attributes.json
