"""Who did what: audit events by time, name, person, outcome, and any text."""

from collections.abc import Sequence
from datetime import date

import streamlit as st

from dashboards.frame import begin, choice, day_of, desk_of, explained, nanos, number_of, show_rows, story_links
from dashboards.search_desk import FilterText
from dashboards.words import counted
from warehouse.errors import QueryError
from warehouse.questions.audit_events import MOST_EVENTS, EventFilter

_LEAST, _USUAL = 10, 500
_OUTCOMES = ["success", "failure", "denied"]
_ALL, _ACCESSES = "everything", "accesses: who viewed or exported what"
_ACTS = "without accesses: what agents and people did"
_LOOKS = ("data.exported", "record.viewed")


def show() -> None:
    """Draw the page."""
    desk, viewer, tenant = desk_of()
    begin("Audit explorer", "Who did what, to what, with which outcome, and under whose approval.", tenant)
    names: Sequence[str] = ()
    with explained():
        try:
            names = desk.event_names(viewer, tenant)
        except QueryError:  # the filter stays, so that the question can be narrowed
            st.caption("Which events there are could not be read in time: all are searched.")
    wanted = _filter(list(names))
    with explained(), st.spinner("Searching…"):
        events = desk.events(viewer, tenant, wanted)
    st.caption(
        f"{counted(events.num_rows, 'event')}, newest first"
        + (f", cut at {wanted.limit:,}: narrow the search" if events.num_rows >= wanted.limit else "")
        + ". *story* opens everything that belongs to a record: its run, approvals, accesses, holds and seal."
    )
    show_rows(
        events,
        f"events-{tenant}",
        empty="No event fits. Clear a filter, or choose a longer time.",
        height=520,
        links={"story": story_links(events, tenant)},
    )


def _filter(names: list[str]) -> EventFilter:
    params = st.query_params
    for key in ("who", "text"):  # the address begins it and does not lead it: it may hold less than was typed
        st.session_state.setdefault(f"filter-{key}", params.get(key, ""))
    with st.form("filter", border=True):
        first, last, most = st.columns([2, 2, 1])
        with first:
            since = st.date_input("From (UTC)", day_of(params.get("from")), key="from")
        with last:
            until = st.date_input("To, this day included (UTC)", day_of(params.get("to")), key="to")
        with most:
            limit = st.number_input(
                "At most", _LEAST, MOST_EVENTS, number_of(params.get("most"), _USUAL, _LEAST, MOST_EVENTS), step=100
            )
        left, middle, right = st.columns([2, 2, 1])
        with left:
            shown = choice("Show", [_ALL, _ACTS, _ACCESSES], "show")
        with middle:
            chosen = st.multiselect(
                "Only these events",
                names,
                [name for name in params.get_all("event") if name in names],
                placeholder="all events",
            )
        with right:
            outcomes = st.multiselect(
                "Outcome",
                _OUTCOMES,
                [name for name in params.get_all("outcome") if name in _OUTCOMES],
                placeholder="any",
            )
        left, right = st.columns(2)
        with left:
            who = st.text_input(
                "Who: an actor, the person concerned, or for whom",
                key="filter-who",
                help="An agent's id, a token, or a name: for those who may reveal persons it is turned into the token, and kept nowhere.",
                placeholder="sub_… or an agent's id",
            )
        with right:
            text = st.text_input("Any text: reason, action, resource, approval, attributes", key="filter-text")
        st.form_submit_button("Search", type="primary")
    _keep(since, until, chosen, outcomes, int(limit))
    who, text = _keep_texts(who, text)
    return EventFilter(
        _nanos(since),
        _nanos(until, days=1),
        tuple(chosen) or _named(shown, names),
        tuple(outcomes),
        who,
        text,
        int(limit),
    )


def _named(shown: str, names: list[str]) -> tuple[str, ...]:
    """The events that a choice means; none for all of them."""
    acts = tuple(name for name in names if name not in _LOOKS)
    return {_ALL: (), _ACTS: acts or (("",) if names else ()), _ACCESSES: _LOOKS}[shown]


def _keep(since: object, until: object, chosen: list[str], outcomes: list[str], limit: int) -> None:
    """Keep the filter in the page's address."""
    params = st.query_params
    for key, value in (("from", since), ("to", until)):
        if isinstance(value, date):
            params[key] = value.isoformat()
        elif key in params:
            del params[key]
    for key, values in (("event", chosen), ("outcome", outcomes)):
        if values or key in params:
            params[key] = values
    if limit != _USUAL or "most" in params:
        params["most"] = str(limit)


def _keep_texts(who: str, text: str) -> tuple[str, str]:
    """Whom and what to look for; what names nobody is kept in the page's address, and it is said where something is not."""
    desk, viewer, tenant = desk_of()
    found = {"who": FilterText("", ""), "text": FilterText("", "")}
    with explained():
        if who.strip():
            found["who"] = desk.search.filter_person(viewer, tenant, who)
        if text.strip():
            found["text"] = desk.search.filter_words(viewer, tenant, text)
    for key, each in found.items():
        if each.address:
            st.query_params[key] = each.address
        else:
            st.query_params.pop(key, None)
    if any(each.sought and not each.address for each in found.values()):
        st.caption(
            "What you typed may name somebody, so the address of this page does not hold it: whoever gets the link has to type it again. "
            "A token or an agent's id stays in it."
        )
    return found["who"].sought, found["text"].sought


def _nanos(day: object, *, days: int = 0) -> int | None:
    if not isinstance(day, date):
        return None
    return nanos(day, days=days)
