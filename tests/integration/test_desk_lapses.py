"""What open pages show when a role ends, and when the access policies in force cannot be used: the reason, and nothing of before."""

from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from muniment.cli.app import run
from muniment.desk import open_desk
from tests.template import init_lake
from warehouse.clock import NANOS_PER_SECOND
from warehouse.policies import Bundle, apply, in_force

GROUPS = """\
version: 1
grants:
  - {group: auditors, role: auditor, tenants: [acme], until: '2031-03-31'}
  - {group: officers, role: compliance-officer}
  - {group: idle, role: tenant-admin, tenants: [not-there]}
"""
LAST_SECOND = 1_932_767_999
"""2031-03-31T23:59:59Z, in seconds since 1970."""
DOOR = "You may not come in"


class Door:
    """A provider whose tokens are the names of groups."""

    def claims(self, token, now):
        return {"sub": f"{token}-1", "iat": now, "exp": now + 60, "groups": [token]}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """The desk of a lake with two tenants, whose people come by a provider."""
    folder = tmp_path_factory.mktemp("lapses") / "lake"
    init_lake(folder, "acme", "globex")
    (folder / "policies" / "access" / "groups.yaml").write_text(GROUPS)
    assert run(["policy", "apply", "access", "--yes", "--lake", str(folder)]) == 0
    made = open_desk(folder)
    made._sessions.provider = Door()
    return made


def draw(desk):
    """The pages, at this desk."""
    from dashboards import pages

    pages.desk_at = lambda _lake: desk
    pages.main("lake")


@pytest.fixture
def browser(desk, monkeypatch):
    """Opens the pages as somebody of a group, and gives what then stands on them."""
    monkeypatch.setattr("dashboards.pages.desk_at", None)  # put back what `draw` sets

    def open_pages(group):
        monkeypatch.setattr(st, "user", SimpleNamespace(is_logged_in=True, tokens={"id": group}))
        return AppTest.from_function(draw, kwargs={"desk": desk}, default_timeout=60).run()

    return open_pages


def said(app):
    """Everything that the pages say, and what is chosen in their boxes."""
    assert not app.exception
    kinds = (app.title, app.markdown, app.caption, app.text, app.error, app.info, app.warning, app.selectbox)
    return "\n".join(str(each.value) for kind in kinds for each in kind)


def clock_at(desk, seconds, monkeypatch):
    """Have the desk live at a time, which may be changed."""
    now = SimpleNamespace(seconds=seconds)
    for what, name in ((desk._context, "clock"), (desk._context.access, "_clock")):
        monkeypatch.setattr(what, name, lambda: now.seconds * NANOS_PER_SECOND)
    return now


def test_a_role_that_ends_while_the_page_is_open_ends_it(desk, browser, monkeypatch):
    """To its last second an auditor sees their tenant; the next click says which role ended when, and leaves nothing of before."""
    now = clock_at(desk, LAST_SECOND, monkeypatch)
    app = browser("auditors")
    assert "Tenant **acme**" in said(app)
    assert "Signed in as auditors-1 (auditor)" in said(app)
    app.session_state["kept"] = "findings"
    now.seconds += 1
    text = said(app.run())
    assert app.title[0].value == DOOR
    assert "the role has ended. It was auditor until the end of 2031-03-31 (UTC)" in text
    assert "give a later day as `until`" in text
    assert "kept" not in app.session_state
    for before in ("acme", "Overview", "Signed in as", "Tenant"):
        assert before not in text
    assert [each.label for each in app.button] == ["Sign in again", "Sign out"]


def test_who_signs_in_after_their_role_ended_is_on_record_as_denied(desk, browser, monkeypatch):
    """Having had a role once is no success."""
    clock_at(desk, LAST_SECOND + 5, monkeypatch)
    recorded = []
    record = desk._context.recorder.record
    monkeypatch.setattr(desk._context.recorder, "record", lambda events: recorded.extend(events) or record(events))
    monkeypatch.setattr(desk._sessions, "_by_token", {})
    monkeypatch.setattr(desk._sessions, "_by_ticket", {})
    assert browser("auditors").title[0].value == DOOR
    (event,) = recorded
    assert (event.name, event.fields["outcome"], event.fields["reason"]) == (
        "lake.signed_in",
        "denied",
        "the role ended",
    )


def test_who_may_read_no_tenant_of_the_lake_is_told_so(browser):
    """A role in a tenant that there is not opens nothing, and the page says what to mend and lets them sign out."""
    app = browser("idle")
    assert app.title[0].value == DOOR
    assert "signed in as tenant-admin: expected a tenant whose records that role may read, got none" in said(app)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("groups.yaml", GROUPS.replace("role: compliance-officer", "role: emperor of globex")),
        ("groups.yaml", "version: ["),
        ("globex.cedar", '@id("of-globex") permit (principal, action == Action::"globex.eat", resource);'),
        ("globex.cedar", "permit ("),
    ],
)
def test_policies_that_cannot_be_used_close_the_pages_until_they_are_mended(desk, browser, file, text):
    """Open sessions and new ones see why in words, and nothing of a file that may speak of others; without a restart it goes on."""
    control = desk._context.control
    app = browser("auditors")
    assert "Tenant **acme**" in said(app)
    whole = in_force(control, "access").bundle
    broken = Bundle("access", {**whole.files, file: text})
    apply(control, broken, "user:somebody", replacing=whole.content_hash)
    try:
        for each in (app.run(), browser("officers"), browser("unknown")):
            told = said(each)
            assert "the rules that say who may see what cannot be used now, so nobody is shown anything" in told
            assert "muniment policy apply access" in told
            for hidden in ("acme", "globex", "emperor", "Signed in as"):
                assert hidden not in told
    finally:
        apply(control, whole, "user:somebody", replacing=broken.content_hash)
    browser("auditors")  # whoever asks next in this process
    assert "Tenant **acme**" in said(app.run())


def test_a_folder_that_cannot_be_used_changes_nothing_that_is_shown(desk, browser):
    """What lies in the folder is in force for nobody before it is applied, and what cannot be used never is."""
    file = desk.lake.policies / "access" / "groups.yaml"
    file.write_text("version: [")
    try:
        assert run(["policy", "apply", "access", "--yes", "--lake", str(desk.lake.path)]) == 2
        assert "Tenant **acme**" in said(browser("auditors"))
    finally:
        file.write_text(GROUPS)
