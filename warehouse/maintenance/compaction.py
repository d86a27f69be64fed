"""Compaction: replaces many small files of a partition by one sorted file; several partitions in one commit.

Invariants. Marks are read before the handle is opened, and only files at or below them are taken. The handle that the
file list came from is the one that the commit is made on. The partition's lock is held from before the list is read (or
the commit's liveness check catches what changed before) until the commit stands. The table's commit lock is held for the
commit alone, never while files are read or written, so the writer waits for one commit at most. An output is deleted
only when a handle opened afterwards shows that it did not become live.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.transaction import RemoveAction

from warehouse.clock import Clock
from warehouse.delta import DeltaStore
from warehouse.errors import ConflictError, CorruptionError, UnavailableError
from warehouse.lake import Lake
from warehouse.maintenance.config import MaintenanceConfig
from warehouse.maintenance.footer import describe_file
from warehouse.maintenance.merge import merge_files
from warehouse.maintenance.partition import Partition, partition_lock
from warehouse.maintenance.plan import LiveFile, MergeGroup, live_files, live_paths, plan_merges
from warehouse.marks import read_marks
from warehouse.parquet import Part

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
        """Compact every partition that needs it, several in a commit; `done` hears of (merges done, of all)."""
        handle, groups = self.plan(tenants)
        count = 0
        for batch in _batches(groups, self.config):
            if stop():
                return
            done(count, len(groups))
            yield from self.compact(batch, handle=handle)
            count += len(batch)
        done(len(groups), len(groups))

    def compact(self, groups: Sequence[MergeGroup], *, handle: DeltaTable) -> list[Compacted]:
        """Merge groups planned on `handle` and commit them at once; plans afresh when the table changed meanwhile."""
        partitions = sorted({group.partition for group in groups})
        conflict = ""
        with ExitStack() as locks:
            held = {partition for partition in partitions if locks.enter_context(partition_lock(self.lake, partition))}
            results = {partition: Compacted(partition, skipped=partition not in held) for partition in partitions}
            todo = [group for group in groups if group.partition in held]
            for _ in range(self.config.attempts):
                if not todo:
                    break
                try:
                    self._rewrite(handle, todo, results)
                    todo = []
                except ConflictError as exc:
                    conflict = str(exc)
                    for partition in {group.partition for group in todo}:
                        results[partition] = replace(results[partition], conflicts=results[partition].conflicts + 1)
                    handle, planned = self.plan({partition.tenant_id for partition in held})
                    todo = [group for group in planned if group.partition in held]
            for group in todo:
                results[group.partition] = replace(results[group.partition], failure=conflict)
        return list(results.values())

    def _rewrite(self, handle: DeltaTable, groups: Sequence[MergeGroup], results: dict[Partition, Compacted]) -> None:
        """Merge and commit; a partition that cannot be merged is noted in `results`, and the others are committed.

        Raises:
            ConflictError: a file is gone; nothing was committed.
        """
        merged: list[tuple[MergeGroup, Part]] = []
        try:
            for group in groups:
                try:
                    merged.append((group, self._merge(group)))
                except (UnavailableError, CorruptionError) as exc:
                    results[group.partition] = replace(results[group.partition], failure=str(exc))
            if merged:
                self._commit(handle, merged)
        except UnavailableError as exc:
            self._discard(part.path for _, part in merged)
            for group, _ in merged:
                results[group.partition] = replace(results[group.partition], failure=str(exc))
            return
        except BaseException:
            self._discard(part.path for _, part in merged)
            raise
        for group, part in merged:
            results[group.partition] = _added(results[group.partition], group, part)

    def _merge(self, group: MergeGroup) -> Part:
        """Merge one group into a durable file that no commit names yet."""
        table, folder, partition = self.store.table, self.store.folder, group.partition
        path = f"{partition.folder}/compact-{self.random_name()}.parquet"
        inputs = [folder / file.path for file in group.files]
        try:
            merge_files(
                table, inputs, folder / path, rows=group.rows, spill=self.lake.spill, sort_bytes=self.config.sort_bytes
            )
            return describe_file(table, folder, folder / path, tenant_id=partition.tenant_id, day=partition.day)
        except FileNotFoundError as exc:
            self._discard([path])
            raise ConflictError(f"{partition}: {exc.filename or exc} is gone") from exc
        except (OSError, pa.ArrowException) as exc:
            self._discard([path])
            raise UnavailableError(f"{partition}: merge of {len(inputs)} files failed: {exc}") from exc
        except BaseException:
            self._discard([path])
            raise

    def _commit(self, handle: DeltaTable, merged: Sequence[tuple[MergeGroup, Part]]) -> None:
        now = self.clock() // _NANOS_PER_MILLI
        self.store.rewrite(
            handle,
            [_remove(group.partition, file, now) for group, _ in merged for file in group.files],
            [replace(part.add_action(now), data_change=False) for _, part in merged],
        )

    def _discard(self, paths: Iterable[str]) -> None:
        """Delete outputs that no commit made live; where that cannot be told, leave them to the orphan sweep."""
        made = set(paths)
        try:
            made -= live_paths(self.store.fresh()) if made else set()
        except (OSError, DeltaError, UnavailableError):
            return
        for path in made:
            (self.store.folder / path).unlink(missing_ok=True)


def _batches(groups: Sequence[MergeGroup], config: MaintenanceConfig) -> Iterator[list[MergeGroup]]:
    """Cut the work into commits: a commit costs by the table's files, not by what it changes."""
    batch: list[MergeGroup] = []
    size = 0
    for group in groups:
        if batch and (len(batch) >= config.commit_merges or size + group.size_bytes > config.target_bytes):
            yield batch
            batch, size = [], 0
        batch.append(group)
        size += group.size_bytes
    if batch:
        yield batch


def _added(result: Compacted, group: MergeGroup, part: Part) -> Compacted:
    return replace(
        result,
        files_before=result.files_before + len(group.files),
        files_after=result.files_after + 1,
        bytes_before=result.bytes_before + group.size_bytes,
        bytes_after=result.bytes_after + part.size_bytes,
        rows=result.rows + group.rows,
    )


def _remove(partition: Partition, file: LiveFile, now_unix_milli: int) -> RemoveAction:
    return RemoveAction(
        path=file.path,
        data_change=False,
        deletion_timestamp=now_unix_milli,
        size=file.size_bytes,
        partition_values={"tenant_id": partition.tenant_id, "day": partition.day},
    )
