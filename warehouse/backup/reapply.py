"""Deletes from restored tables what certificates name, physically: what was erased after the backup never comes back.

Runs by (tenant, shard, index), contents by (shard, owner's index, part) and with their owner, points of metrics by file. Which rows
of a metrics file went nobody can say, so the file goes whole; where the backup holds the day's points in other files than the
certificate names, all of that tenant's day go. Afterwards the tables are looked through again: nothing named may be left.
"""

import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from warehouse.backup.delta_log import live_actions
from warehouse.clock import Clock
from warehouse.commit import open_stores
from warehouse.delta import DeltaStore
from warehouse.durable import sync_folder, sync_folders
from warehouse.errors import CorruptionError
from warehouse.lake import Lake
from warehouse.ledger.certificates import ContentParts, MetricPoints, PurgeCertificate, PurgedIndices
from warehouse.maintenance.cleanup import checkpoint
from warehouse.maintenance.filter import filter_file
from warehouse.maintenance.footer import describe_file
from warehouse.sequence import LEDGERED

CONTENTS, METRICS = "contents", "metrics"
_BY_AGE = "retention"
"""Kind of a certificate, in its details, of a purge that deletes whole files of the quarantine and names them."""
_NANOS_PER_MILLI = 1_000_000
_DAY = re.compile(r"(?P<partition>tenant_id=(?P<tenant>[^/]+)/day=[^/]+)/[^/]+$")

Progress = Callable[[str, int, int], None]


@dataclass
class Reapplied:
    """What was deleted: rows by table. `metrics_beyond` counts points that went because nobody can tell them from those named."""

    rows: dict[str, int] = field(default_factory=dict)
    files: int = 0
    metrics_beyond: int = 0


@dataclass(frozen=True)
class _Named:
    """What the certificates name of one tenant: indices by shard, and content parts."""

    runs: dict[str, PurgedIndices]
    parts: pl.DataFrame

    @classmethod
    def of(cls, certificates: Sequence[PurgeCertificate], tenant: str) -> "_Named":
        shards = {run.shard for document in certificates for run in document.deleted.runs if run.tenant == tenant}
        listed = [each for document in certificates for each in document.deleted.contents if each.tenant == tenant]
        return cls(
            {shard: PurgedIndices.of_log(certificates, tenant=tenant, shard=shard) for shard in sorted(shards)},
            _part_frame(listed),
        )

    def going(self, table: str, file: Path) -> np.ndarray:
        """For each row of a file whether it goes."""
        index = "owner_index" if table == CONTENTS else "log_index"
        columns = ["shard", index, *(["part"] if table == CONTENTS else [])]
        rows = pl.DataFrame(pq.ParquetFile(file, memory_map=True).read(columns=columns))
        indices = rows.get_column(index).to_numpy()
        found = np.zeros(rows.height, bool)
        for shard in rows.get_column("shard").unique().to_list():
            if shard in self.runs:
                mine = (rows.get_column("shard") == shard).to_numpy()
                found |= mine & self.runs[shard].covers(indices)
        if table == CONTENTS and self.parts.height:
            named = rows.join(self.parts, on=["shard", "owner_index", "part"], how="left", maintain_order="left")
            found |= named.get_column("named").fill_null(False).to_numpy()
        return found


def reapply_certificates(
    lake: Lake,
    certificates: Sequence[PurgeCertificate],
    *,
    clock: Clock,
    progress: Progress = lambda _what, _done, _of_all: None,
) -> Reapplied:
    """Delete from the tables of a lake that nobody else has open what these certificates name; safe to repeat.

    Raises:
        CorruptionError: something named is still there afterwards.
        CertificateError: two certificates contradict each other.
        UnavailableError: a Delta log cannot be read or written.
        OSError: the disk refused.
    """
    done = Reapplied()
    if not certificates:
        return done
    stores = open_stores(lake)
    tenants = sorted(named_tenants(certificates))
    named = {tenant: _Named.of(certificates, tenant) for tenant in tenants}
    for name in (CONTENTS, *LEDGERED):
        rewriting = _Rewriting(stores[name], clock, done)
        rewriting.run(named, progress)
        if rewriting.is_left(named):
            raise CorruptionError(
                f"table {name}: rows that a certificate names are still there after it was re-applied"
            )
    metrics = [points for document in certificates for points in document.deleted.metrics]
    _Rewriting(stores[METRICS], clock, done).drop_metrics(metrics)
    return done


def named_tenants(certificates: Iterable[PurgeCertificate]) -> set[str]:
    """Tenants of which certificates say that something is gone."""
    found: set[str] = set()
    for deleted in (document.deleted for document in certificates):
        found |= {run.tenant for run in deleted.runs}
        found |= {content.tenant for content in deleted.contents}
        found |= {points.tenant for points in deleted.metrics}
    return found


def drop_quarantine(lake: Lake, certificates: Iterable[PurgeCertificate], forgotten: Iterable[str]) -> list[str]:
    """Delete from the restored quarantine what was deleted after the backup; returns tenants of which all went.

    A purge by age names its files. An erasure takes entries out of files and does not say which, so of a tenant in which somebody was
    erased, or a key destroyed (`forgotten`), nothing is left.
    """
    whole = set(forgotten)
    for certificate in certificates:
        details = certificate.details
        if details.get("kind") != _BY_AGE or not isinstance(details.get("quarantine"), list):
            whole |= named_tenants([certificate])
            continue
        for path in details["quarantine"]:
            file = lake.quarantine / str(path)
            if lake.quarantine.resolve() in file.resolve().parents and file.exists():
                file.unlink()
                sync_folder(file.parent)
    dropped = [tenant for tenant in sorted(whole) if (lake.quarantine / tenant).is_dir()]
    for tenant in dropped:
        shutil.rmtree(lake.quarantine / tenant)
    if dropped:
        sync_folder(lake.quarantine)
    return dropped


def _part_frame(listed: Iterable[ContentParts]) -> pl.DataFrame:
    rows = [(each.shard, each.owner_index, part, True) for each in listed for part in each.parts]
    schema = {"shard": pl.Utf8, "owner_index": pl.Int64, "part": pl.Utf8, "named": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row").unique()


@dataclass(frozen=True)
class _Rewriting:
    """Rewrites one table's files without rows that go."""

    store: DeltaStore
    clock: Clock
    done: Reapplied

    def run(self, named: Mapping[str, _Named], progress: Progress) -> None:
        """Rewrite every file of these tenants that holds such rows, in one commit, and delete the old ones."""
        handle, files = self._files(named)
        remove, add = [], []
        for number, file in enumerate(files.iter_rows(named=True)):
            progress(self.store.table.name, number, files.height)
            mask = self._going(named, file)
            if not mask.any():
                continue
            remove.append(self._removal(file))
            self._count(int(mask.sum()))
            if not mask.all():
                add.append(self._write(file, mask))
        if remove:
            self._commit(handle, remove, add)

    def is_left(self, named: Mapping[str, _Named]) -> bool:
        """Whether a live file still holds such rows."""
        _, files = self._files(named)
        return any(self._going(named, file).any() for file in files.iter_rows(named=True))

    def _going(self, named: Mapping[str, _Named], file: dict[str, Any]) -> np.ndarray:
        return named[file["tenant"]].going(self.store.table.name, self.store.folder / file["path"])

    def drop_metrics(self, named: Sequence[MetricPoints]) -> None:
        """Drop the files that certificates name; where one is not here, its partition's points may be in any file of it."""
        if not named:
            return
        handle, files = self._files({points.tenant for points in named})
        live = set(files.get_column("path").to_list())
        gone = {points.file for points in named if points.file in live}
        days = {
            match["partition"] for points in named if points.file not in live and (match := _DAY.search(points.file))
        }
        going = files.filter(
            pl.col("path").is_in(list(gone)) | pl.col("path").str.extract(r"^(.*)/[^/]+$").is_in(list(days))
        )
        remove = [self._removal(file) for file in going.iter_rows(named=True)]
        if remove:
            self._commit(handle, remove, [])
            dropped = int(going.get_column("num_records").sum())
            self._count(dropped)
            self.done.metrics_beyond += max(0, dropped - sum(points.count for points in named))

    def _files(self, tenants: Iterable[str]) -> tuple[DeltaTable, pl.DataFrame]:
        handle = self.store.fresh()
        files = live_actions(handle).with_columns(pl.col("partition").struct.field("tenant_id").alias("tenant"))
        return handle, files.filter(pl.col("tenant").is_in(list(tenants)))

    def _write(self, file: dict[str, Any], mask: np.ndarray) -> AddAction:
        folder = self.store.folder
        path = folder / file["path"]
        # named as a rewrite, so that the orphan sweep knows what a crash leaves of it
        output = path.with_name(f"compact-{secrets.token_hex(16)}.parquet")
        filter_file(self.store.table, path, output, stays=~mask)
        partition = file["partition"]
        part = describe_file(
            self.store.table, folder, output, tenant_id=str(partition["tenant_id"]), day=str(partition["day"])
        )
        return part.add_action(self.clock() // _NANOS_PER_MILLI)

    def _removal(self, file: dict[str, Any]) -> RemoveAction:
        partition = file["partition"]
        return RemoveAction(
            path=file["path"],
            data_change=True,
            deletion_timestamp=self.clock() // _NANOS_PER_MILLI,
            size=file["size_bytes"],
            partition_values={name: str(value) for name, value in partition.items()},
        )

    def _commit(self, handle: DeltaTable, remove: list[RemoveAction], add: list[AddAction]) -> None:
        folder = self.store.folder
        sync_folders({(folder / action.path).parent for action in add})
        self.store.rewrite(handle, remove, add)
        for action in remove:
            (folder / action.path).unlink(missing_ok=True)
        sync_folders({(folder / action.path).parent for action in remove})
        # the log before it names the files and the bounds of what went
        checkpoint(self.store)
        self.done.files += len(remove)

    def _count(self, rows: int) -> None:
        name = self.store.table.name
        self.done.rows[name] = self.done.rows.get(name, 0) + rows
