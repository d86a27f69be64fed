"""What OpenSLO files define, checked and put together: plain values that nothing else has to check again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from pipelines.slo.burn import Severity
from pipelines.slo.durations import TimeWindow
from warehouse.names import LAKE_TENANT

WINDOW_SECONDS = 300
"""How long the windows are in which events are counted, unless an SLO's time slices are shorter."""
SLICE_UNIT_SECONDS = 60
DEFAULT_MINIMUM_EVENTS = 10

Method = Literal["Occurrences", "Timeslices", "RatioTimeslices"]
Operator = Literal["lt", "lte", "gt", "gte"]
SIGNS: Mapping[str, str] = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


@dataclass(frozen=True)
class Source:
    """One query of an indicator.

    Attributes:
        sql: yields a row an event; None for a source that is not the lake's, which can be read and not computed.
        settle_seconds: how long a record is left alone after its receipt, so that what the query joins to it has come too.
    """

    sql: str | None
    settle_seconds: int = 0


@dataclass(frozen=True)
class Indicator:
    """An SLI.

    Attributes:
        name: tells it from others.
        sources: by part: `total` with `good` or `bad`; or `success` or `failure`, whose rows say themselves whether they were
            (column `good`, or `bad` of `failure`; NULL for events that do not count); or `threshold`, whose rows have a `value`.
        title: for people.
        description: what it measures, for people.
    """

    name: str
    sources: Mapping[str, Source]
    title: str = ""
    description: str = ""

    @property
    def is_threshold(self) -> bool:
        """Whether an objective says which values are good."""
        return "threshold" in self.sources

    @property
    def is_computable(self) -> bool:
        """Whether all of its queries are the lake's."""
        return all(source.sql is not None for source in self.sources.values())

    @property
    def settle_seconds(self) -> int:
        """How long its events are left alone."""
        return max(source.settle_seconds for source in self.sources.values())


@dataclass(frozen=True)
class Series:
    """One indicator as it is counted: with the bound that tells good values from others, in windows of one length."""

    indicator: Indicator
    operator: Operator | None = None
    value: float | None = None
    window_seconds: int = WINDOW_SECONDS

    @property
    def name(self) -> str:
        """As `slo_windows` names it: the indicator, with its bound where it has one."""
        if self.operator is None:
            return self.indicator.name
        return f"{self.indicator.name} {SIGNS[self.operator]} {self.value:g}"

    @cached_property
    def query_hash(self) -> str:
        """SHA-256, in hexadecimal, of everything that decides what is counted: another one is another series."""
        sources = {part: [source.sql, source.settle_seconds] for part, source in self.indicator.sources.items()}
        content = [self.indicator.name, sources, self.operator, self.value, self.window_seconds]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Objective:
    """A target for one series of an SLO.

    Attributes:
        name: for people; tells it from the SLO's others.
        target: the share of good, over 0 and under 1.
        series: what is counted.
        slice_seconds: length of a time slice, None with Occurrences.
        slice_target: the share of good from which on a slice is good, with Timeslices.
        strict: whether a slice at exactly its target is bad.
    """

    name: str
    target: float
    series: Series
    slice_seconds: int | None = None
    slice_target: float | None = None
    strict: bool = False


@dataclass(frozen=True)
class BurnCondition:
    """When an alert is due: the budget burns faster than `threshold` in the long and in the short window."""

    name: str
    severity: Severity
    threshold: float
    long_seconds: int
    short_seconds: int
    inclusive: bool = False
    hold_seconds: int = 0
    description: str = ""
    runbook: str | None = None


@dataclass(frozen=True)
class AlertPolicy:
    """Conditions, and the targets that are told."""

    name: str
    conditions: tuple[BurnCondition, ...]
    targets: tuple[str, ...] = ()
    when_breaching: bool = True
    when_no_data: bool = False


@dataclass(frozen=True)
class Maintenance:
    """Planned maintenance: windows in it are excluded. `slos` and `tenants` empty mean all."""

    name: str
    begin_unix_nano: int
    end_unix_nano: int
    reason: str
    tenants: frozenset[str] = frozenset()
    slos: frozenset[str] = frozenset()

    def concerns(self, slo: str, tenant: str) -> bool:
        """Whether it is one of this SLO in this tenant."""
        return (not self.slos or slo in self.slos) and (not self.tenants or tenant in self.tenants)


@dataclass(frozen=True)
class Slo:
    """One SLO with everything that it names."""

    name: str
    title: str
    service: str
    description: str
    method: Method
    window: TimeWindow
    objectives: tuple[Objective, ...]
    policies: tuple[AlertPolicy, ...] = ()
    tenants: frozenset[str] = frozenset()
    minimum_events: int = DEFAULT_MINIMUM_EVENTS
    watched: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    file: str = ""

    def applies_to(self, tenant: str) -> bool:
        """Whether it is for this tenant: those it names, or all but the lake's own."""
        return tenant in self.tenants if self.tenants else tenant != LAKE_TENANT

    @property
    def is_computable(self) -> bool:
        """Whether the lake can answer every query of it."""
        return all(objective.series.indicator.is_computable for objective in self.objectives)


@dataclass(frozen=True)
class SloPolicy:
    """The SLOs of a lake."""

    content_hash: str
    slos: tuple[Slo, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    services: tuple[str, ...] = ()
    targets: Mapping[str, str] = field(default_factory=dict)

    def series_for(self, tenant: str) -> tuple[Series, ...]:
        """Everything that is counted for a tenant, each once."""
        found: dict[str, Series] = {}
        for slo in self.slos:
            if slo.applies_to(tenant) and slo.is_computable:
                for objective in slo.objectives:
                    found.setdefault(objective.series.query_hash, objective.series)
        return tuple(found.values())
