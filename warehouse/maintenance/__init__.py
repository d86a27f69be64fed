"""Maintenance: merges small files, deletes replaced ones, checkpoints the logs, sweeps what crashes left.

`run` says how a round goes, `compaction` what a rewrite promises, `cleanup` in which order a table is cleaned up. A purge
takes `partition_lock` as compaction does.
"""

from warehouse.maintenance.compaction import Compacted
from warehouse.maintenance.config import MaintenanceConfig
from warehouse.maintenance.partition import Partition, partition_lock
from warehouse.maintenance.run import MaintenanceReport, TableReport, run_maintenance
from warehouse.maintenance.status import TableState, maintenance_state

__all__ = [
    "Compacted",
    "MaintenanceConfig",
    "MaintenanceReport",
    "Partition",
    "TableReport",
    "TableState",
    "maintenance_state",
    "partition_lock",
    "run_maintenance",
]
