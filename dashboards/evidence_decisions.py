"""Findings on the page *Evidence*: each with its exceptions, forms to decide on them, and to mark a control as reviewed.

Texts of records and of people are shown as text. A decision is kept by the lake alone: after one the findings are asked again.
"""

from collections.abc import Sequence

import streamlit as st

from dashboards.evidence_desk import DecisionForm, Finding, Period, Right
from dashboards.frame import desk_of, explained, moment

KEPT = "evidence-findings"
"""Where the session keeps the findings shown, with tenant, framework and period."""
_STATES = {"satisfied": ":green", "not satisfied": ":red"}
_ORDER = {"not satisfied": 0, "insufficient evidence": 1, "satisfied": 2}
"""What is to be looked at first."""
_ANSWERS = {
    "accepted: the risk is taken": "accepted",
    "remediated: it is mended, or will be": "remediated",
    "false positive: it is no exception": "false positive",
    "open: take a decision back": "open",
}
_DATED = {"accepted", "remediated"}


def draw_findings(framework: str, period: Period, findings: Sequence[Finding]) -> None:
    """Draw every control; with forms for those who may decide."""
    desk, viewer, tenant = desk_of()
    with explained():
        rights = desk.evidence.rights(viewer, tenant)
    said = st.session_state.pop(f"{KEPT}-said", None)
    if said is not None:
        st.success(said, icon=":material/check:")
    for each in sorted(findings, key=lambda each: _ORDER.get(each.finding, len(_ORDER))):
        with st.container(border=True):
            _draw(each)
            if each.exceptions:
                with st.expander(f"{each.exceptions:,} exceptions of {each.control}"):
                    _exceptions(framework, period, each, may_decide=Right.DISPOSE in rights)
            if each.dispositions is not None and Right.REVIEW in rights:
                with st.expander(f"Mark {each.control} as reviewed"):
                    _review(framework, period, each)


def _draw(each: Finding) -> None:
    st.markdown(f"{_STATES.get(each.finding, ':orange')}[**{each.finding}**]")
    st.text(f"{each.control} {each.title}\n{each.why}")
    if each.dispositions is None:
        return
    decided = ", ".join(f"{count:,} {name}" for name, count in each.dispositions.items() if count)
    overdue = f" {each.overdue:,} are open again: their day has passed." if each.overdue else ""
    if each.new or each.continuing or each.gone:
        st.caption(
            f"{each.new:,} new, {each.continuing:,} go on, {each.gone:,} gone since the period before."
            + (f" Exceptions: {decided}." if decided else "")
            + overdue
        )
    st.text(f"The period before: {each.before}\nReviewed: {each.reviewed or 'not for this period'}")


def _exceptions(framework: str, period: Period, each: Finding, *, may_decide: bool) -> None:
    rows = [
        {
            "when (UTC)": moment(one.time_unix_nano),
            "why": one.why,
            "since": "new" if one.is_new else "goes on",
            "what became of it": one.decided or one.disposition,
            "record": one.record,
            "what": one.what,
        }
        for one in each.listed
    ]
    st.dataframe(rows, width="stretch", hide_index=True)
    if len(each.listed) < each.exceptions:
        st.caption(f"The first {len(each.listed):,} of them; the pack lists all.")
    if may_decide:
        _decide(framework, period, each)
    for one in each.listed:
        if len(one.history) > 1:
            st.text(f"{one.record} before: " + "; ".join(one.history[:-1]))


def _decide(framework: str, period: Period, each: Finding) -> None:
    desk, viewer, tenant = desk_of()
    named = {
        f"{one.record}, {moment(one.time_unix_nano)}: {one.why} ({one.disposition})": one.id for one in each.listed
    }
    with st.form(f"dispose-{framework}-{each.control}", clear_on_submit=True):
        chosen = st.multiselect("Exceptions", list(named))
        answer = st.selectbox("What becomes of them", list(_ANSWERS))
        reason = st.text_input("Why, for the record: name no person in it", max_chars=2000)
        left, right = st.columns(2)
        ticket = left.text_input("Ticket", max_chars=200)
        due = right.date_input("Until (UTC)", None, help="Accepted until, or mended by, this day.")
        pressed = st.form_submit_button("Decide", type="primary")
    if not pressed:
        return
    disposition = _ANSWERS[answer]
    form = DecisionForm(
        tuple(named[one] for one in chosen),
        disposition,
        reason.strip(),
        ticket.strip(),
        due if disposition in _DATED else None,
    )
    with explained(goes_on=True), st.spinner("Recording it…"):
        count = desk.evidence.dispose(viewer, tenant, period, form)
        _again(framework, period, f"On record: {count:,} {disposition}.")


def _review(framework: str, period: Period, each: Finding) -> None:
    desk, viewer, tenant = desk_of()
    with st.form(f"review-{framework}-{each.control}", clear_on_submit=True):
        note = st.text_input("What you looked at, and what came of it: name no person in it", max_chars=2000)
        pressed = st.form_submit_button("Mark as reviewed", type="primary")
    if pressed:
        with explained(goes_on=True), st.spinner("Recording it…"):
            desk.evidence.review(viewer, tenant, framework, each.control, period, note.strip())
            _again(framework, period, f"On record: {each.control} is reviewed for this period.")


def _again(framework: str, period: Period, said: str) -> None:
    """Ask for the findings again, as the decision changed them, and draw the page anew; a pack made before is another one now."""
    desk, viewer, tenant = desk_of()
    findings = desk.evidence.findings(viewer, tenant, framework, period)
    st.session_state[KEPT] = ((tenant, framework, period), findings)
    st.session_state[f"{KEPT}-said"] = said
    st.session_state.pop("pack", None)
    st.rerun()
