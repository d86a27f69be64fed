"""The pages over a lake of 5 million spans and 500,000 audit events, in a real browser: first useful paint, cold and warm.

The lake is the one that evidence packs are measured on, with SLOs computed and incidents detected. *Useful* is the page's lead and
the first of its figures, tables, charts or messages: as the server draws them (`dashboards.first_paint`), or Streamlit's program where
that is first; *in use* is when that program has drawn them and everything can be clicked. Cold is the first visit to a page of a server
that was just started, by a browser that has nothing cached; warm is the next visit in the same browser, which loads Streamlit's own
program again; turned to is the page behind a link of the sidebar in a session that is open, *whole* when nothing of it is still to
come. Times are the clock's, as a reader feels them.
"""

import contextlib
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from benchmarks.evidence_lake import EvidenceLake, evidence_lake
from benchmarks.loopback import serving
from benchmarks.machine import cache_folder
from benchmarks.query_lake import TENANTS, linked
from benchmarks.results import Figure
from muniment.incidents import detect_incidents
from muniment.policies import apply_defaults
from muniment.setup import set_up_lake
from muniment.slos import compute_slos
from muniment.wiring import command_context
from warehouse.clock import system_clock
from warehouse.lake import Lake

if TYPE_CHECKING:
    from playwright.sync_api import Page

BAR_COLD_MS = 2_000.0
BAR_WARM_MS = 500.0
SPANS = 5_000_000
QUICK_SPANS = 500_000
PAGES = ("overview", "evidence", "audit", "trace", "agents", "slos", "incidents", "retention", "requests", "integrity")
_USEFUL = ", ".join(
    f"[data-testid=stMain] [data-testid={each}]:not([data-stale=true] *)"
    for each in ("stDataFrame", "stMetric", "stVegaLiteChart", "stAlert", "stForm", "stTable", "stText", "stTextInput")
)
_FIRST = "#first-paint"
"""What the server drew: there only with an answer in it."""
_IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
_LINKS = (PAGES[0], "search", *PAGES[1:])
"""The pages in the order of the sidebar."""
_WAIT_MS = 120_000
_WARM_VISITS = 5
_DONE = "ready"


def run(*, quick: bool) -> list[Figure]:
    """Visit every page of a server that was just started, and then again."""
    path = shutil.which("chromium")
    if path is None:
        raise RuntimeError("pages: expected chromium, found none: `apt-get install chromium`")
    from playwright.sync_api import sync_playwright

    made = evidence_lake(QUICK_SPANS if quick else SPANS)
    lake = linked(_ready(made), "pages-run")
    note = f"{made.spans:,} spans, {made.events:,} audit events"
    figures = []
    try:
        with _ended_by_signal(), sync_playwright() as playwright:
            for name in PAGES:
                with serving(lake.path) as (_, address), contextlib.closing(playwright.chromium.launch(
                    executable_path=path, args=["--no-sandbox"]
                )) as browser:  # fmt: skip
                    tab = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
                    tab.set_default_timeout(_WAIT_MS)
                    times, used = zip(*_visits(tab, f"{address}/{name}?tenant={TENANTS[0]}"), strict=True)
                    turns, whole = zip(*_turns(tab, name), strict=True)
                figures.append(Figure("pages", f"{name}, cold", times[0], "ms", BAR_COLD_MS, note=note))
                figures.append(Figure("pages", f"{name}, warm", statistics.median(times[1:]), "ms", BAR_WARM_MS))
                figures.append(Figure("pages", f"{name}, cold, in use", used[0], "ms"))
                figures.append(Figure("pages", f"{name}, warm, in use", statistics.median(used[1:]), "ms"))
                figures.append(Figure("pages", f"{name}, turned to", statistics.median(turns), "ms", BAR_WARM_MS))
                figures.append(Figure("pages", f"{name}, turned to, whole", statistics.median(whole), "ms"))
                said = {"useful": times, "in use": used, "turned to": turns, "whole": whole}
                print(
                    f"{name}: {'; '.join(f'{what} {_listed(some)}' for what, some in said.items())} ms",
                    flush=True,
                )
    finally:
        shutil.rmtree(lake.path)
    return figures


def _listed(some: Sequence[float]) -> str:
    return ", ".join(f"{each:,.0f}" for each in some)


def _visits(tab: "Page", address: str) -> list[tuple[float, float]]:
    """Milliseconds to the first useful paint, and until the program has drawn it: of the first visit and of those after it."""
    times = []
    for _ in range(1 + _WARM_VISITS):
        started = time.perf_counter()
        tab.goto(address, wait_until="commit")
        tab.wait_for_selector(f"{_FIRST}, {_USEFUL}")
        useful = (time.perf_counter() - started) * 1000
        tab.wait_for_selector("h1")
        tab.wait_for_selector(_USEFUL)
        tab.wait_for_selector(_FIRST, state="detached")
        times.append((useful, (time.perf_counter() - started) * 1000))
        tab.wait_for_selector(_IDLE)
    return times


def _turns(tab: "Page", name: str) -> list[tuple[float, float]]:
    """Milliseconds from a click on the page's link in the sidebar, on another page: to the first useful paint, and to all of it."""
    title = tab.inner_text("h1")
    other = PAGES[-1] if name != PAGES[-1] else PAGES[0]
    times = []
    for _ in range(_WARM_VISITS):
        _turn(tab, other)
        tab.wait_for_selector(f'h1:not(:has-text("{title}"))')
        tab.wait_for_selector(_IDLE)
        started = time.perf_counter()
        _turn(tab, name)
        tab.wait_for_selector(f'h1:has-text("{title}")')
        tab.wait_for_selector(_USEFUL)
        useful = (time.perf_counter() - started) * 1000
        tab.wait_for_selector(_IDLE)
        times.append((useful, (time.perf_counter() - started) * 1000))
    return times


def _turn(tab: "Page", name: str) -> None:
    tab.locator("[data-testid=stSidebarNavLink]").nth(_LINKS.index(name)).click()


def _ready(made: EvidenceLake) -> Lake:
    """The lake with its tenants, policies, figures of SLOs and incidents; made once."""
    name = made.lake.path.parent.name.replace("evidence", "pages")
    folder = cache_folder() / name
    if (folder / _DONE).exists():
        return Lake(folder.absolute())
    started = time.monotonic()
    lake = linked(made.lake, name)
    set_up_lake(lake.path, name="bench", clock=system_clock)
    context = command_context(lake.path)
    for tenant in TENANTS:
        context.control.add_tenant(tenant)
    apply_defaults(lake, context.control, context.access, context.principal, context.record)
    compute_slos(context)
    print(f"pages: SLOs computed after {time.monotonic() - started:.0f} s", flush=True)
    detect_incidents(context, everything=True, settled=True)
    print(f"pages: incidents detected after {time.monotonic() - started:.0f} s", flush=True)
    context.control.close()
    (folder / _DONE).touch()
    return lake


@contextlib.contextmanager
def _ended_by_signal() -> Iterator[None]:
    """Whoever ends the benchmark ends what it started too: a signal becomes an exception."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
