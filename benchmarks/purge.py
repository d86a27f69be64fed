"""Purges of a lake of 5 million spans with their contents: a tenant's day dropped, a month of contents expired, the search again.

The lake is that of `query`, copied by hard links: Parquet files are never changed in place, so the copy costs nothing and the
original stays. CPU seconds are those of this process; bytes read are those that it asked the kernel for (`rchar`), so pages that
memory maps bring in are not among them and are counted by the columns read instead.

    python -m benchmarks purge [--quick]
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from benchmarks.machine import cache_folder
from benchmarks.query import QUICK_SPANS, SPANS
from benchmarks.query_lake import TENANTS, QueryLake, query_lake
from benchmarks.results import Figure
from benchmarks.subject_lake import PERSON, PERSON_DAYS, SubjectLake, subject_lake
from muniment.erasing import carry_out, order_erasure
from muniment.erasure_plan import Person
from muniment.purging import apply_plan, rescan_certificate
from muniment.retaining import make_plan
from muniment.wiring import CommandContext, command_context
from retention.plan import Plan
from retention.policy_compiler import KIND, compile_policy
from retention.purge import Purged
from warehouse.clock import NANOS_PER_DAY
from warehouse.lake import Lake
from warehouse.policies import Bundle, apply

BAR_DAY_SECONDS = 1.0
BAR_CONTENTS_SECONDS = 5.0
BAR_RESCAN_MB = 200.0
BAR_REWRITE_MB = 60.0
BAR_PERSON_SECONDS = 20.0
_FOLDERS = ("tables", "ledger", "journal")
_MILLION = 1_000_000
_KEPT_DAYS = 30
_MB = 1_000_000
_OLDEST_DAY = """
retention:
  - {name: base, tables: ["*"], keep: 400}
  - {name: oldest, tables: ["*"], tenants: [acme], keep: 30}
"""
_NO_MINIMUMS = """
retention:
  - {name: base, tables: ["*"], keep: 400}
"""
_MONTH_OF_CONTENTS = """
retention:
  - {name: base, tables: ["*"], keep: 400}
  - {name: contents, tables: [contents], keep: 1}
"""


def run(*, quick: bool) -> list[Figure]:
    """Drop the oldest day of one tenant; then expire everybody's contents but yesterday's."""
    made = query_lake(QUICK_SPANS if quick else SPANS)
    figures = []
    with _copied(made, "day") as context:
        figures += _drop_day(context, made)
    with _copied(made, "contents") as context:
        figures += _expire_contents(context)
    persons = subject_lake(QUICK_SPANS if quick else SPANS)
    with _copied(persons, "person") as context:
        figures += _erase(context, persons)
    return figures


@dataclass
class _Timed:
    wall: float = 0.0
    cpu: float = 0.0


@contextmanager
def _timed() -> Iterator[_Timed]:
    found = _Timed()
    wall, cpu = time.perf_counter(), time.process_time()
    yield found
    found.wall, found.cpu = time.perf_counter() - wall, time.process_time() - cpu


def _drop_day(context: CommandContext, made: QueryLake) -> list[Figure]:
    _apply_policy(context, _OLDEST_DAY)
    oldest = min(int(pc.min(each).as_py()) for each in _days(context))
    context.clock = lambda: (oldest + 1 + _KEPT_DAYS) * NANOS_PER_DAY - 1
    steps: dict[str, float] = {}
    plan, planning = _plan(context)
    started = time.process_time()
    done, applying = _apply(context, plan, lambda _tenant, what: steps.setdefault(what, time.process_time() - started))
    rows = sum(count for each in done for count in each.rows.values())
    whole = sum(partition.whole for partition in plan.partitions)
    note = f"{rows:,} rows of {made.spans:,} spans and their contents; {whole} of {len(plan.partitions)} partitions whole; CPU {applying.cpu:.2f} s"
    return [
        Figure("purge", "dropping a tenant's day: planned", planning.cpu, "s CPU"),
        Figure(
            "purge",
            "dropping a tenant's day: gone from the tables",
            steps["committed"],
            "s CPU",
            BAR_DAY_SECONDS,
            note=note,
        ),
        Figure("purge", "the same, with dead files, search again and certificate", applying.cpu, "s CPU"),
        Figure("purge", "the same, wall clock", applying.wall, "s", note="with intent, search again and certificate"),
        Figure("purge", "verify a certificate again", _again(context, done[0])[0], "s CPU"),
    ]


def _expire_contents(context: CommandContext) -> list[Figure]:
    _apply_policy(context, _MONTH_OF_CONTENTS)
    plan, planning = _plan(context)
    done, applying = _apply(context, plan)
    rows = sum(each.rows["contents"] for each in done)
    seconds, read = _again(context, done[0])
    return [
        Figure("purge", "expiring contents: planned", planning.cpu / rows * _MILLION, "s CPU/million rows"),
        Figure(
            "purge", "expiring contents: applied", applying.cpu / rows * _MILLION, "s CPU/million rows",
            BAR_CONTENTS_SECONDS, note=f"{rows:,} rows in {len(done)} purges; {applying.wall:.1f} s in all",
        ),
        Figure("purge", "certificates, bytes a content row", _certificate_bytes(done) / rows, "bytes"),
        Figure("purge", "search again: keys of all live files", read / seconds / _MB, "MB/s of Parquet", note="index columns alone"),
    ]  # fmt: skip


def _erase(context: CommandContext, made: SubjectLake) -> list[Figure]:
    """One person, who is in 20 daily files of spans and 20 of contents of one tenant."""
    _apply_policy(context, _NO_MINIMUMS)
    note, _ = order_erasure(
        context, Person(TENANTS[0], PERSON, None), reason="benchmark", announce_nonce=lambda _nonce: None
    )
    at: dict[str, float] = {}
    started, wall = time.process_time(), time.perf_counter()
    done = carry_out(context, note, step=lambda _t, what: at.setdefault(what, time.process_time() - started) and None)
    spent, elapsed = time.process_time() - started, time.perf_counter() - wall
    rewritten = sum(
        file["before_bytes"]
        for each in done.purges
        for file in each.certificate.document.details["files"]
        if file.get("after")
    )
    rows = sum(count for each in done.purges for count in each.rows.values())
    searching = spent - at["searching everywhere"]
    return [
        Figure(
            "purge", "erasing a person: found, rewritten, committed", at["committed"], "s CPU", BAR_PERSON_SECONDS,
            note=f"{rows:,} rows of {PERSON_DAYS} days in {made.spans:,} spans and their contents; {elapsed:.0f} s in all",
        ),
        Figure(
            "purge", "erasing a person: Parquet rewritten", rewritten / at["committed"] / _MB, "MB/s CPU", BAR_REWRITE_MB, "≥",
            note=f"{rewritten / _MB:.0f} MB of files, the search for them included",
        ),
        Figure(
            "purge", "search everywhere afterwards", done.absence.decoded_bytes / searching / _MB, "MB/s CPU", BAR_RESCAN_MB, "≥",
            note=f"{done.absence.decoded_bytes / _MB:,.0f} MB decoded, {done.absence.rows:,} rows",
        ),
    ]  # fmt: skip


def _plan(context: CommandContext) -> tuple[Plan, _Timed]:
    with _timed() as timed:
        plan = make_plan(context, None)
    return plan, timed


def _days(context: CommandContext) -> Iterator[pa.ChunkedArray]:
    actions = pa.table(DeltaTable(str(context.lake.table("spans"))).get_add_actions(flatten=True))
    yield actions.column("partition.day").cast(pa.int32())


def _apply(
    context: CommandContext, plan: Plan, step: Callable[[str, str], object] = lambda _tenant, _what: None
) -> tuple[list[Purged], _Timed]:
    with _timed() as timed:
        done = apply_plan(context, plan, step=lambda tenant, what: step(tenant, what) and None)
    if not isinstance(done, list):
        raise TypeError("purge benchmark: expected the plan applied, got a request for approval")
    return done, timed


def _again(context: CommandContext, done: Purged) -> tuple[float, int]:
    with _timed() as timed:
        _, _, found = rescan_certificate(context, done.certificate.sha256)
    if not found.is_clean:
        raise RuntimeError(f"purge benchmark: {found.problems()}")
    return timed.cpu, found.size_bytes


def _certificate_bytes(done: list[Purged]) -> int:
    return sum(each.certificate.file.stat().st_size for each in done)


def _apply_policy(context: CommandContext, text: str) -> None:
    bundle = Bundle(KIND, {"bench.yaml": text})
    compile_policy(bundle)
    apply(context.control, bundle, "user:bench", replacing=context.control.policy_hash(KIND))


@contextmanager
def _copied(made: QueryLake | SubjectLake, name: str) -> Iterator[CommandContext]:
    """A copy of the lake by hard links, with a control database and keys of its own and its tenants known."""
    folder = cache_folder() / f"lake-purge-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    _copy(made.lake, folder)
    context = command_context(folder)
    try:
        for tenant in TENANTS:
            context.control.add_tenant(tenant)
        # what a process does once: imports, and the shard by which it records
        context.record("record.viewed", TENANTS[0], action="benchmark", resource_type="spans", resource_id="none")
        yield context
    finally:
        context.control.close()
        shutil.rmtree(folder, ignore_errors=True)


def _copy(lake: Lake, folder: Path) -> None:
    def link(source: str, target: str) -> str:
        # locks and logs are written in place by whoever opens the lake; Parquet files by nobody
        if source.endswith(".parquet"):
            os.link(source, target)
        else:
            shutil.copy2(source, target)
        return target

    shutil.copytree(lake.path, folder, copy_function=link)
