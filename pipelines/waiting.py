"""Which days are to be looked at again, because records came. Pure: what is new and a clock in, days to ask for out.

A day is asked for once an hour at most, and few days at a time: agents send all day long, so today is always new, and an import may bring a
year. What is not asked for now waits in the cursor, newest day first, and nothing is forgotten.
"""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from pipelines.findings import NewRecords

AGAIN_SECONDS = 3600
MOST_AT_ONCE = 4
FIRST_DAYS = 7
"""How far back the first look at a lake goes; what is older is for a backfill."""
_NANOS = 1_000_000_000
_VERSION = 1


@dataclass(frozen=True)
class Waiting:
    """What one look leaves for the next.

    Attributes:
        versions: of the tables' logs, up to which it is known where records came; None before the first look.
        seen_unix_nano: when that was.
        days: tenants by day that were not asked for yet.
        asked: by day when it was asked for last, in seconds since 1970; only those that may not be asked for again yet.
    """

    versions: Mapping[str, int] | None = None
    seen_unix_nano: int = 0
    days: Mapping[dt.date, frozenset[str]] = field(default_factory=dict)
    asked: Mapping[dt.date, int] = field(default_factory=dict)

    def to_text(self) -> str:
        """As the cursor of a sensor."""
        return json.dumps(
            {
                "version": _VERSION,
                "versions": self.versions,
                "seen": self.seen_unix_nano,
                "days": {day.isoformat(): sorted(tenants) for day, tenants in sorted(self.days.items())},
                "asked": {day.isoformat(): when for day, when in sorted(self.asked.items())},
            }
        )

    @classmethod
    def from_text(cls, text: str | None) -> Self:
        """From a cursor; one that another version left begins anew, so that at worst a week is looked at once more."""
        content = {} if text is None else json.loads(text)
        if content.get("version") != _VERSION:
            return cls()
        return cls(
            content["versions"],
            content["seen"],
            {dt.date.fromisoformat(day): frozenset(tenants) for day, tenants in content["days"].items()},
            {dt.date.fromisoformat(day): when for day, when in content["asked"].items()},
        )


def add_new(before: Waiting, new: NewRecords, now_unix_nano: int, first_day: dt.date) -> Waiting:
    """What waits, with what is new; days before `first_day` are left out."""
    first = first_day
    if before.versions is None:
        first = max(first, _today(now_unix_nano) - dt.timedelta(days=FIRST_DAYS))
    days = dict(before.days)
    for day, tenants in new.days.items():
        if day >= first:
            days[day] = days.get(day, frozenset()) | tenants
    return Waiting(new.versions, now_unix_nano, days, before.asked)


def take_due(waiting: Waiting, now_unix_nano: int) -> tuple[dict[dt.date, frozenset[str]], Waiting]:
    """Days to ask for now with the tenants of which records came, newest first, and what waits on.

    A day that has not begun waits until it has: a sender's clock may be ahead.
    """
    now, today = now_unix_nano // _NANOS, _today(now_unix_nano)
    asked = {day: when for day, when in waiting.asked.items() if now - when < AGAIN_SECONDS}
    ready = sorted((day for day in waiting.days if day <= today and day not in asked), reverse=True)[:MOST_AT_ONCE]
    due = {day: waiting.days[day] for day in ready}
    left = {day: tenants for day, tenants in waiting.days.items() if day not in due}
    return due, Waiting(waiting.versions, waiting.seen_unix_nano, left, asked | dict.fromkeys(ready, now))


def _today(now_unix_nano: int) -> dt.date:
    return dt.datetime.fromtimestamp(now_unix_nano // _NANOS, dt.UTC).date()
