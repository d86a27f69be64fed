"""The work over the records of days that schedules do on one lake, as `pipelines.findings` asks for it.

The same functions that commands and the loop of `muniment up` call. Who comes second waits for the lock that they hold, for ten
minutes at most, and then finds nothing left to do; what was done is committed together with up to where it was done.
"""

import datetime as dt
from collections.abc import Collection, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from governance.access import Action
from muniment.deriving import derive
from muniment.incidents import detect_incidents, rules_in_force
from muniment.job_context import LakeWork, without_values
from muniment.quality import run_quality, show_quality
from muniment.retaining import check_tenant
from muniment.slos import compute_slos, read_slo_policy
from muniment.tenancy import lake_tenants
from muniment.wiring import CommandContext
from pipelines.findings import (
    EventsDerived,
    FoundIncident,
    IncidentsDetected,
    NewRecords,
    QualityOutcome,
    SloDay,
    SlosCounted,
)
from pipelines.quality.checks import CHECKS
from pipelines.quality.completeness import METHOD as COMPLETENESS
from pipelines.quality.counting import METHOD
from warehouse.arrivals import last_changes, read_arrivals
from warehouse.clock import NANOS_PER_DAY, NANOS_PER_SECOND, utc_date
from warehouse.control import IncidentRecord, IncidentState
from warehouse.derived.events import DERIVED_EVENTS
from warehouse.derived.slo_windows import SLO_WINDOWS
from warehouse.derived.store import DerivedStore
from warehouse.errors import UnavailableError
from warehouse.heads import read_heads
from warehouse.names import LAKE_TENANT
from warehouse.query.files import list_files
from warehouse.tables import TABLES

_CHECKED_TABLES = sorted({check.table for check in CHECKS})
_SILENT_DAYS = 7
_WINDOW_NANOS = 300 * NANOS_PER_SECOND


class FindingsWork(LakeWork):
    """SLO windows, derived events, incidents and quality of one lake, and where records came."""

    def table_versions(self) -> Mapping[str, int]:
        """A listing of each log's folder."""
        return dict(read_heads(self.lake, TABLES).versions)

    def new_records(self, since: Mapping[str, int], since_unix_nano: int) -> NewRecords:
        """From the entries of the Delta logs that are newer."""
        with self.context("look for new records") as context:
            context.check(Action.STATUS_READ)
            found = read_arrivals(self.lake, TABLES, since, since_unix_nano=since_unix_nano)
            known = set(lake_tenants(context.control))
            days: dict[dt.date, set[str]] = {}
            for tenant, day in found.places:
                if tenant in known:
                    days.setdefault(day, set()).add(tenant)
            return NewRecords(found.versions, {day: frozenset(tenants) for day, tenants in sorted(days.items())})

    def changed_days(self, tenants: Collection[str]) -> Mapping[dt.date, int]:
        """From the live files."""
        with self.context("list the days") as context:
            context.check(Action.STATUS_READ)
            days: dict[dt.date, int] = {}
            for (tenant, day), changed in last_changes(self.lake, TABLES).items():
                if tenant in tenants:
                    days[day] = max(changed, days.get(day, 0))
            return days

    def compute_slos(self, tenant: str) -> SlosCounted:
        """What `muniment slo compute --tenant T` does."""
        with self.context("compute SLOs") as context:
            (counted,) = compute_slos(context, tenants=[tenant]).counted or (None,)
            if counted is None:
                return SlosCounted()
            problems = {name: without_values(context, why) for name, why in counted.problems.items()}
            return SlosCounted(counted.events, counted.windows, counted.late, problems)

    def slo_day(self, tenant: str, day: dt.date) -> SloDay:
        """From the table alone; nothing is counted."""
        with self.context("read SLO windows") as context:
            context.check(Action.SLO_READ, tenant)
            names = {each.query_hash: each.name for each in read_slo_policy(context.control).series_for(tenant)}
            before = [day - dt.timedelta(days=back) for back in range(1, _SILENT_DAYS + 1)]
            rows = DerivedStore(self.lake, SLO_WINDOWS).read(tenant, days=[day, *before])
            rows = rows.filter(pc.is_in(rows.column("query"), pa.array(list(names), pa.string())))
            here = pc.equal(rows.column("day"), day)
            return _slo_day(rows.filter(here), rows.filter(pc.invert(here)), names)

    def derive_events(self, tenant: str) -> EventsDerived:
        """What a round of detection does before rules that ask for derived events."""
        if tenant == LAKE_TENANT:
            return EventsDerived()  # it has no agents
        with self.context("derive events") as context:
            done = derive(context, tenants=[tenant])[tenant]
            return EventsDerived(len(done.days), done.events)

    def derived_day(self, tenant: str, day: dt.date) -> Mapping[str, int]:
        """From the table alone; nothing is derived."""
        with self.context("read derived events") as context:
            context.check(Action.INCIDENT_READ, tenant)
            return _counts(DerivedStore(self.lake, DERIVED_EVENTS).read(tenant, days=[day]).column("kind"))

    def detect_incidents(self, tenant: str) -> IncidentsDetected:
        """What the loop of `muniment up` does each minute; that one sends the alerts."""
        with self.context("detect incidents") as context:
            found = detect_incidents(context, tenants=[tenant])
            if why := next((each.message for each in found.failures if each.rule is None), None):
                raise UnavailableError(without_values(context, why))
            return IncidentsDetected(tuple(each.id for each in found.opened), tuple(each.id for each in found.updated))

    def failing_rules(self, tenant: str) -> Mapping[str, str]:
        """From what the last evaluations left in the control database."""
        with self.context("list rules") as context:
            context.check(Action.INCIDENT_READ, tenant)
            known = {rule.id for rule in rules_in_force(context).rules}
            progress = context.control.rule_progress(tenant)
            return {
                rule: without_values(context, each.problem)
                for rule, each in sorted(progress.items())
                if each.problem is not None and rule in known
            }

    def incidents_of(self, day: dt.date) -> list[FoundIncident]:
        """From the control database."""
        with self.context("list incidents") as context:
            context.check(Action.INCIDENT_READ)
            return [_found(each) for each in _incidents(context) if utc_date(each.opened_unix_nano) == day]

    def running_incidents(self) -> list[FoundIncident]:
        """From the control database."""
        with self.context("list incidents") as context:
            context.check(Action.INCIDENT_READ)
            return [_found(each) for each in _incidents(context) if each.state is not IncidentState.CLOSED]

    def check_quality(self, tenant: str, day: dt.date) -> tuple[QualityOutcome, ...]:
        """What `muniment quality run --tenant T --day D` does, where the day has a file: what a purge took is not checked again."""
        with self.context("check quality") as context:
            context.check(Action.QUALITY_RUN, tenant)
            check_tenant(context, tenant)
            part = f"/day={day.isoformat()}/"
            files = list_files(self.lake, [tenant], _CHECKED_TABLES).files.values()
            if not any(part in path for paths in files for path in paths):
                return ()
            return tuple(
                QualityOutcome(tenant, each.check.name, each.outcome, each.total, each.unexpected, each.error)
                for each in run_quality(context, tenant, day)
            )

    def quality_of(self, day: dt.date) -> list[QualityOutcome]:
        """From the table alone; nothing is checked."""
        return self._outcomes(day, METHOD)

    def completeness_of(self, day: dt.date) -> list[QualityOutcome]:
        """From the table alone; nothing is checked."""
        return self._outcomes(day, COMPLETENESS)

    def _outcomes(self, day: dt.date, method: str) -> list[QualityOutcome]:
        with self.context("read quality results") as context:
            return [
                QualityOutcome(tenant, row["check_name"], row["outcome"], row["total"], row["unexpected"], row["error"])
                for tenant in lake_tenants(context.control)
                for row in show_quality(context, tenant, day)
                if row["shard"] is None and row["method"] == method and row["sender"] is None
            ]


def _incidents(context: CommandContext) -> list[IncidentRecord]:
    return [each for each in context.control.list_incidents() if each.duplicate_of is None]


def _found(each: IncidentRecord) -> FoundIncident:
    return FoundIncident(each.id, each.tenant_id, each.rule, each.severity, each.state.value, each.runbook)


def _slo_day(here: pa.Table, before: pa.Table, names: Mapping[str, str]) -> SloDay:
    events = _sums(here, "query", "total")
    ranges = here.group_by("shard").aggregate([("first_index", "min"), ("last_index", "max")]).to_pylist()
    five = pc.divide(here.column("time_unix_nano"), _WINDOW_NANOS)
    gone = set(pc.unique(before.column("query")).to_pylist()) - set(events) if events else set()
    return SloDay(
        {names[query]: count for query, count in sorted(events.items(), key=lambda item: names[item[0]])},
        pc.sum(here.column("good")).as_py() or 0,
        pc.sum(here.column("not_valid")).as_py() or 0,
        pc.count_distinct(five).as_py() * _WINDOW_NANOS / NANOS_PER_DAY,
        {row["shard"]: (row["first_index_min"], row["last_index_max"]) for row in ranges},
        tuple(sorted(names[query] for query in gone)),
    )


def _sums(rows: pa.Table, key: str, column: str) -> dict[str, int]:
    found = rows.group_by(key).aggregate([(column, "sum")]).to_pylist()
    return {row[key]: row[f"{column}_sum"] for row in found}


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {each["values"]: each["counts"] for each in pc.value_counts(column).to_pylist()}
