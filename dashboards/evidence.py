"""Evidence for an auditor: choose framework and period, read the findings, decide on exceptions, take the pack along, or check one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import streamlit as st

from dashboards.desk import Handed
from dashboards.evidence_decisions import KEPT, draw_findings
from dashboards.evidence_desk import Finding, Period
from dashboards.export import hand_out
from dashboards.frame import begin, choice, day, desk_of, explained, nanos, show_rows
from warehouse.clock import NANOS_PER_SECOND, system_clock

_SHOWN = "findings"
"""In the address where findings are on the page, so that its link shows them too."""


def show() -> None:
    """Draw the page."""
    desk, viewer, tenant = desk_of()
    begin(
        "Evidence",
        "What a framework asks, what the sealed records show, and a pack that an outsider can verify.",
        tenant,
    )
    with explained():
        frameworks = desk.evidence.frameworks(viewer, tenant)
    names = {title: name for name, title in frameworks.items()}
    framework = names[choice("Framework", list(names), "framework")]
    differing = ""
    with explained(goes_on=True):
        differing = desk.evidence.differing(viewer, tenant, framework)
    if differing:
        st.caption(
            f"{differing[0].upper()}{differing[1:]}. `muniment evidence controls` names them; what is new or changed is taken over "
            "by `muniment evidence adopt`, which keeps your own."
        )
    first, last = _dates()
    period = (nanos(first), nanos(last, days=1))
    if not desk.may_export(viewer, tenant):
        st.info(
            "You may not see findings or build packs of this tenant: that takes the right records.export.",
            icon=":material/lock:",
        )
        st.header("Check a pack")
        _check()
        return
    with st.container(horizontal=True):
        seeing = st.button("Show the findings")
        building = st.button("Build the pack", type="primary")
    st.caption(
        "*Show the findings* says what the records show, within seconds. *Build the pack* also proves samples, and makes the one file "
        "for the auditor."
    )
    restored = _SHOWN in st.query_params and st.session_state.get(KEPT, (None,))[0] != (tenant, framework, period)
    if seeing or (restored and not building):
        st.query_params[_SHOWN] = "shown"
        with explained(), st.spinner("Evaluating controls, this period and the one before…"):
            _keep(framework, period, desk.evidence.findings(viewer, tenant, framework, period))
    if building:
        with (
            explained(),
            st.spinner("Evaluating controls, checking every record, proving samples… this can take a minute."),
        ):
            pack, findings = desk.evidence.build_pack(viewer, tenant, framework, period)
        _keep(framework, period, findings)
        st.query_params[_SHOWN] = "shown"
        st.session_state["pack"] = (tenant, framework, period, pack)
    _built(tenant, framework, period, f"{tenant}-{framework}-{first}-{last}.zip")
    _scheduled(framework)
    st.header("Check a pack")
    _check()


def _dates() -> tuple[date, date]:
    """First and last day of the period; the month that ended last unless somebody chose."""
    today = datetime.fromtimestamp(system_clock() / NANOS_PER_SECOND, UTC).date()
    ended = today.replace(day=1) - timedelta(days=1)
    begins, ends = st.columns(2)
    first = day("From (UTC)", "from", ended.replace(day=1), place=begins)
    last = day("To, this day included (UTC)", "to", ended, place=ends)
    return first or ended.replace(day=1), last or ended


def _keep(framework: str, period: Period, findings: Sequence[Finding]) -> None:
    _, _, tenant = desk_of()
    st.session_state[KEPT] = ((tenant, framework, period), findings)


def _built(tenant: str, framework: str, period: Period, name: str) -> None:
    """The findings of exactly this choice, and the pack that was built for it; another tenant's is never shown."""
    chosen, findings = st.session_state.get(KEPT, (None, ()))
    if chosen != (tenant, framework, period):
        return
    _verdict(findings)
    draw_findings(framework, period, findings)
    rows = [
        {
            "control": each.control,
            "title": each.title,
            "finding": each.finding,
            "why": each.why,
            "items": each.items,
            "exceptions": each.exceptions,
            "new": each.new,
            "go on": each.continuing,
            "gone": each.gone,
            "period before": each.before,
        }
        for each in findings
    ]
    show_rows(rows, f"findings-{framework}", empty="This framework has no controls.")
    made = st.session_state.get("pack")
    if made is None or made[:3] != (tenant, framework, period):
        return
    desk, viewer, _ = desk_of()
    hand_out(desk, viewer, tenant, "Download the pack", Handed.PACK, name, lambda: bytes(made[3]))
    st.caption(
        "Give the auditor the pack, and the fingerprint of the key by another way: `muniment evidence verify` checks it offline."
    )


def _scheduled(framework: str) -> None:
    """Packs of the framework that the lake keeps, one a month."""
    desk, viewer, tenant = desk_of()
    found: Mapping[str, str] = {}
    with explained(goes_on=True):
        found = desk.evidence.kept_packs(viewer, tenant, framework)
    if not found:
        return
    st.header("Packs built on schedule")
    month = choice("Pack of the month", list(found), "month")
    name = found[month]
    hand_out(
        desk,
        viewer,
        tenant,
        f"Download the pack of {month}",
        Handed.PACK,
        f"{tenant}-{name}",
        lambda: desk.evidence.read_pack(viewer, tenant, name),
    )


def _verdict(findings: Sequence[Finding]) -> None:
    """All findings in one sentence, with what to do next."""
    counts = Counter(each.finding for each in findings)
    said = ", ".join(f"{count} {finding}" for finding, count in counts.most_common())
    if counts["not satisfied"]:
        st.error(
            f"**{said}.** Open the exceptions of what is not satisfied, and decide on each.", icon=":material/error:"
        )
    elif counts["insufficient evidence"]:
        st.warning(
            f"**{said}.** Where there is no record nothing is claimed: see whether the period is right, and whether agents send it.",
            icon=":material/help:",
        )
    elif counts["satisfied"]:
        st.success(f"**{said}.**", icon=":material/check_circle:")


def _check() -> None:
    desk, _, _ = desk_of()
    file = st.file_uploader("Pack", type=["zip"])
    fingerprint = st.text_input("Fingerprint of the key that you trust, from elsewhere than the pack")
    witness = st.text_input("Key of an independent witness, from the witness itself: its cosignatures are checked too")
    if file is None:
        return
    checked = desk.evidence.check_pack(
        file.getvalue(), fingerprint.strip(), [witness.strip()] if witness.strip() else []
    )
    if checked.losses and checked.result != "broken":
        st.error(
            f"The pack says of its own records: {checked.losses}. Its findings rest on the records that are left: ask the operator why.",
            icon=":material/gpp_bad:",
        )
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
        st.warning(
            "Can't be established: bring the fingerprint of the key from elsewhere, or look below for what no witness cosigned.",
            icon=":material/help:",
        )
    st.code("\n".join(checked.lines) or "-", language=None)
