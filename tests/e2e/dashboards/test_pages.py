"""The pages in a real browser: what they show, what they restore, and that nothing in a record becomes markup."""

import csv
import html
import io
import json
import re
import urllib.error
import urllib.request
from urllib.parse import quote

import pytest

from governance.evidence.standalone import NOT_ESTABLISHED, verify_pack
from muniment.cli.app import run
from tests.pages import first_paint

WAIT = 120_000
SAYS = {
    "Overview": "Whether these records are sealed",
    "Search": "Everything that belongs to",
    "Audit explorer": "Who did what",
    "Trace": "One run from its beginning",
    "Agents": "Who answers for each agent",
    "SLOs": "What was promised",
    "Incidents": "What the rules found",
    "Evidence": "What a framework asks",
    "Retention": "What is due to be deleted",
    "Requests": "What people ask for",
    "Integrity": "Every record has a number",
}
"""What each page of the menu says of itself."""


@pytest.fixture
def page(browser, pages):
    """A fresh tab; whatever it asks of another machine, and whatever fails in it, is noted."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    tab = context.new_page()
    tab.set_default_timeout(WAIT)
    tab.elsewhere = []
    own = (pages, pages.replace("http", "ws"), "data:", "blob:")
    tab.on("request", lambda request: request.url.startswith(own) or tab.elsewhere.append(request.url))
    tab.dialogs = []
    tab.on("dialog", lambda dialog: (tab.dialogs.append(dialog.message), dialog.dismiss()))
    yield tab
    context.close()


def open_page(page, address):
    """Open an address and wait until the page has drawn all of it."""
    page.goto(address)
    drawn(page)


def drawn(page):
    """Wait until the page has drawn all of it."""
    page.wait_for_selector("h1")
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_function("!document.querySelector('[data-testid=stSpinner], [data-testid=stSkeleton], #first-paint')")


def test_each_page_draws_itself_from_this_machine_alone(page, pages):
    """Every page says what it answers, names the tenant and that nobody signed in, and asks nothing of another machine."""
    open_page(page, f"{pages}/?tenant=globex")
    for name, says in SAYS.items():
        page.get_by_test_id("stSidebarNav").get_by_role("link", name=name, exact=True).click()
        page.wait_for_selector(f"text={says}")
        drawn(page)
        text = page.inner_text("body")
        assert says in text
        assert "Tenant globex" in text, name
        assert "No sign-in is configured" in text, name
        assert page.locator("[data-testid=stException]").count() == 0, name
        assert "This page failed" not in text, name
    assert page.elsewhere == []


def test_the_pages_stand_behind_the_door(pages):
    """What serves them refuses a name that somebody pointed here, and tells a browser to load from here alone."""
    strange = urllib.request.Request(f"{pages}/overview", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(strange, timeout=30)
    with urllib.request.urlopen(f"{pages}/overview", timeout=30) as answer:
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_a_page_comes_with_its_answer(lake, pages, recorded, capfd):
    """Before any program runs a browser has the tenant's records, as text, and that somebody looked is on record; nobody else has."""
    before = records_of(lake, "acme", capfd)
    wanted = f"{pages}/audit?tenant=acme&text=canary&event=approval.denied"
    shown = first_paint(wanted, having="1 event, newest first")
    assert "Tenant <b>acme</b>" in shown
    assert "1 event, newest first" in shown
    assert html.escape(recorded.markup)[:40] in shown
    assert "canary-of-acme" in shown
    assert "globex" not in shown
    assert records_of(lake, "acme", capfd) > before
    with urllib.request.urlopen(f"{pages}/audit?tenant=acme", timeout=30) as plain:
        assert "canary" not in plain.read().decode()


def test_pages_are_dark_where_the_browser_is(browser, pages):
    """A browser that asks for dark gets dark, whatever the colour of buttons."""
    shades = []
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        tab = context.new_page()
        tab.set_default_timeout(WAIT)
        open_page(tab, f"{pages}/integrity?tenant=acme")
        color = tab.eval_on_selector("[data-testid=stApp]", "each => getComputedStyle(each).backgroundColor")
        shades.append(sum(map(int, re.findall(r"\d+", color)[:3])))
        context.close()
    assert shades[0] > 3 * 200
    assert shades[1] < 3 * 50


def test_a_trace_shows_what_was_recorded_as_text(page, pages, recorded):
    """Names full of markup stay text; the other tenant's trace of the same id is not shown."""
    open_page(page, f"{pages}/trace?tenant=acme&trace={recorded.trace}")
    page.wait_for_selector("text=Events and logs of this run")
    assert page.dialogs == []
    assert page.title() != "taken"
    with page.expect_download() as download:
        page.get_by_role("button", name="Export 3 rows as CSV").first.click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf8"))))
    spans = {row["step"].strip() for row in rows}
    assert any(recorded.markup in name for name in spans)
    assert any("canary-of-acme" in name for name in spans)
    assert "canary-of-globex" not in download.value.path().read_text(encoding="utf8")


def test_the_address_restores_what_was_searched(page, pages):
    """An address with filters shows exactly the events that fit."""
    open_page(page, f"{pages}/audit?tenant=acme&event=approval.denied&outcome=denied&text=CANARY-of-acme")
    page.wait_for_selector("text=1 event, newest first")
    assert "tenant=acme" in page.url
    assert "event=approval.denied" in page.url
    open_page(page, f"{pages}/audit?tenant=acme&text=canary-of-globex")
    page.wait_for_selector("text=No event fits")


def records_of(lake, tenant, capfd):
    """How many records with a number `status` counts of a tenant."""
    capfd.readouterr()
    assert run(["status", "--lake", str(lake), "--json"]) == 0
    status = json.loads(capfd.readouterr().out)
    numbered = {"spans", "audit_events", "logs"}
    return sum(row["rows"] for row in status["tables"] if row["tenant_id"] == tenant and row["table"] in numbered)


def test_page_and_command_give_the_same_figures(page, pages, lake, capfd):
    """The records that the overview counts are those that `status` counts; looking adds at most a few of its own."""
    before = records_of(lake, "acme", capfd)
    open_page(page, f"{pages}/?tenant=acme")
    page.wait_for_selector("text=What the agents did")
    shown = int(re.search(r"([\d,]+) records \(.*; the newest is from", page.inner_text("body"))[1].replace(",", ""))
    assert before <= shown <= records_of(lake, "acme", capfd)


def test_looking_is_recorded_once_a_view(page, pages, lake, capfd):
    """Who looked at which page stands in the log of the tenant whose records were shown."""
    open_page(page, f"{pages}/retention?tenant=globex")
    open_page(page, f"{pages}/retention?tenant=globex")
    capfd.readouterr()
    query = (
        "select count(*) as n from audit_events where event_name = 'record.viewed' and resource_id = 'retention' "
        "and resource_type = 'page'"
    )
    assert run(["sql", query, "--tenant", "globex", "--format", "json", "--lake", str(lake)]) == 0
    (row,) = json.loads(capfd.readouterr().out)
    assert row["n"] in {1, 2}  # a minute may have passed since another test looked


def test_a_pack_is_built_downloaded_and_checked(page, pages, tmp_path):
    """From the form to findings and a file; the program in it and the page itself check it, and a changed byte is found."""
    title = "SOC 2, Trust Services Criteria"
    framework = quote("SOC 2, Trust Services Criteria (2017, points of focus 2022), common criteria 6 to 8")
    open_page(page, f"{pages}/evidence?tenant=acme&framework={framework}")
    assert title in page.content()
    page.get_by_role("button", name="Build the pack").click()
    page.wait_for_selector("text=insufficient evidence")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the pack").click()
    pack = tmp_path / "pack.zip"
    download.value.save_as(pack)
    found = verify_pack(pack)
    assert (found.result, found.problems) == (NOT_ESTABLISHED, [])
    page.get_by_label("Fingerprint of the key").fill(found.fingerprints[0])
    page.get_by_label("Fingerprint of the key").press("Enter")
    page.wait_for_selector(
        "[data-testid=stApp][data-test-script-state=running]", state="detached"
    )  # a file given meanwhile is lost
    page.locator("input[type=file]").set_input_files(pack)
    page.wait_for_selector("text=Proved: every file is as it was signed")
    content = bytearray(pack.read_bytes())
    content[content.index(b"report.html") - 40] ^= 1
    pack.write_bytes(bytes(content))
    open_page(page, f"{pages}/evidence?tenant=acme")
    page.locator("input[type=file]").set_input_files(pack)
    page.wait_for_selector("text=Broken: something in it was changed")
