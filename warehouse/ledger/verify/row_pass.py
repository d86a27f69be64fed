"""Every row of the ledgered tables, once: files in even tasks, and partitions read anew when a rewrite replaced their files.

What tasks found of a partition is held until all of its files were read, since only then is it known that none was replaced
under the run. It takes a bit a row.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.errors import UnavailableError
from warehouse.ledger.verify.files import TableFile, partition_files
from warehouse.ledger.verify.job import ATTEMPTS, Job
from warehouse.ledger.verify.pool import TaskPool
from warehouse.ledger.verify.scan import LogView, ScanResult, scan_rows, scan_tasks
from warehouse.ledger.verify.state import KEPT_INDICES, SWAP_CANDIDATES

_Views = Mapping[str, Mapping[str, LogView]]
"""Logs by tenant and shard."""
_Key = tuple[str, str, str]
"""A partition: table, tenant, day."""


def scan_partitions(job: Job, pool: TaskPool, files: Sequence[TableFile], views: _Views) -> Iterator[ScanResult]:
    """What the rows of all files were found to be, partition by partition.

    Raises:
        UnavailableError: rewrites replace a partition's files faster than they can be read.
    """
    tasks = [
        task
        for file in files
        if not _was_accounted(file, views[file.tenant])
        for task in scan_tasks(file, views[file.tenant], by_number=job.options.by_number)
    ]
    waiting = Counter(_key(task.file) for task in tasks)
    held: dict[_Key, _Partition] = {}
    # the longest first: what is left for the end is short, so that all workers end together
    tasks.sort(key=lambda task: -task.rows)
    for result in pool.run(scan_rows, tasks, stop=job.stop):
        job.advance("records", result.rows)
        key = _key(result.file)
        partition = held.setdefault(key, _Partition())
        partition.add(result)
        waiting[key] -= 1
        if not waiting[key]:
            del held[key]
            yield from _settled(job, key, partition, views[key[1]]).results


@dataclass
class _Partition:
    """Results of one partition. However much is damaged, what they hold of it is bounded: the rest is counted."""

    results: list[ScanResult] = field(default_factory=list)
    _altered: Counter[str] = field(default_factory=Counter)
    _beyond: Counter[str] = field(default_factory=Counter)

    def add(self, result: ScanResult) -> None:
        """Take a result."""
        self.results.append(result)
        for shard, rows in result.shards.items():
            rows.altered = rows.altered[: max(0, KEPT_INDICES - self._altered[shard])]
            rows.beyond = rows.beyond[: max(0, KEPT_INDICES - self._beyond[shard])]
            self._altered[shard] += rows.altered_count
            self._beyond[shard] += rows.beyond_count
        if result.altered_rows:
            many = pa.array([shard for shard, count in self._altered.items() if count > SWAP_CANDIDATES], pa.string())
            result.altered_rows = [
                few
                for rows in result.altered_rows
                if (few := rows.filter(pc.invert(pc.is_in(rows.column("shard"), value_set=many)))).num_rows
            ]

    def vanished(self) -> set[str]:
        """Paths of files that are not there."""
        return {str(result.file.path) for result in self.results if result.vanished}


def _settled(job: Job, key: _Key, partition: _Partition, logs: Mapping[str, LogView]) -> _Partition:
    """The partition, read again as a whole where a rewrite replaced files meanwhile."""
    for _ in range(ATTEMPTS):
        gone = partition.vanished()
        if not gone:
            return partition
        present = partition_files(job.lake, *key)
        if gone & {str(file.path) for file in present}:  # deleted behind the table's back: its rows are missing
            return partition
        partition = _Partition()
        for file in present:
            for task in scan_tasks(file, logs, by_number=job.options.by_number):
                partition.add(scan_rows(task))
    raise UnavailableError(
        f"table {key[0]}: files of {key[1]} on {key[2]} are replaced faster than they can be read",
        hint="try again when compaction or purge has ended",
    )


def _was_accounted(file: TableFile, logs: Mapping[str, LogView]) -> bool:
    """With `since`: whether a file of one segment ends below what was seen. A rewritten file is looked into."""
    view = logs.get(file.shard or "")
    return bool(view and view.since and file.highest_index is not None and file.highest_index < view.since)


def _key(file: TableFile) -> _Key:
    return file.table, file.tenant, file.day
