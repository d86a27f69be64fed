"""`derived_events`: what spans show without anybody saying so, computed from what is new and right when data comes late.

Handoffs, tool approvals by interrupt and resume, and changes of model, prompt version and tools. An event names the two spans that
it was read off, and is kept apart from audit events: nobody asserted it.

Invariant: the events of a day are a function of the spans of that day and of the seven days before it. So a new span, however late,
concerns its own day and the seven after it; these are computed anew, and whatever order spans come in, the same events stand there.
"""

import datetime as dt
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

import polars as pl
import pyarrow as pa

from warehouse.clock import NANOS_PER_DAY
from warehouse.derived.events import DERIVED_EVENTS
from warehouse.derived.store import DerivedStore
from warehouse.lake import Lake
from warehouse.principals import Principal
from warehouse.query import QuerySettings, ReadPoint, open_session

MEMORY_DAYS = 7
"""How far back an event looks: what an agent did not use for so long is new to it, and work is taken up within it."""
SOURCE_TABLE = "spans"
"""What they are read off: where it grows, they may."""
_NEW_DAYS = "select distinct day from spans where agent_id is not null"


@dataclass(frozen=True)
class Derived:
    """What one run did: the days that hold other events than before, and how many events they hold now."""

    days: tuple[dt.date, ...] = ()
    events: int = 0


def derive_events(lake: Lake, tenant: str, *, principal: Principal, settings: QuerySettings) -> Derived:
    """Bring a tenant's `derived_events` up to what is committed now; safe to repeat and to interrupt. The caller asked for access.

    Raises:
        UnavailableError: the lake cannot be read or written now, or another process kept the table for ten minutes.
        QueryError: the computation failed or took longer than settings allow.
    """
    with DerivedStore(lake, DERIVED_EVENTS).updating(tenant) as update:
        since = ReadPoint() if update.state is None else ReadPoint.from_json(json.loads(update.state))
        with open_session(lake.path, tenants=[tenant], principal=principal, settings=settings, since=since) as session:
            point = session.read_point()
            if update.state is not None and point == since:
                return Derived()
            days = _concerned(session.query(_NEW_DAYS).column("day").to_pylist())
            found = DERIVED_EVENTS.schema.empty_table()
            if days:
                given = {
                    "tenant": tenant,
                    "days": days,
                    "first": days[0] - dt.timedelta(days=MEMORY_DAYS),
                    "last": days[-1],
                    "memory": MEMORY_DAYS * NANOS_PER_DAY,
                }
                found = session.query(_sql(), given).cast(DERIVED_EVENTS.schema)
        before = update.read(days) if days else DERIVED_EVENTS.schema.empty_table()
        changed = _changed(before, found)
        update.commit(changed, state=json.dumps(point.to_json()).encode())
    return Derived(tuple(sorted(changed)), sum(rows.num_rows for rows in changed.values()))


def _concerned(new: list[dt.date]) -> list[dt.date]:
    """The days whose events spans of the days `new` have a part in."""
    return sorted({day + dt.timedelta(days=later) for day in new for later in range(MEMORY_DAYS + 1)})


def _changed(before: pa.Table, after: pa.Table) -> dict[dt.date, pa.Table]:
    """The days that hold other events after than before, with these."""
    old, new = (pl.DataFrame(pl.from_arrow(table)).partition_by("day", as_dict=True) for table in (before, after))
    changed = {}
    for (day,) in old.keys() | new.keys():
        was, now = (_in_order(part.get((day,), None)) for part in (old, new))
        if was is None or now is None or not was.equals(now):
            rows = DERIVED_EVENTS.schema.empty_table() if now is None else now.to_arrow().cast(DERIVED_EVENTS.schema)
            changed[day] = rows
    return changed


def _in_order(rows: pl.DataFrame | None) -> pl.DataFrame | None:
    order = ["time_unix_nano", "kind", "shard", "log_index", "before_shard", "before_index"]
    return None if rows is None else rows.sort(order)


@cache
def _sql() -> str:
    return resources.files("pipelines.incidents").joinpath("sql/derived_events.sql").read_text(encoding="utf8")
