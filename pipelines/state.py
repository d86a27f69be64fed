"""How the scheduler does, read from its SQLite files without loading Dagster: `muniment status` shows it in milliseconds.

Tables and columns are those of Dagster 1.13, which is pinned; a file that looks otherwise is reported as such.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

_NANOS = 1_000_000_000
_RUNS = "history/runs.db"
_WAIT_SECONDS = 5.0


@dataclass(frozen=True)
class LastRun:
    """The newest run of a job: its status, and when it was asked for (nanoseconds since 1970)."""

    status: str
    asked_unix_nano: int


@dataclass(frozen=True)
class SchedulerState:
    """The daemon's last heartbeat (nanoseconds since 1970, None without one) and the newest run of each job."""

    heartbeat_unix_nano: int | None = None
    last_runs: Mapping[str, LastRun] = field(default_factory=dict)
    problem: str | None = None


def scheduler_state(home: Path) -> SchedulerState | None:
    """Read it; None where Dagster never ran on this lake."""
    file = home / _RUNS
    if not file.is_file():
        return None
    try:
        connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=_WAIT_SECONDS)
        try:
            (beat,) = connection.execute("select max(timestamp) from daemon_heartbeats").fetchone()
            runs = connection.execute(
                "select pipeline_name, status, max(create_timestamp) from runs group by pipeline_name order by 1"
            ).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as exc:
        return SchedulerState(problem=f"{file}: {exc}")
    return SchedulerState(
        None if beat is None else _nanos(beat),
        {name: LastRun(status.lower(), _nanos(asked)) for name, status, asked in runs},
    )


def _nanos(text: str) -> int:
    """Nanoseconds since 1970 of a time in UTC as SQLite has it."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * _NANOS)
