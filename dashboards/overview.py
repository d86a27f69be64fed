"""Is everything all right? Seal, verification, witness, records, retention: one line each, worst first."""

import altair as alt
import streamlit as st

from dashboards.frame import begin, chart_data, choice, desk_of, explained, show_rows

_SHOWN = {
    "good": (":material/check_circle:", "green", "all right"),
    "bad": (":material/error:", "red", "needs attention"),
    "unknown": (":material/help:", "orange", "not established"),
}
_COLORS = {"runs": "#2f79c7", "events": "#3c9d8f", "errors": "#c8443c"}
_DAYS = {"14 days": 14, "30 days": 30, "90 days": 90}


def show() -> None:
    """Draw the page."""
    desk, viewer, tenant = desk_of()
    begin(
        "Overview",
        "Whether these records are sealed, complete and kept as they must be, and what to do where they are not.",
        tenant,
    )
    with explained(), st.spinner("Reading the lake…"):
        facts = desk.overview(viewer, tenant)
    counts = {state: sum(fact.state == state for fact in facts) for state in _SHOWN}
    with st.container(horizontal=True, gap="small"):  # on a narrow screen they go on in the next line
        for state, (_, color, words) in _SHOWN.items():
            with st.container(border=True, width="content"):
                st.markdown(f":{color}[**{counts[state]}**] {words}", width="content")
    for fact in facts:
        icon, color, words = _SHOWN[fact.state]
        with st.container(border=True):
            st.markdown(f"{icon} **{fact.what}** · :{color}[{words}]")
            st.text((fact.said + (f"\nWhat to do: {fact.advice}" if fact.advice else "")).replace("`", ""))
    st.subheader("What the agents did")
    days = _DAYS[choice("Period", list(_DAYS), "period")]
    with explained(), st.spinner("Counting…"):
        activity = desk.activity(viewer, tenant, days)
    if activity.num_rows:
        points = chart_data(
            [
                {"day": row["day"].isoformat(), "count": row[name], "what": name}
                for row in activity.to_pylist()
                for name in _COLORS
            ]
        )
        st.altair_chart(
            alt.Chart(points)
            .mark_line(point=True)
            .encode(
                x=alt.X("day:T", title=None),
                y=alt.Y("count:Q", title=None),
                color=alt.Color(
                    "what:N",
                    title=None,
                    legend=alt.Legend(orient="top"),
                    scale=alt.Scale(domain=list(_COLORS), range=list(_COLORS.values())),
                ),
                tooltip=["day:T", "what:N", "count:Q"],
            )
            .properties(height=220),
            width="stretch",
        )
    show_rows(
        activity,
        f"activity-{tenant}",
        empty="No records in this period: choose a longer one, or see docs/connect for how to send.",
    )
