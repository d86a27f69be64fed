"""What people decided on the exceptions of controls: dispositions and reviews, read off events that this lake recorded. Pure.

An exception is known by its control and by the record that it names (table, log and record number): a disposition holds in every
period in which that record is an exception of that control, however often figures are computed again. The newest one counts, and
those before it stay on record. A disposition changes no finding: that follows from the population alone.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pyarrow as pa

from governance.controls.framework import Control
from warehouse.clock import utc_date, utc_text
from warehouse.errors import InputError
from warehouse.questions.control_decisions import DISPOSED

Place = tuple[str, str, int]
_PARTS = 5


class Disposition(StrEnum):
    """What becomes of an exception."""

    OPEN = "open"
    """Nothing was decided, or what was decided is taken back."""
    ACCEPTED = "accepted"
    """The risk is taken, until a day where one is named."""
    REMEDIATED = "remediated"
    """What was wrong is mended, or will be until a day."""
    FALSE_POSITIVE = "false positive"
    """It is none."""


@dataclass(frozen=True, order=True)
class ExceptionId:
    """One exception of a control: the record that the row of its population names."""

    framework: str
    control: str
    table: str
    shard: str
    index: int

    @classmethod
    def parse(cls, text: str) -> "ExceptionId":
        """Read one as it is written: framework, control, table, log and record number, between slashes.

        Raises:
            InputError: it is written in another way.
        """
        parts = text.split("/")
        if len(parts) != _PARTS or not all(parts) or not parts[-1].isascii() or not parts[-1].isdigit():
            raise InputError(
                f"exception: expected FRAMEWORK/CONTROL/TABLE/LOG/NUMBER, got {text!r}",
                hint="`muniment evidence exceptions` lists them",
            )
        return cls(parts[0], parts[1], parts[2], parts[3], int(parts[4]))

    @property
    def place(self) -> Place:
        """Table, log and record number."""
        return self.table, self.shard, self.index

    def __str__(self) -> str:
        """As it is written and read."""
        return f"{self.framework}/{self.control}/{self.table}/{self.shard}/{self.index}"


@dataclass(frozen=True)
class Disposed:
    """A disposition on record. `due` is a day (UTC), `by` the principal; `place` is the event's own record."""

    of: ExceptionId
    disposition: Disposition
    reason: str
    ticket: str | None
    due: dt.date | None
    by: str
    time_unix_nano: int
    place: Place

    def is_overdue(self, unix_nano: int) -> bool:
        """Whether its day has passed: what was accepted or promised until then is open again."""
        return self.due is not None and self.due < utc_date(unix_nano)

    def counts_as(self, unix_nano: int) -> Disposition:
        """What the exception is at a time: open again once the day has passed."""
        return Disposition.OPEN if self.is_overdue(unix_nano) else self.disposition

    def words(self, unix_nano: int) -> str:
        """The disposition in words, as of a time."""
        if self.due is None:
            return self.disposition.value
        said = f"{self.disposition.value}, until {self.due.isoformat()}"
        return f"overdue, open again: {said}, which has passed" if self.is_overdue(unix_nano) else said

    def to_json(self) -> dict[str, Any]:
        """For machines: the same in a pack and on the command line."""
        return {
            "exception": str(self.of),
            "disposition": self.disposition.value,
            "reason": self.reason,
            "ticket": self.ticket,
            "due": None if self.due is None else self.due.isoformat(),
            "by": self.by,
            "time": utc_text(self.time_unix_nano),
            "record": _record(self.place),
        }


@dataclass(frozen=True)
class Reviewed:
    """A review on record: of which control and period, with the figures that the reviewer saw."""

    control: str
    from_unix_nano: int
    to_unix_nano: int
    note: str
    finding: str
    items: int
    exceptions: int
    by: str
    time_unix_nano: int
    place: Place

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "control": self.control,
            "from": utc_text(self.from_unix_nano),
            "to": utc_text(self.to_unix_nano),
            "note": self.note,
            "finding": self.finding,
            "items": self.items,
            "exceptions": self.exceptions,
            "by": self.by,
            "time": utc_text(self.time_unix_nano),
            "record": _record(self.place),
        }


@dataclass(frozen=True)
class Decisions:
    """Everything that was decided on one framework's controls, oldest first."""

    disposed: Mapping[ExceptionId, Sequence[Disposed]] = field(default_factory=dict)
    reviewed: Sequence[Reviewed] = ()

    def current(self, exception: ExceptionId) -> Disposed | None:
        """The newest disposition of an exception, overdue ones too; None where there is none, or it was taken back."""
        history = self.disposed.get(exception, ())
        return history[-1] if history and history[-1].disposition is not Disposition.OPEN else None

    def reviews(self, control: str, from_unix_nano: int, to_unix_nano: int) -> tuple[Reviewed, ...]:
        """The reviews of a control over exactly this period, oldest first."""
        period = (control, from_unix_nano, to_unix_nano)
        return tuple(each for each in self.reviewed if (each.control, each.from_unix_nano, each.to_unix_nano) == period)


def read_decisions(framework: str, rows: pa.Table) -> Decisions:
    """Decisions from the rows of `warehouse.questions.control_decisions`. A row that lacks what makes it one is left out."""
    disposed: dict[ExceptionId, list[Disposed]] = {}
    reviewed = []
    for row in rows.to_pylist():
        if row["event_name"] == DISPOSED:
            if (found := _disposed(framework, row)) is not None:
                disposed.setdefault(found.of, []).append(found)
        elif (review := _reviewed(row)) is not None:
            reviewed.append(review)
    return Decisions(disposed, reviewed)


def exception_ids(control: Control, rows: pa.Table) -> list[ExceptionId]:
    """The id of each row of a population."""
    columns = (rows.column(name).to_pylist() for name in ("record_table", "shard", "log_index"))
    return [
        ExceptionId(control.framework, control.id, table, shard, index)
        for table, shard, index in zip(*columns, strict=True)
    ]


def _disposed(framework: str, row: Mapping[str, Any]) -> Disposed | None:
    named = (row["control"], row["record_table"], row["record_shard"], row["record_index"])
    if None in named or row["disposition"] not in set(Disposition):
        return None
    return Disposed(
        ExceptionId(framework, *named),
        Disposition(row["disposition"]),
        row["reason"] or "",
        row["ticket"],
        _day(row["due"]),
        row["recorded_by"],
        row["time_unix_nano"],
        _place(row),
    )


def _reviewed(row: Mapping[str, Any]) -> Reviewed | None:
    needed = [row[name] for name in ("control", "from_unix_nano", "to_unix_nano", "finding", "items", "exceptions")]
    if None in needed:
        return None
    control, first, last, finding, items, exceptions = needed
    return Reviewed(
        control, first, last, row["reason"] or "", finding, items, exceptions, row["recorded_by"], row["time_unix_nano"], _place(row),
    )  # fmt: skip


def _place(row: Mapping[str, Any]) -> Place:
    return "audit_events", row["shard"], row["log_index"]


def _day(text: str | None) -> dt.date | None:
    try:
        return None if text is None else dt.date.fromisoformat(text)
    except ValueError:
        return None


def _record(place: Place) -> str:
    table, shard, index = place
    return f"{table} {shard}/{index}"
