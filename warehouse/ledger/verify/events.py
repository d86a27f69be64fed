"""Muniment's own events that a verification reads: purges, restores, heads, rotations, and when collectors ran.

Only events count that Muniment itself recorded, whose row is the one that the log has: an agent's key can write neither.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

EVENT_NAMES = (
    "retention.intended", "retention.purged", "lake.restored", "log.heads", "log.opened", "key.rotated",
    "collector.started", "collector.stopped", "collector.heartbeat",
)  # fmt: skip
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


def event_rows(batch: pa.RecordBatch) -> pa.Table:
    """The rows of `audit_events` that are such events: `recorded_by` is no agent's key."""
    named = pc.is_in(batch.column("event_name"), value_set=pa.array(EVENT_NAMES, pa.string()))
    by_key = pc.starts_with(batch.column("recorded_by"), _AGENT_KEY)
    mine = pc.fill_null(pc.and_(named, pc.invert(by_key)), False)
    return pa.Table.from_batches([batch.select(_COLUMNS).filter(mine)])


def own_rows(
    tables: Iterable[pa.Table], *, sizes: Mapping[tuple[str, str], int], altered: Mapping[tuple[str, str], np.ndarray]
) -> Iterator[OwnRow]:
    """The events of these rows that stand in their logs as they are."""
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
