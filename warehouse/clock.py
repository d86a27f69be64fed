"""The one module that reads the wall clock; everything else takes a `Clock`."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime

Clock = Callable[[], int]
"""Returns the present as nanoseconds since 1970-01-01 UTC."""

NANOS_PER_SECOND = 1_000_000_000
NANOS_PER_DAY = 86_400 * NANOS_PER_SECOND


def system_clock() -> int:
    """Nanoseconds since 1970-01-01 UTC, from the operating system."""
    return time.time_ns()


def utc_date(unix_nano: int) -> date:
    """UTC date of a time in nanoseconds since 1970."""
    return datetime.fromtimestamp(unix_nano // NANOS_PER_SECOND, UTC).date()


def utc_text(unix_nano: int) -> str:
    """RFC 3339 text, to the second, of a time in nanoseconds since 1970."""
    return datetime.fromtimestamp(unix_nano // NANOS_PER_SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
