"""SLOs over a lake of 5 million spans: the first computation of 30 days, the next with one new hour, and how that grows.

The lake is the one that queries are measured on, its files linked into a folder of this benchmark's own. Twenty SLOs: the
fifteen that come with the package, and five with other bounds and agents. Each computation is a process of its own, which
counts all tenants one after another as `muniment slo compute` does; its processor time and peak memory are the kernel's. New
hours are written by the product's own parts and are of the same size at every size of the lake.

    python -m benchmarks.slo --compute LAKE
"""

import argparse
import json
import secrets
import shutil
import statistics
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable

from benchmarks.query_lake import DAYS, SHARD, TENANTS, QueryLake, SpanPool, linked, query_lake
from benchmarks.results import Figure
from benchmarks.spans import SPANS_PER_TRACE
from governance.access import local_principal
from pipelines.slo.compute import compute_tenant, list_records
from pipelines.slo.policy_compiler import compile_policy
from pipelines.slo.shipped import default_bundle
from warehouse.clock import NANOS_PER_SECOND, system_clock
from warehouse.commit import open_stores
from warehouse.lake import Lake
from warehouse.marks import read_marks, write_mark
from warehouse.parquet import write_parts
from warehouse.policies import Bundle
from warehouse.query import QuerySettings, open_session
from warehouse.sequence import sequence
from warehouse.tables import TABLES

BAR_FIRST_SECONDS = 30.0
BAR_NEXT_SECONDS = 3.0
BAR_MEMORY_MIB = 2_048.0
SPANS = 5_000_000
QUICK_SPANS = 500_000
GROWTH_DAYS = (6, 12, 24)
"""Of 30 days with 5 million spans: 1, 2 and 4 million."""
BAR_GROWTH = 1.5
_HOURS_MEASURED = 3
HOURS = 30 * 24
_SEED = 22
_MORE = """
apiVersion: openslo/v1
kind: SLI
metadata: {name: bench-NUMBER}
spec:
  thresholdMetric:
    metricSource:
      type: muniment
      spec: {sql: "select time_unix_nano, shard, log_index, duration_ns / 1e9 as value from spans where WHERE"}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: bench-NUMBER}
spec:
  service: agents
  indicatorRef: bench-NUMBER
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{op: lt, value: NUMBER, target: 0.95}]
  alertPolicies: [page-and-ticket]
"""
_WHERE = (
    "operation is not null", "operation = 'execute_tool'", "agent_id is not null", "provider = 'openai'", "parent_span_id is null",
)  # fmt: skip


def run(*, quick: bool) -> list[Figure]:
    """Measure both computations, and the second at three sizes of the lake."""
    made = query_lake(QUICK_SPANS if quick else SPANS)
    lake = linked(made.lake, "slo-lake")
    spans_an_hour = made.spans // HOURS
    first = _compute(lake)
    note = f"{first['events']:,.0f} events of {made.spans:,} spans; {first['seconds']:.1f} s on the clock"
    figures = [
        Figure("slo", "first computation, processor time", first["cpu"], "s", BAR_FIRST_SECONDS, note=note),
        Figure("slo", "first computation, peak memory", first["mib"], "MiB", BAR_MEMORY_MIB),
    ]
    add_hour(lake, spans_an_hour)
    found = _compute(lake)
    note = f"{found['events']:,.0f} events of {spans_an_hour:,} new spans; {found['seconds']:.1f} s on the clock"
    figures.append(Figure("slo", "the next, with one new hour", found["cpu"], "s", BAR_NEXT_SECONDS, note=note))
    idle = _compute(lake)
    figures.append(Figure("slo", "with nothing new", idle["cpu"], "s", note=f"{idle['seconds']:.2f} s on the clock"))
    shutil.rmtree(lake.path)
    return figures + _growth(made, spans_an_hour)


def _growth(made: QueryLake, spans_an_hour: int) -> list[Figure]:
    """Processor time of the first computation and of one new hour of the same size, with 6, 12 and 24 days of the lake's 30."""
    figures, hours = [], []
    for days in GROWTH_DAYS:
        lake = linked(made.lake, "slo-growth")
        keep_days(lake, days)
        first = _compute(lake)
        seconds = []
        for _ in range(_HOURS_MEASURED):
            add_hour(lake, spans_an_hour)
            seconds.append(_compute(lake)["cpu"])
        hours.append(statistics.median(seconds))
        note = f"first computation {first['cpu']:.1f} s of the processor"
        size = made.spans * days / DAYS / 1e6
        figures.append(
            Figure("slo", f"one new hour of {spans_an_hour:,} spans at {size:.2g} million", hours[-1], "s", note=note)
        )
        shutil.rmtree(lake.path)
    growth = hours[-1] / hours[0]
    figures.append(
        Figure("slo", f"the same hour, {GROWTH_DAYS[-1] // GROWTH_DAYS[0]} times the lake", growth, "times", BAR_GROWTH)
    )
    return figures


def keep_days(lake: Lake, days: int) -> None:
    """Leave the last `days` days in the tables; the files of the others are named no more."""
    for name in ("spans", "contents"):
        table = DeltaTable(str(lake.table(name)))
        found = sorted(set(pa.table(table.get_add_actions(flatten=True)).column("partition.day").to_pylist()))
        table.delete(f"day < '{found[-days]}'")


def add_hour(lake: Lake, spans: int) -> None:
    """Write one more segment: spans of the last hour, of every tenant."""
    pool = _pool()
    stores = open_stores(lake)
    segment = read_marks(lake)[SHARD] + 1
    hour_ago = system_clock() - 3_600 * NANOS_PER_SECOND
    batches: dict[str, list[pa.RecordBatch]] = {}
    for tenant in TENANTS:
        count = max(1, spans // len(TENANTS) // SPANS_PER_TRACE) * SPANS_PER_TRACE
        records = pool.take(count, tenant, hour_ago, within_seconds=1_800)
        after = sequence(
            records, shard=SHARD, segment=segment, metric_row=0, next_index={tenant: _next_index(lake, tenant)},
            random_bytes=secrets.token_bytes,
        )  # fmt: skip
        for name, batch in after.tables.items():
            batches.setdefault(name, []).append(batch)
    for name, rows in batches.items():
        store = stores[name]
        parts = write_parts(TABLES[name], pa.Table.from_batches(rows), store.folder, stem=f"{SHARD}-{segment:010d}")
        modified = system_clock() // (NANOS_PER_SECOND // 1000)
        store.append([part.add_action(modified) for part in parts], [(f"{SHARD}/{name}", segment)])
    write_mark(lake.journal / SHARD, segment)


@cache
def _pool() -> SpanPool:
    """Decoded spans, made once."""
    return SpanPool(np.random.default_rng(_SEED))


def _next_index(lake: Lake, tenant: str) -> int:
    with open_session(
        lake.path, tenants=[tenant], principal=local_principal(), settings=QuerySettings(), tables=("spans",)
    ) as session:
        return int(session.run_trusted("select max(log_index) from spans").column(0)[0].as_py()) + 1


def _compute(lake: Lake) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.slo", "--compute", str(lake.path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compute(lake: Lake) -> dict[str, float]:
    """Count what is new in every tenant; seconds on the clock and of the processor, peak memory, events."""
    more = {
        f"bench-{number}.yaml": _MORE.replace("NUMBER", str(number)).replace("WHERE", where)
        for number, where in enumerate(_WHERE, 1)
    }
    policy = compile_policy(Bundle("slo", {**default_bundle().files, **more}))
    if len(policy.slos) != len(default_bundle().files) - 2 + len(_WHERE):
        raise RuntimeError(f"expected an SLO a file, got {len(policy.slos)}")
    started, before = time.perf_counter(), time.process_time()
    now = system_clock()
    files = list_records(lake, TENANTS)
    events = 0
    for tenant in TENANTS:
        counted = compute_tenant(
            lake, tenant, policy.series_for(tenant), principal=local_principal(), settings=QuerySettings(),
            now_unix_nano=now, files=files[tenant], settled=True,
        )  # fmt: skip
        if counted.problems:
            raise RuntimeError(f"{tenant}: {counted.problems}")
        events += counted.events
    return {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - before,
        "mib": _peak_mib(),
        "events": events,
    }


def _peak_mib() -> float:
    """Of this process alone: `ru_maxrss` begins with what the parent had when it forked."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slo")
    parser.add_argument("--compute", metavar="LAKE", type=Path, required=True)
    print(json.dumps(compute(Lake(parser.parse_args().compute.absolute()))))
