"""What records take from around them: their request's sender, their resource and their scope."""

from dataclasses import dataclass
from functools import lru_cache

import msgspec
import numpy as np
import pyarrow as pa

from collectors.decode.attributes import Attributes, decode_attributes
from collectors.decode.frame import Frame
from collectors.decode.refusals import Checks
from collectors.decode.resources import resource_columns
from collectors.decode.texts import Ints, filled_texts, literal, repeated, steps
from collectors.dialects.roles import NO_ROLES
from collectors.exports import IntakeLimits

_AGENT = ("agent_id", "agent_name", "agent_version")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Columns that records take from their request, resource and scope; agent columns that their resource names."""

    columns: dict[str, pa.Array]
    resource_agents: dict[str, pa.StringArray]


def surroundings(frame: Frame, checks: Checks, limits: IntakeLimits) -> Surroundings:
    """Decode resources and scopes once and hand them down to their records."""
    resources = resource_columns(frame, checks, limits)
    scope = frame.scopes.field("scope")
    attributes = decode_attributes(scope.field("attributes"), NO_ROLES, limits)
    checks.mark_attributes(attributes, shared_by=frame.scope_of)
    columns: dict[str, pa.Array] = {
        "tenant_id": _by_export(frame, [export.sender.tenant_id for export in frame.exports]),
        "recorded_by": _by_export(frame, [export.sender.recorded_by for export in frame.exports]),
        "peer": _by_export(frame, [export.sender.peer for export in frame.exports]),
        "resource": _handed_down(resources["resource"], frame.resource_of),
        "service_name": _handed_down(resources["service_name"], frame.resource_of),
        "scope_name": _handed_down(filled_texts(scope.field("name").fill_null(literal(""))), frame.scope_of),
        "envelope": _handed_down(_envelopes(frame, attributes), frame.scope_of),
        "schema_version": pa.repeat(pa.scalar(1, pa.int64()), len(frame.records)),
    }
    agents = {
        name: _handed_down(resources[name], frame.resource_of)
        for name in _AGENT
        if resources[name].null_count < len(resources[name])
    }
    return Surroundings(columns, agents)


def _handed_down(texts: pa.StringArray, owner_of: Ints) -> pa.StringArray:
    return pa.repeat(texts[0], len(owner_of)) if len(texts) == 1 else texts.take(pa.array(owner_of))


def _by_export(frame: Frame, texts: list[str]) -> pa.StringArray:
    if len(set(texts)) == 1:
        return repeated(texts[0], len(frame.records))
    return pa.array(texts, pa.string()).take(pa.array(frame.export_of))


def _envelopes(frame: Frame, attributes: Attributes | None) -> pa.StringArray:
    """JSON object of each scope's version, attributes, schema URLs and dropped counts; NULL where there is none."""
    scope, resource = frame.scopes.field("scope"), frame.resources.field("resource")
    above = np.repeat(np.arange(len(frame.resources)), steps(frame.scope_starts)).tolist()
    urls, dropped = (
        frame.resources.field("schema_url").to_pylist(),
        resource.field("dropped_attributes_count").to_pylist(),
    )
    rows = zip(
        scope.field("version").to_pylist(),
        frame.scopes.field("schema_url").to_pylist(),
        [urls[owner] for owner in above],
        repeated("{}", len(above)).to_pylist() if attributes is None else attributes.json.to_pylist(),
        scope.field("dropped_attributes_count").to_pylist(),
        [dropped[owner] for owner in above],
        strict=True,
    )
    return pa.array([_envelope(*row) for row in rows], pa.string())


@lru_cache(maxsize=4_096)
def _envelope(
    version: str | None, url: str, resource_url: str, attributes: str, dropped: int | None, resource_dropped: int | None
) -> str | None:
    members = {
        "scope_version": version,
        "schema_url": url,
        "resource_schema_url": resource_url,
        "scope_attributes": attributes != "{}" and msgspec.Raw(attributes.encode()),
        "scope_dropped_attributes_count": dropped,
        "resource_dropped_attributes_count": resource_dropped,
    }
    present = {name: value for name, value in members.items() if value}
    return msgspec.json.encode(present).decode() if present else None
