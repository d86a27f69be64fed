"""What went wrong, who has it, and which clocks run? The queue, one incident with its records, and what to do about it."""

from collections.abc import Sequence
from urllib.parse import urlencode

import pyarrow as pa
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboards.frame import (
    begin,
    choice,
    desk_of,
    explained,
    go_to,
    moment,
    run_links,
    show_rows,
    story_links,
)
from dashboards.words import counted
from warehouse.control.incidents import IncidentDetails, IncidentRecord, IncidentState

_ORDER = {"critical": 0, "high": 1, "medium": 2, "low": 3}
_COLORS = {"critical": "red", "high": "red", "medium": "orange", "low": "blue"}
_OPEN, _ALL, _ANY = "open", "all", "any"
_NOBODY, _SOMEBODY = "nobody yet", "somebody"
_SHOWN = 20
_STATES = {
    IncidentState.OPENED: "open",
    IncidentState.REOPENED: "open again",
    IncidentState.ACKNOWLEDGED: "somebody has it",
    IncidentState.MITIGATED: "does no more harm",
    IncidentState.CLOSED: "closed",
}
_NAMED = {"run": 4}
"""Of these fewer are named: a list below has all."""
_PLURALS = {"agent": "Agents", "data_class": "Classes of data", "run": "Runs"}


def show() -> None:
    """Draw the page."""
    desk, viewer, tenant = desk_of()
    begin("Incidents", "What the rules found, how serious it is, who has it, and which legal clocks run.", tenant)
    wanted = st.query_params.get("incident")
    if wanted:
        if st.button("Back to the queue"):
            del st.query_params["incident"]
            st.rerun()
        with explained():
            _one(desk.incident(viewer, tenant, wanted))
        return
    columns = st.columns(4)
    with columns[0]:
        shown = choice("Show", [_OPEN, _ALL], "show")
    with explained(), st.spinner("Reading incidents…"):
        found = desk.incidents(viewer, tenant, closed=shown == _ALL)
    rows = sorted(_chosen(found, columns[1:]), key=lambda each: (_ORDER.get(each.severity, 9), -each.opened_unix_nano))
    if len(rows) < len(found):
        st.caption(f"{len(rows):,} of {counted(len(found), 'incident')} fit what was chosen above.")
    waiting = sum(each.state.unattended for each in rows)
    if waiting:
        st.warning(
            f"**{counted(waiting, 'incident')} {'waits' if waiting == 1 else 'wait'} for somebody.** Open each, worst first, and acknowledge it.",
            icon=":material/person_alert:",
        )
    named = {each.id: f"{each.severity}: {each.title}, since {moment(each.opened_unix_nano)[:10]}" for each in rows}
    if named:
        chosen = st.selectbox(
            "Open one", list(named), index=None, placeholder="incident", format_func=named.__getitem__
        )
        if chosen:
            st.query_params["incident"] = chosen
            st.rerun()
    for each in rows[:_SHOWN]:
        with st.container(border=True):
            st.markdown(f":{_COLORS.get(each.severity, 'gray')}[**{each.severity}**] · {_STATES[each.state]}")
            with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                st.text(f"{each.title}\nSince {moment(each.opened_unix_nano)} UTC, {_whose(each.owner)}")
                opened = st.button("Open", key=f"open-{each.id}", icon=":material/arrow_forward:")
            if opened:
                st.query_params["incident"] = each.id
                st.rerun()
    if len(rows) > _SHOWN:
        st.caption(f"The {_SHOWN} worst of {len(rows):,} are above; the table has all.")
    show_rows(
        [
            {
                "severity": each.severity,
                "what": each.title,
                "state": _STATES[each.state],
                "opened (UTC)": moment(each.opened_unix_nano),
                "last seen (UTC)": moment(each.last_unix_nano),
                "owner": each.owner,
                "records": each.row_count,
                "incident": each.id,
            }
            for each in rows
        ],
        f"incidents-{tenant}",
        empty=_none(shown, filtered=bool(found)),
        height=420,
        links={"open": [f"/incidents?{urlencode({'tenant': tenant, 'incident': each.id})}#open" for each in rows]},
    )


def _chosen(found: Sequence[IncidentRecord], places: Sequence[DeltaGenerator]) -> list[IncidentRecord]:
    """Those of a severity, with somebody or nobody, and by a rule: each chosen in a place of its own, and kept in the address."""
    with places[0]:
        severity = choice("How serious", [_ANY, *_ORDER], "severity")
    with places[1]:
        whose = choice("Who has it", [_ANY, _NOBODY, _SOMEBODY], "whose")
    with places[2]:
        rule = choice("Found by rule", [_ANY, *sorted({each.rule for each in found})], "rule")
    return [
        each
        for each in found
        if severity in {_ANY, each.severity}
        and whose in {_ANY, _NOBODY if each.state.unattended else _SOMEBODY}
        and rule in {_ANY, each.rule}
    ]


def _none(shown: str, *, filtered: bool) -> str:
    """What it means that the queue is empty."""
    if filtered:
        return "No incident fits: choose less above."
    what = "is open" if shown == _OPEN else "was ever found here"
    return f"No incident {what}. Overview says when rules looked last."


def _whose(owner: str | None) -> str:
    return f"with {owner}" if owner else "with nobody yet"


def _one(details: IncidentDetails) -> None:
    record = details.record
    st.header(record.title)
    st.text(
        f"{record.severity} · {_STATES[record.state]} · rule {record.rule} · opened {moment(record.opened_unix_nano)} UTC"
    )
    st.text(record.detail)
    for clock in details.clocks:
        state = f"stopped {moment(clock.stopped_unix_nano)}" if clock.stopped_unix_nano else "runs"
        st.warning(
            f"Legal clock {clock.clock}: due {moment(clock.due_unix_nano)} UTC, {state}", icon=":material/timer:"
        )
    for kind, names in sorted(details.affected.items()):
        most = _NAMED.get(kind, _SHOWN)
        more = f" and {len(names) - most} more" if len(names) > most else ""
        st.text(f"{_PLURALS.get(kind, kind.capitalize())}: {', '.join(names[:most])}{more}")
    st.caption(f"Runbook: docs/runbooks/{record.runbook}")
    desk, viewer, tenant = desk_of()
    if desk.may_handle(viewer, tenant):
        _handle(record.id, record.state.value)
    st.header("Timeline")
    show_rows(
        [
            {"time (UTC)": moment(each.unix_nano), "what": each.change, "by": each.by, "note": each.note}
            for each in details.changes
        ],
        f"timeline-{record.id}",
        empty="Nothing yet.",
    )
    st.header("Records that made it")
    _runs(details)
    places = pa.table(
        {
            "trace_id": pa.array([each.trace_id for each in details.rows], pa.string()),
            "shard": [each.shard for each in details.rows],
            "log_index": [each.log_index for each in details.rows],
        }
    )
    show_rows(
        [
            {
                "time (UTC)": moment(each.time_unix_nano),
                "from": each.source_table,
                "agent": each.agent_id,
                "run": each.trace_id,
                "shard": each.shard,
                "record number": each.log_index,
            }
            for each in details.rows
        ],
        f"rows-{record.id}",
        empty="It is about something that did not happen: no record made it.",
        height=420,
        links={"open": run_links(places, tenant), "story": story_links(places, tenant)},
    )


def _runs(details: IncidentDetails) -> None:
    """Lead to one of the incident's runs."""
    first = {each.trace_id: each.time_unix_nano for each in reversed(details.rows) if each.trace_id}
    runs = sorted(first, key=first.__getitem__)
    if not runs:
        return
    named = {trace_id: f"{trace_id}, {moment(first[trace_id])} UTC" for trace_id in runs}
    chosen = st.selectbox(
        f"Open one of its {len(runs)} runs", runs, index=None, placeholder="run", format_func=named.__getitem__
    )
    if chosen:
        go_to("trace", trace=chosen)


def _handle(incident: str, state: str) -> None:
    desk, viewer, _ = desk_of()
    steps = {
        "acknowledge": state in {"opened", "reopened"},
        "mitigate": state in {"opened", "reopened", "acknowledged"},
        "close": state != "closed",
        "reopen": state == "closed",
    }
    with st.form(f"handle-{incident}"):
        note = st.text_area("Note: what was done and why", max_chars=2_000)
        with st.container(horizontal=True, gap="small"):
            pressed = [
                step
                for step, possible in steps.items()
                if st.form_submit_button(step.capitalize(), disabled=not possible)
            ]
    if pressed:
        with explained(goes_on=True):
            desk.handle_incident(viewer, incident, pressed[0], " ".join(note.split()))  # a line, as in its events
            st.rerun()
