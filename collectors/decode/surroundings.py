"""What records take from around them: their request's sender, their resource and their scope."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import numpy as np
import pyarrow as pa

from collectors.decode.frame import Frame
from collectors.decode.origins import COLUMNS, Origin, find_resources, find_scopes, mark_refused
from collectors.decode.refusals import Checks
from collectors.decode.texts import Ints, repeated, steps
from collectors.exports import IntakeLimits

_MOST_CACHED = 2_048
_AGENT = ("agent_id", "agent_name", "agent_version")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Columns that records take from their request, resource and scope; agent columns that their resource names."""

    columns: dict[str, pa.Array]
    resource_agents: dict[str, pa.StringArray]


def surroundings(frame: Frame, checks: Checks, limits: IntakeLimits) -> Surroundings:
    """Decode resources and scopes once and hand them down to their records."""
    resources = find_resources(frame.resources.field("resource"), limits)
    scopes = find_scopes(frame.scopes.field("scope"), limits)
    mark_refused(checks, resources, frame.resource_of)
    mark_refused(checks, scopes, frame.scope_of)
    filled = {name: [entry.filled[place] for entry in resources] for place, name in enumerate(COLUMNS)}
    senders = [export.sender for export in frame.exports]
    columns: dict[str, pa.Array] = {
        "tenant_id": _handed_down([sender.tenant_id for sender in senders], frame.export_of),
        "recorded_by": _handed_down([sender.recorded_by for sender in senders], frame.export_of),
        "peer": _handed_down([sender.peer for sender in senders], frame.export_of),
        "resource": _handed_down([entry.attributes for entry in resources], frame.resource_of),
        "service_name": _handed_down(filled["service_name"], frame.resource_of),
        "scope_name": _handed_down([entry.name or None for entry in scopes], frame.scope_of),
        "envelope": _handed_down(_envelopes(frame, resources, scopes), frame.scope_of),
        "schema_version": pa.repeat(pa.scalar(1, pa.int64()), len(frame.records)),
    }
    agents = {name: _handed_down(filled[name], frame.resource_of) for name in _AGENT if any(filled[name])}
    return Surroundings(columns, agents)


def _handed_down(texts: Sequence[str | None], owner_of: Ints) -> pa.StringArray:
    """Each record's text, from those of the owners."""
    if len(set(texts)) == 1:
        return repeated(texts[0], len(owner_of))
    return pa.array(texts, pa.string()).take(pa.array(owner_of))


def _envelopes(frame: Frame, resources: Sequence[Origin], scopes: Sequence[Origin]) -> list[str | None]:
    """JSON object of each scope's version, attributes, schema URLs and dropped counts; None where there is none."""
    above = np.repeat(np.arange(len(resources)), steps(frame.scope_starts)).tolist()
    urls = frame.resources.field("schema_url").to_pylist()
    rows = zip(
        [entry.version for entry in scopes],
        frame.scopes.field("schema_url").to_pylist(),
        [urls[owner] for owner in above],
        [entry.attributes for entry in scopes],
        [entry.dropped_attributes_count for entry in scopes],
        [resources[owner].dropped_attributes_count for owner in above],
        strict=True,
    )
    return [_cached_envelope(*row) if sum(map(len, row[:4])) <= _MOST_CACHED else _envelope(*row) for row in rows]


def _envelope(
    version: str, url: str, resource_url: str, attributes: str, dropped: int, resource_dropped: int
) -> str | None:
    members = {
        "scope_version": version,
        "schema_url": url,
        "resource_schema_url": resource_url,
        "scope_attributes": None if attributes == "{}" else msgspec.Raw(attributes.encode()),
        "scope_dropped_attributes_count": dropped,
        "resource_dropped_attributes_count": resource_dropped,
    }
    present = {name: value for name, value in members.items() if value}
    return msgspec.json.encode(present).decode() if present else None


_cached_envelope = lru_cache(maxsize=4_096)(_envelope)
