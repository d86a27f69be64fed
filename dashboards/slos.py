"""Are the agents good enough? Objectives, what is left of each error budget, how fast it burns, how much was measured, and the worst runs."""

from collections.abc import Sequence

import streamlit as st

from dashboards.desk import Objective
from dashboards.frame import begin, boxes, desk_of, explained, run_links, show_rows, story_links
from dashboards.words import counted

_STATES = {
    "met": (":material/check_circle:", "green", "kept"),
    "spent": (":material/error:", "red", "error budget spent"),
    "few": (":material/help:", "orange", "too few events to say"),
    "unmeasured": (":material/help:", "orange", "not measured"),
    "watched": (":material/visibility:", "blue", "watched, without a target"),
}
_WORST_FIRST = ("spent", "few", "met", "watched", "unmeasured")
_MOST = 100
_WORST = "worst"
_READ = """\
- **Promised** (target): the share of events that must be good in the window. **Kept**: the share that was.
- **Error budget**: the share of events that may be bad. Below nothing it is overspent.
- **Burn rate**: how many times faster than allowed the budget is used up. At 1 it lasts exactly its window; at 14 that of thirty
  days is gone in two. *Ticket from 3* means that somebody is told at 3.
- **p95**: sorted by time, the call at place 95 of 100. *p95 under 10 s* means that 95 of 100 calls took less than 10 seconds.
- **Measured**: the share of five-minute windows with anything to measure. Agents that rest at night measure little, and lie about nothing.
"""


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
            "No figures yet. Have the operator run `muniment up`, which computes them every minute, or `muniment slo compute` once.",
            icon=":material/info:",
        )
        return
    rows = sorted(objectives, key=lambda each: (_WORST_FIRST.index(each.state), each.title, each.objective))
    _verdict(rows)
    wanted = st.query_params.get(_WORST)
    chosen = next((each for each in rows if _name(each) == wanted), None)
    if chosen is not None:
        _worst(chosen)
    with st.expander("How to read this: error budget, burn rate, p95, measured"):
        st.markdown(_READ)
    measured = [each for each in rows if each.state != "unmeasured"]
    for box, each in zip(boxes(len(measured)), measured, strict=True):
        with box:
            _objective(each)
    if silent := [each for each in rows if each.state == "unmeasured"]:
        st.header("Not measured")
        st.text("\n".join(f"{_title(each)}, promised {each.target:.2%}" for each in silent))
        st.caption("Nothing of this kind happened in the window, so nothing is claimed.")
    st.header("All figures")
    show_rows([_row(each) for each in rows], f"slos-{tenant}", empty="No figures yet.")


def _verdict(rows: Sequence[Objective]) -> None:
    counts = {state: sum(each.state == state for each in rows) for state in _STATES}
    said = ", ".join(f"{count} {_STATES[state][2]}" for state, count in counts.items() if count)
    if counts["spent"]:
        spent = ", ".join(each.title for each in rows if each.state == "spent")
        st.error(f"**{counts['spent']} of {len(rows)} broken:** {said}.", icon=":material/error:")
        st.text(f"Spent: {spent}")
    elif counts["met"] + counts["watched"] == len(rows):
        st.success(f"**All {counted(len(rows), 'promise')} are kept.**", icon=":material/check_circle:")
    else:
        st.warning(f"**None is known to be broken, but not all can be said:** {said}.", icon=":material/help:")


def _objective(each: Objective) -> None:
    icon, color, words = _STATES[each.state]
    st.markdown(f":{color}[{icon} **{words}**]")
    kept = "nothing" if each.attainment is None else f"{each.attainment:.2%}"
    held = "held to no target" if each.state == "watched" else f"promised {each.target:.2%}"
    said = [_title(each), f"Kept {kept} of {counted(each.total, 'event')}; {held}."]
    if each.budget_remaining is not None and each.state in {"met", "spent"}:
        left = each.budget_remaining
        said.append(
            f"{left:.0%} of the error budget is left."
            if left >= 0
            else f"The error budget is overspent: {1 - left:.1f} times what may be bad was bad."
        )
    said.append(f"Measured {each.coverage:.0%} of the window ({each.window}).")
    st.text("\n".join(said))
    if each.burns:
        st.caption(f"Burn rate {each.burns}")
    if (
        each.attainment is not None
        and each.attainment < 1
        and st.button(
            "Show the worst runs", key=f"worst-{_name(each)}", type="tertiary", icon=":material/arrow_upward:"
        )
    ):
        st.query_params[_WORST] = _name(each)
        st.rerun()


def _worst(each: Objective) -> None:
    """The bad events of one objective, each with its run and its story."""
    desk, viewer, tenant = desk_of()
    with st.container(border=True):
        st.header("What made it worse")
        st.text(f"{_title(each)}: the farthest from the promise first, else the newest.")
        with explained(goes_on=True), st.spinner("Looking for its bad events…"):
            found = desk.worst_events(viewer, tenant, each.slo, each.objective, _MOST)
            show_rows(
                found,
                f"worst-{each.slo}-{each.objective}",
                empty="Its bad events cannot be listed: they were deleted since, or its indicator counts without naming records.",
                height=320,
                links={
                    "open": run_links(found, tenant),
                    "story": story_links(found, tenant),
                },
            )
            if found.num_rows == _MOST:
                st.caption(f"The first {_MOST}.")
        if st.button("Close", icon=":material/close:"):
            del st.query_params[_WORST]
            st.rerun()


def _row(each: Objective) -> dict[str, object]:
    return {
        "promise": _title(each),
        "state": _STATES[each.state][2],
        "promised": "nothing" if each.state == "watched" else f"{each.target:.2%}",
        "kept": "" if each.attainment is None else f"{each.attainment:.2%}",
        "budget left": "" if each.budget_remaining is None else f"{each.budget_remaining:.0%}",
        "measured": f"{each.coverage:.0%}",
        "total": each.total,
        "burn rate": each.burns,
        "window": each.window,
    }


def _title(each: Objective) -> str:
    return f"{each.title} ({each.objective})"


def _name(each: Objective) -> str:
    return f"{each.slo}/{each.objective}"
