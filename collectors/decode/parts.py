"""Content parts on their way into the table `contents`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.decode.attributes import Attributes
from collectors.decode.texts import Flags, Ints, data_of, lengths_of, offsets_of, repeated
from warehouse.tables import CONTENTS

_SCHEMA = CONTENTS.decoded_schema
_MEDIA_TYPES = pa.array(["text/plain", "application/json"], pa.string())
_JSON, _BLANK = 1, 2
_CLASSES = np.zeros(256, np.int8)
_CLASSES[[0x7B, 0x5B]] = _JSON
_CLASSES[[0x20, 0x09, 0x0A, 0x0D]] = _BLANK
"""What the first byte of a text says about it."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Parts by owner row: what each is called, and its text."""

    owners: Ints
    names: pa.StringArray
    bodies: pa.StringArray

    @classmethod
    def of(cls, attributes: Attributes | None) -> "Parts | None":
        """The contents among these attributes, named by their keys; None where there are none."""
        if attributes is None or not len(attributes.content_rows):
            return None
        rows = attributes.content_rows
        names = pa.array(attributes.key_set.keys, pa.string()).take(pa.array(attributes.codes[rows]))
        return cls(attributes.owners_of(rows), names, attributes.texts(rows))

    def where(self, kept: Flags) -> "Parts":
        """Parts of the owners kept, with owners renumbered as a filter of the owners' rows renumbers them."""
        chosen = kept[self.owners]
        mask = pa.array(chosen)
        owners = (np.cumsum(kept) - 1)[self.owners[chosen]]
        return Parts(owners, self.names.filter(mask), self.bodies.filter(mask))


def joined(parts: Sequence[Parts | None]) -> Parts | None:
    """Several sets of parts of the same owners as one."""
    found = [part for part in parts if part is not None]
    if len(found) <= 1:
        return found[0] if found else None
    return Parts(
        np.concatenate([part.owners for part in found]),
        pa.concat_arrays([part.names for part in found]),
        pa.concat_arrays([part.bodies for part in found]),
    )


def content_rows(table: str, owners: pa.RecordBatch, agents: pa.StringArray | None, parts: Parts) -> pa.RecordBatch:
    """Rows of `contents` for the parts of one owner table's batch; `agents` is the owners' agent id."""
    rows = len(parts.owners)
    by_owner = pa.array(parts.owners)
    columns = {name: owners.column(name).take(by_owner) for name in ("tenant_id", "day", "time_unix_nano", "trace_id")}
    columns |= {
        "owner_table": repeated(table, rows),
        "owner_index": by_owner,
        "part": parts.names,
        "media_type": _media_types(parts.bodies),
        "agent_id": repeated(None, rows) if agents is None else agents.take(by_owner),
        "body": parts.bodies,
    }
    return batch_of(_SCHEMA, columns, rows)


def _media_types(bodies: pa.StringArray) -> pa.StringArray:
    """`application/json` for texts that begin as a JSON object or array, `text/plain` for others."""
    offsets = offsets_of(bodies)
    data = data_of(bodies)
    filled = lengths_of(bodies) > 0
    first = np.zeros(len(bodies), np.uint8)
    first[filled] = data[offsets[:-1][filled]]
    classes = _CLASSES[first]
    blank = np.flatnonzero(classes == _BLANK)
    if len(blank):
        opened = pc.match_substring_regex(bodies.take(pa.array(blank)), r"^\s+[{\[]")
        classes[blank] = opened.to_numpy(zero_copy_only=False)
    return _MEDIA_TYPES.take(pa.array(classes))


@lru_cache(maxsize=16)
def _fields(schema: pa.Schema) -> tuple[tuple[str, pa.DataType], ...]:
    return tuple((field.name, field.type) for field in schema)


def batch_of(schema: pa.Schema, columns: dict[str, pa.Array], rows: int) -> pa.RecordBatch:
    """A batch of this schema; columns that are missing are null throughout."""
    arrays = [columns[name] if name in columns else pa.nulls(rows, kind) for name, kind in _fields(schema)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
