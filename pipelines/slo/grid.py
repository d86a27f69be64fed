"""Counts laid out in time: one cell a window, empty where nothing was measured, marked where maintenance was planned.

Every figure is a sum over cells of two numbers, how much was bad and how much was measured. What one cell adds depends on the
budgeting method: its events (Occurrences), whether it was bad (Timeslices), or its share of bad events (RatioTimeslices). A cell
without events adds nothing to either: unknown is neither good nor bad.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.slo.definitions import Maintenance, Method, Objective
from pipelines.slo.reading import COUNTED, Counts, Ints
from warehouse.clock import NANOS_PER_SECOND

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """Counts of one series over consecutive cells.

    Attributes:
        begin_unix_nano: where the first cell begins.
        cell_seconds: how long each is.
        total, good, not_valid, late: counts of each cell.
        excluded: whether maintenance was planned in it; its counts are shown and enter no figure.
    """

    begin_unix_nano: int
    cell_seconds: int
    total: Ints
    good: Ints
    not_valid: Ints
    late: Ints
    excluded: npt.NDArray[np.bool_]

    @property
    def cell_nanos(self) -> int:
        """How long each cell is, in nanoseconds."""
        return self.cell_seconds * NANOS_PER_SECOND

    def place(self, unix_nano: int) -> int:
        """The cell that holds an instant, which may lie outside."""
        return (unix_nano - self.begin_unix_nano) // self.cell_nanos

    def part(self, begin_unix_nano: int, end_unix_nano: int) -> slice:
        """The cells that lie in a time, from the one that its begin falls into."""
        last = -(-(end_unix_nano - self.begin_unix_nano) // self.cell_nanos)
        return slice(max(0, self.place(begin_unix_nano)), max(0, last))


def make_grid(
    rows: Counts,
    objective: Objective,
    maintenance: Iterable[Maintenance],
    *,
    begin_unix_nano: int,
    end_unix_nano: int,
) -> Grid:
    """Lay out the counts of an objective's series over a time, in cells of a time slice.

    The first cell is the one that `begin_unix_nano` falls into.
    """
    cell_seconds = objective.slice_seconds or objective.series.window_seconds
    cell = cell_seconds * NANOS_PER_SECOND
    begin = begin_unix_nano // cell * cell
    cells = max(0, -(-(end_unix_nano - begin) // cell))
    at = (rows.time_unix_nano - begin) // cell
    inside = (at >= 0) & (at < cells)
    at = at[inside]
    counts = [np.bincount(at, weights=rows.counted[name][inside], minlength=cells).astype(np.int64) for name in COUNTED]
    excluded = np.zeros(cells, bool)
    for planned in maintenance:
        first, last = (planned.begin_unix_nano - begin) // cell, -(-(planned.end_unix_nano - begin) // cell)
        excluded[max(0, first) : max(0, last)] = True
    return Grid(begin, cell_seconds, counts[0], counts[1], counts[2], counts[3], excluded)


def weigh(grid: Grid, objective: Objective, method: Method) -> tuple[Floats, Floats]:
    """How much of each cell was bad, and how much was measured."""
    total = np.where(grid.excluded, 0, grid.total)
    bad = total - np.where(grid.excluded, 0, grid.good)
    if method == "Occurrences":
        return bad.astype(np.float64), total.astype(np.float64)
    measured = total > 0
    share = np.divide(bad, total, out=np.zeros(len(total)), where=measured)
    if method == "RatioTimeslices":
        return share, measured.astype(np.float64)
    # compared as the share of good events, so that 99 of 100 meet a target of 0.99 exactly
    good = np.divide(total - bad, total, out=np.ones(len(total)), where=measured)
    target = objective.slice_target or 0.0
    is_bad = good <= target if objective.strict and target < 1 else good < target
    return (is_bad & measured).astype(np.float64), measured.astype(np.float64)


class Sums:
    """Running sums over a grid's cells, of which any window is a difference of two."""

    def __init__(self, grid: Grid, bad: Floats, measured: Floats) -> None:
        counted = np.where(grid.excluded, 0, grid.total)
        self.cells = len(bad)
        self._bad, self._measured, self._counted = (
            np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)]) for values in (bad, measured, counted)
        )

    def events(self, last: Ints, cells: int) -> Floats:
        """Events in the `cells` cells up to and with each of `last`."""
        return self._within(self._counted, last, cells)

    def shares(self, last: Ints, cells: int) -> Floats:
        """The share of bad in the same cells, NaN where nothing was measured."""
        measured = self._within(self._measured, last, cells)
        empty = np.full(len(measured), np.nan)
        return np.asarray(np.divide(self._within(self._bad, last, cells), measured, out=empty, where=measured > 0))

    @staticmethod
    def _within(sums: Floats, last: Ints, cells: int) -> Floats:
        return np.asarray(sums[last + 1] - sums[np.maximum(0, last + 1 - cells)])
