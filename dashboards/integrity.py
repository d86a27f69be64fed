"""Are these records whole and unchanged? Seals, independent witnesses, times without a listener, and a proof to check."""

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboards.desk import Handed, Integrity, LogHead
from dashboards.export import hand_out
from dashboards.frame import begin, desk_of, explained, moment, show_rows
from dashboards.words import counted
from warehouse.clock import NANOS_PER_SECOND, system_clock

_STANDS = "stands"
_QUIET_NANOS = 600 * NANOS_PER_SECOND
"""Collectors are heard more often than that."""


def show() -> None:
    """Draw the page."""
    desk, viewer, tenant = desk_of()
    begin(
        "Integrity",
        "Every record has a number in a sealed log: whether the seals stand, who vouches for them, and how to check one record yourself.",
        tenant,
    )
    with explained(), st.spinner("Reading the logs…"):
        found = desk.integrity(viewer, tenant)
    st.header("Sealed logs")
    _verdict(found.logs)
    if found.lacking:
        st.warning(
            f"Can't be established whether all records are there: {found.lacking}. Keep everything as it is, and have the operator run "
            "`muniment verify`, which names every record concerned; docs/backup.md says what a backup can bring back.",
            icon=":material/help:",
        )
    show_rows(
        [
            {
                "seal": _seal(log),
                "log": log.origin,
                "record numbers": log.size,
                "grew last (UTC)": moment(log.grown_unix_nano),
                "signed by": ", ".join(log.signed_by),
                "root": log.root,
            }
            for log in found.logs
        ],
        f"logs-{tenant}",
        empty="No record of this tenant has been sealed yet: each is, within seconds after it came.",
    )
    st.header("Independent witnesses")
    if found.witnesses:
        for name, at in found.witnesses:
            st.text(f"{name}: last cosigned {moment(at)} UTC")
    else:
        st.warning(
            "None. The seal shows changes by outsiders; only a witness shows changes by whoever runs this system. "
            "What to do: have the operator add one (docs/how-to/witness.md).",
            icon=":material/visibility_off:",
        )
    st.header("Times when nobody listened")
    _silences(found)
    st.header("Prove one record")
    _prove([log.origin.rpartition("/")[2] for log in found.logs])
    st.header("Check a proof")
    _check(dict(zip(found.vkeys, found.fingerprints, strict=True)))


def _verdict(logs: Sequence[LogHead]) -> None:
    """Whether every log's newest seal is one of this lake, in a sentence."""
    bad = [log for log in logs if _seal(log) != _STANDS]
    if bad:
        st.error(
            f"Broken: {len(bad)} of {counted(len(logs), 'log')}. Keep everything as it is, and have the operator run "
            "`muniment verify`, which names every record concerned.",
            icon=":material/gpp_bad:",
        )
    elif logs:
        st.success(
            f"The newest seal of {'the log' if len(logs) == 1 else f'all {len(logs)} logs'} is signed by this lake. "
            "Whether every record fits it is what verification checks: Overview says when it did last.",
            icon=":material/verified:",
        )


def _silences(found: Integrity) -> None:
    """Gaps between collectors, and the one that is open now: what agents did meanwhile was not recorded then."""
    if found.listened is not None and system_clock() - found.listened[1] > _QUIET_NANOS:
        st.warning(
            f"No collector has been heard since {moment(found.listened[1])} UTC. What agents do now is recorded only once one listens "
            "again, and if they keep it until then. What to do: have the operator run `muniment up`.",
            icon=":material/hearing_disabled:",
        )
    show_rows(
        [
            {
                "from (UTC)": moment(gap.first_unix_nano),
                "to (UTC)": moment(gap.last_unix_nano),
                "minutes": round((gap.last_unix_nano - gap.first_unix_nano) / 60e9, 1),
                "collector": gap.collector,
                "how it began": "stopped, and said so" if gap.announced else "was heard no more",
            }
            for gap in found.silences
        ],
        "silences",
        empty="No collector has ever started here, so it can't be established when somebody listened."
        if found.listened is None
        else f"None is known between {moment(found.listened[0])} and {moment(found.listened[1])} UTC.",
    )


def _seal(log: LogHead) -> str:
    """How a log's newest seal stands, in a word or in what is wrong with it."""
    return log.problem or (_STANDS if log.signed_by else "broken: not signed by a key of this lake")


def _prove(shards: Sequence[str]) -> None:
    desk, viewer, tenant = desk_of()
    if not desk.may_export(viewer, tenant):
        st.info("A proof is an export: that takes the right records.export.", icon=":material/info:")
        return
    if not shards:
        st.info("There is no record to prove yet.", icon=":material/info:")
        return
    st.markdown("Which record: its shard and its record number stand in every table beside it.")
    with st.form("prove"):
        shard = st.selectbox("Shard", shards)
        index = st.number_input("Record number", 0, step=1)
        wanted = st.form_submit_button("Make the proof")
    if wanted and shard:
        with explained():
            proof = desk.prove(viewer, tenant, shard, int(index))
        hand_out(
            desk, viewer, tenant, "Download the proof", Handed.PROOF, f"{tenant}-{int(index)}.proof", lambda: proof
        )
        st.caption("Anybody can check it without this system: `muniment verify-proof FILE --vkey KEY`.")


def _check(own: Mapping[str, str]) -> None:
    desk, _, _ = desk_of()
    st.markdown(
        "Paste a proof, and the public key that *you* trust: one that you got from this page proves only that page and proof agree."
    )
    with st.form("check"):
        proof = st.text_area("Proof", height=160)
        key = st.text_input("Public key (vkey)", placeholder="name+hash+key")
        wanted = st.form_submit_button("Check")
    if wanted and proof and key:
        checked = desk.check_proof(proof.encode(), [key.strip()])
        if checked.holds:
            st.success(
                "Proved: this record stands at its number in a log that the key signed.", icon=":material/verified:"
            )
        else:
            st.error(
                "Not proved: see below what does not fit. Ask for the proof again, and for the key from elsewhere.",
                icon=":material/gpp_bad:",
            )
        st.code("\n".join(checked.lines), language=None)
    with st.expander("Public keys of this lake, and their fingerprints"):
        st.markdown("Tell an auditor the fingerprint by another way than the pack: on paper, or by telephone.")
        for vkey, said in own.items():
            st.text("Fingerprint")
            st.code(said, language=None)
            st.text("Key (vkey)")
            st.code(vkey, language=None)
