"""Takes from the disk what a deletion left behind: replaced files, orphans of rewrites, log entries, spilled query data.

A commit makes rows dead; they are gone once no file holds them. That concerns the files that it replaced, and just as much those that
compaction had replaced shortly before and that waited for their queries to end: a query that still reads one of them fails.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from deltalake.exceptions import DeltaError

from retention.rewriting import delete_files
from warehouse.delta import DeltaStore
from warehouse.errors import UnavailableError
from warehouse.lake import Lake
from warehouse.maintenance.cleanup import checkpoint
from warehouse.maintenance.log import removed_paths
from warehouse.maintenance.orphans import sweep_orphans
from warehouse.maintenance.partition import Partition, cleanup_lock_in_time
from warehouse.maintenance.plan import live_paths
from warehouse.query import sweep_spill

_WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Cleaned:
    """What was taken away: dead files by table, and the version from which on each table's log can be read."""

    files: Mapping[str, int]
    oldest_versions: Mapping[str, int]


def clean(lake: Lake, stores: Mapping[str, DeltaStore], partitions: Collection[Partition]) -> Cleaned:
    """Delete every dead file of these partitions, and the log entries that tell of them; safe to repeat.

    The caller holds none of the partitions' locks.

    Raises:
        UnavailableError: the disk refused, or another clean-up did not end within a minute.
    """
    files, versions = {}, {}
    for name in sorted({partition.table for partition in partitions}):
        store = stores[name]
        mine = [partition for partition in partitions if partition.table == name]
        try:
            with cleanup_lock_in_time(lake, name, timeout_seconds=_WAIT_SECONDS):
                files[name] = _delete_dead(store, mine)
                swept = sweep_orphans(lake, store, tenants=sorted({partition.tenant_id for partition in mine}))
                files[name] += len(swept.deleted)
                versions[name] = checkpoint(store).version
        except (OSError, DeltaError) as exc:
            raise UnavailableError(
                f"table {name}: clean-up failed: {exc}", hint="apply again: it goes on here"
            ) from exc
    sweep_spill(lake)
    return Cleaned(files, versions)


def _delete_dead(store: DeltaStore, partitions: Iterable[Partition]) -> int:
    """Delete files of partitions that the log says were removed, whatever their grace."""
    folders = {partition.folder for partition in partitions}
    # a removal that a power failure could still take back must not cost the file
    store.make_durable()
    dead = removed_paths(store.log) - live_paths(store.fresh())
    mine = [path for path in dead if path.rpartition("/")[0] in folders and (store.folder / path).exists()]
    delete_files(store.folder, mine)
    return len(mine)
