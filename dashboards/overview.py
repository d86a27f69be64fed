"""Is everything all right? One sentence first, then seal, verification, witness, records, retention: a box each, worst first."""

from collections.abc import Sequence

import altair as alt
import pyarrow as pa
import streamlit as st

from dashboards.desk import Fact
from dashboards.frame import begin, boxes, chart_data, choice, desk_of, explained, go_to, show_rows
from dashboards.words import counted

_SHOWN = {
    "good": (":material/check_circle:", "green", "all right"),
    "bad": (":material/error:", "red", "needs attention"),
    "unknown": (":material/help:", "orange", "not established"),
}
_COLORS = {"runs": "#2f79c7", "events": "#3c9d8f", "errors": "#c8443c"}
_DAYS = {"14 days": 14, "30 days": 30, "90 days": 90}
_OPENS = {
    "integrity": "Integrity",
    "incidents": "Incidents",
    "slos": "SLOs",
    "retention": "Retention",
}


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
    _verdict(facts)
    for box, fact in zip(boxes(len(facts)), facts, strict=True):
        with box:
            _fact(fact)
    st.header("What the agents did")
    days = _DAYS[choice("Period", list(_DAYS), "period")]
    with explained(), st.spinner("Counting…"):
        activity = desk.activity(viewer, tenant, days)
    if activity.num_rows:
        st.altair_chart(_by_day(activity), width="stretch")
    show_rows(
        activity,
        f"activity-{tenant}",
        empty="No records in this period: choose a longer one, or have the operator connect an agent (docs/connect).",
    )


def _verdict(facts: Sequence[Fact]) -> None:
    """All boxes in one sentence: what nobody has established is never called all right."""
    bad, unknown = ([fact.what for fact in facts if fact.state == state] for state in ("bad", "unknown"))
    if bad:
        said = f"**{len(bad)} of {len(facts)} {'needs' if len(bad) == 1 else 'need'} attention:** {', '.join(bad)}."
        rest = f" {len(unknown)} {'is' if len(unknown) == 1 else 'are'} not established." if unknown else ""
        st.error(said + rest, icon=":material/error:")
    elif unknown:
        st.warning(
            f"**Nothing is known to be wrong, but {len(unknown)} of {len(facts)} {'is' if len(unknown) == 1 else 'are'} not "
            f"established:** {', '.join(unknown)}.",
            icon=":material/help:",
        )
    else:
        st.success(f"**All {counted(len(facts), 'question')} are all right.**", icon=":material/check_circle:")


def _fact(fact: Fact) -> None:
    icon, color, words = _SHOWN[fact.state]
    st.markdown(f":{color}[{icon}] **{fact.what}** · :{color}[{words}]")
    st.text(_sentence(fact.said) + (f"\nWhat to do: {fact.advice.replace('`', '')}." if fact.advice else ""))
    if fact.page in _OPENS and st.button(
        f"Open {_OPENS[fact.page]}", key=f"open-{fact.what}", type="tertiary", icon=":material/arrow_forward:"
    ):
        go_to(fact.page)


def _sentence(text: str) -> str:
    """A text as a sentence, without marks of code."""
    return f"{text[:1].upper()}{text[1:]}.".replace("`", "")


def _by_day(activity: pa.Table) -> alt.Chart:
    points = chart_data(
        [
            {"day": row["day"].isoformat(), "count": row[name], "what": name}
            for row in activity.to_pylist()
            for name in _COLORS
        ]
    )
    chart: alt.Chart = (
        alt.Chart(points)
        .mark_line(point=True)
        .encode(
            x=alt.X("day:T", title=None, axis=alt.Axis(format="%-d %b", labelOverlap=True)),
            y=alt.Y("count:Q", title="how many a day"),
            color=alt.Color(
                "what:N",
                title=None,
                legend=alt.Legend(orient="top"),
                scale=alt.Scale(domain=list(_COLORS), range=list(_COLORS.values())),
            ),
            tooltip=["day:T", "what:N", "count:Q"],
        )
        .properties(
            height=220,
            description=f"Lines of {', '.join(_COLORS)} a day over {counted(activity.num_rows, 'day')}; the table below has the figures.",
        )
    )
    return chart
