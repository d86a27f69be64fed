"""Muniment's own events that a verification reads: purges, restores, heads, rotations, and when collectors ran.

Only events count that Muniment itself recorded, whose row is the one that the log has: an agent's key can write neither.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.ledger.listening import (
    DEFAULT_INTERVAL_SECONDS,
    HEARTBEAT,
    INTERVAL_ATTRIBUTE,
    STARTED,
    STOPPED,
    CollectorEvent,
)
from warehouse.names import LAKE_TENANT

HEADS = "log.heads"
_NAMES = (HEADS, "retention.intended", "retention.purged", "lake.restored", "log.opened", "key.rotated")
_LISTENING = (STARTED, HEARTBEAT, STOPPED)
"""Looked at in the log of `_lake` alone: it has all of them, the tenants' logs copies for their own readers."""
_COLUMNS = (
    "tenant_id", "shard", "log_index", "event_name", "recorded_by", "time_unix_nano", "resource_type", "resource_id",
    "attributes",
)  # fmt: skip
_MUNIMENT = "muniment:"
_AGENT_KEY = "key:"


@dataclass(frozen=True)
class OwnRow:
    """One event of Muniment's own, as the log has it."""

    tenant: str
    shard: str
    index: int
    name: str
    recorded_by: str
    time_unix_nano: int
    resource_type: str | None
    resource_id: str | None
    attributes_text: str | None

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Attributes; empty where they are not a JSON object."""
        try:
            value = json.loads(self.attributes_text or "{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def by_muniment(self) -> bool:
        """Whether a job of Muniment recorded it."""
        return self.recorded_by.startswith(_MUNIMENT)


class LogEvents(NamedTuple):
    """What the logs tell: Muniment's events about logs and records, and those by which collectors say that they listen."""

    rows: list[OwnRow]
    listening: list[CollectorEvent]


def event_rows(batch: pa.RecordBatch) -> pa.Table:
    """The rows of `audit_events` that are such events: `recorded_by` is no agent's key."""
    named = pc.is_in(batch.column("event_name"), value_set=pa.array(_NAMES, pa.string()))
    listening = pc.is_in(batch.column("event_name"), value_set=pa.array(_LISTENING, pa.string()))
    named = pc.or_(named, pc.and_(listening, pc.equal(batch.column("tenant_id"), LAKE_TENANT)))
    by_key = pc.starts_with(batch.column("recorded_by"), _AGENT_KEY)
    mine = pc.fill_null(pc.and_(named, pc.invert(by_key)), False)
    return pa.Table.from_batches([batch.select(_COLUMNS).filter(mine)])


def read_events(
    tables: Iterable[pa.Table],
    *,
    sizes: Mapping[tuple[str, str], int],
    altered: Mapping[tuple[str, str], np.ndarray],
    with_heads: bool,
) -> LogEvents:
    """The events of these rows that stand in their logs as they are; `log.heads`, which are long, if they are wanted."""
    found = LogEvents([], [])
    for row in _sound_rows(tables, sizes, altered):
        if row.name in _LISTENING:
            if row.resource_id and row.by_muniment:
                found.listening.append(_collector_event(row))
        elif with_heads or row.name != HEADS:
            found.rows.append(row)
    return found


def _sound_rows(
    tables: Iterable[pa.Table], sizes: Mapping[tuple[str, str], int], altered: Mapping[tuple[str, str], np.ndarray]
) -> Iterator[OwnRow]:
    for table in tables:
        for row in table.to_pylist():
            log = (row["tenant_id"], row["shard"])
            if 0 <= row["log_index"] < sizes.get(log, 0) and row["log_index"] not in altered.get(log, ()):
                yield OwnRow(
                    tenant=row["tenant_id"],
                    shard=row["shard"],
                    index=row["log_index"],
                    name=row["event_name"],
                    recorded_by=row["recorded_by"] or "",
                    time_unix_nano=row["time_unix_nano"] or 0,
                    resource_type=row["resource_type"],
                    resource_id=row["resource_id"],
                    attributes_text=row["attributes"],
                )


def _collector_event(row: OwnRow) -> CollectorEvent:
    stated = row.attributes.get(INTERVAL_ATTRIBUTE)
    interval = stated if isinstance(stated, int | float) and 0 < stated < math.inf else DEFAULT_INTERVAL_SECONDS
    return CollectorEvent(row.time_unix_nano, row.name, row.resource_id or "", interval)
