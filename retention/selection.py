"""Which rows exactly a deletion takes, read from the files that are live now: by a plan, or by an intent that was begun.

A tenant's day is read at a time. What a hold keeps is never selected; by an intent it is told apart, so that a certificate can name
it as kept.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from retention.cohorts import FamilyReader
from retention.doomed import Doomed, DoomedFile, doom
from retention.family_rows import FamilyRows, held_rows, read_rows
from retention.holding import Holding, Mask
from retention.lake_state import FileState
from retention.named import named_parts, named_rows, parts_of, runs_by_table
from retention.plan import Plan
from retention.policy import OWNER_TABLES, QUARANTINE, RetentionPolicy
from retention.snapshot import list_families
from retention.verdict import CONTENTS, Due, foresee
from warehouse.errors import ConflictError
from warehouse.lake import Lake
from warehouse.ledger.certificates import Deleted

_FAMILY_TABLES = (*OWNER_TABLES, CONTENTS)


def select_planned(
    lake: Lake, plan: Plan, policy: RetentionPolicy, holds: Holding, tenant_id: str, days: Collection[str]
) -> Doomed:
    """The rows that a plan takes from some days of a tenant, under the policy and holds that it was made with.

    Raises:
        ConflictError: a file of the plan is not live any more, or what is due of it is not what the plan says.
        UnavailableError: a file cannot be read.
    """
    now = int(plan.now_unix_nano)
    planned = {
        (partition.table, file.path): file.rows_due
        for partition in plan.partitions
        if partition.tenant == tenant_id and partition.day in days
        for file in (*partition.drop, *partition.rewrite)
    }
    reader = FamilyReader(lake, policy, holds, now)
    chosen: list[DoomedFile] = []
    for family in list_families(lake, [(tenant_id, day) for day in days]).values():
        wanted = {(file.table, file.path) for file in family} & planned.keys()
        due = foresee(family, policy, holds, now)
        undecided = any(due[key] is Due.SOME for key in wanted)
        masks = reader.due_rows(family) if undecided else {}
        for file in family:
            key = (file.table, file.path)
            if key in wanted and due[key] is not Due.NONE:
                chosen.append(_doomed(file, masks.get(key) if due[key] is Due.SOME else None))
    _expect_as_planned(planned, chosen)
    return doom(lake, tenant_id, chosen)


@dataclass(frozen=True)
class Intended:
    """What is there still of an intent's rows: `doomed` may go, `kept` stays because of holds, by their ids."""

    doomed: Doomed
    kept: Deleted
    holds: tuple[str, ...]


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

    Metrics have no index: of them a file goes as a whole, where it is live still under the name that the intent has and all of its
    rows were to go. Files of quarantine are given by their paths.

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
        settled = [file for file in family if file.settled and file.table in _FAMILY_TABLES]
        rows = _read(lake, settled, holds, tenant_id)
        held = held_rows(holds, tenant_id, rows)
        for table, each in rows.items():
            mask = named_parts(each, parts) if table == CONTENTS else named_rows(each, runs.get(table, {}))
            codes = held.codes[table]
            for code in np.unique(codes[mask]).tolist():
                named |= set(held.names[code])
            going += _doomed_files(each, mask & (codes == 0))
            kept += _doomed_files(each, mask & (codes != 0))
        for file in family:
            if file.table == "metrics" and file.path in metrics and file.rows == metrics[file.path]:
                blocking = holds.may_keep(file.table, tenant_id, file.day)
                named |= set(blocking)
                (kept if blocking else going).append(_doomed(file, None))
            if file.table == QUARANTINE and file.path in quarantine:
                going.append(_doomed(file, None))
    return Intended(doom(lake, tenant_id, going), doom(lake, tenant_id, kept).deleted, tuple(sorted(named)))


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
        keys = ["time_unix_nano"] if table == "metrics" else ["shard", "log_index"]
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
