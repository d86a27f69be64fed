"""Brings a tenant's `slo_windows` up to date: every record that is new is looked at once, by every series.

Series that were read up to the same point share one session. A new series, or one whose definition changed, begins at the
beginning and joins the others where it has caught up. One whose query fails stays where it is and is tried again, so nothing is
counted twice or left out.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.slo.counting import count_events
from pipelines.slo.definitions import Series
from pipelines.slo.windows import add_rows, days_of, make_rows
from warehouse.clock import NANOS_PER_SECOND
from warehouse.derived.slo_windows import SLO_WINDOWS
from warehouse.derived.store import DerivedStore
from warehouse.errors import QueryError
from warehouse.lake import Lake
from warehouse.principals import Principal
from warehouse.query import QuerySettings, ReadPoint, open_session
from warehouse.query.files import list_files
from warehouse.tables import TABLES

STATE_VERSION = 1
_OWNER = "/tenant_id="


@dataclass(frozen=True)
class Counted:
    """What one run added for one tenant.

    Attributes:
        tenant: whose records.
        events: how many events were counted, over all series.
        windows: how many windows changed.
        late: how many of the events came after their window had ended and been counted.
        problems: series whose query failed, with why.
        caught_up: whether none of the files that were there can hold anything that is still to be counted.
    """

    tenant: str
    events: int = 0
    windows: int = 0
    late: int = 0
    problems: Mapping[str, str] = field(default_factory=dict)
    caught_up: bool = False


@dataclass
class _Group:
    """Series that were read up to the same point."""

    point: ReadPoint
    settle_seconds: int
    series: list[Series]


def compute_tenant(
    lake: Lake,
    tenant: str,
    series: Sequence[Series],
    *,
    principal: Principal,
    settings: QuerySettings,
    now_unix_nano: int,
    files: Collection[str],
    settled: bool = False,
) -> Counted:
    """Count what is new in a tenant and add it to `slo_windows`, in one commit.

    `files` are the tenant's as `list_records` gave them: series for which none of them can hold anything new are left as they are.
    `settled` says that nothing is still to come that belongs to what is there, so that no record is left alone for now.

    Raises:
        UnavailableError: the lake cannot be read, or the table not be written; nothing changed.
    """
    with DerivedStore(lake, SLO_WINDOWS).updating(tenant) as update:
        # points of series that are not in force stay: one that comes back goes on from there, and counts nothing twice
        reached = read_points(update.state)
        new: list[pa.Table] = []
        problems: dict[str, str] = {}
        for group in _groups(reached, series):
            if not any(group.point.may_hold_new(file) for file in files):
                continue
            wait = 0 if settled else group.settle_seconds
            before = now_unix_nano - wait * NANOS_PER_SECOND if wait else None
            with open_session(
                lake.path,
                tenants=[tenant],
                principal=principal,
                settings=settings,
                since=group.point,
                received_before=before,
                now_unix_nano=now_unix_nano,
            ) as session:
                point = session.read_point()
                for each in group.series:
                    try:
                        counts = count_events(session, each)
                    except QueryError as exc:
                        problems[each.name] = str(exc)
                        continue
                    reached[each.query_hash] = point
                    new.append(make_rows(counts, each, tenant, now_unix_nano))
        rows = pa.concat_tables([SLO_WINDOWS.schema.empty_table(), *new])
        done = _is_caught_up([reached.get(each.query_hash) for each in series], files)
        state = _state(reached)
        if not rows.num_rows and state == update.state:
            return Counted(tenant, problems=problems, caught_up=done)
        days = days_of(rows)
        old = update.read(days) if days else rows
        merged = add_rows(old, rows) if days else {}
        update.commit(merged, state=state)
    late = _sum(merged.values(), "late") - _sum([old], "late")
    events = _sum([rows], "total") + _sum([rows], "not_valid")
    return Counted(tenant, events, rows.num_rows, late, problems, done)


def list_records(lake: Lake, tenants: Collection[str]) -> dict[str, list[str]]:
    """The files of records that each tenant has now: one reading of the Delta logs for all of them.

    Raises:
        UnavailableError: a log cannot be read.
    """
    found: dict[str, list[str]] = {tenant: [] for tenant in tenants}
    for paths in list_files(lake, tenants, TABLES).files.values() if tenants else ():
        for path in paths:
            found[path.rsplit(_OWNER, 1)[1].partition("/")[0]].append(path)
    return found


def read_points(state: bytes | None) -> dict[str, ReadPoint]:
    """Up to where each series was read, by its query hash."""
    if state is None:
        return {}
    content: dict[str, Any] = json.loads(state)
    points = [ReadPoint.from_json(each["point"]) for each in content["groups"]]
    return {name: point for point, each in zip(points, content["groups"], strict=True) for name in each["series"]}


def _groups(points: Mapping[str, ReadPoint], series: Iterable[Series]) -> list[_Group]:
    groups: dict[tuple[str, int], _Group] = {}
    for each in series:
        point, settle = points.get(each.query_hash, ReadPoint()), each.indicator.settle_seconds
        key = (json.dumps(point.to_json(), sort_keys=True), settle)
        groups.setdefault(key, _Group(point, settle, [])).series.append(each)
    return list(groups.values())


def _state(points: Mapping[str, ReadPoint]) -> bytes:
    """Points as JSON, each once: they name files, of which there are many."""
    texts: dict[str, list[str]] = {}
    for name, point in points.items():
        texts.setdefault(json.dumps(point.to_json(), sort_keys=True), []).append(name)
    groups = [{"point": json.loads(text), "series": sorted(names)} for text, names in sorted(texts.items())]
    return json.dumps({"version": STATE_VERSION, "groups": groups}, sort_keys=True).encode()


def _is_caught_up(points: Sequence[ReadPoint | None], files: Collection[str]) -> bool:
    """Whether every series was read, and no file can hold anything beyond its point. Series of one session share a point."""
    distinct = {id(point): point for point in points}.values()
    return not any(point is None or any(point.may_hold_new(file) for file in files) for point in distinct)


def _sum(tables: Iterable[pa.Table], column: str) -> int:
    return sum(pc.sum(table.column(column)).as_py() or 0 for table in tables)
