"""Are the agents good enough? Objectives, what is left of each error budget, how fast it burns, and how much was measured."""

import streamlit as st

from dashboards.frame import begin, desk_of, explained, show_rows

_STATES = {
    "met": (":material/check_circle:", "green", "kept"),
    "spent": (":material/error:", "red", "error budget spent"),
    "few": (":material/help:", "orange", "too few events to say"),
    "unmeasured": (":material/help:", "orange", "not measured"),
    "watched": (":material/visibility:", "blue", "watched, without a target"),
}
_WORST_FIRST = ("spent", "few", "unmeasured", "met", "watched")


def show() -> None:
    """Draw the page."""
    desk, viewer, tenant = desk_of()
    begin(
        "SLOs",
        "What was promised, how much of it was kept, and how much room for errors is left. What nobody measured is never counted as good.",
        tenant,
    )
    with explained(), st.spinner("Reading the figures…"):
        objectives = desk.objectives(viewer, tenant)
    if not objectives:
        st.info(
            "No figures yet. `muniment up` computes them every minute, `muniment slo compute` at once.",
            icon=":material/info:",
        )
        return
    with st.expander("How to read this"):
        st.markdown(
            "**Target**: the share of events that must be good in the window. **Kept**: the share that was. **Left**: what remains of the "
            "error budget, which is the share of events that may be bad; below zero it is overspent. **Measured**: the share of five-minute "
            "windows in which there was anything to measure. **Burn rate**: how many times faster than allowed the budget is being used up."
        )
    for each in sorted(objectives, key=lambda each: _WORST_FIRST.index(each.state)):
        icon, color, words = _STATES[each.state]
        with st.container(border=True):
            st.markdown(f"{icon} :{color}[**{words}**]")
            st.text(f"{each.title} ({each.objective})")
            measured = {
                "Target": f"{each.target:.2%}",
                "Kept": "-" if each.attainment is None else f"{each.attainment:.2%}",
                "Left": "-" if each.budget_remaining is None else f"{each.budget_remaining:.0%}",
                "Measured": f"{each.coverage:.0%}",
                "Events": f"{each.total:,}",
            }
            with st.container(horizontal=True, gap="medium"):  # on a narrow screen they go on in the next line
                for label, value in measured.items():
                    st.metric(label, value, width="content")
            if each.burns:
                st.caption(f"{each.window}; burn rates: {each.burns}")
    show_rows(
        [vars(each) for each in objectives],
        f"slos-{tenant}",
        empty="No figures yet.",
    )
