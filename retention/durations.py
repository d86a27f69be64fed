"""How long something is kept: days and calendar months, counted exactly to the nanosecond, in UTC.

A text is an ISO 8601 duration of years, months, weeks and days (`P6M`, `P1Y`, `P30D`); a year is twelve months. A month ends on
the same day and time of a later month; where that month has no such day (29 February in other years, 31 June), it ends when
that month has ended, at 00:00 of the first day after it: never a moment too early.

Invariants: a deadline never comes earlier for a later start, and `start <= horizon(now)` says the same as
`deadline(start) <= now`, so one comparison of a column with one number decides.
"""

import calendar
import datetime as dt
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from warehouse.clock import NANOS_PER_DAY

MONTHS_PER_YEAR = 12
DAYS_PER_WEEK = 7
MOST_MONTHS = 100 * MONTHS_PER_YEAR
MOST_DAYS = 36_500

_EPOCH = dt.date(1970, 1, 1)
_ISO = re.compile(r"P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?")
_EXPECTED = "expected days as an integer, or an ISO 8601 duration of years, months, weeks and days such as 'P6M', 'P1Y' or 'P30D'"
_CYCLE_YEARS = 400
"""After so many years the calendar repeats, day for day."""


@dataclass(frozen=True)
class Duration:
    """Calendar months, then days of 24 hours."""

    months: int
    days: int

    @classmethod
    def parse(cls, value: int | str) -> Self:
        """Read days, or ISO 8601 text.

        Raises:
            ValueError: neither, nothing at all, or over a hundred years.
        """
        if isinstance(value, int):
            months, days = 0, value
        else:
            match = _ISO.fullmatch(value) if len(value) < 40 else None  # noqa: PLR2004 - far longer than any that is in range
            if match is None or not any(match.groups()):
                raise ValueError(f"got {value!r}, {_EXPECTED}")
            years, months, weeks, days = (int(part or 0) for part in match.groups())
            months, days = years * MONTHS_PER_YEAR + months, weeks * DAYS_PER_WEEK + days
        if not (0 <= months <= MOST_MONTHS and 0 <= days <= MOST_DAYS and months + days > 0):
            raise ValueError(f"got {value!r}, expected at least a day and at most 100 years")
        return cls(months, days)

    def __str__(self) -> str:
        years, months = divmod(self.months, MONTHS_PER_YEAR)
        parts = ((years, "Y"), (months, "M"), (self.days, "D"))
        return "P" + "".join(f"{count}{unit}" for count, unit in parts if count)

    def deadline(self, start_unix_nano: int) -> int:
        """When something that counts from `start_unix_nano` has been kept for this long (nanoseconds since 1970)."""
        day, rest = divmod(start_unix_nano, NANOS_PER_DAY)
        if self.months:
            date = _date(day)
            year, month = _moved(date, self.months)
            if date.day > calendar.monthrange(year, month)[1]:
                day, rest = _first_day(*_next(year, month)), 0
            else:
                day = _day_number(dt.date(year, month, date.day))
        return (day + self.days) * NANOS_PER_DAY + rest

    def horizon(self, now_unix_nano: int) -> int:
        """The latest start whose deadline is at or before `now_unix_nano`: that start and every earlier one are due."""
        day, rest = divmod(now_unix_nano - self.days * NANOS_PER_DAY, NANOS_PER_DAY)
        if self.months:
            date = _date(day)
            year, month = _moved(date, -self.months)
            if date.day > calendar.monthrange(year, month)[1]:
                return _first_day(*_next(year, month)) * NANOS_PER_DAY - 1
            day = _day_number(dt.date(year, month, date.day))
        return day * NANOS_PER_DAY + rest

    def may_be_shorter_than(self, other: "Duration") -> bool:
        """Whether there is a start from which this one ends before the other one, as far as days can tell."""
        if self.months >= other.months and self.days >= other.days:
            return False
        return self.fewest_days < other.most_days

    @property
    def fewest_days(self) -> int:
        """Days that it has when its months are the shortest."""
        return _month_days(self.months)[0] + self.days

    @property
    def most_days(self) -> int:
        """Days that it has when its months are the longest."""
        return _month_days(self.months)[1] + self.days


@lru_cache(maxsize=256)
def _month_days(months: int) -> tuple[int, int]:
    """Fewest and most days that so many months have, over the whole cycle of the calendar."""
    firsts = [
        _first_day(year, month)
        for year in range(2000, 2000 + _CYCLE_YEARS + months // MONTHS_PER_YEAR + 1)
        for month in range(1, MONTHS_PER_YEAR + 1)
    ]
    lengths = [firsts[at + months] - firsts[at] for at in range(_CYCLE_YEARS * MONTHS_PER_YEAR)]
    return min(lengths), max(lengths)


def _date(day_number: int) -> dt.date:
    return _EPOCH + dt.timedelta(days=day_number)


def _day_number(date: dt.date) -> int:
    return (date - _EPOCH).days


def _first_day(year: int, month: int) -> int:
    return _day_number(dt.date(year, month, 1))


def _next(year: int, month: int) -> tuple[int, int]:
    return (year + 1, 1) if month == MONTHS_PER_YEAR else (year, month + 1)


def _moved(date: dt.date, months: int) -> tuple[int, int]:
    """Year and month that lie `months` after (before, if negative) those of a date."""
    year, month = divmod(date.year * MONTHS_PER_YEAR + date.month - 1 + months, MONTHS_PER_YEAR)
    return year, month + 1
