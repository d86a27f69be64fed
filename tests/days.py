"""The day on which the tests of this process began: whatever runs over midnight speaks of one and the same day."""

import datetime as dt
import time

TODAY = dt.datetime.now(dt.UTC).date()
YESTERDAY = TODAY - dt.timedelta(days=1)


def day_with_room(seconds=120):
    """The day that it is (UTC), once enough of it is left for what others stamp with the time at which they are."""
    now = dt.datetime.now(dt.UTC)
    left = 86_400 - (now - now.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    if left < seconds:
        time.sleep(left + 1)
    return dt.datetime.now(dt.UTC).date()


def unix_nano(day, hour=12):
    """An instant of a day (UTC), in nanoseconds since 1970."""
    return int(dt.datetime.combine(day, dt.time(hour), dt.UTC).timestamp()) * 1_000_000_000
