"""Which agents are there, who answers for them, and what were they seen doing?"""

import pyarrow as pa
import streamlit as st

from dashboards.frame import begin, choice, desk_of, explained, show_rows

_DAYS = {"7 days": 7, "30 days": 30, "90 days": 90}


def show() -> None:
    """Draw the page."""
    desk, viewer, tenant = desk_of()
    begin("Agents", "The registry beside what was seen: owners, versions, models, tools and classes of data.", tenant)
    days = _DAYS[choice("Seen within", list(_DAYS), "seen", default="30 days")]
    with explained(), st.spinner("Reading…"):
        registered, seen = desk.agents(viewer, tenant, days)
    known = {str(row["agent"]) for row in registered.to_pylist()}
    observed = {str(row["agent"]) for row in seen.to_pylist()}
    if unknown := sorted(observed - known):
        st.warning(f"{len(unknown)} seen and not registered", icon=":material/person_alert:")
        st.text(", ".join(unknown[:30]))
    if silent := sorted(known - observed):
        st.info(f"{len(silent)} registered and not seen in this time", icon=":material/volume_off:")
        st.text(", ".join(silent[:30]))
    st.subheader("Registered")
    show_rows(registered, f"registry-{tenant}", empty="None. `muniment agent register` or `import` adds them.")
    st.subheader("Seen")
    show_rows(seen, f"agents-{tenant}", empty="None in this time.", height=420)
    st.subheader("Which class of data went to which provider")
    show_rows(_data_map(seen), f"data-map-{tenant}", empty="Nothing was sent to a model in this time.")


def _data_map(seen: pa.Table) -> pa.Table:
    """A row an agent, class and provider."""
    return pa.Table.from_pylist(
        [
            {"agent": row["agent"], "data class": kind, "provider": provider}
            for row in seen.to_pylist()
            for kind in row["data_classes"] or []
            for provider in row["providers"] or []
        ]
    )
