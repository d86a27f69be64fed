"""Completeness of a day: what senders say that they sent against what came, and what is missing of traces and records.

Unknown is not complete: a sender without counters is named as not measured, and a check of which no sender was measured is
`unmeasured`, which is neither passed nor failed.
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.quality import counters, sequences, traces
from pipelines.quality.finding import Finding, sql_of
from pipelines.quality.results import EPOCH, STATE
from warehouse.clock import NANOS_PER_DAY
from warehouse.derived.quality_results import QUALITY_RESULTS
from warehouse.derived.store import DerivedStore
from warehouse.errors import QueryError
from warehouse.lake import Lake
from warehouse.query import QuerySession

METHOD = "completeness"
TABLES = ("audit_events", "logs", "metrics", "spans")
GRACE_NS = 3_600_000_000_000
Outcome = Literal["passed", "failed", "errored", "empty", "unmeasured"]


@dataclass(frozen=True)
class CompletenessCheck:
    """One check of completeness.

    Attributes:
        name: what it is called in results.
        table: whose records it is about.
        title: the rule, in words.
        queries: the SQL files that it runs, each a tuple of those that stand one after the other.
        by_counters: senders' own counters say what there should be, so that it shows whether records came at all.
    """

    name: str
    table: str
    title: str
    queries: tuple[tuple[str, ...], ...]
    by_counters: bool = False


@dataclass(frozen=True)
class CompletenessResult:
    """What one check found on one day: a finding a sender, or the kind of error where it errored."""

    check: CompletenessCheck
    findings: tuple[Finding, ...] = ()
    error: str | None = None

    @property
    def outcome(self) -> Outcome:
        """Failed where anything is missing, passed where a sender was measured and nothing is; else nothing was shown."""
        if self.error is not None:
            return "errored"
        if not self.findings:
            return "empty"
        if not self.measured:
            return "unmeasured"
        return "failed" if self.missing else "passed"

    @property
    def measured(self) -> tuple[Finding, ...]:
        """Findings about senders of which it is known what is missing."""
        return tuple(each for each in self.findings if each.missing is not None)

    @property
    def total(self) -> int:
        """How many records there should be of the senders that were measured."""
        return sum(each.total for each in self.measured)

    @property
    def missing(self) -> int:
        """How many of them are missing, or not whole."""
        return sum(each.missing or 0 for each in self.measured)


_COUNTED = "what a sender's SDK counts as sent came, and it dropped nothing"
CHECKS: tuple[CompletenessCheck, ...] = (
    *(
        CompletenessCheck(counters.check_name(kind), kind, _COUNTED, counters.QUERIES, by_counters=True)
        for kind in counters.KINDS
    ),
    CompletenessCheck(
        sequences.CHECK,
        "audit_events",
        "the numbers of a sender's events have no gap",
        sequences.QUERIES,
        by_counters=True,
    ),
    CompletenessCheck(traces.PARENTS, "spans", "the parent that a span names is there", (("parents",),)),
    CompletenessCheck(traces.ROOTS, "spans", "a trace has a root", (("roots",),)),
    *(
        CompletenessCheck(name, table, "a record came with all its attributes, events and links", (("parts",),))
        for table, name in traces.PARTS.items()
    ),
)
"""Every check of completeness, in the order in which they are shown."""


_MOST = 2**63 - 1


def completeness_sql(check: CompletenessCheck) -> str:
    """The queries of a check, each ended by a semicolon."""
    return "".join(f"{sql_of(*names)};\n" for names in check.queries)


def completeness_hash(check: CompletenessCheck) -> str:
    """SHA-256 of the queries, in hex: results with the same one were found alike."""
    return hashlib.sha256(completeness_sql(check).encode()).hexdigest()


def find_incomplete(
    session: QuerySession, day: dt.date, now_unix_nano: int, *, grace_ns: int = GRACE_NS
) -> tuple[CompletenessResult, ...]:
    """Run every check over one UTC day; what is younger than the grace time is left for later.

    Queries that fail make their checks errored and keep no other from being run.
    """
    until = now_unix_nano - grace_ns
    sections: tuple[tuple[tuple[str, ...], Callable[[], list[Finding]]], ...] = (
        (
            tuple(map(counters.check_name, counters.KINDS)),
            lambda: counters.find_uncounted(session, day, until),
        ),
        ((sequences.CHECK,), lambda: sequences.find_gaps(session, day, until)),
        ((traces.PARENTS,), lambda: traces.find_orphans(session, day, until)),
        ((traces.ROOTS,), lambda: traces.find_rootless(session, day, until)),
        (tuple(traces.PARTS.values()), lambda: traces.find_dropped_parts(session, day)),
    )
    results: dict[str, CompletenessResult] = {}
    known = {check.name: check for check in CHECKS}
    for names, find in sections:
        try:
            findings, error = find(), None
        except QueryError as exc:
            # only the kind: what an engine says may quote a value
            findings, error = [], type(exc.__cause__ or exc).__name__
        for name in names:
            own = tuple(each for each in findings if each.check == name)
            results[name] = CompletenessResult(known[name], own, error)
    return tuple(results[check.name] for check in CHECKS)


def is_measured(results: Sequence[CompletenessResult]) -> bool:
    """Whether any sender's own counters say how much there should be."""
    return any(result.measured for result in results if result.check.by_counters)


def write_completeness(
    lake: Lake, tenant: str, day: dt.date, results: Sequence[CompletenessResult], now_unix_nano: int
) -> None:
    """Make the results of completeness of a tenant's day exactly these, in one commit; other results stay.

    Raises:
        UnavailableError: the table cannot be written; nothing changed.
    """
    begin = (day - EPOCH).days * NANOS_PER_DAY
    shared = {
        "tenant_id": tenant,
        "day": day,
        "time_unix_nano": begin,
        "end_unix_nano": begin + NANOS_PER_DAY,
        "method": METHOD,
        "computed_unix_nano": now_unix_nano,
    }
    made = [shared | row for result in results for row in _rows(result)]
    with DerivedStore(lake, QUALITY_RESULTS).updating(tenant) as update:
        old = update.read([day])
        others = old.filter(pc.not_equal(old.column("method"), METHOD))
        rows = pa.concat_tables([others, pa.Table.from_pylist(made, schema=QUALITY_RESULTS.schema)])
        update.commit({day: rows.sort_by([(name, "ascending") for name in QUALITY_RESULTS.sort_by])}, state=STATE)


def _rows(result: CompletenessResult) -> list[dict[str, Any]]:
    """Rows of a result: one of the whole check, and one for each sender of which something is missing or nothing is known."""
    check = result.check
    about = {"check_name": check.name, "source_table": check.table, "query": completeness_hash(check)}
    counts = (
        {"total": _held(result.total), "unexpected": _held(result.missing), "allowed": 0} if result.measured else {}
    )
    rows: list[dict[str, Any]] = [about | {"outcome": result.outcome, "error": result.error} | counts]
    for each in result.findings:
        if each.missing == 0 or not each.places:
            continue
        found: dict[str, Any] = {
            "sender": str(each.sender),
            "total": _held(each.total),
            "unexpected": _held(each.missing),
        }
        found |= {"outcome": "unmeasured" if each.missing is None else result.outcome}
        rows.append(about | found | vars(each.places[0]))
    return rows


def _held(count: int | None) -> int | None:
    """A count as the table holds it: what a sender says can be more than any whole number of 64 bits."""
    return None if count is None else min(count, _MOST)
