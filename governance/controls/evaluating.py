"""Evaluates a control over one tenant and period: population, exceptions, finding.

A control without data is *insufficient evidence*, never satisfied. What a query cannot judge (`ok` NULL) counts as an exception.
"""

from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc

from governance.controls.framework import SATISFIED, Control
from warehouse.errors import QueryError
from warehouse.query import QuerySession

REQUIRED = ("record_table", "shard", "log_index", "time_unix_nano", "ok", "exception")
"""Columns of every population: where the item's record stands, when it happened, whether it is as it should be, and if not why."""


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
        QueryError: its query may not run, fails, or lacks a column.
    """
    nothing = pa.table({name: pa.array([], pa.string()) for name in REQUIRED})
    if control.sql is None:
        return Outcome(
            control, State.MAPPING_ONLY, nothing, 0, None, "shown for orientation: nothing is computed for it"
        )
    period = {"from": from_unix_nano, "to": to_unix_nano}
    population = _ordered(control, session.query(control.sql, period))
    covered = None if control.coverage is None else _count(control, session.query(control.coverage, period))
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
    said = f"{good:,} of {items:,} without exception ({share:.1%}); expected {control.share:.0%}"
    state = State.SATISFIED if share >= control.share else State.NOT_SATISFIED
    return Outcome(control, state, population, exceptions, covered, said)


def _ordered(control: Control, rows: pa.Table) -> pa.Table:
    expected = (*REQUIRED, *control.about)
    missing = [name for name in expected if name not in rows.column_names]
    if missing:
        raise QueryError(
            f"control {control.framework} {control.id}: expected columns {', '.join(expected)}, got none named "
            f"{', '.join(missing)}"
        )
    return rows.sort_by([(name, "ascending") for name in ("time_unix_nano", "record_table", "shard", "log_index")])


def _count(control: Control, rows: pa.Table) -> int:
    if rows.num_rows != 1 or rows.num_columns != 1:
        raise QueryError(
            f"control {control.framework} {control.id}: coverage: expected one number, got {rows.num_rows} rows of "
            f"{rows.num_columns} columns"
        )
    return int(rows.column(0)[0].as_py() or 0)
