"""The page behind the search box, as people of each role see it, and that no name reaches its address."""

import json
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from muniment.cli.app import run
from muniment.desk import open_desk
from warehouse.questions import story_tickets

GROUPS = """\
version: 1
grants:
  - {group: auditor, role: auditor, tenants: [acme], until: '2999-12-31'}
  - {group: officer, role: compliance-officer}
  - {group: sre, role: sre}
"""
PERSON = "ada.lovelace@example.org"
SPAN = "0011223344556677"


class Door:
    """A provider whose tokens are the names of groups."""

    def claims(self, token, now):
        return {"sub": token, "iat": now, "exp": now + 60, "groups": [token]}


@pytest.fixture(scope="module")
def found(fill_lake, recorded, tmp_path_factory):
    """The desk of a lake with two tenants whose texts try to be markup; a span of acme's is about a person."""
    lake = fill_lake(tmp_path_factory.mktemp("search") / "lake")
    span = {
        "traceId": recorded.trace, "spanId": SPAN, "name": "chat", "startTimeUnixNano": "1795392000000000000",
        "endTimeUnixNano": "1795392000000000001",
        "attributes": [{"key": "user.id", "value": {"stringValue": PERSON}}],
    }  # fmt: skip
    file = lake.parent / "person.json"
    file.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}))
    assert run(["import", str(file), "--tenant", "acme", "--lake", str(lake)]) == 0
    (lake / "policies" / "access" / "groups.yaml").write_text(GROUPS)
    assert run(["policy", "apply", "access", "--yes", "--lake", str(lake)]) == 0
    made = open_desk(lake)
    made._sessions.provider = Door()
    token = made._context.vault.find("acme", PERSON)
    return SimpleNamespace(desk=made, trace=recorded.trace, token=token, markup=recorded.markup)


def draw():
    """Draw the page: runs within Streamlit, by its text alone."""
    import dashboards.search

    dashboards.search.show()


def open_page(found, role, **address):
    app = AppTest.from_function(draw, default_timeout=180)
    app.session_state["desk"], app.session_state["tenant"] = found.desk, "acme"
    app.session_state["viewer"] = found.desk.viewer(role)
    for key, value in address.items():
        app.query_params[key] = value
    return app.run()


def search(app, text):
    app.text_input[0].input(text)
    return app.button[0].click().run()


def address(app):
    """What the page's address says is looked for."""
    value = app.query_params["find"]
    return value if isinstance(value, str) else value[0]


def said(app):
    kinds = (app.title, app.header, app.markdown, app.caption, app.text, app.error, app.info, app.success)
    frames = [frame.value.to_csv() for frame in app.dataframe]
    return "\n".join([*(str(each.value) for kind in kinds for each in kind), *frames])


def test_an_address_restores_a_search(found):
    """The trace is told with its seals, its texts as text in a table, and links to where more of it stands."""
    app = open_page(found, "officer", find=found.trace)
    assert not app.exception
    assert address(app) == found.trace
    (table,) = app.dataframe
    rows = table.value.to_dict("records")
    assert {"step", "event"} <= {row["from"] for row in rows}
    assert any(found.markup in row["what"] for row in rows)
    assert not any(found.markup in each.value for each in app.markdown)
    assert {row["seal"] for row in rows if row["from"] == "step"} == {"holds"}
    links = {row["from"]: row["open"] for row in rows}
    assert links["step"] == f"/trace?tenant=acme&trace={found.trace}#trace"
    assert links["event"].startswith("/audit?tenant=acme&from=")
    assert "globex" not in said(app)


def test_a_name_reaches_neither_address_nor_page(found):
    """An officer's search for an address leads to the token: that is in the link, and the name is nowhere, nor kept for later."""
    app = search(open_page(found, "officer"), PERSON)
    assert not app.exception
    assert address(app) == found.token
    assert "Found as person" in said(app)
    assert PERSON not in said(app)
    assert PERSON not in repr(app.query_params)
    assert PERSON not in repr(app.session_state)
    again = app.run()
    assert "Found as person" in said(again)


def test_a_name_in_an_address_is_taken_out_of_it(found):
    """Whoever writes a name into the address sees it replaced, or where they may not look it up, removed."""
    assert address(open_page(found, "officer", find=PERSON)) == found.token
    refused = open_page(found, "auditor", find=PERSON)
    assert "find" not in refused.query_params
    assert [error.value for error in refused.error] == ["You may not see this."]
    assert "subject.reveal" in said(refused)
    assert PERSON not in said(refused)


def test_whose_a_token_is_shown_to_those_who_may_reveal(found):
    """With a reason an officer sees the name once; an auditor is not offered it."""
    app = open_page(found, "officer", find=found.token)
    reason = next(box for box in app.text_input if box.label.startswith("Why do you need"))
    reason.input("a request of the person")
    shown = next(button for button in app.button if button.label == "Show the name").click().run()
    assert PERSON in [each.value for each in shown.text]
    assert PERSON not in said(shown.run())
    auditor = open_page(found, "auditor", find=found.token)
    assert "Found as person" in said(auditor)
    assert not [button for button in auditor.button if button.label == "Show the name"]


def test_an_sre_is_told_what_is_not_shown(found):
    """No texts, no contents; the page says which rights are missing."""
    app = open_page(found, "sre", find=found.trace)
    assert not app.exception
    assert "your role sees no texts" in said(app)
    assert not any(row["said"] for row in app.dataframe[0].value.to_dict("records"))


@pytest.mark.parametrize("text", ["INC-999", "Nobody Known", "<b>x</b>", "\u202e1\u202c", "a" * 400])
def test_nothing_found_says_what_was_looked_for_and_where(found, text):
    """The empty answer names kinds and tenant and keeps nothing; what is no question is refused in words."""
    app = search(open_page(found, "officer"), text)
    assert not app.exception
    assert "find" not in app.query_params
    assert text not in said(app)
    assert "Nothing found in tenant acme. Looked for it as" in said(app) or "search: expected" in said(app)


def draw_audit():
    """Draw the audit explorer."""
    import dashboards.audit

    dashboards.audit.show()


@pytest.mark.parametrize(
    ("role", "who", "text", "kept"),
    [
        ("officer", PERSON, "", {"who": "the token"}),
        ("auditor", PERSON, "", {}),
        ("officer", "grace hopper", f"asked {PERSON}", {}),
        ("auditor", "agent-7", "refund INC-4711", {"who": "agent-7", "text": "refund INC-4711"}),
    ],
)
def test_a_filter_that_may_name_somebody_stands_in_no_address(found, role, who, text, kept):
    """A person becomes their token for those who may reveal; what is left out of the address is said to be."""
    app = AppTest.from_function(draw_audit, default_timeout=180)
    app.session_state["desk"], app.session_state["tenant"] = found.desk, "acme"
    app.session_state["viewer"] = found.desk.viewer(role)
    app.run()
    app.text_input(key="filter-who").input(who)
    app.text_input(key="filter-text").input(text)
    app.button[0].click().run()
    assert not app.exception
    expected = {key: found.token if value == "the token" else value for key, value in kept.items()}
    there = {key: app.query_params[key] for key in ("who", "text") if key in app.query_params}
    assert {key: value if isinstance(value, str) else value[0] for key, value in there.items()} == expected
    assert app.run().text_input(key="filter-text").value == text
    assert ("the address of this page does not hold it" in said(app)) == (len(kept) < bool(who) + bool(text))
    assert PERSON not in str(dict(app.query_params))


def test_older_texts_are_looked_through_when_asked(found, monkeypatch):
    """Where the search stopped before the oldest run, a button has all of it read, and the address says so."""
    monkeypatch.setattr(story_tickets, "STEP_DAYS", -1)
    monkeypatch.setattr(story_tickets, "PATIENCE_SECONDS", -1.0)
    app = open_page(found, "officer", find="OPS-88")
    assert not app.exception
    (button,) = [each for each in app.button if each.label == "Look through all time"]
    button.click().run()
    assert not app.exception
    assert "1" in app.query_params["all"]
    assert not [each for each in app.button if each.label == "Look through all time"]
