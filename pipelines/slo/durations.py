"""Lengths of time as OpenSLO writes them (duration shorthand: `5m`, `1h`, `30d`, `4w`, `1M`, `1Q`, `1Y`), and calendar windows.

A window by the calendar begins at `startTime` in its own time zone and follows local time from there: a day in which clocks
change has 23 or 25 hours, a month its own number of days.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from warehouse.clock import NANOS_PER_SECOND

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_MONTHS = {"M": 1, "Q": 3, "Y": 12}
_TEXT = re.compile(r"(\d{1,6})([smhdwMQY])")
_MONTHS_PER_YEAR = 12
_MOST_STEPS = 1_000_000
MOST_DAYS = 3660
"""Ten years: figures are worked out over every five minutes of a window, each minute."""


def parse_duration(text: str) -> int:
    """Seconds of a duration of fixed length.

    Raises:
        ValueError: not one, or none at all.
    """
    match = _TEXT.fullmatch(text)
    if match is None or match[2] in _MONTHS or not int(match[1]):
        raise ValueError(f"got {text!r}, expected a number and s, m, h, d or w, such as 5m")
    seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds > MOST_DAYS * _SECONDS["d"]:
        raise ValueError(f"got {text!r}, expected at most {MOST_DAYS}d")
    return seconds


def duration_text(seconds: int) -> str:
    """The shortest way to write a number of seconds: 3600 is `1h`."""
    for unit in ("w", "d", "h", "m"):
        # a month of 30 days is `30d` to everybody, and 7 days rather `7d` than a week where they stand beside it
        if unit != "w" and seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"


@dataclass(frozen=True)
class Rolling:
    """The last `seconds` before an instant."""

    seconds: int

    def bounds(self, at_unix_nano: int) -> tuple[int, int]:
        """Begin and end of the window that is open at an instant, nanoseconds since 1970."""
        return at_unix_nano - self.seconds * NANOS_PER_SECOND, at_unix_nano

    @property
    def period_seconds(self) -> int:
        """How long it is, on average."""
        return self.seconds

    def __str__(self) -> str:
        return f"{duration_text(self.seconds)} rolling"


@dataclass(frozen=True)
class Calendar:
    """Windows of `days` days or `months` months one after another from `start` on, in the time zone `zone`."""

    start: datetime
    zone: str
    days: int = 0
    months: int = 0

    def bounds(self, at_unix_nano: int) -> tuple[int, int]:
        """Begin and end of the window that is open at an instant, nanoseconds since 1970; the first where it has not begun."""
        at = datetime.fromtimestamp(at_unix_nano / NANOS_PER_SECOND, UTC)
        step = max(0, self._guess(at))
        while self._begin(step) > at and step > 0:
            step -= 1
        while self._begin(step + 1) <= at and step < _MOST_STEPS:
            step += 1
        return _nanos(self._begin(step)), _nanos(self._begin(step + 1))

    @property
    def period_seconds(self) -> int:
        """How long one is, a month having 30 days."""
        return (self.days + self.months * 30) * _SECONDS["d"]

    def __str__(self) -> str:
        long = f"{self.days}d" if self.days else f"{self.months}M"
        return f"{long} from {self.start:%Y-%m-%d %H:%M} {self.zone}"

    def _guess(self, at: datetime) -> int:
        passed = at.astimezone(ZoneInfo(self.zone)).replace(tzinfo=None) - self.start
        return int(passed / timedelta(seconds=self.period_seconds)) - 1

    def _begin(self, step: int) -> datetime:
        if self.days:
            local = self.start + timedelta(days=self.days * step)
        else:
            year, month = divmod(
                self.start.year * _MONTHS_PER_YEAR + self.start.month - 1 + self.months * step, _MONTHS_PER_YEAR
            )
            day = min(self.start.day, calendar.monthrange(year, month + 1)[1])
            local = self.start.replace(year=year, month=month + 1, day=day)
        return local.replace(tzinfo=ZoneInfo(self.zone)).astimezone(UTC)


TimeWindow = Rolling | Calendar


def parse_rolling(text: str) -> Rolling:
    """A rolling window.

    Raises:
        ValueError: not a duration of fixed length.
    """
    return Rolling(parse_duration(text))


def parse_calendar(text: str, start: datetime, zone: str) -> Calendar:
    """Windows by the calendar. `1m` is a month here, as the format's own examples write it: there are none of minutes.

    Raises:
        ValueError: not whole days, weeks, months, quarters or years, or no such time zone.
    """
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError) as exc:
        raise ValueError(f"got {zone!r}, expected a time zone such as Europe/Berlin") from exc
    match = _TEXT.fullmatch(text)
    if match is None or match[2] not in "dwmMQY" or not int(match[1]):
        raise ValueError(f"got {text!r}, expected a number and d, w, M, Q or Y, such as 1M")
    count, unit = int(match[1]), match[2].replace("m", "M")
    found = (
        Calendar(start, zone, months=count * _MONTHS[unit])
        if unit in _MONTHS
        else Calendar(start, zone, days=count * _SECONDS[unit] // _SECONDS["d"])
    )
    if found.period_seconds > MOST_DAYS * _SECONDS["d"]:
        raise ValueError(f"got {text!r}, expected at most {MOST_DAYS}d")
    return found


def _nanos(at: datetime) -> int:
    return int(at.timestamp()) * NANOS_PER_SECOND
