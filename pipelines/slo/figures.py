"""What an SLO says at an instant: attainment, error budget, coverage, and how fast the budget burns.

Unknown is not good. Attainment is over what was measured; beside it stands the coverage, the share of the windows that were
measured at all; planned maintenance is taken out of both and shown; too few events give no verdict and no alert.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipelines.slo.definitions import AlertPolicy, BurnCondition, Objective, Slo, SloPolicy
from pipelines.slo.grid import Floats, Grid, Sums, make_grid, weigh
from pipelines.slo.reading import NOTHING, Counts, Ints
from warehouse.clock import NANOS_PER_SECOND, utc_text

State = Literal["met", "spent", "few", "unmeasured", "watched"]


@dataclass(frozen=True)
class Burn:
    """How fast a budget burns in the two windows of a condition.

    Attributes:
        condition: the condition's name.
        policy: the alert policy that holds it.
        severity: page, ticket or info.
        factor: what both burn rates are held against.
        long_seconds, short_seconds: the windows.
        long_burn, short_burn: burn rates; None where nothing was measured.
        events: how many events the long window holds.
        firing: whether an alert is due.
        since_unix_nano: begin of the first window since which it has held without a break; None where no alert is due.
        no_data: whether it is due because nothing was measured.
    """

    condition: str
    policy: str
    severity: str
    factor: float
    long_seconds: int
    short_seconds: int
    long_burn: float | None
    short_burn: float | None
    events: int
    firing: bool
    since_unix_nano: int | None = None
    no_data: bool = False


@dataclass(frozen=True)
class Figure:
    """One objective of one SLO in one tenant, over the time window that is open at an instant.

    Attributes:
        attainment: the share of good, None where nothing was measured.
        budget_remaining: the share of the error budget that is left: 1 where nothing was bad, below 0 where it is overspent.
        coverage: the share of windows that were measured, of those that have passed and are not excluded.
        windows, measured_windows, excluded_windows: how many have passed, hold events, and lie in planned maintenance.
        bad_slices, measured_slices: with a slices method, what attainment counts.
    """

    slo: str
    title: str
    service: str
    objective: str
    tenant: str
    sli: str
    query: str
    target: float
    method: str
    window: str
    begin_unix_nano: int
    end_unix_nano: int
    state: State
    total: int
    good: int
    not_valid: int
    late: int
    attainment: float | None
    budget_remaining: float | None
    coverage: float
    windows: int
    measured_windows: int
    excluded_windows: int
    excluded_total: int
    minimum_events: int
    burns: tuple[Burn, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, times as text beside the nanoseconds."""
        return {**asdict(self), "begin": utc_text(self.begin_unix_nano), "end": utc_text(self.end_unix_nano)}


def measure_slo(
    slo: Slo, policy: SloPolicy, tenant: str, rows: Mapping[str, Counts], now_unix_nano: int
) -> list[Figure]:
    """The figures of each objective at an instant.

    Args:
        slo: of which SLO.
        policy: what it is part of: maintenance comes from there.
        tenant: whose windows.
        rows: counts by query hash, at least those from `first_needed` on.
        now_unix_nano: the instant.
    """
    maintenance = [each for each in policy.maintenance if each.concerns(slo.name, tenant)]
    found = []
    for objective in slo.objectives:
        grid = make_grid(
            rows.get(objective.series.query_hash, NOTHING),
            objective,
            maintenance,
            begin_unix_nano=first_needed(slo, now_unix_nano),
            end_unix_nano=now_unix_nano,
        )
        begin, end = slo.window.bounds(now_unix_nano)
        figure = measure_between(slo, objective, tenant, grid, begin, min(end, now_unix_nano))
        sums = Sums(grid, *weigh(grid, objective, slo.method))
        burns = (burn for each in slo.policies for burn in _burns(slo, objective, each, grid, sums, now_unix_nano))
        found.append(replace(figure, burns=tuple(burns)))
    return found


def first_needed(slo: Slo, now_unix_nano: int) -> int:
    """The earliest instant that any figure of an SLO looks back to."""
    conditions = [condition for policy in slo.policies for condition in policy.conditions]
    # twice: whether a condition held, over the time that it must hold, and since when it does
    longest = 2 * max((condition.long_seconds + condition.hold_seconds for condition in conditions), default=0)
    return min(slo.window.bounds(now_unix_nano)[0], now_unix_nano - longest * NANOS_PER_SECOND)


def measure_between(slo: Slo, objective: Objective, tenant: str, grid: Grid, begin: int, end: int) -> Figure:
    """The figure of one objective over [begin, end) (nanoseconds since 1970), without burn rates."""
    bad, measured = weigh(grid, objective, slo.method)
    cells = grid.part(begin, end)
    excluded, some = grid.excluded[cells], (grid.total[cells] > 0)
    attainment = _attainment(bad[cells], measured[cells])
    total = int(grid.total[cells][~excluded].sum())
    passed, lost = len(excluded), int(excluded.sum())
    remaining = None if attainment is None else round(1 - (1 - attainment) / (1 - objective.target), 9)
    return Figure(
        slo=slo.name,
        title=slo.title,
        service=slo.service,
        objective=objective.name,
        tenant=tenant,
        sli=objective.series.name,
        query=objective.series.query_hash,
        target=objective.target,
        method=slo.method,
        window=str(slo.window),
        begin_unix_nano=begin,
        end_unix_nano=end,
        state=_state(slo, objective, total, attainment),
        total=total,
        good=int(grid.good[cells][~excluded].sum()),
        not_valid=int(grid.not_valid[cells][~excluded].sum()),
        late=int(grid.late[cells].sum()),
        attainment=attainment,
        budget_remaining=remaining,
        coverage=round(float((some & ~excluded).sum()) / max(1, passed - lost), 6),
        windows=passed,
        measured_windows=int((some & ~excluded).sum()),
        excluded_windows=lost,
        excluded_total=int(grid.total[cells][excluded].sum()),
        minimum_events=slo.minimum_events,
    )


def _attainment(bad: Floats, measured: Floats) -> float | None:
    weight = float(measured.sum())
    return None if weight == 0 else round(1 - float(bad.sum()) / weight, 12)


def _state(slo: Slo, objective: Objective, total: int, attainment: float | None) -> State:
    if attainment is None:
        return "unmeasured"
    if total < slo.minimum_events:
        return "few"
    if slo.watched:
        return "watched"
    met = attainment > objective.target if objective.strict else attainment >= objective.target
    return "met" if met else "spent"


def _burns(slo: Slo, objective: Objective, policy: AlertPolicy, grid: Grid, sums: Sums, now: int) -> list[Burn]:
    found: list[Burn] = []
    if not sums.cells:
        return found
    # inside a cell that is not over yet, one more lies behind: the windows are never shorter than they say
    open_cell = int(now % grid.cell_nanos != 0)
    latest = np.array([sums.cells - 1])
    for condition in policy.conditions:
        rates = _rates(objective, condition, grid, sums, latest, more_cells=open_cell)
        due, unknown = (bool(each[0]) for each in _holds(rates, condition, slo.minimum_events))
        run = 0
        if due or unknown:
            before = _rates(objective, condition, grid, sums, np.arange(sums.cells - open_cell))
            held = _carried(*_holds(before, condition, slo.minimum_events))
            run = _trailing_run(held)
            due = due or run > 0
        firing = due and policy.when_breaching and run * grid.cell_seconds >= condition.hold_seconds
        long, short, events = (float(each[0]) for each in rates)
        no_data = policy.when_no_data and np.isnan(long) and not bool(grid.excluded[-1])
        first = grid.begin_unix_nano + (sums.cells - open_cell - run) * grid.cell_nanos
        since = first if firing else now - condition.long_seconds * NANOS_PER_SECOND if no_data else None
        found.append(
            Burn(
                condition.name,
                policy.name,
                condition.severity,
                condition.threshold,
                condition.long_seconds,
                condition.short_seconds,
                _number(long),
                _number(short),
                int(events),
                firing=firing or no_data,
                since_unix_nano=since,
                no_data=no_data,
            )
        )
    return found


Rates = tuple[Floats, Floats, Floats]
"""Burn rates in the long and in the short window (NaN where nothing was measured), and the events of the long one."""


def _rates(
    objective: Objective, condition: BurnCondition, grid: Grid, sums: Sums, last: Ints, *, more_cells: int = 0
) -> Rates:
    """Rates at the end of each of the cells `last`."""
    long, short = (
        -(-seconds // grid.cell_seconds) + more_cells for seconds in (condition.long_seconds, condition.short_seconds)
    )
    budget = 1 - objective.target
    return sums.shares(last, long) / budget, sums.shares(last, short) / budget, sums.events(last, long)


def _holds(
    rates: Rates, condition: BurnCondition, minimum_events: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Where a condition holds, and where the short window cannot tell whether it does still: nothing was measured in it."""
    long, short, events = rates
    with np.errstate(invalid="ignore"):
        # a share is a quotient: what equals the factor on paper may lie a hair beside it
        slack = condition.threshold * 1e-9
        if condition.inclusive:
            long_burns, short_burns = (each >= condition.threshold - slack for each in (long, short))
        else:
            long_burns, short_burns = (each > condition.threshold + slack for each in (long, short))
    long_burns &= events >= minimum_events
    return np.asarray(long_burns & short_burns), np.asarray(long_burns & np.isnan(short))


def _carried(holds: npt.NDArray[np.bool_], unknown: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Where a condition holds, as it was before where it cannot be told: between two bad events an hour apart nothing got better."""
    known = np.maximum.accumulate(np.where(unknown, -1, np.arange(len(holds))))
    return np.asarray((known >= 0) & holds[known]) if len(holds) else holds


def holding_cells(slo: Slo, objective: Objective, condition: BurnCondition, grid: Grid) -> npt.NDArray[np.bool_]:
    """Of each cell's end, whether an alert of this condition is due: it holds, and has for as long as it must."""
    sums = Sums(grid, *weigh(grid, objective, slo.method))
    last = np.arange(sums.cells)
    holds = _carried(*_holds(_rates(objective, condition, grid, sums, last), condition, slo.minimum_events))
    cells = max(1, -(-condition.hold_seconds // grid.cell_seconds))
    held = np.concatenate([[0], np.cumsum(holds)])
    return np.asarray(held[last + 1] - held[np.maximum(0, last + 1 - cells)] >= cells)


def _trailing_run(holds: npt.NDArray[np.bool_]) -> int:
    """How many cells at the end hold without a break."""
    broken = np.flatnonzero(~holds)
    return len(holds) - (int(broken[-1]) + 1 if len(broken) else 0)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 6)
