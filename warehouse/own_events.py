"""Muniment's own audit events: what the product did, as records in the lake that it keeps.

They take the same way as everybody's: through a redactor, into the journal, with a place in the tenant's log.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from warehouse.catalogue import CATALOGUE
from warehouse.clock import utc_date
from warehouse.principals import PrincipalKind
from warehouse.tables import AUDIT_EVENTS
from warehouse.treated import RecordSet

SERVICE_NAME = "muniment"
_SEVERITY_INFO = 9
_GIVEN = frozenset({
    "tenant_id", "day", "schema_version", "received_unix_nano", "recorded_by", "peer", "event_name", "attributes",
})  # fmt: skip
_FIELDS = frozenset(AUDIT_EVENTS.decoded_schema.names) - _GIVEN
_HUMANS = frozenset({PrincipalKind.LOCAL_USER, PrincipalKind.OIDC_USER})


@dataclass(frozen=True)
class OwnEvent:
    """One thing that Muniment did.

    `fields` are columns of `audit_events` (`actor_id`, `resource_type`, `outcome`, `reason`, …); `attributes` go into the
    JSON of the same name. `recorded_by` is the principal's, e.g. `user:alice`.
    """

    tenant_id: str
    name: str
    recorded_by: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    peer: str = "local"

    def to_json(self) -> dict[str, Any]:
        """Form in which another process of this lake hands the event to the running collector."""
        return {
            "tenant_id": self.tenant_id,
            "name": self.name,
            "recorded_by": self.recorded_by,
            "fields": dict(self.fields),
            "attributes": dict(self.attributes),
            "peer": self.peer,
        }


def own_event_records(events: Sequence[OwnEvent], *, now_unix_nano: int) -> RecordSet:
    """Rows of `audit_events` for `events`.

    Raises:
        ValueError: a name outside the catalogue, or a field that is no column or that says who recorded what, when.
    """
    rows = [_row(event, now_unix_nano) for event in events]
    schema = AUDIT_EVENTS.decoded_schema
    columns = [pa.array([row.get(name) for row in rows], schema.field(name).type) for name in schema.names]
    return RecordSet(tables={"audit_events": pa.RecordBatch.from_arrays(columns, schema=schema)})


def _row(event: OwnEvent, now_unix_nano: int) -> dict[str, Any]:
    if event.name not in CATALOGUE:
        raise ValueError(f"own event name: expected one of the audit catalogue, got {event.name!r}")
    if unknown := set(event.fields) - _FIELDS:
        raise ValueError(f"own event {event.name}: expected free columns of audit_events, got {sorted(unknown)}")
    kind, _, actor = event.recorded_by.partition(":")
    return {
        "tenant_id": event.tenant_id,
        "day": utc_date(now_unix_nano),
        "schema_version": AUDIT_EVENTS.schema_version,
        "received_unix_nano": now_unix_nano,
        "time_unix_nano": now_unix_nano,
        "observed_unix_nano": now_unix_nano,
        "recorded_by": event.recorded_by,
        "peer": event.peer,
        "service_name": SERVICE_NAME,
        "scope_name": SERVICE_NAME,
        "event_name": event.name,
        "actor_id": actor,
        "actor_type": "human" if kind in _HUMANS else "service",
        "resource": json.dumps({"service.name": SERVICE_NAME}, separators=(",", ":")),
        "attributes": json.dumps(dict(event.attributes), separators=(",", ":"), sort_keys=True),
        "severity_number": _SEVERITY_INFO,
        "severity_text": "INFO",
        "outcome": "success",
        **event.fields,
    }
