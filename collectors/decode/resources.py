"""Resources: decoded once and remembered, since a sender puts the same one before every request.

A resource is recognised by its serialized bytes, cut out of the body. When every resource of a group is known, nothing of
it is decoded again, which saves a small request a tenth of its cost. The cache is keyed by the limits too, and
holds no resource that broke one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from collectors.decode.attributes import decode_attributes, json_of
from collectors.decode.chosen import Chosen
from collectors.decode.frame import Frame
from collectors.decode.refusals import Checks
from collectors.decode.texts import offsets_of, repeated, steps
from collectors.dialects.roles import RESOURCE_ROLES
from collectors.exports import Export, IntakeLimits

COLUMNS = ("service_name", "agent_id", "agent_name", "agent_version")
_RESOURCE_SPANS_TAG = 0x0A  # field 1, length-delimited: the resources of a request
_RESOURCE_TAG = 0x0A  # field 1, length-delimited: the resource of its records
_MOST_BYTES = 8_192
_MOST_ENTRIES = 4_096
_VARINT_BITS = 7
_VARINT_MORE = 0x80


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource: how many attributes it has, their JSON text, and the columns that it fills."""

    attributes: int
    json: str
    columns: tuple[str | None, ...]


_KNOWN: dict[tuple[IntakeLimits, bytes], Resource] = {}


def resource_columns(frame: Frame, checks: Checks, limits: IntakeLimits) -> dict[str, pa.StringArray]:
    """Columns `resource` and `COLUMNS` of each resource of a group; marks records whose resource breaks a limit."""
    lists = frame.resources.field("resource").field("attributes")
    serialized = serialized_resources(frame.exports)
    counts = steps(offsets_of(lists)).tolist()
    if len(serialized) == len(counts):
        known = [_KNOWN.get((limits, body)) if body is not None else None for body in serialized]
        found = [entry for entry in known if entry is not None]
        # A body may give a resource in several pieces, which protobuf merges: then the number of attributes differs.
        if [entry.attributes for entry in found] == counts:
            return _columns(found)
    columns, is_good = _decoded(frame, lists, checks, limits)
    if is_good and len(serialized) == len(counts):
        _remember(limits, serialized, counts, columns)
    return columns


def _columns(found: Sequence[Resource]) -> dict[str, pa.StringArray]:
    columns = {"resource": pa.array([entry.json for entry in found], pa.string())}
    for place, name in enumerate(COLUMNS):
        columns[name] = pa.array([entry.columns[place] for entry in found], pa.string())
    return columns


def _decoded(
    frame: Frame, lists: pa.ListArray, checks: Checks, limits: IntakeLimits
) -> tuple[dict[str, pa.StringArray], bool]:
    attributes = decode_attributes(lists, RESOURCE_ROLES, limits)
    checks.mark_attributes(attributes, shared_by=frame.resource_of)
    columns = {"resource": json_of(attributes, len(lists))}
    if attributes is None:
        return columns | {name: repeated(None, len(lists)) for name in COLUMNS}, True
    chosen = Chosen(attributes)
    columns |= {name: chosen.texts(name) for name in COLUMNS}
    return columns, not any(
        len(owners)
        for owners in (attributes.too_many, attributes.too_large, attributes.too_deep, attributes.unreadable)
    )


def _remember(
    limits: IntakeLimits, serialized: list[bytes | None], counts: list[int], columns: dict[str, pa.StringArray]
) -> None:
    if len(serialized) > _MOST_ENTRIES:
        return
    texts = [columns[name].to_pylist() for name in ("resource", *COLUMNS)]
    for body, count, json, *values in zip(serialized, counts, *texts, strict=True):
        if body is None or len(json) > _MOST_BYTES:
            continue
        if len(_KNOWN) >= _MOST_ENTRIES:
            _KNOWN.clear()
        _KNOWN[limits, body] = Resource(count, json, tuple(values))


def serialized_resources(exports: Sequence[Export]) -> list[bytes | None]:
    """The serialized resource at the head of each resource's records, in order.

    None for one that does not stand at the head or is long. A body of unusual shape gives too few entries, so that the
    caller's count does not agree: that decodes it, and costs nothing but time.
    """
    found: list[bytes | None] = []
    for export in exports:
        _cut_resources(export.body, found)
    return found


def _cut_resources(body: bytes, found: list[bytes | None]) -> None:
    place, end = 0, len(body)
    while place < end and body[place] == _RESOURCE_SPANS_TAG:
        size, start = _varint(body, place + 1)
        place = start + size
        if not size or body[start] != _RESOURCE_TAG:
            found.append(None)
            continue
        length, head = _varint(body, start + 1)
        found.append(body[head : head + length] if length <= _MOST_BYTES else None)


def _varint(body: bytes, place: int) -> tuple[int, int]:
    """A varint's value, and the place after it. The body was parsed before: it has an end."""
    value = shift = 0
    while True:
        byte = body[place]
        place += 1
        value |= (byte & ~_VARINT_MORE) << shift
        if byte < _VARINT_MORE:
            return value, place
        shift += _VARINT_BITS
