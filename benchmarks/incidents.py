"""Incident rules over a lake of 5 million spans: all of the package's over one new hour, how that grows, and a round without anything new.

The lake is the one that queries are measured on, its files linked into a folder of this benchmark's own. Each round is a process of its
own that goes through all tenants and the lake itself, as the loop of `muniment up` does each minute; its processor time is the
kernel's. New hours are of the same size at every size of the lake.

    python -m benchmarks.incidents --detect LAKE
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.query_lake import DAYS, TENANTS, QueryLake, linked, query_lake
from benchmarks.results import Figure
from benchmarks.slo import GROWTH_DAYS, HOURS, QUICK_SPANS, SPANS, add_hour, keep_days
from muniment.incidents import detect_incidents
from muniment.policies import apply_defaults
from muniment.setup import set_up_lake
from muniment.wiring import command_context
from warehouse.clock import system_clock
from warehouse.lake import Lake

BAR_SECONDS = 5.0
BAR_GROWTH = 1.5
_HOURS_MEASURED = 3


def run(*, quick: bool) -> list[Figure]:
    """Measure the first round over everything, one with a new hour, one without anything new, and the second at three sizes."""
    made = query_lake(QUICK_SPANS if quick else SPANS)
    spans_an_hour = made.spans // HOURS
    lake = _ready(made, "incidents-lake")
    first = _detect(lake)
    note = f"{first['opened']:.0f} incidents in {made.spans:,} spans; {first['seconds']:.1f} s on the clock"
    figures = [Figure("incidents", "all rules over everything, once", first["cpu"], "s", note=note)]
    add_hour(lake, spans_an_hour)
    hour = _detect(lake)
    note = f"{spans_an_hour:,} new spans; {hour['seconds']:.1f} s on the clock"
    figures.append(Figure("incidents", "all rules over one new hour", hour["cpu"], "s", BAR_SECONDS, note=note))
    _detect(lake)  # takes in the events that the round before recorded
    idle = _detect(lake, every=False)
    figures.append(Figure("incidents", "a round with nothing new", idle["cpu"], "s", note=f"{len(TENANTS)} tenants"))
    shutil.rmtree(lake.path)
    return figures + _growth(made, spans_an_hour)


def _growth(made: QueryLake, spans_an_hour: int) -> list[Figure]:
    figures, hours = [], []
    for days in GROWTH_DAYS:
        lake = _ready(made, "incidents-growth")
        keep_days(lake, days)
        _detect(lake)
        seconds = []
        for _ in range(_HOURS_MEASURED):
            add_hour(lake, spans_an_hour)
            seconds.append(_detect(lake)["cpu"])
        hours.append(statistics.median(seconds))
        size = made.spans * days / DAYS / 1e6
        figures.append(
            Figure("incidents", f"one new hour of {spans_an_hour:,} spans at {size:.2g} million", hours[-1], "s")
        )
        shutil.rmtree(lake.path)
    times = GROWTH_DAYS[-1] // GROWTH_DAYS[0]
    growth = hours[-1] / hours[0]
    return [*figures, Figure("incidents", f"the same hour, {times} times the lake", growth, "times", BAR_GROWTH)]


def _ready(made: QueryLake, name: str) -> Lake:
    """A lake with the same records, with settings, tenants, and the package's policies in force."""
    lake = linked(made.lake, name)
    set_up_lake(lake.path, name="bench", clock=system_clock)
    context = command_context(lake.path)
    for tenant in TENANTS:
        context.control.add_tenant(tenant)
    apply_defaults(lake, context.control, context.access, context.principal, context.record)
    context.control.close()
    return lake


def _detect(lake: Lake, *, every: bool = True) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.incidents",
        "--detect",
        str(lake.path),
        *(["--every"] if every else []),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def detect(lake: Path, *, every: bool) -> dict[str, float]:
    """One round; seconds on the clock and of the processor, and how many incidents it opened."""
    context = command_context(lake)
    started, before = time.perf_counter(), time.process_time()
    found = detect_incidents(context, everything=every, settled=True)
    if found.failures:
        raise RuntimeError(f"rules that fail: {found.failures}")
    return {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - before,
        "opened": len(found.opened),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--detect", type=Path, required=True)
    parser.add_argument("--every", action="store_true")
    given = parser.parse_args()
    print(json.dumps(detect(given.detect, every=given.every)))
