"""Into which partitions records came since a version of each table's Delta log, read off the log's own files.

A commit that only adds files brings records; one that removes files too is a rewrite, by compaction or purge, and brings none.
Files above their shard's mark are not readable yet, so the version returned stays before their commit and the next reading finds them.
Where the entries are gone, cleaned up behind a checkpoint, live files that were committed since an instant count: rewritten ones too,
so that too much is named and never too little.
"""

import datetime as dt
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from warehouse.delta_reading import open_table
from warehouse.heads import read_heads
from warehouse.lake import Lake
from warehouse.marks import is_readable, read_marks

Place = tuple[str, dt.date]
"""A tenant and a UTC day."""
_NANOS_PER_MILLI = 1_000_000
_MARGIN_MILLIS = 60_000
"""By how much a commit may come later than its files' times."""
_MOST_ENTRIES = 2_000
"""More than these are not read: the live files are listed instead."""


@dataclass(frozen=True)
class Arrivals:
    """The version of each table's log up to which it was read, and where records came after the versions given."""

    versions: Mapping[str, int]
    places: frozenset[Place]


def read_arrivals(
    lake: Lake, tables: Collection[str], since: Mapping[str, int], *, since_unix_nano: int = 0
) -> Arrivals:
    """What came after the versions `since`, and where that cannot be told after the instant.

    A table whose log did not move costs a listing of its log's folder.

    Raises:
        UnavailableError: a log cannot be read.
    """
    marks = read_marks(lake)  # before the logs, as every reader does
    versions: dict[str, int] = {}
    places: set[Place] = set()
    for table, head in read_heads(lake, tables).versions.items():
        after = since.get(table, -1)
        if head <= after:
            versions[table] = after
            continue
        reached, found = _read_entries(lake, table, after, head, marks) or _list_live(
            lake, table, after, head, marks, since_unix_nano
        )
        versions[table] = reached
        places |= found
    return Arrivals(versions, frozenset(places))


def last_changes(lake: Lake, tables: Collection[str]) -> dict[Place, int]:
    """When a live file of each partition was committed last, in nanoseconds since 1970; partitions without one are left out.

    Raises:
        UnavailableError: a log cannot be read.
    """
    found: dict[Place, int] = {}
    for table in tables:
        for path, millis in _live_files(lake, table):
            place = _place(path)
            found[place] = max(millis * _NANOS_PER_MILLI, found.get(place, 0))
    return found


def _read_entries(
    lake: Lake, table: str, after: int, head: int, marks: Mapping[str, int]
) -> tuple[int, set[Place]] | None:
    """None where an entry is not there, or not whole."""
    if after < 0 or head - after > _MOST_ENTRIES:
        return None
    found: set[Place] = set()
    for version in range(after + 1, head + 1):
        try:
            text = (lake.table(table) / "_delta_log" / f"{version:020d}.json").read_text(encoding="utf8")
            actions = [json.loads(line) for line in text.splitlines()]
        except (OSError, ValueError):
            return None
        if any("remove" in action for action in actions):
            continue
        added = [action["add"]["path"] for action in actions if "add" in action]
        if not all(is_readable(path, marks) for path in added):
            return version - 1, found
        found |= {_place(path) for path in added}
    return head, found


def _list_live(
    lake: Lake, table: str, after: int, head: int, marks: Mapping[str, int], since_unix_nano: int
) -> tuple[int, set[Place]]:
    first = since_unix_nano // _NANOS_PER_MILLI - _MARGIN_MILLIS
    files = [path for path, millis in _live_files(lake, table) if millis >= first]
    readable = {_place(path) for path in files if is_readable(path, marks)}
    whole = all(is_readable(path, marks) for path in files)
    return head if whole else after, readable


def _live_files(lake: Lake, table: str) -> Iterator[tuple[str, int]]:
    """Path below the table's folder and time of commit, in milliseconds since 1970."""
    handle = open_table(lake.table(table))
    if handle is None:
        return
    actions = pa.table(handle.get_add_actions())
    if actions.num_rows:
        millis = actions.column("modification_time").cast(pa.timestamp("ms")).cast(pa.int64())
        yield from zip(actions.column("path").to_pylist(), millis.to_pylist(), strict=True)


def _place(path: str) -> Place:
    tenant, day = path.split("/")[:2]
    return tenant.removeprefix("tenant_id="), dt.date.fromisoformat(day.removeprefix("day="))
