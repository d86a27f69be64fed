"""Every page as every role sees it: drawn without a failure, with what the role may see and nothing that it may not."""

import importlib
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from dashboards.export import csv_of
from muniment.cli.app import run
from muniment.desk import open_desk

GROUPS = """\
version: 1
grants:
  - {group: auditor, role: auditor, tenants: [acme], until: '2999-12-31'}
  - {group: officer, role: compliance-officer}
  - {group: sre, role: sre}
  - {group: admin, role: tenant-admin, tenants: [acme]}
  - {group: operator, role: operator, tenants: [acme]}
"""
ROLES = ("auditor", "officer", "sre", "admin", "operator")
PAGES = {
    "overview": "Overview",
    "search": "Search",
    "evidence": "Evidence",
    "audit": "Audit explorer",
    "trace": "Trace",
    "agents": "Agents",
    "slos": "SLOs",
    "incidents": "Incidents",
    "deletion": "Retention",
    "request_forms": "Requests",
    "integrity": "Integrity",
}
REFUSED = {("sre", "deletion")}
"""What a role may not see at all; each other page draws at least what the role may see of it."""


class Door:
    """A provider whose tokens are the names of groups."""

    def claims(self, token, now):
        return {"sub": token, "iat": now, "exp": now + 60, "groups": [token]}


@pytest.fixture(scope="module")
def desk(fill_lake, tmp_path_factory):
    """The desk of a lake with two tenants, at which one person of each role looks."""
    lake = fill_lake(tmp_path_factory.mktemp("roles") / "lake")
    (lake / "policies" / "access" / "groups.yaml").write_text(GROUPS)
    assert run(["policy", "apply", "access", "--yes", "--lake", str(lake)]) == 0
    made = open_desk(lake)
    made._sessions.provider = Door()
    return made


def draw(name):
    """Draw one page: runs within Streamlit, by its text alone."""
    import importlib

    importlib.import_module(f"dashboards.{name}").show()


def texts(app):
    """Everything that the page says."""
    kinds = (app.title, app.markdown, app.caption, app.text, app.error, app.info, app.warning, app.code)
    frames = [frame.value.to_csv() for frame in app.dataframe]
    return "\n".join([*(str(each.value) for kind in kinds for each in kind), *frames])


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_draws_what_a_role_may_see(desk, name, role):
    """No page fails; one that the role may not see names the right that is missing; another tenant stands on none."""
    assert importlib.import_module(f"dashboards.{name}").show
    app = AppTest.from_function(draw, kwargs={"name": name}, default_timeout=180)
    app.session_state["desk"], app.session_state["tenant"] = desk, "acme"
    app.session_state["viewer"] = desk.viewer(role)
    app.run()
    assert not app.exception
    said = texts(app)
    assert app.title[0].value == PAGES[name]
    assert "globex" not in said
    refused = [error.value for error in app.error if error.value == "You may not see this."]
    assert bool(refused) == ((role, name) in REFUSED), said
    if refused:
        assert f"oidc:{role} may not " in said


@pytest.mark.parametrize(
    ("role", "forms"),
    [("auditor", []), ("sre", []), ("admin", []), ("officer", ["Access request", "Erasure", "Place a hold", "Release a hold"])],
)  # fmt: skip
def test_forms_are_drawn_for_those_who_may_use_them(desk, role, forms):
    """An officer gets four forms; whoever may carry out nothing is told who can."""
    app = AppTest.from_function(draw, kwargs={"name": "request_forms"}, default_timeout=180)
    app.session_state["desk"], app.session_state["tenant"] = desk, "acme"
    app.session_state["viewer"] = desk.viewer(role)
    app.run()
    assert [tab.label for tab in app.tabs] == forms
    assert any("You may carry out no requests" in info.value for info in app.info) == (not forms)


@pytest.mark.parametrize(("role", "may"), [("sre", False), ("auditor", True)])
@pytest.mark.parametrize(
    ("name", "offered"), [("evidence", "Build the pack"), ("integrity", "Make the proof"), ("audit", None)]
)
def test_nothing_is_offered_that_policy_denies(desk, name, offered, role, may):
    """What takes the right to export is drawn for those who have it: a button of a form, and what gives a table as a file."""
    app = AppTest.from_function(draw, kwargs={"name": name}, default_timeout=180)
    app.session_state["desk"], app.session_state["tenant"] = desk, "acme"
    app.session_state["viewer"] = desk.viewer(role)
    app.run()
    assert not app.exception
    if offered is None:
        assert bool(app.get("download_button")) == may
    else:
        assert (offered in [button.label for button in app.button]) == may
        assert any("records.export" in info.value for info in app.info) != may


def draw_rows(text):
    """Draw a table with one text in it, and another."""
    from dashboards.frame import show_rows

    show_rows([{"said": text}, {"said": "short"}, {"said": None}], "said", empty="")


def test_a_text_of_ten_megabytes_is_drawn_as_text_and_exported_whole(desk):
    """Markup and a change of direction stay what they are; of a text that no browser can draw the beginning stands there, with its length."""
    text = "<script>alert(1)</script> **b** \u202e\u05e9\u05dc\u05d5\u05dd " + "\U0001f512" * 2_500_000
    assert len(text.encode()) > 10_000_000
    app = AppTest.from_function(draw_rows, kwargs={"text": text}, default_timeout=60)
    app.session_state["desk"], app.session_state["tenant"] = desk, "acme"
    app.session_state["viewer"] = desk.viewer("auditor")
    app.run()
    assert not app.exception
    long, short, none = app.dataframe[0].value["said"]
    assert long == f"{text[:2_000]}… ({len(text):,} characters; the export has all)".replace(",", "")
    assert (short, none) == ("short", "")
    assert text in csv_of(pa.table({"said": [text]})).decode()


def test_a_pack_of_the_schedule_is_offered_by_its_month(desk):
    """The newest is chosen unless the address names another; of another tenant's none is offered."""
    for name in ("acme/soc2-2026-01.zip", "acme/soc2-2026-02.zip", "globex/soc2-2026-03.zip"):
        file = desk.lake.path / "packs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    app = AppTest.from_function(draw, kwargs={"name": "evidence"}, default_timeout=60)
    app.session_state["desk"], app.session_state["tenant"] = desk, "acme"
    app.session_state["viewer"] = desk.viewer("auditor")
    titles = desk.evidence.frameworks(app.session_state["viewer"], "acme").items()
    app.query_params["framework"] = next(title for name, title in titles if name == "soc2")
    app.run()
    assert not app.exception
    assert app.selectbox(key="choice-month").options == ["2026-02", "2026-01"]
    assert [each.label for each in app.get("download_button")] == ["Download the pack of 2026-02"]


@pytest.mark.parametrize(
    "given",
    [
        {"most": "many", "from": "9999-12-31", "to": "9999-12-31"},
        {"most": "9" * 5000, "from": "0001-01-01", "to": "0001-01-01"},
        {"most": "-1", "from": "1969-12-31", "to": "2026-02-30", "event": "<b>", "outcome": "'; drop", "show": "$x$", "who": "%"},
        {"most": "\u0663", "text": "\u202e\x00[a](http://b.example)"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["audit", "search"])
def test_an_address_may_say_anything(desk, name, given):
    """What an address names and a page does not have is left out: the page is drawn, and asks for what there can be."""
    app = AppTest.from_function(draw, kwargs={"name": name}, default_timeout=180)
    app.session_state["desk"], app.session_state["tenant"] = desk, "acme"
    app.session_state["viewer"] = desk.viewer("officer")
    for key, value in given.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    assert not app.error


@pytest.mark.parametrize(("role", "may"), [("auditor", False), ("admin", True), ("officer", True)])
def test_exceptions_are_decided_by_those_who_may(desk, role, may):
    """Whoever may sees forms beside the findings, and a decision shows at once; an auditor reads the same figures without forms."""
    app = AppTest.from_function(draw, kwargs={"name": "evidence"}, default_timeout=180)
    app.session_state["desk"], app.session_state["tenant"] = desk, "acme"
    app.session_state["viewer"] = desk.viewer(role)
    app.run()
    today = datetime.now(UTC).date()
    app.date_input(key="day-from").set_value(today - timedelta(days=2))
    app.date_input(key="day-to").set_value(today)
    app.selectbox(key="choice-framework").select(
        next(each for each in app.selectbox[0].options if each.startswith("EU AI"))
    )
    app.run()
    next(button for button in app.button if button.label == "Show the findings").click().run()
    assert not app.exception
    assert "exceptions of 14(4)" in "\n".join(each.label for each in app.expander)
    pickers = [each for each in app.multiselect if each.label == "Exceptions"]
    assert bool(pickers) == may
    if not may:
        return
    pickers[0].select(pickers[0].options[0])
    next(each for each in app.text_input if each.label.startswith("Why")).input(f"looked at by {role}")
    next(button for button in app.button if button.label == "Decide").click().run()
    assert not app.exception
    assert "On record: 1 accepted." in [each.value for each in app.success]
    assert f"looked at by {role}" in texts(app)
