"""Evaluates a control over one tenant and period: population, exceptions, finding.

A control without data is *insufficient evidence*, never satisfied. What a query cannot judge (`ok` NULL) counts as an exception.
"""

from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc

from governance.controls.framework import SATISFIED, Control
from governance.controls.population import REQUIRED, read_count, read_population
from warehouse.query import QuerySession


class State(StrEnum):
    """What a control was found to be."""

    SATISFIED = "satisfied"
    NOT_SATISFIED = "not satisfied"
    INSUFFICIENT = "insufficient evidence"
    MAPPING_ONLY = "mapping only"


@dataclass(frozen=True)
class Outcome:
    """A control's finding. `population` is in order of time, table, shard and record number."""

    control: Control
    state: State
    population: pa.Table
    exceptions: int
    covered: int | None
    why: str

    @property
    def items(self) -> int:
        """Size of the population."""
        return int(self.population.num_rows)

    @property
    def excepted(self) -> pa.Table:
        """The exceptions: items that are not as they should be, or that cannot be judged."""
        if not self.exceptions:
            return self.population.slice(0, 0)
        return self.population.filter(pc.invert(pc.fill_null(self.population.column("ok"), False)))

    @property
    def share(self) -> float | None:
        """Which share is without exception; None of nothing."""
        return None if not self.items else (self.items - self.exceptions) / self.items


def evaluate(session: QuerySession, control: Control, *, from_unix_nano: int, to_unix_nano: int) -> Outcome:
    """Evaluate one control over `[from, to)`, in nanoseconds since 1970.

    Raises:
        QueryError: its query may not run, fails, or yields what is no population.
    """
    nothing = pa.table({name: pa.array([], pa.string()) for name in REQUIRED})
    if control.sql is None:
        return Outcome(
            control, State.MAPPING_ONLY, nothing, 0, None, "shown for orientation: nothing is computed for it"
        )
    period = {"from": from_unix_nano, "to": to_unix_nano}
    population = read_population(session, control, control.sql, period)
    covered = None if control.coverage is None else read_count(session, control, control.coverage, period)
    exceptions = population.num_rows - (pc.sum(pc.fill_null(population.column("ok"), False)).as_py() or 0)
    return _judge(control, population, exceptions, covered)


def _judge(control: Control, population: pa.Table, exceptions: int, covered: int | None) -> Outcome:
    items = population.num_rows
    if not items:
        if control.empty == SATISFIED and covered:
            return Outcome(
                control,
                State.SATISFIED,
                population,
                0,
                covered,
                f"none in a period of which {covered:,} records are kept",
            )
        return Outcome(control, State.INSUFFICIENT, population, 0, covered, "no record of this kind in the period")
    good = items - exceptions
    share = good / items
    # rounded down: a share that misses what was expected never reads as if it did not
    tenths = good * 1000 // items
    said = f"{good:,} of {items:,} without exception ({tenths / 10:.1f}%); expected {control.share * 100:g}%"
    state = State.SATISFIED if share >= control.share else State.NOT_SATISFIED
    return Outcome(control, state, population, exceptions, covered, said)
