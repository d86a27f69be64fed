"""A compliance officer's way through everything, in a real browser: from a link in a message to a pack that an outsider verifies."""

import importlib.util
import re
import subprocess
import sys
import zipfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from playwright.sync_api import TimeoutError as TooLate

from benchmarks.loopback import free_port, serving
from muniment.cli.app import run
from tests.grids import strided
from tests.pages import WAIT, picture, prepare, settled, sign_in

pytestmark = pytest.mark.timeout(900)  # the first test makes a demo lake, on a machine that others use
BANK = "aurora-bank"
DAYS = 7
ATTEMPTS = 12


@pytest.fixture(scope="module")
def demo(provider, tmp_path_factory):
    """The pages of a small demo, which ask for sign-in."""
    lake, port = tmp_path_factory.mktemp("story") / "lake", free_port()
    assert run(["demo", "--lake", str(lake), "--seed", "2", "--days", str(DAYS), "--scale", "0.01"]) == 0
    client = prepare(lake, provider, port)
    with serving(lake, port=port, PAGES_SECRET=client.secret) as (_, address):
        yield SimpleNamespace(lake=lake, address=address)


@pytest.fixture
def tab(browser):
    """The officer's browser."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(WAIT)
    yield page
    context.close()


def choose(tab, label, option):
    """Take the option with these words from the list of that label."""
    wanted = tab.get_by_role("option").filter(has_text=option).first
    for _ in range(ATTEMPTS):
        tab.get_by_role("combobox", name=label).press("ArrowDown")
        with suppress(TooLate):  # a list closes where the page is drawn anew meanwhile
            wanted.click(timeout=WAIT / ATTEMPTS)
            return
    raise AssertionError(f"{label}: no option {option}")


def fill(tab, label, value):
    """Fill the field of that label in the tab that is open."""
    field = tab.get_by_label(label).locator("visible=true").first
    field.fill(value)
    field.press("Enter")


def fill_day(tab, label, day):
    """Type a day: its year, month and day are fields of their own."""
    for _ in range(ATTEMPTS):
        tab.get_by_role("group", name=label).get_by_role("spinbutton").first.focus()
        tab.keyboard.type(f"{day:%Y%m%d}")
        tab.keyboard.press("Escape")
        with suppress(TooLate):  # keys go nowhere where the page is drawn anew meanwhile
            tab.wait_for_url(f"**={day}*", timeout=WAIT / ATTEMPTS)
            settled(tab)
            return
    raise AssertionError(f"{label}: {day} is not in the address {tab.url}")


def alone(folder):
    """A folder with the packages that the program in a pack says it needs, and no other."""
    folder.mkdir()
    for name in ("cryptography", "cffi", "_cffi_backend"):
        found = importlib.util.find_spec(name)
        source = found.submodule_search_locations[0] if found.submodule_search_locations else found.origin
        target = folder / source.rsplit("/", 1)[1]
        target.symlink_to(source)
    return folder


def test_an_officer_gets_from_a_link_to_a_verified_pack(tab, demo, tmp_path, capfd):
    """Sign in, find the model that was switched without approval, see a run of it, keep it, build a pack and have it verified."""
    said = sign_in(tab, f"{demo.address}/incidents?tenant={BANK}&show=all", "olga")
    assert "Signed in as olga (compliance-officer)" in said
    assert f"Tenant {BANK}" in said, "the link's tenant, after signing in"
    assert "/incidents" in tab.url
    picture(tab, "story-1-incidents")

    choose(tab, "Open one", "A model was switched without an approval before it")
    tab.wait_for_selector("text=Records that made it")
    assert "rule model-switched-without-approval" in settled(tab)
    picture(tab, "story-2-incident")

    choose(tab, re.compile("Open one of its"), "UTC")
    tab.wait_for_selector("text=Events and logs of this run")
    settled(tab)
    (trace,) = re.findall(r"trace=([0-9a-f]{32})", tab.url)
    assert tab.get_by_label("Run (trace id)").input_value() == trace
    picture(tab, "story-3-trace")

    tab.get_by_role("link", name="Requests").click()
    tab.get_by_role("tab", name="Place a hold", exact=True).click()
    fill(tab, "Case", "2026-041")
    fill(tab, "Why: name no person in it", "a model was switched without approval")
    fill(tab, "Runs (trace ids), separated by commas", trace)
    tab.get_by_role("button", name="Place the hold").click()
    tab.wait_for_selector("text=In force: hold")
    assert trace in settled(tab)
    picture(tab, "story-4-hold")

    tab.get_by_role("link", name="Evidence").click()
    choose(tab, "Framework", "SOC 2")
    today = datetime.now(UTC).date()
    settled(tab)
    fill_day(tab, "From (UTC)", today - timedelta(days=DAYS))
    fill_day(tab, "To, this day included (UTC)", today)
    tab.get_by_role("button", name="Build the pack").click()
    tab.wait_for_selector("text=not satisfied")
    assert f"from={today - timedelta(days=DAYS)}" in tab.url
    picture(tab, "story-5-evidence")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download the pack").click()
    pack = tmp_path / "pack.zip"
    download.value.save_as(pack)

    capfd.readouterr()
    assert run(["ledger", "vkey", "--lake", str(demo.lake)]) == 0
    keys = tmp_path / "keys.txt"
    keys.write_text(capfd.readouterr().out)
    with zipfile.ZipFile(pack) as archive:
        program = archive.extract("verify_pack.py", tmp_path)
        assert "claude-haiku-4-5" in "".join(
            archive.read(name).decode() for name in archive.namelist() if name.endswith("population.csv")
        )
    needs = alone(tmp_path / "needs")
    start = f"import runpy, sys; sys.path.append({str(needs)!r}); sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", start, program, str(pack), "--vkey", str(keys)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "proved" in done.stdout) == (0, True), done.stdout + done.stderr


NARROW, WIDE = 390, 1280
SCROLLS = """[document.documentElement, document.querySelector('[data-testid=stMain]')]
    .map(each => [each.scrollWidth, each.clientWidth])"""
LOOK = """
const controls = 'a[href], button, input:not([type=hidden]), textarea, [role=spinbutton]';
const look = each => { const seen = []; for (let at = each, up = 0; at && up < 4; at = at.parentElement, up++) {
    const { outline, boxShadow, borderColor, backgroundColor, color } = getComputedStyle(at);
    seen.push(outline, boxShadow, borderColor, backgroundColor, color); } return seen.join('|'); };
const style = document.createElement('style');
style.textContent = '* { transition: none !important; animation: none !important }';
document.head.append(style);
window.before = new Map([...document.querySelectorAll(controls)]
    .filter(each => !each.disabled && each.tabIndex >= 0 && each.checkVisibility({ visibilityProperty: true }))
    .map(each => [each, look(each)]));
window.reached = new Set(); window.unseen = [];
document.addEventListener('focusin', ({ target }) => { window.reached.add(target);
    if (window.before.has(target) && look(target) === window.before.get(target)) window.unseen.push(target.outerHTML.slice(0, 200)); });
"""


@pytest.mark.parametrize("width", strided([NARROW, WIDE], NARROW))
def test_pages_fit_narrow_and_wide_screens(browser, demo, width):
    """No page scrolls sideways, with incidents, figures and tables on it: wide tables scroll within themselves."""
    context = browser.new_context(viewport={"width": width, "height": 844})
    tab = context.new_page()
    tab.set_default_timeout(WAIT)
    for place in ("overview", "slos", "incidents?show=all"):
        address = f"{demo.address}/{place}{'&' if '?' in place else '?'}tenant={BANK}"
        if place == "overview":
            sign_in(tab, address, "olga")
        else:
            tab.goto(address)
            settled(tab)
        for content, room in tab.evaluate(SCROLLS):
            assert 0 < content <= room, place
        picture(tab, f"{place.split('?')[0]}-{width}")
    context.close()


def test_every_control_is_reached_by_the_tab_key_and_shows_it(tab, demo):
    """From the first to the last control of the queue by one key, each looking different while it has the focus."""
    sign_in(tab, f"{demo.address}/incidents?tenant={BANK}&show=all", "olga")
    tab.evaluate(f"() => {{ {LOOK} }}")
    count = tab.evaluate("window.before.size")
    assert count > len(("tenant", "search", "sign out", "show", "open one"))
    for _ in range(2 * count):
        tab.keyboard.press("Tab")
    left = tab.evaluate(
        "[...window.before.keys()].filter(each => each.isConnected && !window.reached.has(each)).map(each => each.outerHTML.slice(0, 200))"
    )
    assert left == []
    assert tab.evaluate("window.unseen") == []
