"""The orphan sweep: deletes files that no log entry names and that nobody will commit any more.

A crash leaves them: a merge killed before its commit, a segment's files whose tombstones were forgotten. delta-rs's full
vacuum would find them too, but it deletes files that are written and not yet committed. So a file goes only if its name
proves that its time is over: of a segment at or below its shard's mark (its commits stand), or of a rewrite while this
sweep holds the partition's lock (no rewrite is under way). Names of neither kind are never touched.

The order of reading matters: the partition's lock, then the marks, then a handle. A handle opened before the lock could
miss a rewrite that committed in between.
"""

import re
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deltalake.exceptions import DeltaError

from warehouse.clock import NANOS_PER_SECOND, Clock
from warehouse.delta import DeltaStore
from warehouse.durable import sync_folder
from warehouse.errors import UnavailableError
from warehouse.lake import Lake
from warehouse.maintenance.cleanup import READ_BACK_PREFIX
from warehouse.maintenance.log import removed_paths
from warehouse.maintenance.partition import Partition, partition_lock
from warehouse.maintenance.plan import live_paths
from warehouse.marks import is_readable, read_marks

_REWRITE_NAME = re.compile(r"(?:compact-[0-9a-f]{32}|derived-[0-9a-f]{32}-[a-z_]+)\.parquet")
_SEGMENT_NAME = re.compile(r"[a-z0-9-]+-[0-9a-f]{8}-\d{10}-[^/]*\.parquet")
_FOLDER_NAMES = re.compile(r"tenant_id=([^/]+)/day=([^/]+)")


@dataclass(frozen=True)
class Swept:
    """What a sweep found: orphans deleted, files left because they may still be committed, and unknown names."""

    deleted: tuple[str, ...] = ()
    pending: int = 0
    unknown: tuple[str, ...] = ()


def sweep_orphans(lake: Lake, store: DeltaStore, *, tenants: Collection[str] | None = None) -> Swept:
    """Delete the orphans of one table; partitions that a rewrite holds are left for the next time.

    Raises:
        UnavailableError: the log cannot be read or the disk refused.
    """
    deleted: list[str] = []
    pending = 0
    unknown: list[str] = []
    try:
        marks = read_marks(lake)
        suspects = _unnamed(store, _files(store.folder, tenants))
        for partition, paths in sorted(_by_partition(store.table.name, suspects).items()):
            over = [path for path in paths if _is_over(path, marks)]
            unknown += [path for path in paths if not _is_known(path)]
            pending += sum(_is_known(path) for path in paths) - len(over)
            if over:
                deleted += _delete(lake, store, partition, over)
    except (OSError, DeltaError) as exc:
        raise UnavailableError(f"table {store.table.name}: sweep of orphans failed: {exc}") from exc
    return Swept(tuple(deleted), pending, tuple(unknown))


def sweep_leftovers(lake: Lake, store: DeltaStore, *, age_seconds: int, clock: Clock) -> int:
    """Delete temporary files that a killed process left in the table's folder and log; returns how many.

    The caller holds the table's clean-up lock. Only what is older than `age_seconds` goes.
    """
    horizon = clock() - age_seconds * NANOS_PER_SECOND
    candidates = [*store.log.glob("_commit_*.json.tmp"), *store.log.glob(".*.tmp"), *store.folder.glob("**/.*.tmp")]
    count = 0
    for file in set(candidates):
        if _modified(file) < horizon:
            file.unlink(missing_ok=True)
            count += 1
    for folder in store.folder.glob(f"{READ_BACK_PREFIX}*"):
        shutil.rmtree(folder, ignore_errors=True)
        count += 1
    for folder in lake.spill.glob("compact-*"):
        if _modified(folder) < horizon:
            shutil.rmtree(folder, ignore_errors=True)
            count += 1
    return count


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _files(folder: Path, tenants: Collection[str] | None) -> Iterable[str]:
    names = ["*"] if tenants is None else list(tenants)
    for tenant in names:
        for file in folder.glob(f"tenant_id={tenant}/day=*/*.parquet"):
            yield file.relative_to(folder).as_posix()


def _unnamed(store: DeltaStore, paths: Iterable[str]) -> list[str]:
    """Paths that the log names neither as live nor as removed."""
    present = set(paths)
    present -= live_paths(store.fresh()) if present else set()
    return sorted(present - removed_paths(store.log)) if present else []


def _by_partition(table: str, paths: Iterable[str]) -> Mapping[Partition, list[str]]:
    found: dict[Partition, list[str]] = {}
    for path in paths:
        match = _FOLDER_NAMES.match(path)
        if match is not None:
            found.setdefault(Partition(table, match[1], match[2]), []).append(path)
    return found


def _is_known(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return bool(_REWRITE_NAME.fullmatch(name) or _SEGMENT_NAME.fullmatch(name))


def _is_over(path: str, marks: Mapping[str, int]) -> bool:
    """Whether nobody will commit the file any more, given that no rewrite is under way in its partition."""
    return _is_known(path) and is_readable(path, marks)


def _delete(lake: Lake, store: DeltaStore, partition: Partition, paths: list[str]) -> list[str]:
    """Delete `paths` that the log still does not name, now that no rewrite can be under way."""
    with partition_lock(lake, partition) as held:
        if not held:
            return []
        orphans = _unnamed(store, paths)
        for path in orphans:
            (store.folder / path).unlink(missing_ok=True)
        if orphans:
            sync_folder(store.folder / partition.folder)
        return orphans
