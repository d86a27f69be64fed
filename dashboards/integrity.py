"""Are these records whole and unchanged? Seals, independent witnesses, times without a listener, and a proof to check."""

import streamlit as st

from dashboards.frame import begin, desk_of, explained, moment, show_rows


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
    st.subheader("Sealed logs")
    show_rows(
        [
            {
                "log": log.origin,
                "records": log.size,
                "grew last (UTC)": moment(log.grown_unix_nano),
                "root": log.root,
                "signed by": ", ".join(log.signed_by) or "not by a key of this lake",
                "problem": log.problem,
            }
            for log in found.logs
        ],
        f"logs-{tenant}",
        empty="No record of this tenant has been sealed yet.",
    )
    st.subheader("Independent witnesses")
    if found.witnesses:
        for name, at in found.witnesses:
            st.text(f"{name}: last cosigned {moment(at)} UTC")
    else:
        st.warning(
            "None. The seal shows changes by outsiders; only a witness shows changes by whoever runs this system.",
            icon=":material/visibility_off:",
        )
    st.subheader("Times when nobody listened")
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
        empty="None is known: a collector listened all the time since the first one started.",
    )
    st.subheader("Prove one record")
    _prove()
    st.subheader("Check a proof")
    _check(found.vkeys)


def _prove() -> None:
    desk, viewer, tenant = desk_of()
    if not desk.may_export(viewer, tenant):
        st.info("A proof is an export: that takes the right records.export.", icon=":material/info:")
        return
    with st.form("prove"):
        shard = st.text_input("Shard, as in the record's row")
        index = st.number_input("Record number", 0, step=1)
        wanted = st.form_submit_button("Make the proof")
    if wanted and shard:
        with explained():
            proof = desk.prove(viewer, tenant, shard, int(index))
        st.download_button("Download the proof", proof, file_name=f"{tenant}-{int(index)}.proof")
        st.caption("Anybody can check it without this system: `muniment verify-proof FILE --vkey KEY`.")


def _check(own: tuple[str, ...]) -> None:
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
            st.success("Proved.", icon=":material/verified:")
        else:
            st.error("Not proved.", icon=":material/gpp_bad:")
        st.code("\n".join(checked.lines), language=None)
    with st.expander("Public keys of this lake"):
        for vkey in own:
            st.code(vkey, language=None)
