"""People sign in by a real provider, in a real browser: four roles, two tenants, and what each may see."""

import json
import stat
import tomllib
from pathlib import Path

import pytest

from benchmarks.loopback import free_port, serving
from muniment.cli.app import run
from tests.grids import strided
from tests.pages import WAIT, first_paint, prepare, settled, sign_in

INES = ("ines", "ines@auditors.example", "auditor", ["acme"])
OLGA = ("olga", "olga", "compliance-officer", ["acme", "globex", "_lake"])
SVEN = ("sven", "sven", "sre", ["acme", "globex", "_lake"])
TARA = ("tara", "tara", "tenant-admin", ["globex"])
PLACES = ["overview", "audit", "agents", "slos", "incidents", "evidence", "retention", "integrity", "requests"]
FEW = ["overview", "audit", "evidence"]
"""One place of the program reads the tenant in an address; what each page shows of others is asked in `test_page_roles.py` too."""


def test_nobody_sees_anything_before_they_sign_in(tab, signed):
    """Every address shows the door: no page's name, no tenant, no record; and it is not said that no sign-in is configured."""
    for place in ("", "/audit?tenant=acme&text=canary", "/evidence?tenant=globex", "/requests"):
        tab.goto(signed.address + place)
        text = settled(tab)
        assert "They are for people whom the owner of the lake gave a role" in text
        for hidden in ("canary", "acme", "globex", "Audit explorer", "Retention", "No sign-in is configured"):
            assert hidden not in text


@pytest.mark.parametrize(
    ("person", "shown", "roles", "tenants"),
    strided([INES, OLGA, SVEN, TARA], INES, OLGA),
)
def test_each_role_sees_its_tenants(tab, signed, person, shown, roles, tenants):
    """The person's name as far as the provider checked it, the roles of their groups, and their tenants alone."""
    text = sign_in(tab, signed.address, person)
    assert f"Signed in as {shown} ({roles})" in text
    assert "Whether these records are sealed" in text
    assert "You may not see this" not in text
    tab.get_by_test_id("stSidebar").get_by_role("combobox").click()
    assert tab.get_by_role("option").all_inner_texts() == tenants


@pytest.mark.parametrize("person", strided(["nora", "mute"], "nora"))
def test_who_has_no_role_is_told_so_and_sees_nothing_else(tab, signed, person):
    """No page, no tenant; a claim that the lake does not ask for gives nothing."""
    text = sign_in(tab, signed.address, person)
    assert "expected a role for this user, got none" in text
    tab.goto(f"{signed.address}/audit?tenant=acme")
    text = settled(tab)
    assert "expected a role for this user, got none" in text
    for hidden in ("canary", "acme", "Audit explorer"):
        assert hidden not in text


@pytest.mark.parametrize("places", strided([PLACES, FEW], FEW), ids=["all", "few"])
def test_a_direct_address_shows_nothing_of_another_tenant(tab, signed, recorded, places):
    """Whatever the address asks for, an auditor of acme gets acme's records, or is told that they may not."""
    sign_in(tab, signed.address, "ines")
    for place in places:
        tab.goto(f"{signed.address}/{place}?tenant=globex&text=canary")
        text = settled(tab)
        assert "globex" not in text.lower(), place
        assert tab.locator("[data-testid=stException]").count() == 0
    tab.goto(f"{signed.address}/trace?tenant=globex&trace={recorded.trace}")
    text = settled(tab)
    assert "canary-of-globex" not in tab.content()
    assert "Tenant acme" in text
    drawn = first_paint(
        f"{signed.address}/audit?tenant=globex&text=canary", tab.context.cookies(), having="canary-of-acme"
    )
    assert "Tenant <b>acme</b>" in drawn
    assert "canary-of-acme" in drawn
    assert "canary-of-globex" not in drawn


@pytest.mark.parametrize("place", strided(["retention", "evidence"], "evidence"))
def test_a_page_that_one_may_not_see_says_so(tab, signed, place):
    """Who keeps it running deletes nothing and exports nothing: the page names the right that is missing."""
    text = sign_in(tab, f"{signed.address}/{place}?tenant=acme", "sven")
    assert {"retention": "You may not see this.", "evidence": "that takes the right records.export"}[place] in text
    assert ("no policy permits it to sre" in text) == (place == "retention")
    assert tab.get_by_role("button", name="Build the pack").count() == 0


def test_signing_out_ends_it_in_every_tab(tab, signed, provider):
    """The cookie that was copied before, and a second tab, show nothing from then on; the address leads to the door."""
    sign_in(tab, f"{signed.address}/search", "ines")
    copied = tab.context.cookies()
    second = tab.context.new_page()
    second.set_default_timeout(WAIT)
    second.goto(f"{signed.address}/audit")
    assert "Signed in as ines" in settled(second)
    tab.get_by_role("button", name="Sign out").click()
    tab.wait_for_url(f"{provider.issuer}/**")
    tab.get_by_role("button", name="End session").click()
    tab.wait_for_url(f"{signed.address}/**")
    assert "They are for people whom the owner of the lake gave a role" in settled(tab)
    second.get_by_test_id("stSidebar").get_by_role("combobox").press("Tab")
    second.reload()
    assert "They are for people whom the owner of the lake gave a role" in settled(second)
    tab.context.add_cookies(copied)
    tab.goto(f"{signed.address}/audit")
    text = settled(tab)
    assert "this session has ended: it was signed out" in text
    assert "canary" not in text
    drawn = first_paint(f"{signed.address}/audit?tenant=acme", copied, having="it was signed out")
    assert "this session has ended: it was signed out" in drawn
    assert "canary" not in drawn


def test_another_person_in_the_same_browser_sees_their_own(tab, signed):
    """Nothing of the one who signed out is left for the next."""
    sign_in(tab, signed.address, "ines")
    tab.get_by_role("button", name="Sign out").click()
    tab.get_by_role("button", name="End session").click()
    tab.wait_for_url(f"{signed.address}/**")
    settled(tab)
    text = sign_in(tab, signed.address, "tara")
    assert "Signed in as tara" in text
    assert "ines" not in text
    assert "acme" not in text


def test_a_cookie_of_one_s_own_making_opens_nothing(tab, signed):
    """A cookie that the pages did not sign is no sign-in."""
    claims = {
        "is_logged_in": True,
        "sub": "olga",
        "groups": ["officers"],
        "provider": "default",
        "origin": signed.address,
    }
    for name in ("_streamlit_user", "_streamlit_user_tokens"):
        tab.context.add_cookies([{"name": name, "value": json.dumps(claims), "url": signed.address}])
    assert '<div id="first-paint">' not in first_paint(f"{signed.address}/audit", tab.context.cookies())
    tab.goto(f"{signed.address}/audit")
    assert "They are for people whom the owner of the lake gave a role" in settled(tab)


def test_the_log_says_who_signed_in(signed, tab, capfd):
    """Sign-ins stand in the lake's own log, those without a role as denied; what people looked at under their own names."""
    sign_in(tab, f"{signed.address}/search", "ines")
    tab.goto(f"{signed.address}/integrity?tenant=acme")
    settled(tab)
    tab.context.clear_cookies()
    sign_in(tab, f"{signed.address}/search", "mute")
    assert query(signed, "_lake", "lake.signed_in", capfd) >= {("oidc:ines", "success"), ("oidc:mute", "denied")}
    assert ("oidc:ines", "success") in query(signed, "acme", "record.viewed", capfd)
    assert not {who for who, _ in query(signed, "globex", "record.viewed", capfd)} & {"oidc:ines", "oidc:mute"}


def query(signed, tenant, name, capfd):
    """Who recorded events of a name in a tenant's log, with which outcomes."""
    capfd.readouterr()
    wanted = f"select distinct recorded_by, outcome from audit_events where event_name = '{name}'"
    assert run(["sql", wanted, "--tenant", tenant, "--format", "json", "--lake", str(signed.lake)]) == 0
    return {(row["recorded_by"], row["outcome"]) for row in json.loads(capfd.readouterr().out)}


def test_secrets_stand_where_only_the_owner_reads(signed, tab):
    """Neither in settings, process lists, the process's variables, nor in what the pages write; the file is private."""
    sign_in(tab, f"{signed.address}/search", "ines")
    (token,) = (each["value"] for each in tab.context.cookies() if each["name"] == "_streamlit_user_tokens")
    file = signed.lake / "run" / f"pages-{signed.port}" / "secrets.toml"
    auth = tomllib.loads(file.read_text())["auth"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert auth["client_secret"] == signed.client.secret
    places = {
        "settings": (signed.lake / "muniment.yaml").read_bytes(),
        "command line": Path(f"/proc/{signed.process.pid}/cmdline").read_bytes(),
        "variables": Path(f"/proc/{signed.process.pid}/environ").read_bytes(),
        "log": signed.log.read_bytes(),
    }
    for place, content in places.items():
        for secret in (signed.client.secret, auth["cookie_secret"], token):
            assert secret.encode() not in content, place


@pytest.mark.slow
def test_a_session_ends_though_the_browser_stays_open(tab, provider, fill_lake, tmp_path):
    """After `session_hours` the next click shows that it has ended, and nothing else; signing in again goes on."""
    lake, port = fill_lake(tmp_path / "lake"), free_port()
    client = prepare(lake, provider, port, session_hours=10 / 3600)
    with serving(lake, port=port, PAGES_SECRET=client.secret) as (_, address):
        sign_in(tab, address, "ines")
        tab.wait_for_timeout(10_000)
        tab.goto(f"{address}/audit?tenant=acme")
        text = settled(tab)
        assert "has ended" in text
        assert "canary" not in text
        assert "acme" not in text
        tab.get_by_role("button", name="Sign in again").click()
        tab.get_by_role("button", name="ines").first.click()
        tab.wait_for_url(f"{address}/**")
        assert "Signed in as ines" in settled(tab)
