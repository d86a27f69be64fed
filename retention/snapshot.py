"""Reads the snapshot that a plan is made from: the Delta logs, footers, and of files that these cannot decide a few columns.

Read are `shard, log_index` (where contents are matched with their records), the two times, and the columns that a rule or a hold
names; never a column because it is there. One tenant's day is read at a time, so memory holds no more than that.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from retention.cohorts import FamilyReader
from retention.holding import Holding
from retention.lake_state import Bounds, FileState, LakeSnapshot
from retention.policy import QUARANTINE, RetentionPolicy
from retention.remembered import Remembered
from retention.verdict import CONTENTS, Due, foresee
from warehouse.clock import NANOS_PER_DAY
from warehouse.delta_reading import open_table
from warehouse.errors import UnavailableError
from warehouse.lake import Lake
from warehouse.marks import is_readable, read_marks
from warehouse.tables import TABLES

_RECEIVED = "received_unix_nano"
_WORKERS = 4


def read_snapshot(
    lake: Lake,
    policy: RetentionPolicy,
    holds: Holding,
    now_unix_nano: int,
    *,
    tenants: Collection[str] | None = None,
    remembered: Remembered | None = None,
) -> LakeSnapshot:
    """What a plan of now needs to know of the lake, of some tenants or of all; changes nothing.

    What is `remembered` of an earlier snapshot is not read again, and what is read is remembered.

    Raises:
        UnavailableError: a Delta log or a file cannot be read.
    """
    with reading():
        files, versions = _list_files(lake, tenants)
        reader = FamilyReader(lake, policy, holds, now_unix_nano, remembered=remembered)
        found: list[FileState] = []
        for family in LakeSnapshot(tuple(_with_receipts(lake, files, remembered))).families.values():
            family = _with_owners_receipts(family)  # noqa: PLW2901 - the same files, knowing more
            due = foresee(family, policy, holds, now_unix_nano)
            found += reader.read(family) if Due.SOME in due.values() else family
    return LakeSnapshot(tuple(found), versions)


def list_families(lake: Lake, families: Collection[tuple[str, str]]) -> dict[tuple[str, str], list[FileState]]:
    """The files that are live now of some tenants' days, by (tenant, day), with the bounds of their receipt.

    Raises:
        UnavailableError: a Delta log or a file cannot be read.
    """
    with reading():
        files, _ = _list_files(lake, sorted({tenant for tenant, _ in families}))
        wanted = set(families)
        mine = [file for file in files if (file.tenant_id, file.day) in wanted]
        found = LakeSnapshot(tuple(_with_receipts(lake, mine))).families
        return {key: _with_owners_receipts(family) for key, family in found.items()}


def list_tenant(lake: Lake, tenant_id: str) -> list[FileState]:
    """The files that are live now of one tenant, without the bounds of their receipt.

    Raises:
        UnavailableError: a Delta log cannot be read.
    """
    with reading():
        return _list_files(lake, [tenant_id])[0]


def live_paths_by_table(lake: Lake) -> dict[str, set[str]]:
    """Paths of everything that is live now, by table, and of the files of quarantine.

    Raises:
        UnavailableError: a Delta log cannot be read.
    """
    with reading():
        found: dict[str, set[str]] = {}
        for file in _list_files(lake, None)[0]:
            found.setdefault(file.table, set()).add(file.path)
        return found


@contextmanager
def reading() -> Iterator[None]:
    """Say of whatever cannot be read that the lake cannot be.

    Raises:
        UnavailableError: a Delta log or a file cannot be read.
    """
    try:
        yield
    except (OSError, DeltaError, pa.ArrowException) as exc:
        raise UnavailableError(
            f"retention: the lake cannot be read: {exc}", hint="try again; nothing was deleted"
        ) from exc


def _list_files(lake: Lake, tenants: Collection[str] | None) -> tuple[list[FileState], dict[str, int]]:
    """Live files, without the bounds of their receipt, and the versions of the tables."""
    # Marks first: what they call settled is then in every log that is opened after them.
    marks = read_marks(lake)
    files: list[FileState] = []
    versions = {}
    for table in TABLES:
        handle = open_table(lake.table(table))
        if handle is not None:
            versions[table] = handle.version()
            files += _live_files(handle, table, marks, tenants)
    return files + _quarantine_files(lake, tenants), versions


def _live_files(
    handle: DeltaTable, table: str, marks: Mapping[str, int], tenants: Collection[str] | None
) -> list[FileState]:
    actions = pl.DataFrame(pa.table(handle.get_add_actions(flatten=True)))
    names = set(actions.columns)

    def column(name: str) -> pl.Expr:
        # A log in which no file has a statistic has no column for it.
        return pl.col(name).cast(pl.Int64) if name in names else pl.lit(None, pl.Int64)

    listed = actions.select(
        "path",
        pl.col("partition.tenant_id").alias("tenant"),
        pl.col("partition.day").cast(pl.String).alias("day"),
        column("num_records").alias("rows"),
        pl.col("size_bytes"),
        column("min.time_unix_nano").alias("least"),
        column("max.time_unix_nano").alias("most"),
        column("null_count.time_unix_nano").fill_null(0).alias("nulls"),
        column("min.log_index").alias("first"),
        column("max.log_index").alias("last"),
        (pl.col("partition.day").cast(pl.Date).cast(pl.Int32).cast(pl.Int64) * NANOS_PER_DAY).alias("start"),
    )
    if tenants is not None:
        listed = listed.filter(pl.col("tenant").is_in(list(tenants)))
    return [
        FileState(
            path,
            table,
            tenant,
            day,
            rows,
            size,
            Bounds(start, start + NANOS_PER_DAY - 1) if least is None or most is None or nulls else Bounds(least, most),
            log_index=None if first is None or last is None else Bounds(first, last),
            settled=is_readable(path, marks),
        )
        for path, tenant, day, rows, size, least, most, nulls, first, last, start in listed.iter_rows()
    ]


def _quarantine_files(lake: Lake, tenants: Collection[str] | None) -> list[FileState]:
    """Refused records, which go by whole days: each counts from the last moment of its day."""
    found = []
    for file in sorted(lake.quarantine.glob("*/*/*.jsonl")):
        day, tenant = file.parent.name, file.parent.parent.name
        if tenants is None or tenant in tenants:
            last = _day_end(day)
            bounds = Bounds(last, last)
            path = file.relative_to(lake.quarantine).as_posix()
            found.append(FileState(path, QUARANTINE, tenant, day, None, file.stat().st_size, bounds, bounds))
    return found


def _day_end(day: str) -> int:
    days = pl.Series([day]).str.to_date().cast(pl.Int32)[0]
    return (int(days) + 1) * NANOS_PER_DAY - 1


def _with_receipts(lake: Lake, files: Iterable[FileState], remembered: Remembered | None = None) -> Iterator[FileState]:
    """The files with the bounds of their receipt, out of their footers, where these are not remembered."""
    unread = []
    for file in files:
        known = None if remembered is None or not file.settled else remembered.receipt(file.table, file.path)
        if known is None:
            unread.append(file)
        else:
            yield replace(file, received=known)
    with ThreadPoolExecutor(_WORKERS) as pool:
        for file in pool.map(lambda file: _with_receipt(lake.table(file.table), file), unread):
            if remembered is not None and file.received is not None and file.table != QUARANTINE:
                remembered.keep_receipt(file.table, file.path, file.received)
            yield file


def _with_receipt(folder: Path, file: FileState) -> FileState:
    if file.received is not None or file.table == CONTENTS or not file.settled:
        return file
    metadata = pq.read_metadata(folder / file.path)
    number = TABLES[file.table].file_schema.get_field_index(_RECEIVED)
    groups = [metadata.row_group(group).column(number).statistics for group in range(metadata.num_row_groups)]
    if not groups or any(each is None or not each.has_min_max or each.null_count for each in groups):
        return file
    return replace(file, received=Bounds(min(each.min for each in groups), max(each.max for each in groups)))


def _with_owners_receipts(family: list[FileState]) -> list[FileState]:
    """The family, its contents with the receipt of all the records that they may belong to."""
    owners = [file for file in family if file.table not in {CONTENTS, QUARANTINE, "metrics"}]
    known = [file.received for file in owners if file.received is not None]
    if not owners or len(known) < len(owners):
        return family
    bounds = Bounds(min(each.least for each in known), max(each.most for each in known))
    return [replace(file, received=bounds) if file.table == CONTENTS else file for file in family]
