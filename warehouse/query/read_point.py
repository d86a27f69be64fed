"""Reading only what is new: up to where a tenant's records were read, and which files can hold others.

A record's place in its log never changes, whatever compaction and purges do to files: so a point is the highest log index of
each shard, and rows above it are new. Reading them must not cost more as the lake grows, so a point also knows which files
hold nothing above it: those of segments at or below a number, and the rewritten ones that were read.

Where young rows wait, those of a clock that was ahead do not: a receipt further in the future than hosts' clocks differ is wrong, and to
wait for it would keep everything that came after it from being seen.

Metric points have no log index; their segment takes its place.

Invariant: a session that begins at a point ends at another; every row that became readable between the two is seen in
exactly one session of a chain, and those of one request (a segment's) in the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import duckdb

from warehouse.clock import NANOS_PER_SECOND
from warehouse.marks import segment_of

CLOCK_AHEAD_NANOS = 300 * NANOS_PER_SECOND
"""How far the clocks of a lake's hosts may differ."""
_LEDGERED = ("spans", "audit_events", "logs")
_INDEX = dict.fromkeys(_LEDGERED, "log_index") | {"contents": "owner_index", "metrics": "segment"}


@dataclass(frozen=True)
class ReadPoint:
    """Up to where the records of one tenant were read; `ReadPoint()` is the beginning.

    Attributes:
        indices: the highest log index read of each shard.
        metrics: the highest segment of each shard whose metric points were read.
        segments: of each shard the segment up to which its files hold nothing new.
        rewritten: names of the files that compaction or a purge made and that hold nothing new.
    """

    indices: Mapping[str, int] = field(default_factory=dict)
    metrics: Mapping[str, int] = field(default_factory=dict)
    segments: Mapping[str, int] = field(default_factory=dict)
    rewritten: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "indices": dict(self.indices),
            "metrics": dict(self.metrics),
            "segments": dict(self.segments),
            "rewritten": sorted(self.rewritten),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what `to_json` gave."""
        return cls(data["indices"], data["metrics"], data["segments"], frozenset(data["rewritten"]))

    def may_hold_new(self, path: str) -> bool:
        """Whether a file can hold rows above this point."""
        place = segment_of(path)
        if place is None:
            return _name(path) not in self.rewritten
        shard, segment = place
        return segment > self.segments.get(shard, -1)

    def condition(self, table: str, until: "ReadPoint") -> str:
        """SQL condition on the rows of `table` above this point and at or below `until`."""
        column = _INDEX[table]
        after, last = (self.metrics, until.metrics) if table == "metrics" else (self.indices, until.indices)
        return f"{column} > {_by_shard(after)} and {column} <= {_by_shard(last)}"


@dataclass(frozen=True)
class _FileRows:
    """What one file holds of one shard above the point: the highest index, and the lowest that must wait (None: none)."""

    file: str
    shard: str
    last: int
    waiting: int | None


def next_point(
    connection: duckdb.DuckDBPyConnection,
    since: ReadPoint,
    sources: Mapping[str, str],
    files: Mapping[str, Sequence[str]],
    marks: Mapping[str, int],
    *,
    received_before: int | None,
    now_unix_nano: int | None = None,
) -> ReadPoint:
    """Where a session over `files` ends that began at `since`.

    Args:
        connection: may read the files.
        since: where it begins.
        sources: SQL that yields the rows of each table's new files, with a column `filename`.
        files: every readable file of each table; those that may hold something new are in `sources`.
        marks: the segment that each shard had committed when the files were listed.
        received_before: rows received at or after this (nanoseconds since 1970) wait, and so does what came after them.
        now_unix_nano: the instant, with `received_before`: rows received long after it do not wait.
    """
    waits = (
        None if received_before is None else (received_before, (now_unix_nano or received_before) + CLOCK_AHEAD_NANOS)
    )
    ledgered = [
        each for table in _LEDGERED if table in sources for each in _scan(connection, table, sources[table], waits)
    ]
    metrics = _scan(connection, "metrics", sources["metrics"], waits) if "metrics" in sources else []
    indices, metric_segments = _advanced(since.indices, ledgered), _advanced(since.metrics, metrics)
    contents = _scan(connection, "contents", sources["contents"], None) if "contents" in sources else []
    late = {each.file for each in (*ledgered, *contents) if each.last > indices.get(each.shard, -1)}
    late |= {each.file for each in metrics if each.last > metric_segments.get(each.shard, -1)}
    segments = dict(marks)
    for file in late:
        if (place := segment_of(file)) is not None:
            segments[place[0]] = min(segments.get(place[0], place[1] - 1), place[1] - 1)
    done = {_name(path) for paths in files.values() for path in paths if segment_of(path) is None}
    return ReadPoint(indices, metric_segments, segments, frozenset(done - {_name(file) for file in late}))


def _scan(
    connection: duckdb.DuckDBPyConnection, table: str, source: str, waits: tuple[int, int] | None
) -> list[_FileRows]:
    """What each new file holds, and the first of it that was received in `waits`; a file is read by two or three narrow columns."""
    column = _INDEX[table]
    first = "null"
    if waits is not None:
        first = f"min({column}) filter (where received_unix_nano >= {waits[0]} and received_unix_nano < {waits[1]})"
    sql = f"select filename, shard, max({column}), {first} from {source} group by all"  # noqa: S608  names of the schema
    return [_FileRows(*row) for row in connection.sql(sql).fetchall()]


def _advanced(since: Mapping[str, int], found: Sequence[_FileRows]) -> dict[str, int]:
    """The point of each shard after everything found that need not wait."""
    reached = dict(since)
    first_waiting: dict[str, int] = {}
    for each in found:
        reached[each.shard] = max(reached.get(each.shard, -1), each.last)
        if each.waiting is not None:
            first_waiting[each.shard] = min(first_waiting.get(each.shard, each.waiting), each.waiting)
    for shard, waiting in first_waiting.items():
        # what was read once is never read again, even where the horizon moved back
        reached[shard] = max(min(reached[shard], waiting - 1), since.get(shard, -1))
    return reached


def _by_shard(points: Mapping[str, int]) -> str:
    """SQL expression of a row's shard's value, -1 for a shard that has none."""
    if not points:
        return "-1"
    cases = " ".join(f"when '{shard}' then {int(value)}" for shard, value in sorted(points.items()))
    return f"case shard {cases} else -1 end"


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
