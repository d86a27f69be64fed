"""One round of maintenance over a lake: compaction, then clean-up, then the sweep, table by table.

Safe at any time beside collectors, queries and another round: what somebody else holds is left for the next round.
It may be stopped, or killed, between any two steps.
"""

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from warehouse.clock import Clock
from warehouse.delta import DeltaStore
from warehouse.errors import InputError, MunimentError
from warehouse.lake import Lake
from warehouse.maintenance.cleanup import Checkpointed, checkpoint, delete_removed
from warehouse.maintenance.compaction import Compacted, Compactor
from warehouse.maintenance.config import MaintenanceConfig
from warehouse.maintenance.log import log_entries, newest_checkpoint
from warehouse.maintenance.orphans import Swept, sweep_leftovers, sweep_orphans
from warehouse.maintenance.partition import cleanup_lock

Progress = Callable[[str, int, int], None]
"""Called with (table, merges done, merges that this table needs)."""


@dataclass(frozen=True)
class TableReport:
    """What a round did to one table. `failures` says what could not be done and why; the rest was done."""

    table: str
    compacted: tuple[Compacted, ...] = ()
    removed_files_deleted: int = 0
    checkpoint: Checkpointed | None = None
    swept: Swept = field(default_factory=Swept)
    leftovers_deleted: int = 0
    cleanup_skipped: bool = False
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class MaintenanceReport:
    """What a round did, by table; `stopped` when it was told to stop before its end."""

    tables: tuple[TableReport, ...]
    stopped: bool = False

    @property
    def failures(self) -> tuple[str, ...]:
        """Everything that could not be done."""
        return tuple(failure for table in self.tables for failure in table.failures)


def run_maintenance(
    lake: Lake,
    stores: Mapping[str, DeltaStore],
    *,
    config: MaintenanceConfig,
    clock: Clock,
    tenants: Collection[str] | None = None,
    tables: Collection[str] | None = None,
    progress: Progress = lambda _table, _done, _all: None,
    stop: Callable[[], bool] = lambda: False,
    random_name: Callable[[], str] = lambda: secrets.token_hex(16),
) -> MaintenanceReport:
    """Compact, clean up and sweep `tables` (all by default) for `tenants` (all by default); safe to repeat.

    `stop` is asked between commits and between steps. Clean-up of the log concerns a whole table whatever `tenants` is.

    Raises:
        InputError: a table that does not exist.
    """
    if unknown := set(tables or ()) - set(stores):
        raise InputError(f"table: expected some of {', '.join(sorted(stores))}, got {', '.join(sorted(unknown))}")
    reports: list[TableReport] = []
    for name, store in stores.items():
        if tables is not None and name not in tables:
            continue
        if stop():
            return MaintenanceReport(tuple(reports), stopped=True)
        compactor = Compactor(lake, store, config, clock, random_name)
        reports.append(_maintain(compactor, tenants=tenants, progress=progress, stop=stop))
    return MaintenanceReport(tuple(reports), stopped=stop())


def _maintain(
    compactor: Compactor, *, tenants: Collection[str] | None, progress: Progress, stop: Callable[[], bool]
) -> TableReport:
    store, name = compactor.store, compactor.store.table.name
    compacted: list[Compacted] = []
    failures: list[str] = []
    try:
        store.set_removed_grace(compactor.config.removed_grace_seconds)
        for result in compactor.run(tenants=tenants, done=lambda done, of_all: progress(name, done, of_all), stop=stop):
            compacted.append(result)
            failures += [f"{result.partition}: {result.failure}"] if result.failure else []
    except MunimentError as exc:
        failures.append(str(exc))
    report = TableReport(name, tuple(compacted), failures=tuple(failures))
    return report if stop() else _clean(compactor, report, tenants=tenants)


def _clean(compactor: Compactor, report: TableReport, *, tenants: Collection[str] | None) -> TableReport:
    lake, store, config = compactor.lake, compactor.store, compactor.config
    deleted, checkpointed, swept, leftovers = 0, None, Swept(), 0
    failures = list(report.failures)
    with cleanup_lock(lake, report.table) as held:
        if not held:
            return TableReport(report.table, report.compacted, cleanup_skipped=True, failures=report.failures)
        try:
            deleted = delete_removed(store)
            if is_checkpoint_due(store, config):
                checkpointed = checkpoint(store)
            swept = sweep_orphans(lake, store, tenants=tenants)
            leftovers = sweep_leftovers(lake, store, age_seconds=config.leftover_age_seconds, clock=compactor.clock)
        except MunimentError as exc:
            failures.append(str(exc))
    return TableReport(
        table=report.table,
        compacted=report.compacted,
        removed_files_deleted=deleted,
        checkpoint=checkpointed,
        swept=swept,
        leftovers_deleted=leftovers,
        failures=tuple(failures),
    )


def is_checkpoint_due(store: DeltaStore, config: MaintenanceConfig) -> bool:
    """Whether enough log entries stand after the newest checkpoint."""
    base = newest_checkpoint(store.log)
    return sum(version > base for version, _ in log_entries(store.log)) >= config.checkpoint_entries
