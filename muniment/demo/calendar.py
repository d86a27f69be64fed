"""Simulated time: the window, the working week, and when work arrives.

All instants are nanoseconds since 1970 UTC. A tenant's local day is UTC shifted by whole hours.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from muniment.demo.fleet import Agent, Curve, tenant_of
from warehouse.clock import NANOS_PER_DAY, NANOS_PER_SECOND
from warehouse.errors import InputError

SECOND = NANOS_PER_SECOND
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = NANOS_PER_DAY

LEAST_DAYS = 7
"""A shorter window has no room for the seeded troubles."""

_SATURDAY = 5
_CURVES: dict[Curve, tuple[float, ...]] = {
    Curve.OFFICE: (
        0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.5, 1.6, 3.6, 4.8, 5.2, 4.9,
        3.2, 4.1, 4.9, 4.7, 3.9, 2.2, 0.9, 0.5, 0.3, 0.2, 0.1, 0.1,
    ),
    Curve.CONSUMER: (
        0.5, 0.3, 0.2, 0.2, 0.2, 0.4, 0.9, 1.8, 2.6, 3.0, 3.2, 3.3,
        3.6, 3.2, 2.9, 2.8, 3.1, 3.7, 4.4, 4.9, 4.6, 3.5, 2.1, 1.1,
    ),
    Curve.CONSTANT: (
        1.9, 1.6, 1.5, 1.4, 1.4, 1.5, 1.7, 2.0, 2.2, 2.4, 2.5, 2.6,
        2.7, 2.6, 2.5, 2.5, 2.6, 2.8, 2.9, 2.9, 2.8, 2.6, 2.4, 2.1,
    ),
}  # fmt: skip
_WEEKDAYS = (1.06, 1.08, 1.03, 1.0, 0.83)
_OFFICE_FROM, _OFFICE_TO = 8, 18


@dataclass(frozen=True)
class Calendar:
    """The simulated window, from `start` to `end`."""

    start: int
    end: int

    @classmethod
    def ending(cls, end_unix_nano: int, days: int) -> "Calendar":
        """The window of `days` days that ends at `end_unix_nano`.

        Raises:
            InputError: fewer days than the seeded troubles need, or a start before 1970.
        """
        if days < LEAST_DAYS:
            raise InputError(f"demo days: expected at least {LEAST_DAYS}, got {days}")
        start = end_unix_nano - days * DAY
        if start < 0:
            raise InputError(f"demo end: expected an instant at least {days} days after 1970, got {end_unix_nano} ns")
        return cls(start, end_unix_nano)

    @property
    def midnights(self) -> range:
        """UTC midnights from the one before the window to the last one inside it."""
        return range(self.start // DAY * DAY, self.end, DAY)

    def working_day(self, share: float) -> int:
        """UTC midnight of a weekday near `share` (0 to 1) of the window, wholly inside it with a day to spare after it."""
        first = -(-self.start // DAY)
        last = self.end // DAY - 2
        day = min(max(int(first + share * (last - first)), first), last)
        nearest = sorted(range(first, last + 1), key=lambda candidate: (abs(candidate - day), candidate))
        return next(candidate for candidate in nearest if _weekday(candidate) < _SATURDAY) * DAY


def _weekday(day_number: int) -> int:
    """0 is Monday; 1970-01-01 was a Thursday."""
    return (day_number + 3) % 7


def is_office_time(agent: Agent, at: int) -> bool:
    """Whether humans of the agent's tenant are at work."""
    local = at + tenant_of(agent).utc_offset_hours * HOUR
    return _weekday(local // DAY) < _SATURDAY and _OFFICE_FROM <= local % DAY // HOUR < _OFFICE_TO


def next_office_time(agent: Agent, at: int) -> int:
    """The first instant from `at` on at which humans of the agent's tenant are at work."""
    if is_office_time(agent, at):
        return at
    offset = tenant_of(agent).utc_offset_hours * HOUR
    opening = (at + offset) // DAY * DAY + _OFFICE_FROM * HOUR - offset
    while opening < at or not is_office_time(agent, opening):
        opening += DAY
    return opening


def arrivals(agent: Agent, midnight: int, scale: float, rng: random.Random) -> Iterator[int]:
    """Instants at which work arrives for an agent on one UTC day: a Poisson process over the day's load curve."""
    weights = _CURVES[agent.curve]
    offset = tenant_of(agent).utc_offset_hours
    weekday = _weekday(midnight // DAY)
    level = _WEEKDAYS[weekday] if weekday < _SATURDAY else agent.weekend_share
    for hour in range(24):
        mean = agent.runs_per_weekday * scale * level * weights[(hour + offset) % 24] / sum(weights)
        elapsed = rng.expovariate(1.0)
        while elapsed < mean:
            yield midnight + hour * HOUR + int(elapsed / mean * HOUR)
            elapsed += rng.expovariate(1.0)
