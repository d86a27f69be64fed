"""The pages over a lake of 5 million spans and 500,000 audit events, in a real browser: first useful paint, cold and warm.

The lake is the one that evidence packs are measured on, with SLOs computed and incidents detected. *Useful* is the page's lead and
the first of its figures, tables, charts or messages. Cold is the first visit to a page of a server that was just started, by a
browser that has nothing cached; warm is the next visit in the same browser. Times are the clock's, as a reader feels them.
"""

import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

from benchmarks.evidence_lake import evidence_lake
from benchmarks.query_lake import TENANTS, linked
from benchmarks.results import Figure
from muniment.incidents import detect_incidents
from muniment.policies import apply_defaults
from muniment.setup import set_up_lake
from muniment.slos import compute_slos
from muniment.wiring import command_context
from warehouse.clock import system_clock
from warehouse.lake import Lake

BAR_COLD_MS = 2_000.0
BAR_WARM_MS = 500.0
SPANS = 5_000_000
QUICK_SPANS = 500_000
PAGES = ("overview", "evidence", "audit", "trace", "agents", "slos", "incidents", "retention", "requests", "integrity")
_USEFUL = ", ".join(
    f"[data-testid=stMain] [data-testid={each}]:not([data-stale=true] *)"
    for each in ("stDataFrame", "stMetric", "stVegaLiteChart", "stAlert", "stForm", "stTable", "stText", "stTextInput")
)
_WAIT_MS = 120_000
_WARM_VISITS = 5
_START_SECONDS = 60


def run(*, quick: bool) -> list[Figure]:
    """Visit every page of a server that was just started, and then again."""
    path = shutil.which("chromium")
    if path is None:
        raise RuntimeError("pages: expected chromium, found none: `apt-get install chromium`")
    from playwright.sync_api import sync_playwright

    made = evidence_lake(QUICK_SPANS if quick else SPANS)
    lake = _ready(made.lake)
    figures = []
    with sync_playwright() as playwright:
        for name in PAGES:
            with _served(lake) as address, contextlib.closing(playwright.chromium.launch(
                executable_path=path, args=["--no-sandbox"]
            )) as browser:  # fmt: skip
                tab = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
                tab.set_default_timeout(_WAIT_MS)
                times = []
                for _ in range(1 + _WARM_VISITS):
                    started = time.perf_counter()
                    tab.goto(f"{address}/{name}?tenant={TENANTS[0]}", wait_until="commit")
                    tab.wait_for_selector("h1")
                    tab.wait_for_selector(_USEFUL)
                    times.append((time.perf_counter() - started) * 1000)
                    tab.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
            note = f"{made.spans:,} spans, {made.events:,} audit events"
            figures.append(Figure("pages", f"{name}, cold", times[0], "ms", BAR_COLD_MS, note=note))
            figures.append(Figure("pages", f"{name}, warm", statistics.median(times[1:]), "ms", BAR_WARM_MS))
    shutil.rmtree(lake.path)
    return figures


def _ready(lake: Lake) -> Lake:
    made = linked(lake, "pages-lake")
    set_up_lake(made.path, name="bench", clock=system_clock)
    context = command_context(made.path)
    for tenant in TENANTS:
        context.control.add_tenant(tenant)
    apply_defaults(made, context.control, context.access, context.principal, context.record)
    compute_slos(context)
    detect_incidents(context, everything=True, settled=True)
    context.control.close()
    return made


@contextlib.contextmanager
def _served(lake: Lake) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "muniment", "dashboard", "--lake", str(lake.path), "--port", str(port)],
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).read()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
