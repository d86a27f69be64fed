"""What will go when, what is held, and what went under which certificate?"""

import streamlit as st

from dashboards.frame import begin, choice, desk_of, explained, moment, show_rows

_STEP = 1_024
_WITHIN = {"now": 0, "within 7 days": 7, "within 30 days": 30, "within 90 days": 90, "within a year": 365}
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def _size(count: int) -> str:
    """A number of bytes as people read it."""
    value, place = float(count), 0
    while value >= _STEP and place < len(_UNITS) - 1:
        value, place = value / _STEP, place + 1
    return f"{value:,.0f} {_UNITS[place]}" if place == 0 else f"{value:,.1f} {_UNITS[place]}"


def show() -> None:
    """Draw the page."""
    desk, viewer, tenant = desk_of()
    begin(
        "Retention",
        "What is due to be deleted, what a hold or a law keeps, and the certificate of everything that went.",
        tenant,
    )
    when = choice("What goes", list(_WITHIN), "within")
    with explained(), st.spinner("Working out what is due…"):
        found = desk.retention(viewer, tenant, _WITHIN[when])
    st.header("Due now" if not _WITHIN[when] else f"Due {when}")
    if _WITHIN[when]:
        st.caption("Of the records that are there now, by the rules and holds of now, what is due already included.")
    show_rows(
        [
            {
                "table": due.table,
                "day": due.day,
                "rule": due.rules,
                "records to go": due.rows,
                "size": _size(due.size_bytes),
                "records kept": due.kept,
            }
            for due in found.due
        ],
        f"due-{tenant}",
        empty=f"Nothing is due {when}. Rules are carried out every night while `muniment up` runs; Overview says when last.",
    )
    st.header("Holds in force")
    show_rows(
        [
            {
                "hold": hold.id,
                "keeps": hold.scope,
                "why": hold.reason,
                "owner": hold.owner,
                "since (UTC)": moment(hold.placed_unix_nano),
                "release asked": hold.release_asked,
            }
            for hold in found.holds
        ],
        f"holds-{tenant}",
        empty="No hold is in force. The page Requests places one.",
    )
    st.header("Certificates")
    show_rows(
        [
            {
                "time (UTC)": moment(each.time_unix_nano),
                "what": each.kind,
                "records": each.rows,
                "ordered by": each.ordered_by,
                "approved by": each.approved_by,
                "certificate": each.sha256,
            }
            for each in found.certificates
        ],
        f"certificates-{tenant}",
        empty="Nothing has been deleted yet.",
    )
    with st.expander("Rules in force"):
        for rule in found.rules:
            st.text(rule)
