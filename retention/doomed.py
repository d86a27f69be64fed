"""What is to be deleted, row by row: values that selection makes, and that rewriting, intents and certificates are made from.

A deletion is the rows of live files. Which files hold them changes when files are compacted; which rows they are does not, so that
what an intent names (`Deleted`) and what files hold now (`DoomedFile`) can be told apart.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from retention.holding import Mask
from retention.policy import OWNER_TABLES, QUARANTINE
from retention.verdict import CONTENTS
from warehouse.lake import Lake
from warehouse.ledger.certificates import ContentParts, Deleted, MetricPoints, Run, ordered_runs, runs_of

NOTHING = Deleted()
_OWNER_KEYS = ["shard", "log_index"]
_PART_KEYS = ["shard", "owner_index", "part"]


@dataclass(frozen=True)
class DoomedFile:
    """Rows of one live file that are to go.

    Attributes:
        path: below the table's folder; of `quarantine` below that of quarantine.
        rows: how many the file holds; 0 in quarantine, where nobody counts.
        going: which of them go; None for all, so that the file goes without one being written in its place.
    """

    table: str
    tenant_id: str
    day: str
    path: str
    size_bytes: int
    rows: int
    going: Mask | None = None

    @property
    def count(self) -> int:
        """How many rows go."""
        return self.rows if self.going is None else int(self.going.sum())


@dataclass(frozen=True)
class Doomed:
    """All that one deletion takes from one tenant, and how certificates name it."""

    tenant_id: str
    files: tuple[DoomedFile, ...] = ()
    deleted: Deleted = NOTHING

    @property
    def by_table(self) -> dict[str, list[DoomedFile]]:
        """Files by table."""
        found: dict[str, list[DoomedFile]] = {}
        for file in self.files:
            found.setdefault(file.table, []).append(file)
        return found

    @property
    def rows(self) -> dict[str, int]:
        """Rows that go, by table."""
        return {table: sum(file.count for file in files) for table, files in sorted(self.by_table.items())}

    @property
    def is_empty(self) -> bool:
        """Whether nothing goes."""
        return not self.files


def doom(lake: Lake, tenant_id: str, files: Iterable[DoomedFile]) -> Doomed:
    """The deletion of these rows: reads the keys by which certificates name them, and nothing else.

    Raises:
        OSError: a file is gone or cannot be read.
    """
    chosen = tuple(file for file in files if file.going is None or file.going.any())
    indices: dict[tuple[str, str], list[np.ndarray]] = {}
    parts: list[pl.DataFrame] = []
    metrics = []
    for file in chosen:
        if file.table in OWNER_TABLES:
            for shard, mine in _split(_keys(lake, file, _OWNER_KEYS)):
                indices.setdefault((file.table, shard), []).append(mine)
        elif file.table == CONTENTS:
            parts.append(_keys(lake, file, _PART_KEYS))
        elif file.table != QUARANTINE:
            metrics.append(MetricPoints(tenant_id, file.path, file.count))
    runs: list[Run] = []
    for (table, shard), each in indices.items():
        runs += runs_of(table, tenant_id, shard, np.concatenate(each))  # type: ignore[arg-type]  # one of OWNER_TABLES
    deleted = Deleted(ordered_runs(runs), _content_parts(tenant_id, parts), tuple(metrics))
    return Doomed(tenant_id, chosen, deleted)


def _keys(lake: Lake, file: DoomedFile, columns: Sequence[str]) -> pl.DataFrame:
    frame = pl.DataFrame(
        pq.ParquetFile(lake.table(file.table) / file.path, memory_map=True).read(columns=list(columns))
    )
    return frame if file.going is None else frame.filter(pl.Series(file.going))


def _split(keys: pl.DataFrame) -> Iterable[tuple[str, np.ndarray]]:
    for (shard,), mine in keys.group_by("shard"):
        yield str(shard), mine.get_column("log_index").to_numpy()


def _content_parts(tenant_id: str, parts: Sequence[pl.DataFrame]) -> tuple[ContentParts, ...]:
    """One entry an owner, in order: a certificate names contents by their owner and their part."""
    if not parts:
        return ()
    owners = pl.concat(parts).group_by("shard", "owner_index").agg("part").sort("shard", "owner_index")
    return tuple(
        ContentParts(tenant_id, shard, index, tuple(names))
        for shard, index, names in zip(*(owners.get_column(name).to_list() for name in owners.columns), strict=True)
    )


def minus(of: Deleted, kept: Deleted) -> Deleted:
    """What of a deletion is left without what was kept."""
    held = _index_arrays(kept.runs)
    runs: list[Run] = []
    for (table, tenant, shard), mine in _index_arrays(of.runs).items():
        other = held.get((table, tenant, shard), np.empty(0, np.int64))
        runs += runs_of(table, tenant, shard, np.setdiff1d(mine, other))  # type: ignore[arg-type]  # as it came
    kept_parts = {(each.shard, each.owner_index): set(each.parts) for each in kept.contents}
    contents = []
    for each in of.contents if kept_parts else ():
        left = tuple(part for part in each.parts if part not in kept_parts.get((each.shard, each.owner_index), ()))
        if left:
            contents.append(ContentParts(each.tenant, each.shard, each.owner_index, left))
    kept_points = {points.file: points.count for points in kept.metrics}
    return Deleted(
        ordered_runs(runs),
        tuple(contents) if kept_parts else of.contents,
        tuple(
            MetricPoints(points.tenant, points.file, rest)
            for points in of.metrics
            if (rest := points.count - kept_points.get(points.file, 0)) > 0
        ),
    )


def _index_arrays(runs: Iterable[Run]) -> Mapping[tuple[str, str, str], np.ndarray]:
    found: dict[tuple[str, str, str], list[np.ndarray]] = {}
    for run in runs:
        found.setdefault((run.table, run.tenant, run.shard), []).append(np.arange(run.first, run.last + 1))
    return {key: np.concatenate(arrays) for key, arrays in found.items()}
