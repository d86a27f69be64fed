"""Who did what: audit events by time, name, person, outcome, and any text."""

from datetime import UTC, date, datetime, time, timedelta

import streamlit as st

from dashboards.frame import begin, choice, desk_of, explained, line, show_rows, story_link
from warehouse.clock import NANOS_PER_SECOND
from warehouse.questions.audit_events import MOST_EVENTS, EventFilter

_OUTCOMES = ["success", "failure", "denied"]
_ALL, _ACCESSES = "everything", "accesses: what was viewed or exported, and by whom"
_SHOWN = {_ALL: (), _ACCESSES: ("data.exported", "record.viewed")}


def show() -> None:
    """Draw the page."""
    desk, viewer, tenant = desk_of()
    begin("Audit explorer", "Who did what, to what, with which outcome, and under whose approval.", tenant)
    with explained():
        names = desk.event_names(viewer, tenant)
    wanted = _filter(list(names))
    with explained(), st.spinner("Searching…"):
        events = desk.events(viewer, tenant, wanted)
    st.caption(
        f"{events.num_rows:,} events, newest first"
        + (f", cut at {wanted.limit:,}: narrow the search" if events.num_rows >= wanted.limit else "")
    )
    show_rows(
        events,
        f"events-{tenant}",
        empty="No event fits. Clear a filter, or choose a longer time.",
        height=520,
        links={"story": [story_link(row, tenant) for row in events.select(["shard", "log_index"]).to_pylist()]},
    )
    st.caption("*story* opens everything that belongs to a record: its run, approvals, accesses, holds and seal.")


def _filter(names: list[str]) -> EventFilter:
    params = st.query_params
    with st.form("filter", border=True):
        first, last, most = st.columns([2, 2, 1])
        with first:
            since = st.date_input("From (UTC)", _date(params.get("from")), key="from")
        with last:
            until = st.date_input("To, this day included (UTC)", _date(params.get("to")), key="to")
        with most:
            limit = st.number_input("At most", 10, MOST_EVENTS, int(params.get("most", 500)), step=100)
        shown = choice("Show", list(_SHOWN), "show")
        chosen = st.multiselect("Only these events", names, [name for name in params.get_all("event") if name in names])
        outcomes = st.multiselect(
            "Outcome", _OUTCOMES, [name for name in params.get_all("outcome") if name in _OUTCOMES]
        )
        who = line(
            "Who: an actor, the person concerned, or for whom, as recorded", "who", placeholder="sub_… or an agent's id"
        )
        text = line("Any text: reason, action, resource, approval, attributes", "text")
        st.form_submit_button("Search", type="primary")
    _keep(since, until, chosen, outcomes, int(limit))
    return EventFilter(
        _nanos(since), _nanos(until, days=1), tuple(chosen) or _SHOWN[shown], tuple(outcomes), who, text, int(limit)
    )


def _keep(since: object, until: object, chosen: list[str], outcomes: list[str], limit: int) -> None:
    """Keep the filter in the page's address."""
    params = st.query_params
    for key, value in (("from", since), ("to", until)):
        if isinstance(value, date):
            params[key] = value.isoformat()
        elif key in params:
            del params[key]
    params["event"], params["outcome"], params["most"] = chosen, outcomes, str(limit)


def _date(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def _nanos(day: object, *, days: int = 0) -> int | None:
    if not isinstance(day, date):
        return None
    start = datetime.combine(day + timedelta(days=days), time(), UTC)
    return int(start.timestamp()) * NANOS_PER_SECOND
