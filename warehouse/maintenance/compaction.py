"""Compaction: replaces many small files of a partition by one sorted file, in one commit.

Invariants. Marks are read before the handle is opened, and only files at or below them are taken. The handle that the
file list came from is the one that the commit is made on. The partition's lock is held from before the list is read (or
the commit's liveness check catches what changed before) until the commit stands. The table's commit lock is held for the
commit alone, never while files are read or written, so the writer waits for one commit at most. An output is deleted
only when a handle opened afterwards shows that it did not become live.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.transaction import RemoveAction

from warehouse.clock import Clock
from warehouse.delta import DeltaStore
from warehouse.errors import ConflictError, MunimentError, UnavailableError
from warehouse.lake import Lake
from warehouse.maintenance.config import MaintenanceConfig
from warehouse.maintenance.footer import describe_file
from warehouse.maintenance.merge import merge_files
from warehouse.maintenance.partition import Partition, partition_lock
from warehouse.maintenance.plan import MergeGroup, live_files, live_paths, plan_merges
from warehouse.marks import read_marks

RandomName = Callable[[], str]
"""Returns 32 hexadecimal digits never returned before."""

_NANOS_PER_MILLI = 1_000_000


@dataclass(frozen=True)
class Compacted:
    """What became of one partition: files and bytes before and after, or why not.

    `skipped` is set when another process holds the partition, `failure` when it could not be compacted.
    """

    partition: Partition
    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    rows: int = 0
    conflicts: int = 0
    skipped: bool = False
    failure: str = ""


@dataclass(frozen=True)
class Compactor:
    """Compacts the partitions of one table. Safe beside writers, readers and other compactors."""

    lake: Lake
    store: DeltaStore
    config: MaintenanceConfig
    clock: Clock
    random_name: RandomName

    def plan(self, tenants: Collection[str] | None = None) -> tuple[DeltaTable, list[MergeGroup]]:
        """Open a handle and list what to merge by it.

        Raises:
            UnavailableError: the log cannot be read.
        """
        marks = read_marks(self.lake)
        try:
            handle = self.store.fresh()
            files = live_files(handle, marks)
        except (OSError, DeltaError) as exc:
            raise UnavailableError(f"table {self.store.table.name}: cannot be read: {exc}") from exc
        groups = plan_merges(
            self.store.table.name, files, tenants=tenants, now_unix_nano=self.clock(), config=self.config
        )
        return handle, groups

    def run(
        self, *, tenants: Collection[str] | None = None, done: Callable[[int, int], None], stop: Callable[[], bool]
    ) -> Iterator[Compacted]:
        """Compact every partition that needs it, one after another; `done` hears of (partitions done, of all)."""
        handle, groups = self.plan(tenants)
        parts = [(partition, list(found)) for partition, found in groupby(groups, key=lambda group: group.partition)]
        for number, (partition, found) in enumerate(parts):
            if stop():
                return
            done(number, len(parts))
            yield self.compact(partition, handle=handle, groups=found)
        done(len(parts), len(parts))

    def compact(self, partition: Partition, *, handle: DeltaTable, groups: list[MergeGroup]) -> Compacted:
        """Merge the groups of one partition, planned on `handle`; plans afresh when the table changed meanwhile."""
        result = Compacted(partition)
        with partition_lock(self.lake, partition) as held:
            if not held:
                return dataclasses.replace(result, skipped=True)
            for attempt in range(self.config.attempts):
                try:
                    while groups:
                        result = self._merged(result, groups[0], self._merge(handle, groups[0]))
                        groups = groups[1:]
                except ConflictError as exc:
                    result = dataclasses.replace(result, conflicts=attempt + 1, failure=str(exc))
                    handle, groups = self._again(partition)
                except MunimentError as exc:
                    return dataclasses.replace(result, failure=str(exc))
                else:
                    return dataclasses.replace(result, failure="")
        return result

    def _again(self, partition: Partition) -> tuple[DeltaTable, list[MergeGroup]]:
        handle, groups = self.plan([partition.tenant_id])
        return handle, [group for group in groups if group.partition == partition]

    def _merged(self, result: Compacted, group: MergeGroup, size_bytes: int) -> Compacted:
        return dataclasses.replace(
            result,
            files_before=result.files_before + len(group.files),
            files_after=result.files_after + 1,
            bytes_before=result.bytes_before + group.size_bytes,
            bytes_after=result.bytes_after + size_bytes,
            rows=result.rows + group.rows,
        )

    def _merge(self, handle: DeltaTable, group: MergeGroup) -> int:
        """Merge one group and commit; returns the size of its file in bytes."""
        table, folder, partition = self.store.table, self.store.folder, group.partition
        output = folder / partition.folder / f"compact-{self.random_name()}.parquet"
        inputs = [folder / file.path for file in group.files]
        try:
            merge_files(
                table, inputs, output, rows=group.rows, spill=self.lake.spill, sort_bytes=self.config.sort_bytes
            )
            part = describe_file(table, folder, output, tenant_id=partition.tenant_id, day=partition.day)
            now = self.clock() // _NANOS_PER_MILLI
            self.store.rewrite(
                handle,
                [_remove(partition, file.path, file.size_bytes, now) for file in group.files],
                [dataclasses.replace(part.add_action(now), data_change=False)],
            )
        except FileNotFoundError as exc:
            self._discard(output)
            raise ConflictError(f"{partition}: {exc.filename or exc} is gone") from exc
        except (OSError, pa.ArrowException) as exc:
            self._discard(output)
            raise UnavailableError(f"{partition}: merge of {len(inputs)} files failed: {exc}") from exc
        except BaseException:
            self._discard(output)
            raise
        return part.size_bytes

    def _discard(self, output: Path) -> None:
        """Delete an output that no commit made live; where that cannot be told, leave it to the orphan sweep."""
        try:
            live = live_paths(self.store.fresh())
        except (OSError, DeltaError, UnavailableError):
            return
        if output.relative_to(self.store.folder).as_posix() not in live:
            output.unlink(missing_ok=True)


def _remove(partition: Partition, path: str, size_bytes: int, now_unix_milli: int) -> RemoveAction:
    return RemoveAction(
        path=path,
        data_change=False,
        deletion_timestamp=now_unix_milli,
        size=size_bytes,
        partition_values={"tenant_id": partition.tenant_id, "day": partition.day},
    )
