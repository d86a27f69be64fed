"""What pages say when something goes wrong: what happened, what to do next, and never a traceback."""

from streamlit.testing.v1 import AppTest


def fail(name):
    """A page that fails: runs within Streamlit, by its text alone."""
    import streamlit as st

    from dashboards.frame import explained
    from warehouse.errors import DeniedError, InputError, NotFoundError, QueryError

    errors = {
        "query": QueryError("a table cannot be opened: IO Error\n\nLINE 1: select"),
        "hint": QueryError("query took longer than 60 s", hint="narrow it: `day >= …`"),
        "denied": DeniedError("sven may not read", hint="ask the owner"),
        "absent": NotFoundError("trace abc: no record of it", hint="look in `other` tenants"),
        "unfit": InputError("trace id: expected 32 hex digits"),
        "other": ZeroDivisionError("canary of a record"),
    }
    with explained():
        st.text("before")
        raise errors[name]
    st.text("after")


def drawn(name):
    """What a failing page says, beside what it drew before."""
    app = AppTest.from_function(fail, kwargs={"name": name}, default_timeout=180).run()
    assert not app.exception
    texts = [each.value for each in app.text]
    assert texts.pop(0) == "before"
    return [each.value for each in app.error], texts, [each.value for each in app.code]


def test_an_error_says_what_to_do_and_keeps_details_for_the_operator():
    """The first line stands on the page with what to do next, the rest below for whoever runs the system."""
    (error,), (text,), details = drawn("query")
    assert error.startswith("This cannot be shown now.")
    assert text.startswith("a table cannot be opened: IO Error\nWhat to do: ")
    assert details == ["LINE 1: select"]


def test_the_errors_own_advice_is_given():
    """Where an error says what to do, the page says that."""
    _, (text,), details = drawn("hint")
    assert text == "query took longer than 60 s\nWhat to do: narrow it: day >= …"
    assert details == []


def test_a_refusal_names_the_right():
    """Who may not see something is told so, and the page ends there."""
    (error,), (text,), _ = drawn("denied")
    assert (error, text) == ("You may not see this.", "sven may not read\nask the owner")


def test_what_nobody_foresaw_gets_a_number(caplog):
    """The page shows a number and nothing of the failure; the log of the pages has both."""
    (error,), (text,), _ = drawn("other")
    assert error.startswith("This page failed")
    assert "canary" not in text
    (record,) = [each for each in caplog.records if each.name == "dashboards.frame"]
    assert record.args[0] in text
    assert record.exc_info[0] is ZeroDivisionError


def test_what_is_not_there_is_no_failure():
    """An id that nobody has, or that is none, is said to be that: not that records could be damaged."""
    app = AppTest.from_function(fail, kwargs={"name": "absent"}, default_timeout=60).run()
    assert [each.value for each in app.warning] == ["There is no such thing here."]
    assert [each.value for each in app.error] == []
    assert app.text[-1].value == "trace abc: no record of it\nWhat to do: look in other tenants"
    app = AppTest.from_function(fail, kwargs={"name": "unfit"}, default_timeout=60).run()
    assert [each.value for each in app.warning] == ["What was asked for does not fit."]
    assert "What to do: check the spelling" in app.text[-1].value


def choose():
    """A page with one choice, which is told by its address."""
    import streamlit as st

    from dashboards.frame import choice
    from dashboards.pages import _restore

    _restore("here")
    st.text(choice("Which", ["usual", "other"], "which"))


def test_an_address_holds_what_is_not_usual():
    """What was left as it is adds no step to the way back; what was chosen, or was in a link, stands in the address."""
    app = AppTest.from_function(choose, default_timeout=60).run()
    assert (app.text[0].value, dict(app.query_params)) == ("usual", {})
    app.selectbox[0].set_value("other").run()
    assert app.query_params["which"] == "other"
    app.selectbox[0].set_value("usual").run()
    assert app.query_params["which"] == "usual"


def test_a_page_that_is_come_back_to_has_its_filters_again():
    """The browser's way back names the page alone: what it showed in this session is given back, but not by the page's own link."""
    app = AppTest.from_function(choose, default_timeout=60)
    app.session_state["filters of pages"] = {("acme", "here"): {"which": ["other"]}}
    app.session_state["tenant"], app.session_state["page"] = "acme", "there"
    assert app.run().text[0].value == "other"
    again = AppTest.from_function(choose, default_timeout=60)
    again.session_state["filters of pages"] = {("acme", "here"): {"which": ["other"]}}
    again.session_state["tenant"], again.session_state["page"] = "acme", "here"
    assert again.run().text[0].value == "usual"
