"""Takes the pictures of the pages that stand in docs/compliance.md and docs/dashboards.md, from a demo lake, in a real browser.

`make pictures` runs it. The lake is `$LAKE` or `./demo-lake`, made by `muniment demo` where it is not there: the same seed gives the
same fleet, with the times of the day. Who runs it is not in the pictures. Needs chromium.
"""

import io
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.loopback import serving

IMAGES = Path(__file__).parent / "images"
TENANT = "aurora-bank"
SWITCHED = "A model was switched without an approval before it"
WIDE, NARROW = (1100, 760), (390, 760)
COLORS = 160
"""Enough for pages of text, and a file is half as large."""
WAIT_MS = 120_000
HIDDEN = "[data-testid=stSidebar] :is([data-testid=stText], [data-testid=stAlert]) { visibility: hidden }"


def main() -> None:
    """Serve a demo lake's pages, and take one picture after another."""
    lake = Path(os.environ.get("LAKE", "demo-lake")).absolute()
    if not (lake / "muniment.yaml").exists():
        subprocess.run([sys.executable, "-m", "muniment", "demo", "--lake", str(lake)], check=True)
    browser_path = shutil.which("chromium")
    if browser_path is None:
        raise SystemExit("pictures: expected chromium, found none: `apt-get install chromium`")
    IMAGES.mkdir(exist_ok=True)
    with serving(lake) as (_, address), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for name, size in (("pages", WIDE), ("narrow", NARROW)):
            context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme="light")
            tab = context.new_page()
            tab.set_default_timeout(WAIT_MS)
            (take_wide if name == "pages" else take_narrow)(tab, address)
            context.close()
        browser.close()


def take_wide(tab: Page, address: str) -> None:
    """The way of an officer: what is wrong, which incident, its run, what is kept, the findings."""
    visit(tab, f"{address}/overview?tenant={TENANT}")
    save(tab, "overview")
    visit(tab, f"{address}/incidents?tenant={TENANT}&show=all")
    save(tab, "incidents")
    card = tab.get_by_test_id("stVerticalBlock").filter(has_text=SWITCHED).last
    card.get_by_role("button", name="Open").click()
    tab.wait_for_selector("text=Records that made it")
    save(tab, "incident")
    tab.get_by_role("combobox", name="Open one of its").press("ArrowDown")
    tab.get_by_role("option").first.click()
    tab.wait_for_selector("text=Events and logs of this run")
    save(tab, "trace")
    last = datetime.now(UTC).date()
    visit(tab, f"{address}/evidence?tenant={TENANT}&from={last - timedelta(days=29)}&to={last}")
    tab.get_by_role("combobox", name="Framework").press("ArrowDown")
    tab.get_by_role("option").filter(has_text="SOC 2").click()
    settle(tab)
    tab.get_by_role("button", name="Show the findings").click()
    tab.wait_for_selector("text=not satisfied")
    save(tab, "evidence")


def take_narrow(tab: Page, address: str) -> None:
    """The queue of incidents on a telephone."""
    visit(tab, f"{address}/incidents?tenant={TENANT}&show=all")
    save(tab, "incidents-narrow")


def visit(tab: Page, address: str) -> None:
    """Open an address and wait until all of it is drawn."""
    tab.goto(address)
    tab.wait_for_selector("h1")
    tab.add_style_tag(content=HIDDEN)
    settle(tab)


def settle(tab: Page) -> None:
    """Wait until the page is drawn."""
    tab.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    tab.wait_for_function("!document.querySelector('[data-testid=stSpinner], [data-testid=stSkeleton], #first-paint')")


def save(tab: Page, name: str) -> None:
    """Write what the tab shows, in few colours."""
    settle(tab)
    tab.mouse.move(0, 0)
    tab.wait_for_timeout(1_000)  # tables and charts are drawn after the page says that it is ready
    with Image.open(io.BytesIO(tab.screenshot())) as picture:
        few = picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
        few.save(IMAGES / f"{name}.png", optimize=True)
    print(f"{name}.png: {(IMAGES / f'{name}.png').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
