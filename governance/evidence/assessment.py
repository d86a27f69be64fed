"""A control as people read it: its finding, what changed since the period before, and what was decided on its exceptions.

Pages, the command line and packs ask this one function, so that they give the same figures.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from governance.controls.evaluating import Outcome, State, evaluate
from governance.controls.framework import Control, Framework
from governance.evidence.decisions import (
    Decisions,
    Disposed,
    Disposition,
    ExceptionId,
    Reviewed,
    exception_ids,
    read_decisions,
)
from governance.evidence.difference import Difference, compare, period_before
from warehouse.clock import utc_text
from warehouse.query import QuerySession
from warehouse.questions.control_decisions import control_decisions


@dataclass(frozen=True)
class Listed:
    """One exception at a time: what it is, the row of its population, whether it is new, and what was decided on it."""

    id: ExceptionId
    row: Mapping[str, Any]
    is_new: bool
    disposed: Disposed | None
    as_of_unix_nano: int
    history: tuple[Disposed, ...] = ()

    @property
    def disposition(self) -> Disposition:
        """What became of it: open again where it was accepted, or was to be mended, until a day that has passed."""
        return Disposition.OPEN if self.disposed is None else self.disposed.counts_as(self.as_of_unix_nano)

    @property
    def is_open(self) -> bool:
        """Whether nothing was decided on it, or what was decided counts no more."""
        return self.disposition is Disposition.OPEN

    @property
    def is_overdue(self) -> bool:
        """Whether it is open again because its day has passed."""
        return self.disposed is not None and self.disposed.is_overdue(self.as_of_unix_nano)

    @property
    def words(self) -> str:
        """What became of it, in words."""
        return Disposition.OPEN.value if self.disposed is None else self.disposed.words(self.as_of_unix_nano)


@dataclass(frozen=True)
class Assessment:
    """A control over a period, with decisions as they count at `as_of_unix_nano`. `difference` is None of a mapping."""

    outcome: Outcome
    difference: Difference | None
    ids: tuple[ExceptionId, ...]
    decisions: Decisions
    as_of_unix_nano: int
    reviews: tuple[Reviewed, ...] = ()

    @property
    def control(self) -> Control:
        """Which control."""
        return self.outcome.control

    @property
    def review(self) -> Reviewed | None:
        """The newest review over exactly this period."""
        return self.reviews[-1] if self.reviews else None

    @property
    def dispositions(self) -> dict[str, int]:
        """How many exceptions of the period are open, accepted, remediated, no exceptions: together all of them.

        Those whose day has passed are open again.
        """
        found = Counter(
            Disposition.OPEN if (now := self.decisions.current(each)) is None else now.counts_as(self.as_of_unix_nano)
            for each in self.ids
        )
        return {each.value: found[each] for each in Disposition}

    @property
    def overdue(self) -> int:
        """How many of the open ones are open again because their day has passed."""
        current = (self.decisions.current(each) for each in self.ids)
        return sum(each is not None and each.is_overdue(self.as_of_unix_nano) for each in current)

    @property
    def disposed(self) -> list[Disposed]:
        """What is decided now on exceptions of the period, in their order; once for each record."""
        found = {each: self.decisions.current(each) for each in self.ids}
        return [each for each in found.values() if each is not None]

    def exceptions(self, most: int | None = None) -> Iterator[Listed]:
        """The exceptions of the period in order of time, at most so many."""
        rows = self.outcome.excepted.slice(0, most)
        new = () if self.difference is None else self.difference.is_new
        for each, row, is_new in zip(self.ids, rows.to_pylist(), new, strict=False):
            history = tuple(self.decisions.disposed.get(each, ()))
            yield Listed(each, row, is_new, self.decisions.current(each), self.as_of_unix_nano, history)

    def to_json(self) -> dict[str, Any]:
        """The figures for machines: the same on a page, on the command line and in a pack."""
        outcome, difference = self.outcome, self.difference
        found: dict[str, Any] = {
            "control": outcome.control.id,
            "title": outcome.control.title,
            "finding": outcome.state.value,
            "why": outcome.why,
            "items": outcome.items,
            "exceptions": outcome.exceptions,
        }
        if difference is None:
            return found
        before = difference.before
        return found | {
            "dispositions": self.dispositions,
            "overdue": self.overdue,
            "reviewed": None if self.review is None else self.review.to_json(),
            "before": {"finding": before.state.value, "items": before.items, "exceptions": before.exceptions},
            "new": difference.new,
            "continuing": difference.continuing,
            "gone": difference.gone.num_rows,
        }


@dataclass(frozen=True)
class Assessed:
    """A framework over a period and the one before it. Times in nanoseconds since 1970, ends not included."""

    framework: Framework
    from_unix_nano: int
    to_unix_nano: int
    assessments: tuple[Assessment, ...] = field(default=())

    @property
    def before(self) -> tuple[int, int]:
        """The period that this one is compared with."""
        return period_before(self.from_unix_nano, self.to_unix_nano)

    @property
    def changed(self) -> list[Assessment]:
        """Controls whose finding is another than in the period before."""
        return [
            each
            for each in self.assessments
            if each.difference is not None and each.difference.before.state is not each.outcome.state
        ]

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        first, last = self.before
        return {
            "framework": self.framework.id,
            "from": utc_text(self.from_unix_nano),
            "to": utc_text(self.to_unix_nano),
            "before": {"from": utc_text(first), "to": utc_text(last)},
            "controls": [each.to_json() for each in self.assessments],
        }


def assess(
    session: QuerySession,
    framework: Framework,
    *,
    from_unix_nano: int,
    to_unix_nano: int,
    as_of_unix_nano: int,
    step: Callable[[str], None] = lambda _text: None,
) -> Assessed:
    """Evaluate a framework over `[from, to)` and over the period before, with what was decided, as it counts at `as_of`.

    Raises:
        QueryError: the query of a control may not run, fails, or lacks a column.
    """
    decisions = read_decisions(framework.id, control_decisions(session, framework.id))
    found = []
    for control in framework.controls:
        step(f"{control.id} {control.title}")
        found.append(assess_control(session, control, decisions, (from_unix_nano, to_unix_nano), as_of_unix_nano))
    return Assessed(framework, from_unix_nano, to_unix_nano, tuple(found))


def assess_control(
    session: QuerySession, control: Control, decisions: Decisions, period: tuple[int, int], as_of_unix_nano: int
) -> Assessment:
    """One control of `assess`."""
    from_unix_nano, to_unix_nano = period
    outcome = evaluate(session, control, from_unix_nano=from_unix_nano, to_unix_nano=to_unix_nano)
    if outcome.state is State.MAPPING_ONLY:
        return Assessment(outcome, None, (), decisions, as_of_unix_nano)
    first, last = period_before(from_unix_nano, to_unix_nano)
    before = evaluate(session, control, from_unix_nano=first, to_unix_nano=last)
    return Assessment(
        outcome,
        compare(outcome, before),
        tuple(exception_ids(control, outcome.excepted)),
        decisions,
        as_of_unix_nano,
        decisions.reviews(control.id, from_unix_nano, to_unix_nano),
    )
