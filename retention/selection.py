"""Which rows exactly a deletion takes, read from the files that are live now: by a plan, or by an intent that was begun.

A tenant's day is read at a time. What a hold keeps is never selected; by an intent it is told apart, so that a certificate can name
it as kept.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from retention.cohorts import FamilyReader
from retention.doomed import Doomed, DoomedFile, doom
from retention.family_rows import METRICS, FamilyRows, held_rows, read_rows
from retention.holding import Holding, Mask
from retention.lake_state import FileState
from retention.named import named_parts, named_rows, parts_of, runs_by_table
from retention.plan import DuePartition, Plan
from retention.policy import OWNER_TABLES, QUARANTINE, RetentionPolicy
from retention.snapshot import list_families, reading
from retention.verdict import CONTENTS, Due
from warehouse.errors import ConflictError
from warehouse.lake import Lake
from warehouse.ledger.certificates import Deleted

_FAMILY_TABLES = (*OWNER_TABLES, CONTENTS)


@reading()
def select_planned(
    lake: Lake, plan: Plan, policy: RetentionPolicy, holds: Holding, tenant_id: str, days: Collection[str]
) -> Doomed:
    """The rows that a plan takes from some days of a tenant, under the policy and holds that it was made with.

    Raises:
        ConflictError: a file of the plan is not live any more, or what is due of it is not what the plan says.
        UnavailableError: a file cannot be read.
    """
    planned = {
        (partition.table, file.path): file.rows_due
        for partition in plan.partitions
        if partition.tenant == tenant_id and partition.day in days
        for file in (*partition.drop, *partition.rewrite)
    }
    reader = FamilyReader(lake, policy, holds, int(plan.now_unix_nano))
    chosen: list[DoomedFile] = []
    for family in list_families(lake, [(tenant_id, day) for day in days]).values():
        chosen += _due_files(reader, family, {(file.table, file.path) for file in family} & planned.keys())
    _expect_as_planned(planned, chosen)
    return doom(lake, tenant_id, chosen)


@reading()
def select_due(
    lake: Lake, plan: Plan, policy: RetentionPolicy, holds: Holding, partitions: Sequence[DuePartition]
) -> Doomed:
    """The rows that are due in some partitions of one tenant at a plan's instant, whichever files hold them now.

    Raises:
        UnavailableError: a file cannot be read.
    """
    tenant_id = partitions[0].tenant
    places = {(partition.table, partition.day) for partition in partitions}
    reader = FamilyReader(lake, policy, holds, int(plan.now_unix_nano))
    chosen: list[DoomedFile] = []
    for family in list_families(lake, [(tenant_id, day) for day in sorted({day for _, day in places})]).values():
        wanted = {(file.table, file.path) for file in family if (file.table, file.day) in places}
        chosen += _due_files(reader, family, wanted)
    return doom(lake, tenant_id, chosen)


def _due_files(
    reader: FamilyReader, family: Sequence[FileState], wanted: Collection[tuple[str, str]]
) -> list[DoomedFile]:
    """What is due of some files of a family, by (table, path)."""
    due = reader.foresee(family)
    masks = reader.due_rows(family) if any(due[key] is Due.SOME for key in wanted) else {}
    return [
        _doomed(file, masks.get(key) if due[key] is Due.SOME else None)
        for file in family
        if (key := (file.table, file.path)) in wanted and due[key] is not Due.NONE
    ]


@dataclass(frozen=True)
class Intended:
    """What is there still of an intent's rows: `doomed` may go, `kept` stays because of holds, by their ids."""

    doomed: Doomed
    kept: Deleted
    holds: tuple[str, ...]


@reading()
def select_intended(
    lake: Lake,
    deleted: Deleted,
    holds: Holding,
    tenant_id: str,
    days: Collection[str],
    *,
    quarantine: Collection[str] = (),
) -> Intended:
    """The rows that an intent names and that are there still, apart from those that a hold keeps.

    Metrics have no index: of them those points go whose file is live still under the name that the intent has, where all of its
    points were to go. Files of quarantine are given by their paths.

    Raises:
        UnavailableError: a file cannot be read.
    """
    runs = runs_by_table(deleted)
    parts = parts_of(deleted)
    metrics = {points.file: points.count for points in deleted.metrics}
    going: list[DoomedFile] = []
    kept: list[DoomedFile] = []
    named: set[str] = set()
    for family in list_families(lake, [(tenant_id, day) for day in days]).values():
        settled = [
            file for file in family if file.settled and (file.table in _FAMILY_TABLES or _is_whole(file, metrics))
        ]
        rows = _read(lake, settled, holds, tenant_id)
        held = held_rows(holds, tenant_id, rows)
        for table, each in rows.items():
            if table == METRICS:
                mask = np.ones(len(each.file), np.bool_)
            else:
                mask = named_parts(each, parts) if table == CONTENTS else named_rows(each, runs.get(table, {}))
            codes = held.codes[table]
            for code in np.unique(codes[mask]).tolist():
                named |= set(held.names[code])
            going += _doomed_files(each, mask & (codes == 0))
            kept += _doomed_files(each, mask & (codes != 0))
        for file in family:
            if file.table == QUARANTINE and file.path in quarantine:
                going.append(_doomed(file, None))
    return Intended(doom(lake, tenant_id, going), doom(lake, tenant_id, kept).deleted, tuple(sorted(named)))


def _is_whole(file: FileState, metrics: Mapping[str, int]) -> bool:
    """Whether a file is one of metrics that was to go whole: of another nobody can tell which of its points were to."""
    return file.table == METRICS and file.rows is not None and file.rows == metrics.get(file.path)


@reading()
def held_of(lake: Lake, doomed: Doomed, holds: Holding) -> dict[str, int]:
    """How many of the rows that are to go each hold keeps; empty where none keeps any.

    Raises:
        UnavailableError: a file cannot be read.
    """
    days = sorted({file.day for file in doomed.files})
    places = {(file.table, file.path): file for file in doomed.files}
    found: dict[str, int] = {}
    for (tenant_id, day), family in list_families(lake, [(doomed.tenant_id, day) for day in days]).items():
        if not any(holds.may_keep(file.table, tenant_id, day) for file in family if (file.table, file.path) in places):
            continue
        readable = [file for file in family if file.settled and file.table != QUARANTINE]
        rows = _read(lake, readable, holds, tenant_id)
        held = held_rows(holds, tenant_id, rows)
        for table, each in rows.items():
            for number, file in enumerate(each.files):
                mine = places.get((table, file.path))
                if mine is None:
                    continue
                codes = held.codes[table][each.file == number]
                codes = codes if mine.going is None else codes[mine.going]
                for code, count in zip(*np.unique(codes, return_counts=True), strict=True):
                    for hold in held.names[int(code)]:
                        found[hold] = found.get(hold, 0) + int(count)
    return found


def _read(lake: Lake, files: Sequence[FileState], holds: Holding, tenant_id: str) -> dict[str, FamilyRows]:
    """Keys and the columns that holds ask for, of these files by table."""
    found = {}
    for table in sorted({file.table for file in files}):
        keys = ["time_unix_nano"] if table == METRICS else ["shard", "log_index"]
        keys = ["shard", "owner_table", "owner_index", "part"] if table == CONTENTS else keys
        columns = list(dict.fromkeys([*keys, *holds.columns(table, tenant_id)]))
        found[table] = read_rows(lake, [file for file in files if file.table == table], columns)
    return found


def _doomed(file: FileState, going: Mask | None) -> DoomedFile:
    whole = going is None or bool(going.all())
    rows = file.rows or (0 if going is None else len(going))
    return DoomedFile(file.table, file.tenant_id, file.day, file.path, file.size_bytes, rows, None if whole else going)


def _doomed_files(rows: FamilyRows, mask: Mask) -> list[DoomedFile]:
    found = []
    for number, file in enumerate(rows.files):
        mine = mask[rows.file == number]
        if mine.any():
            found.append(_doomed(replace(file, rows=len(mine)), mine))
    return found


def _expect_as_planned(planned: Mapping[tuple[str, str], int | None], chosen: Iterable[DoomedFile]) -> None:
    counts = {(file.table, file.path): file.count for file in chosen}
    for (table, path), expected in planned.items():
        got = counts.get((table, path))
        if got is None:
            raise ConflictError(f"plan: {table}/{path} is not live any more", hint="make the plan again")
        if expected is not None and table != QUARANTINE and got != expected:
            raise ConflictError(
                f"plan: expected {expected} rows of {table}/{path} to be due, got {got}", hint="make the plan again"
            )
