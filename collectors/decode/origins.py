"""Resources and scopes: decoded once and remembered, since a sender puts the same ones before every request.

The parser leaves them as serialized bytes, and these are what they are recognised by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from collectors.decode import wire
from collectors.decode.attributes import decode_attributes, json_of
from collectors.decode.chosen import Chosen
from collectors.decode.refusals import Checks, Reason
from collectors.decode.texts import Ints
from collectors.dialects.roles import RESOURCE_ROLES
from collectors.exports import IntakeLimits

COLUMNS = tuple(RESOURCE_ROLES.columns)
"""What the attributes of a resource fill."""
_MOST_BYTES = 8_192
_MOST_ENTRIES = 4_096


@dataclass(frozen=True, slots=True)
class Origin:
    """A resource or a scope.

    `name` and `version` are a scope's. `attributes` is JSON text, `filled` what the attributes fill, by `COLUMNS`, and
    `reason` why the records below are refused, if they are.
    """

    name: str
    version: str
    attributes: str
    filled: tuple[str | None, ...]
    dropped_attributes_count: int
    reason: Reason | None


_KNOWN: dict[tuple[int, IntakeLimits], dict[bytes, Origin]] = {}
"""Origins by the handler that parsed them, the limits that they were held to, and their bytes."""


def find_resources(column: pa.BinaryArray, limits: IntakeLimits) -> list[Origin]:
    """The resources of a group, in order."""
    return _find(wire.RESOURCE, column, limits)


def find_scopes(column: pa.BinaryArray, limits: IntakeLimits) -> list[Origin]:
    """The instrumentation scopes of a group, in order."""
    return _find(wire.SCOPE, column, limits)


def mark_refused(checks: Checks, origins: Sequence[Origin], owner_of: Ints) -> None:
    """Refuse the records whose resource or scope broke a rule; `owner_of` is each record's."""
    for reason in {entry.reason for entry in origins if entry.reason is not None}:
        bad = [number for number, entry in enumerate(origins) if entry.reason is reason]
        checks.mark(np.isin(owner_of, bad), reason)


def _find(handler: Any, column: pa.BinaryArray, limits: IntakeLimits) -> list[Origin]:
    serialized = column.to_pylist()
    known = _KNOWN.setdefault((id(handler), limits), {})
    distinct = dict.fromkeys(serialized)
    # Taken out of the shared dictionary at once: another thread may empty it at any moment.
    found = {body: entry for body in distinct if (entry := known.get(body)) is not None}
    missing = [body for body in distinct if body not in found]
    if missing:
        if len(known) > _MOST_ENTRIES:
            known.clear()
        fresh = dict(zip(missing, _decode(handler, missing, limits), strict=True))
        known.update({body: entry for body, entry in fresh.items() if len(body) <= _MOST_BYTES})
        found |= fresh
    return [found[body] for body in serialized]


def _decode(handler: Any, bodies: list[bytes], limits: IntakeLimits) -> list[Origin]:
    """Decode what was not seen before, all at once."""
    parsed, unreadable = wire.parse(handler, pa.array(bodies, pa.binary()))
    checks = Checks(len(bodies))
    checks.mark_rows(np.array(unreadable, np.int64), Reason.UNREADABLE)
    attributes = decode_attributes(parsed.field("attributes"), RESOURCE_ROLES, limits)
    checks.mark_attributes(attributes)
    nothing: list[str | None] = [None] * len(bodies)
    chosen = None if attributes is None else Chosen(attributes)
    filled = [nothing if chosen is None else chosen.texts(name).to_pylist() for name in COLUMNS]
    named = {field.name for field in parsed.type}
    names, versions = (
        parsed.field(field).to_pylist() if field in named else [""] * len(bodies) for field in ("name", "version")
    )
    reasons = dict(checks.refused())
    rows = zip(
        names,
        versions,
        json_of(attributes, len(bodies)).to_pylist(),
        zip(*filled, strict=True),
        parsed.field("dropped_attributes_count").to_pylist(),
        strict=True,
    )
    return [Origin(*row, reasons.get(number)) for number, row in enumerate(rows)]
