"""What maintenance would find to do, read without changing anything."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl
from deltalake.exceptions import DeltaError

from warehouse.clock import Clock
from warehouse.delta import DeltaStore
from warehouse.errors import UnavailableError
from warehouse.lake import Lake
from warehouse.maintenance.config import MaintenanceConfig
from warehouse.maintenance.log import log_entries, newest_checkpoint
from warehouse.maintenance.plan import live_files, live_paths, plan_merges
from warehouse.marks import read_marks


@dataclass(frozen=True)
class TableState:
    """One table as maintenance sees it. Sizes in bytes.

    `fullest_partition_files` is the largest number of files that a tenant has in a day; `removed_files` still lie on disk
    for their grace; `log_entries` stand after the newest checkpoint.
    """

    table: str
    partitions: int
    files: int
    rows: int
    size_bytes: int
    fullest_partition_files: int
    files_to_merge: int
    partitions_to_merge: int
    removed_files: int
    log_entries: int
    checkpoint_version: int | None


def maintenance_state(
    lake: Lake,
    stores: Mapping[str, DeltaStore],
    *,
    config: MaintenanceConfig,
    clock: Clock,
    tenants: Collection[str] | None = None,
) -> list[TableState]:
    """Describe each table, for `tenants` where given.

    Raises:
        UnavailableError: a log cannot be read.
    """
    try:
        return [_state(lake, store, config=config, clock=clock, tenants=tenants) for store in stores.values()]
    except (OSError, DeltaError) as exc:
        raise UnavailableError(f"maintenance state: {exc}") from exc


def _state(
    lake: Lake, store: DeltaStore, *, config: MaintenanceConfig, clock: Clock, tenants: Collection[str] | None
) -> TableState:
    marks = read_marks(lake)
    handle = store.fresh()
    files = live_files(handle, marks)
    if tenants is not None:
        files = files.filter(pl.col("tenant_id").is_in(list(tenants)))
    counts = files.group_by("tenant_id", "day").len().get_column("len")
    groups = plan_merges(store.table.name, files, tenants=tenants, now_unix_nano=clock(), config=config)
    removed = set(handle.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=True)) - live_paths(handle)
    base = newest_checkpoint(store.log)
    return TableState(
        table=store.table.name,
        partitions=len(counts),
        files=files.height,
        rows=int(files.get_column("rows").sum()),
        size_bytes=int(files.get_column("size_bytes").sum()),
        fullest_partition_files=max(counts.to_list(), default=0),
        files_to_merge=sum(len(group.files) for group in groups),
        partitions_to_merge=len({group.partition for group in groups}),
        removed_files=sum((store.folder / path).exists() for path in removed),
        log_entries=sum(version > base for version, _ in log_entries(store.log)),
        checkpoint_version=base if base >= 0 else None,
    )
