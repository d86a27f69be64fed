"""Plans compaction: which files of which partitions are merged into one.

Files are merged within size classes, so a row is rewritten once a class and not once a run: with classes a factor of
eight apart, from 10 KB to 256 MiB at most five times. Pure: everything comes in as arguments.
"""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from warehouse.clock import NANOS_PER_SECOND
from warehouse.maintenance.config import MaintenanceConfig
from warehouse.maintenance.partition import Partition
from warehouse.marks import is_readable

_CLASS_SHARES = (256, 32, 4)
"""Upper bounds of the size classes, as parts of the target size: 1, 8 and 64 MiB of 256."""
_FULL_SHARE = 2
_SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class LiveFile:
    """A file to be merged: its path below the table's folder, and its size."""

    path: str
    size_bytes: int
    rows: int


@dataclass(frozen=True)
class MergeGroup:
    """Files of one partition that become one file."""

    partition: Partition
    files: tuple[LiveFile, ...]

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return sum(file.rows for file in self.files)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size_bytes for file in self.files)


def live_paths(handle: DeltaTable) -> set[str]:
    """Paths of the live files, below the table's folder."""
    return set(pa.table(handle.get_add_actions()).column("path").to_pylist())


def live_files(handle: DeltaTable, marks: Mapping[str, int]) -> pl.DataFrame:
    """Live files whose rows may be shown, one row each: path, size_bytes, rows, modified, tenant_id, day, readable.

    `marks` MUST have been read before `handle` was opened.
    """
    actions = pl.DataFrame(pa.table(handle.get_add_actions(flatten=True))).select(
        "path",
        "size_bytes",
        pl.col("num_records").alias("rows"),
        pl.col("modification_time").alias("modified"),
        pl.col("partition.tenant_id").alias("tenant_id"),
        pl.col("partition.day").alias("day"),
    )
    readable = [is_readable(path, marks) for path in actions.get_column("path")]
    return actions.with_columns(pl.Series("readable", readable, dtype=pl.Boolean))


def plan_merges(
    table: str,
    files: pl.DataFrame,
    *,
    tenants: Collection[str] | None,
    now_unix_nano: int,
    config: MaintenanceConfig,
) -> list[MergeGroup]:
    """List what to merge, in order of partition; `files` as `live_files` gives them. Files above a mark are left alone."""
    bounds = [config.target_bytes // share for share in _CLASS_SHARES]
    wanted = files.filter(pl.col("readable") & (pl.col("size_bytes") < config.target_bytes // _FULL_SHARE))
    if tenants is not None:
        wanted = wanted.filter(pl.col("tenant_id").is_in(list(tenants)))
    size_class = pl.sum_horizontal([(pl.col("size_bytes") >= bound).cast(pl.Int32) for bound in bounds])
    settled_before = _settled_before(now_unix_nano, config)
    enough = (
        pl.when(pl.col("day") < settled_before)
        .then(config.settled_merge_files)
        .when(pl.col("class") == 0)
        .then(config.merge_files)
        .otherwise(max(2, config.merge_files // 2))
    )
    wanted = wanted.with_columns(size_class.alias("class"))
    wanted = wanted.filter(pl.len().over("tenant_id", "day", "class") >= enough)
    groups = []
    ordered = wanted.sort("tenant_id", "day", "class", "modified", "path")
    for (tenant_id, day, _), members in ordered.group_by("tenant_id", "day", "class", maintain_order=True):
        partition = Partition(table, str(tenant_id), str(day))
        groups += [MergeGroup(partition, part) for part in _split(members, config)]
    return groups


def _settled_before(now_unix_nano: int, config: MaintenanceConfig) -> dt.date:
    """First day that does not count as settled yet: it ended less than `settled_after_hours` ago, or has not ended."""
    now = dt.datetime.fromtimestamp(now_unix_nano // NANOS_PER_SECOND, dt.UTC)
    return (now - dt.timedelta(seconds=config.settled_after_hours * _SECONDS_PER_HOUR)).date()


def _split(members: pl.DataFrame, config: MaintenanceConfig) -> Iterator[tuple[LiveFile, ...]]:
    """Cut files in their order into groups of at most the target size; a group of one is left for later."""
    group: list[LiveFile] = []
    size = rows = 0
    for path, size_bytes, count in members.select("path", "size_bytes", "rows").iter_rows():
        if group and (size + size_bytes > config.target_bytes or rows + count > config.target_rows):
            if len(group) > 1:
                yield tuple(group)
            group, size, rows = [], 0, 0
        group.append(LiveFile(path, size_bytes, count))
        size, rows = size + size_bytes, rows + count
    if len(group) > 1:
        yield tuple(group)
