"""What an SLO would have said over a time that has passed: attainment, and every alert that it would have sent.

Counted afresh from what the lake holds now, for nothing is kept of an SLO that is not in force. Purged records are not in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipelines.slo.burn import Severity
from pipelines.slo.counting import count_events
from pipelines.slo.definitions import BurnCondition, Objective, Series, Slo, SloPolicy
from pipelines.slo.figures import Figure, holding_cells, measure_between
from pipelines.slo.grid import Grid, make_grid
from pipelines.slo.reading import Counts
from warehouse.clock import NANOS_PER_SECOND
from warehouse.query import QuerySession


@dataclass(frozen=True)
class PastAlert:
    """An alert that would have been sent: from when to when (None: to the end of the time looked at)."""

    slo: str
    objective: str
    tenant: str
    condition: str
    severity: Severity
    begin_unix_nano: int
    end_unix_nano: int | None


@dataclass(frozen=True)
class Preview:
    """What SLOs would have said in one tenant."""

    figures: tuple[Figure, ...]
    alerts: tuple[PastAlert, ...]


def preview_slos(
    slos: tuple[Slo, ...],
    policy: SloPolicy,
    session: QuerySession,
    tenant: str,
    begin_unix_nano: int,
    end_unix_nano: int,
) -> Preview:
    """Count and measure SLOs over [begin, end), as if the time had been one window.

    Args:
        slos: these, of `policy`.
        policy: where planned maintenance is.
        session: over everything of the tenant, as new rows.
        tenant: whose.
        begin_unix_nano: where the time begins; burn rates look back before it.
        end_unix_nano: where it ends.

    Raises:
        QueryError: an indicator's query fails.
    """
    counted: dict[str, Counts] = {}
    for series, earliest in _wanted(slos, begin_unix_nano):
        counted[series.query_hash] = Counts.from_table(count_events(session, series, bounds=(earliest, end_unix_nano)))
    figures: list[Figure] = []
    alerts: list[PastAlert] = []
    for slo in slos:
        maintenance = [each for each in policy.maintenance if each.concerns(slo.name, tenant)]
        for objective in slo.objectives:
            grid = make_grid(
                counted[objective.series.query_hash],
                objective,
                maintenance,
                begin_unix_nano=_first(slo, begin_unix_nano),
                end_unix_nano=end_unix_nano,
            )
            figures.append(measure_between(slo, objective, tenant, grid, begin_unix_nano, end_unix_nano))
            alerts += _alerts(slo, objective, tenant, grid, begin_unix_nano)
    return Preview(tuple(figures), tuple(sorted(alerts, key=lambda alert: alert.begin_unix_nano)))


def _wanted(slos: tuple[Slo, ...], begin: int) -> list[tuple[Series, int]]:
    """Each series once, and the earliest time that it is needed from."""
    earliest: dict[str, tuple[Series, int]] = {}
    for slo in slos:
        for objective in slo.objectives:
            first = min(_first(slo, begin), earliest.get(objective.series.query_hash, (None, begin))[1])
            earliest[objective.series.query_hash] = (objective.series, first)
    return [(series, first // _cell(series) * _cell(series)) for series, first in earliest.values()]


def _cell(series: Series) -> int:
    return series.window_seconds * NANOS_PER_SECOND


def _first(slo: Slo, begin: int) -> int:
    conditions = [condition for policy in slo.policies for condition in policy.conditions]
    longest = max((each.long_seconds + each.hold_seconds for each in conditions), default=0)
    return begin - longest * NANOS_PER_SECOND


def _alerts(slo: Slo, objective: Objective, tenant: str, grid: Grid, begin: int) -> Iterator[PastAlert]:
    if slo.watched:
        return
    for policy in slo.policies:
        for condition in policy.conditions if policy.when_breaching else ():
            for first, after in _runs(slo, objective, condition, grid, begin):
                last = None if after >= len(grid.total) else grid.begin_unix_nano + (after + 1) * grid.cell_nanos
                start = grid.begin_unix_nano + (first + 1) * grid.cell_nanos
                yield PastAlert(slo.name, objective.name, tenant, condition.name, condition.severity, start, last)


def _runs(slo: Slo, objective: Objective, condition: BurnCondition, grid: Grid, begin: int) -> list[tuple[int, int]]:
    """(first cell, cell after the last) of each stretch in which an alert is due, at or after `begin`."""
    due = holding_cells(slo, objective, condition, grid)
    due[: max(0, grid.place(begin))] = False
    edges = np.flatnonzero(np.diff(np.concatenate([[False], due, [False]]).astype(np.int8)))
    return [(int(first), int(after)) for first, after in zip(edges[::2], edges[1::2], strict=True)]
