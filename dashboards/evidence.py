"""Evidence for an auditor: choose framework and period, read the findings, take the pack along, or check one."""

from datetime import UTC, date, datetime, time, timedelta

import streamlit as st

from dashboards.frame import begin, choice, desk_of, explained, show_rows
from warehouse.clock import NANOS_PER_SECOND, system_clock

_STATES = {"satisfied": ":green", "not satisfied": ":red"}


def show() -> None:
    """Draw the page."""
    desk, viewer, tenant = desk_of()
    begin(
        "Evidence",
        "What a framework asks, what the sealed records show, and a pack that an outsider can verify.",
        tenant,
    )
    with explained():
        frameworks = desk.frameworks(viewer, tenant)
    names = {title: name for name, title in frameworks.items()}
    framework = names[choice("Framework", list(names), "framework")]
    today = datetime.fromtimestamp(system_clock() / NANOS_PER_SECOND, UTC).date()
    first_of_month = today.replace(day=1)
    begins, ends = st.columns(2)
    first = begins.date_input("From (UTC)", (first_of_month - timedelta(days=1)).replace(day=1), key="evidence-from")
    last = ends.date_input("To, this day included (UTC)", first_of_month - timedelta(days=1), key="evidence-to")
    if st.button("Build the pack", type="primary"):
        with (
            explained(),
            st.spinner("Evaluating controls, checking every record, proving samples… this can take a minute."),
        ):
            pack, findings = desk.build_pack(viewer, tenant, framework, _nanos(first), _nanos(last, days=1))
        st.session_state["pack"] = (tenant, framework, str(first), str(last), pack, findings)
    _built(tenant, framework, str(first), str(last))
    st.subheader("Check a pack")
    _check()


def _built(tenant: str, framework: str, first: str, last: str) -> None:
    """The findings of the pack that was built for exactly this choice; another tenant's is never shown."""
    made = st.session_state.get("pack")
    if made is None or made[:4] != (tenant, framework, first, last):
        return
    pack, findings = made[4], made[5]
    for each in findings:
        color = _STATES.get(each["finding"], ":orange")
        with st.container(border=True):
            st.markdown(f"{color}[**{each['finding']}**]")
            st.text(f"{each['control']} {each['title']}\n{each['why']}")
    show_rows(findings, f"findings-{framework}", empty="This framework has no controls.")
    st.download_button(
        "Download the pack",
        pack,
        file_name=f"{tenant}-{framework}-{first}-{last}.zip",
        mime="application/zip",
        type="primary",
    )
    st.caption(
        "Give the auditor the pack, and the fingerprint of the key by another way: `muniment evidence verify` checks it offline."
    )


def _check() -> None:
    desk, _, _ = desk_of()
    file = st.file_uploader("Pack", type=["zip"])
    fingerprint = st.text_input("Fingerprint of the key that you trust, from elsewhere than the pack")
    if file is None:
        return
    checked = desk.check_pack(file.getvalue(), fingerprint.strip())
    if checked.result == "proved":
        st.success(
            "Proved: every file is as it was signed, and each sampled record stands in a sealed log.",
            icon=":material/verified:",
        )
    elif checked.result == "broken":
        st.error(
            "Broken: something in it was changed. Ask for the pack again, and keep this one.", icon=":material/gpp_bad:"
        )
    else:
        st.warning("Can't be established: bring the fingerprint of the key from elsewhere.", icon=":material/help:")
    st.code("\n".join(checked.lines) or "-", language=None)


def _nanos(day: date, *, days: int = 0) -> int:
    start = datetime.combine(day + timedelta(days=days), time(), UTC)
    return int(start.timestamp()) * NANOS_PER_SECOND
