"""Requests in a real browser, by people who signed in: from the form over the second person's approval to the certificate."""

import io
import json
import re
import zipfile

import pytest

from muniment.cli.app import run
from muniment.wiring import command_context
from retention.policy_compiler import KIND
from tests.pages import WAIT, settled, sign_in
from warehouse.policies import Bundle, apply

PERSON = "ada.lovelace@example.org"
NO_MINIMUMS = 'retention:\n  - {name: base, tables: ["*"], keep: 400}\n'


def text(name, value):
    return {"key": name, "value": {"stringValue": value}}


@pytest.fixture(scope="module")
def person(signed, tmp_path_factory):
    """Somebody of whom acme holds two spans, where no law keeps them."""
    spans = [
        {
            "traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "chat",
            "startTimeUnixNano": "1795392000000000000", "endTimeUnixNano": "1795392000000000001",
            "attributes": [text("gen_ai.operation.name", "chat"), text("user.id", PERSON)],
        }
        for number in (1, 2)
    ]  # fmt: skip
    file = tmp_path_factory.mktemp("person") / "spans.json"
    file.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}))
    assert run(["import", str(file), "--tenant", "acme", "--lake", str(signed.lake)]) == 0
    control = command_context(signed.lake).control
    apply(control, Bundle(KIND, {"test.yaml": NO_MINIMUMS}), "user:test", replacing=control.policy_hash(KIND))
    control.close()
    return PERSON


@pytest.fixture(scope="module")
def cookies(browser, signed):
    """What is left in the browsers of two officers who signed in."""
    found = {}
    for name in ("olga", "odile"):
        context = browser.new_context()
        tab = context.new_page()
        tab.set_default_timeout(WAIT)
        sign_in(tab, f"{signed.address}/requests?tenant=acme", name)
        found[name] = context.storage_state()
        context.close()
    return found


@pytest.fixture
def at_requests(browser, signed, cookies):
    """Opens a browser of an officer's own, at the page of requests of acme."""
    contexts = []

    def open_for(name):
        contexts.append(
            browser.new_context(
                viewport={"width": 1280, "height": 900}, accept_downloads=True, storage_state=cookies[name]
            )
        )
        tab = contexts[-1].new_page()
        tab.set_default_timeout(WAIT)
        visit(tab, signed)
        return tab

    yield open_for
    for context in contexts:
        context.close()


@pytest.fixture
def officers(at_requests):
    """Two officers, each in a browser of their own."""
    return [at_requests(name) for name in ("olga", "odile")]


def visit(tab, signed):
    tab.goto(f"{signed.address}/requests?tenant=acme")
    return settled(tab)


def fill(tab, label, value):
    """Fill the field of that label in the tab that is open."""
    field = tab.get_by_label(label).locator("visible=true").first
    field.fill(value)
    field.press("Tab")


def open_tab(tab, name):
    tab.get_by_role("tab", name=name, exact=True).click()


def test_an_access_request_is_answered_without_a_terminal(at_requests, person):
    """The form gives a file with the person's records and a proof of each; the address does not name the person."""
    tab = at_requests("olga")
    fill(tab, "Who: their token", person)
    tab.get_by_role("button", name="Collect").click()
    tab.wait_for_selector("text=2 are proved")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download the file").click()
    with zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())) as archive:
        assert {"report.html", "tables/spans.json"} <= set(archive.namelist())
    assert "ada" not in tab.url


def test_a_hold_is_placed_and_released_by_two(officers, signed):
    """One places it and asks for its end; that one cannot approve it, the other can."""
    one, other = officers
    open_tab(one, "Place a hold")
    fill(one, "Case", "2026-017")
    fill(one, "Why: name no person in it", "a dispute")
    fill(one, "Agents, separated by commas", "Buyer, Seller")
    one.get_by_role("button", name="Place the hold").click()
    one.wait_for_selector("text=In force: hold")
    visit(one, signed)
    open_tab(one, "Release a hold")
    assert "agents: Buyer, Seller" in one.inner_text("body")
    fill(one, "Why it ends", "settled")
    one.get_by_role("button", name="Release", exact=True).click()
    one.wait_for_selector("text=You asked for this: another person has to approve it.")
    assert "Asked by oidc:olga" in visit(other, signed)
    other.get_by_role("button", name="Approve, and release now").click()
    other.wait_for_selector("text=The hold is released")
    assert "Nothing waits." in settled(other)


def test_a_person_is_erased_by_two_with_a_certificate(officers, signed, person):
    """What would go is shown first; one orders, the other approves; the certificate stands on the page about retention."""
    one, other = officers
    open_tab(one, "Erasure")
    fill(one, "Who: their token", person)
    one.get_by_role("button", name="Show what would go").click()
    one.wait_for_selector("text=Would go: 2 of spans")
    one.get_by_role("button", name="Erase", exact=True).click()
    one.wait_for_selector("text=Tick the box above first.")
    one.get_by_text("I have checked who this is").click()
    one.get_by_role("button", name="Erase", exact=True).click()
    one.wait_for_selector("text=Nothing is erased yet: a second person has to approve it")
    assert "You asked for this: another person has to approve it." in settled(one)
    assert person not in visit(other, signed)
    other.get_by_role("button", name="Approve, and erase now").click()
    other.wait_for_selector("text=Erased: 2 of spans")
    said = settled(other)
    assert "Nothing waits." in said
    other.goto(f"{signed.address}/retention?tenant=acme")
    settled(other)
    with other.expect_download() as download:
        other.get_by_role("button", name="Export 2 rows as CSV").click()
    listed = download.value.path().read_text(encoding="utf8")
    assert "oidc:olga" in listed
    assert "oidc:odile" in listed
    certificates = re.findall(r"\b[0-9a-f]{64}\b", said)
    assert len(certificates) == 2, "of the records, and of the key"
    assert all(each in listed for each in certificates)
