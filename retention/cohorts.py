"""Reads the rows of a tenant's day that a plan must tell apart, in columns, and counts them by what decides.

The instants of a plan divide times into spans between them, and rows are counted by span: whatever the plan asks about a cohort
has one answer for all of its rows.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from retention.family_rows import FamilyRows, held_rows, read_rows
from retention.holding import Holding, Mask
from retention.lake_state import Bounds, Cohort, FileState, Owner
from retention.policy import (
    AGENT_TABLES,
    AUDIT_TABLE,
    CLASS_TABLES,
    EVENT_TABLES,
    OWNER_TABLES,
    Combination,
    RetentionPolicy,
)
from retention.remembered import Remembered, family_key
from retention.verdict import CONTENTS, Due, due_of, foresee, horizons_of, judge
from warehouse.lake import Lake

_FAMILY_TABLES = (*OWNER_TABLES, CONTENTS)
_TIMES = ("time_unix_nano", "received_unix_nano")
_COUNTS = (
    pl.len().alias("rows"),
    pl.col("age").min().alias("age_least"),
    pl.col("age").max().alias("age_most"),
    pl.col("received").min().alias("received_least"),
    pl.col("received").max().alias("received_most"),
    pl.col("owner_age").min().alias("owner_age_least"),
    pl.col("owner_age").max().alias("owner_age_most"),
)
_KEYS = ("file", "code", "owner_code", "held", "age_span", "received_span", "owner_span")


class FamilyReader:
    """Reads families of files for one plan: `policy`, `holds` and the clock say which columns and instants matter."""

    def __init__(
        self,
        lake: Lake,
        policy: RetentionPolicy,
        holds: Holding,
        now_unix_nano: int,
        *,
        remembered: Remembered | None = None,
    ) -> None:
        self._remembered = remembered
        self._lake = lake
        self._policy = policy
        self._holds = holds
        self._now = now_unix_nano

    def read(self, family: Sequence[FileState]) -> list[FileState]:
        """The files of one tenant and day, with the cohorts of those that could not be decided without."""
        tables = self._tables(family)
        key = family_key(self._policy.content_hash, self._holds.content_hash, tables, family)
        known = None if self._remembered is None else self._remembered.family(key)
        if known is not None and self._is_whole(known):
            return list(known)
        read = self._read_family(family, tables)
        if self._remembered is not None:
            self._remembered.keep_family(key, read)
        return read

    def _read_family(self, family: Sequence[FileState], tables: frozenset[str]) -> list[FileState]:
        counted = self._count(self._rows(family, tables))
        cohorts: dict[tuple[str, str], list[Cohort]] = {}
        for each in counted:
            for number, cohort in zip(each.keys["file"].to_list(), each.cohorts, strict=True):
                file = each.rows.files[number]
                cohorts.setdefault((file.table, file.path), []).append(cohort)
        read = {(file.table, file.path) for each in counted for file in each.rows.files}
        return [
            replace(file, cohorts=tuple(cohorts.get((file.table, file.path), ())))
            if (file.table, file.path) in read
            else file
            for file in family
        ]

    def foresee(self, family: Sequence[FileState]) -> dict[tuple[str, str], Due]:
        """How much of each file is due, by (table, path), as far as can be told without its rows."""
        return foresee(family, self._policy, self._holds, self._now)

    def due_rows(self, family: Sequence[FileState]) -> dict[tuple[str, str], Mask]:
        """Which rows of the files that could not be decided without are due and kept by no hold, by (table, path)."""
        found: dict[tuple[str, str], Mask] = {}
        for each in self._count(self._rows(family, self._tables(family))):
            going = [
                not cohort.holds and judge(cohort, self._policy, self._now).due is Due.ALL for cohort in each.cohorts
            ]
            found.update(each.by_file(pl.Series(going, dtype=pl.Boolean)))
        return found

    def kept_back(self, family: Sequence[FileState], tables: Collection[str]) -> "dict[tuple[str, str], KeptRows]":
        """What keeps each row of the files of some tables from being deleted today, whatever its rule says, by (table, path)."""
        found = {}
        for each in self._count(self._rows(family, self._matched(family, set(tables)))):
            reasons: list[Reason | None] = [None]
            codes = []
            for cohort in each.cohorts:
                reason = self._reason(cohort)
                if reason not in reasons:
                    reasons.append(reason)
                codes.append(reasons.index(reason))
            for file, of_rows in each.by_file(pl.Series(codes, dtype=pl.Int64)):
                found[file] = KeptRows(of_rows, tuple(reasons))
        return found

    def _reason(self, cohort: Cohort) -> "Reason | None":
        if cohort.holds:
            return Reason("hold", ", ".join(cohort.holds))
        answer = self._policy.answer(cohort.combination)
        if answer.rule is None:
            return Reason(
                "evidence", "never expires", "proves what was deleted, by whom, and which logs and keys there are"
            )
        floor = answer.floor(self._now)
        if floor is None or cohort.received.most <= floor.keep.horizon(self._now):
            return None
        return Reason("minimum", floor.name, floor.citation)

    def _is_whole(self, family: Sequence[FileState]) -> bool:
        """Whether each cohort lies on one side of all instants of this plan, so that all of its rows have one answer."""
        read = {file.table for file in family if file.cohorts is not None}
        for file in family:
            tables = sorted(read & set(_FAMILY_TABLES)) if file.table in _FAMILY_TABLES else [file.table]
            ages = horizons_of(self._policy, tables, file.tenant_id, self._now)
            floors = self._floors(tables, file.tenant_id)
            for cohort in file.cohorts or ():
                aged = [cohort.age, *([] if cohort.owner is None else [cohort.owner.age])]
                if any(due_of(bounds, each) is Due.SOME for bounds in aged for each in ages):
                    return False
                if any(due_of(cohort.received, each) is Due.SOME for each in floors):
                    return False
        return True

    def _tables(self, family: Sequence[FileState]) -> frozenset[str]:
        """The tables that have a file which could not be decided, and those that these are matched with."""
        due = self.foresee(family)
        return self._matched(family, {table for (table, _), each in due.items() if each is Due.SOME})

    def _matched(self, family: Sequence[FileState], wanted: set[str]) -> frozenset[str]:
        """These tables, and those whose rows have to be read with theirs."""
        tenant_id, day = family[0].tenant_id, family[0].day
        held = any(self._holds.may_keep(table, tenant_id, day) for table in wanted)
        if CONTENTS in wanted or (held and wanted & set(_FAMILY_TABLES)):
            # Contents are matched with their records, and a hold on one of the two is a hold on both.
            return frozenset({*wanted, *OWNER_TABLES, *([CONTENTS] if held else [])})
        return frozenset(wanted)

    def _rows(self, family: Sequence[FileState], wanted: frozenset[str]) -> dict[str, FamilyRows]:
        tenant_id = family[0].tenant_id
        files = [file for file in family if file.table in wanted and file.settled]
        by_table = {table: [file for file in files if file.table == table] for table in sorted(wanted)}
        return {
            table: read_rows(self._lake, of_table, self._columns(table, tenant_id))
            for table, of_table in by_table.items()
            if of_table
        }

    def _columns(self, table: str, tenant_id: str) -> list[str]:
        names = ["time_unix_nano"] if table == CONTENTS else list(_TIMES)
        if table in OWNER_TABLES:
            names += ["shard", "log_index"]
        if table == CONTENTS:
            names += ["shard", "owner_table", "owner_index"]
        if table in CLASS_TABLES and self._policy.classes:
            names.append("data_class")
        if table == AUDIT_TABLE or (table in EVENT_TABLES and self._policy.event_patterns):
            names.append("event_name")
        if table in AGENT_TABLES and self._policy.agents:
            names += ["actor_id", "actor_type"] if table == AUDIT_TABLE else ["agent_id"]
        return list(dict.fromkeys([*names, *self._holds.columns(table, tenant_id)]))

    def _count(self, rows: Mapping[str, FamilyRows]) -> list["_Counted"]:
        """The rows of each table, and the cohorts that they make."""
        if not rows:
            return []
        tenant_id = next(iter(rows.values())).files[0].tenant_id
        held = held_rows(self._holds, tenant_id, rows)
        combinations: list[Combination] = []
        frames = {table: self._frame(each, tenant_id, combinations, held.codes[table]) for table, each in rows.items()}
        if CONTENTS in frames:
            frames[CONTENTS] = _with_owners(frames[CONTENTS], [frames[name] for name in OWNER_TABLES if name in frames])
        tables = [name for name in rows if name in _FAMILY_TABLES]
        found = []
        for table, each in frames.items():
            ages = horizons_of(self._policy, tables if table in tables else [table], tenant_id, self._now)
            floors = self._floors(tables if table in tables else [table], tenant_id)
            frame = each.with_columns(
                _span("age", ages), _span("received", floors), _span("owner_age", ages).alias("owner_span")
            )
            counted = frame.group_by(_KEYS).agg(_COUNTS).sort(_KEYS)
            cohorts = [_cohort(row, combinations, held.names) for row in counted.iter_rows(named=True)]
            found.append(_Counted(rows[table], frame.select(_KEYS), counted.select(_KEYS), cohorts))
        return found

    def _floors(self, tables: Sequence[str], tenant_id: str) -> list[int]:
        minimums = [each for table in tables for each in self._policy.minimums_for(table, tenant_id)]
        return sorted({minimum.keep.horizon(self._now) for minimum in minimums})

    def _frame(
        self, rows: FamilyRows, tenant_id: str, combinations: list[Combination], held: npt.NDArray[np.int64]
    ) -> pl.DataFrame:
        """The columns that count: times, and numbers for combination and holds; NULL times are told by the other one."""
        table = rows.table
        frame = pl.DataFrame(rows.columns).with_columns(file=pl.Series(rows.file), held=pl.Series(held))
        received = pl.col("received_unix_nano") if table != CONTENTS else pl.col("time_unix_nano")
        frame = frame.with_columns(received=pl.coalesce(received, "time_unix_nano", pl.lit(0)))
        own = pl.col("received") if table == AUDIT_TABLE else pl.min_horizontal("time_unix_nano", "received")
        frame = frame.with_columns(age=own)
        frame = self._with_codes(frame, table, tenant_id, combinations)
        return frame.with_columns(owner_code=pl.lit(None, pl.Int64), owner_age=pl.lit(None, pl.Int64))

    def _with_codes(
        self, frame: pl.DataFrame, table: str, tenant_id: str, combinations: list[Combination]
    ) -> pl.DataFrame:
        """Number each row's combination: asked once for each distinct set of values."""
        agent = pl.lit(None, pl.String)
        if "agent_id" in frame.columns and self._policy.agents:
            agent = pl.col("agent_id")
        elif table == AUDIT_TABLE and "actor_type" in frame.columns:
            agent = pl.when(pl.col("actor_type") == "agent").then("actor_id")
        named = {"data_class": pl.lit(None, pl.String), "event_name": pl.lit(None, pl.String)}
        frame = frame.with_columns(
            agent=pl.when(agent.is_in(sorted(self._policy.agents))).then(agent),
            **{name: each for name, each in named.items() if name not in frame.columns},
        )
        keys = ["data_class", "event_name", "agent"]
        distinct = frame.select(keys).unique(maintain_order=True)
        codes = []
        known = {each: number for number, each in enumerate(combinations)}
        for data_class, event_name, agent_id in distinct.iter_rows():
            of = self._policy.combination(
                table, tenant_id, data_class=data_class, event_name=event_name, agent=agent_id
            )
            if of not in known:
                known[of] = len(combinations)
                combinations.append(of)
            codes.append(known[of])
        return frame.join(
            distinct.with_columns(code=pl.Series(codes, dtype=pl.Int64)), on=keys, how="left", nulls_equal=True,
            maintain_order="left",
        )  # fmt: skip


class Reason(NamedTuple):
    """Why a row stays: `kind` is hold, minimum or evidence, `name` which one, `citation` a minimum's law."""

    kind: str
    name: str
    citation: str = ""


@dataclass(frozen=True)
class KeptRows:
    """Why rows of one file stay: `reasons[codes[n]]` is row n's; None where nothing keeps it."""

    codes: npt.NDArray[np.int64]
    reasons: tuple[Reason | None, ...]


@dataclass(frozen=True)
class _Counted:
    """Rows of one table: `frame` holds each row's cohort by its keys, and `keys` and `cohorts` each cohort once."""

    rows: FamilyRows
    frame: pl.DataFrame
    keys: pl.DataFrame
    cohorts: Sequence[Cohort]

    def by_file(self, values: pl.Series) -> Iterator[tuple[tuple[str, str], npt.NDArray[Any]]]:
        """A value of each cohort as its rows have it, by (table, path)."""
        keys = self.keys.with_columns(value=values)
        rows = self.frame.join(keys, on=_KEYS, how="left", nulls_equal=True, maintain_order="left")
        of_rows = rows.get_column("value").to_numpy()
        for number, file in enumerate(self.rows.files):
            yield (file.table, file.path), of_rows[self.rows.file == number]


def _with_owners(contents: pl.DataFrame, owners: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Contents with the combination, age and receipt of the record that each belongs to; their own time where that is gone."""
    schema = {
        "shard": pl.String,
        "owner_index": pl.Int64,
        "owner_code": pl.Int64,
        "owner_age": pl.Int64,
        "owner_received": pl.Int64,
    }
    empty = pl.DataFrame(schema=schema)
    records = [
        owner.select(
            "shard",
            owner_index="log_index",
            owner_code="code",
            owner_age="age",
            owner_received="received",
        )
        for owner in owners
    ]
    joined = contents.drop("owner_code", "owner_age").join(
        pl.concat([empty, *records]), on=["shard", "owner_index"], how="left"
    )
    received = pl.coalesce("owner_received", "received")
    return joined.with_columns(received=received, age=pl.min_horizontal("age", received))


def _span(name: str, instants: Sequence[int]) -> pl.Expr:
    """Number of the span between instants in which a time lies: an instant belongs to the span that it ends."""
    column = pl.col(name)
    if not instants:
        return pl.lit(0).alias(f"{name}_span")
    return pl.sum_horizontal([(column > instant).cast(pl.Int32) for instant in instants]).alias(f"{name}_span")


def _cohort(row: Mapping[str, int], combinations: Sequence[Combination], holds: Sequence[tuple[str, ...]]) -> Cohort:
    received = Bounds(row["received_least"], row["received_most"])
    owner = None
    if row["owner_code"] is not None:
        owner = Owner(combinations[row["owner_code"]], Bounds(row["owner_age_least"], row["owner_age_most"]), received)
    return Cohort(
        combinations[row["code"]],
        row["rows"],
        Bounds(row["age_least"], row["age_most"]),
        received,
        holds[row["held"]],
        owner,
    )
