"""The day on which the tests of this process began: whatever runs over midnight speaks of one and the same day."""

import datetime as dt

TODAY = dt.datetime.now(dt.UTC).date()
YESTERDAY = TODAY - dt.timedelta(days=1)


def unix_nano(day, hour=12):
    """An instant of a day (UTC), in nanoseconds since 1970."""
    return int(dt.datetime.combine(day, dt.time(hour), dt.UTC).timestamp()) * 1_000_000_000
