"""Which incident a match belongs to: pure, so that it can be told apart from how matches came about.

Matches of one rule, tenant and key make one incident as long as each is within the rule's cool-down of another. A match joins an
incident that is there already under the same condition.

Invariants:
- However matches are cut into rounds, and in whatever order they come, the same ones end in the same incident: one that comes late
  and closes the gap between two incidents makes them one. (People's own acts, such as closing, are part of the history.)
- A row that an incident holds already changes nothing.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa

RowId = tuple[str, str, int]
"""A record's table, shard and log index."""
_ROW = ("source_table", "shard", "log_index")
_ROW_SCHEMA = {"source_table": pl.String, "shard": pl.String, "log_index": pl.Int64}


@dataclass(frozen=True)
class Known:
    """An incident that is there. Times in nanoseconds since 1970.

    Attributes:
        id: the incident's.
        first: when its first match happened.
        last: when its last match happened.
        rows: the records that it holds, or those of them that a match could be.
        ended_unix_nano: when somebody mitigated or closed it; None while it is open. A later match opens it again.
        closed: whether it is closed.
    """

    id: str
    first: int
    last: int
    rows: frozenset[RowId] = frozenset()
    ended_unix_nano: int | None = None
    closed: bool = False


@dataclass
class Group:
    """What becomes of one incident: matches that are new to it. `id` is None for one that is to be opened."""

    key: str
    id: str | None
    first: int
    last: int
    matches: list[pa.Table] = field(default_factory=list)
    reopens: bool = False
    merged: list[str] = field(default_factory=list)
    """Incidents that turned out to be this one."""
    ended_unix_nano: int | None = None
    closed: bool = False

    def table(self) -> pa.Table:
        """All its new matches, by time."""
        return pa.concat_tables(self.matches).sort_by("time_unix_nano")

    def near(self, first: int, last: int, cooldown: int) -> bool:
        """Whether a stretch of time is within the cool-down of this one."""
        return first <= self.last + cooldown and last >= self.first - cooldown


def key_hash(key: str) -> str:
    """The name of a grouping key in the store, where the key itself may hold what a sender wrote."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def group_matches(matches: pa.Table, known: Mapping[str, Sequence[Known]], *, cooldown: int) -> list[Group]:
    """What becomes of the matches of one rule; `known` are the incidents by key hash. Groups to which nothing is new are left out."""
    frame = pl.DataFrame(pl.from_arrow(matches))
    groups = []
    for (key,), mine in frame.group_by("key", maintain_order=True):
        found = [
            Group(str(key), each.id, each.first, each.last, ended_unix_nano=each.ended_unix_nano, closed=each.closed)
            for each in known.get(key_hash(str(key)), ())
        ]
        rows = [row for each in known.get(key_hash(str(key)), ()) for row in each.rows]
        groups += _group_key(str(key), _unknown_rows(mine, rows), found, cooldown)
    return groups


def _unknown_rows(matches: pl.DataFrame, rows: Sequence[RowId]) -> pl.DataFrame:
    if not rows:
        return matches
    return matches.join(pl.DataFrame(rows, schema=_ROW_SCHEMA, orient="row"), on=_ROW, how="anti")


def _group_key(key: str, matches: pl.DataFrame, groups: list[Group], cooldown: int) -> list[Group]:
    by_time = matches.sort("time_unix_nano", maintain_order=True)
    gaps = by_time.select(
        (pl.col("time_unix_nano").diff() > cooldown).fill_null(value=False).cum_sum().alias("cluster")
    )
    for cluster in by_time.with_columns(gaps.to_series()).partition_by("cluster", maintain_order=True):
        _place(key, cluster.drop("cluster"), groups, cooldown)
    return [group for group in groups if group.matches or group.merged]


def _place(key: str, cluster: pl.DataFrame, groups: list[Group], cooldown: int) -> None:
    times = cluster.get_column("time_unix_nano").to_numpy()
    first, last = int(times[0]), int(times[-1])
    # one that is there before one that this round would open, then the earlier one
    near = sorted(
        (group for group in groups if group.near(first, last, cooldown)), key=lambda each: (each.id is None, each.first)
    )
    target = next((group for group in near if not group.closed), near[0] if near else None)
    if target is None:
        groups.append(Group(key, None, first, last, [cluster.to_arrow()]))
        return
    # a match without a record says that something lasts: within what is known of it, it says nothing new
    inside = pl.col("log_index").is_null() & pl.col("time_unix_nano").is_between(target.first, target.last)
    news = cluster.filter(~inside)
    if news.height:
        target.matches.append(news.to_arrow())
        latest = int(news.get_column("time_unix_nano").to_numpy().max())
        target.reopens |= target.ended_unix_nano is not None and latest > target.ended_unix_nano
    target.first, target.last = min(first, target.first), max(last, target.last)
    for other in _others(near, target):
        groups.remove(other)
        target.matches += other.matches
        target.first, target.last = min(target.first, other.first), max(target.last, other.last)
        if other.id is not None:
            target.merged += [other.id, *other.merged]


def _others(near: Sequence[Group], target: Group) -> Iterable[Group]:
    """The open incidents that are one with the target: what somebody closed stays as it was closed."""
    return [group for group in near if group is not target and not group.closed]
