"""What daily assets ask of a lake, as a protocol of plain values: SLO windows, derived events, incidents, quality, and what is new.

`pipelines.jobs` says where its implementation is found, and what every method must hold to.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, Protocol

Outcome = Literal["passed", "failed", "errored", "empty", "unmeasured"]


@dataclass(frozen=True)
class NewRecords:
    """Where records came: the tenants by UTC day, and the version of each table's log up to which that is known."""

    versions: Mapping[str, int]
    days: Mapping[date, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class SlosCounted:
    """What one run added to a tenant's `slo_windows`, on whichever days. `problems` says by indicator why it was not counted."""

    events: int = 0
    windows: int = 0
    late: int = 0
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SloDay:
    """A tenant's `slo_windows` of one day.

    Attributes:
        events: by indicator in force, how many events were counted; good ones among them, and those of which nobody can say.
        covered: the share of the day's five minutes in which any was counted.
        ranges: by shard, the lowest and the highest log index of a counted record.
        silent: indicators that were counted on one of the seven days before and not on this one, though others were.
    """

    events: Mapping[str, int]
    good: int
    not_valid: int
    covered: float
    ranges: Mapping[str, tuple[int, int]]
    silent: tuple[str, ...]


@dataclass(frozen=True)
class EventsDerived:
    """What one run changed in a tenant's `derived_events`: on how many days, and how many events these hold now."""

    days: int = 0
    events: int = 0


@dataclass(frozen=True)
class IncidentsDetected:
    """Ids of a tenant's incidents that one run opened or added to."""

    opened: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()


@dataclass(frozen=True)
class FoundIncident:
    """An incident: whose, by which rule, how bad, in which state, and the file of its runbook."""

    id: str
    tenant: str
    rule: str
    severity: str
    state: str
    runbook: str


@dataclass(frozen=True)
class QualityOutcome:
    """What one check found in all records of a tenant's day. Counts are None where it errored; `error` is the kind of error then."""

    tenant: str
    name: str
    outcome: Outcome
    total: int | None
    unexpected: int | None
    error: str | None = None


class FindingsJobs(Protocol):
    """Work over the records of days. Every method MUST be safe to repeat, and beside itself in another process."""

    def now(self) -> int:
        """Nanoseconds since 1970."""
        ...

    def table_versions(self) -> Mapping[str, int]:
        """The newest version of each table's log, read off its folder."""
        ...

    def new_records(self, since: Mapping[str, int], since_unix_nano: int) -> NewRecords:
        """Where records came after the versions `since`; where that cannot be told, after the instant."""
        ...

    def changed_days(self, tenants: Collection[str]) -> Mapping[date, int]:
        """When a file of each day that holds records of one of these tenants was committed last, in nanoseconds since 1970."""
        ...

    def compute_slos(self, tenant: str) -> SlosCounted:
        """Count what is new of a tenant into `slo_windows`; waits for whoever is doing so."""
        ...

    def slo_day(self, tenant: str, day: date) -> SloDay:
        """What `slo_windows` holds of a tenant's day."""
        ...

    def derive_events(self, tenant: str) -> EventsDerived:
        """Bring a tenant's `derived_events` up to what is committed; waits for whoever is doing so."""
        ...

    def derived_day(self, tenant: str, day: date) -> Mapping[str, int]:
        """How many events of each kind `derived_events` holds of a tenant's day."""
        ...

    def detect_incidents(self, tenant: str) -> IncidentsDetected:
        """Evaluate the rules that are due over what is new of a tenant; waits for whoever is doing so."""
        ...

    def failing_rules(self, tenant: str) -> Mapping[str, str]:
        """Rules in force whose last evaluation over a tenant failed, with why."""
        ...

    def incidents_of(self, day: date) -> list[FoundIncident]:
        """Incidents of any tenant whose first record lies on a day, duplicates left out."""
        ...

    def running_incidents(self) -> list[FoundIncident]:
        """Incidents of any tenant that are not closed, duplicates left out."""
        ...

    def check_quality(self, tenant: str, day: date) -> tuple[QualityOutcome, ...]:
        """Check every record of a tenant's day and keep what was found; a day without records is left as it is, and gives nothing."""
        ...

    def quality_of(self, day: date) -> list[QualityOutcome]:
        """What the checks of any tenant's day found when it was checked last."""
        ...

    def completeness_of(self, day: date) -> list[QualityOutcome]:
        """What is known of a day's completeness, of every tenant; `unmeasured` is neither complete nor incomplete."""
        ...
