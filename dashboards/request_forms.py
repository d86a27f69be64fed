"""What do people ask of us? Erasure, access request, hold: from the form over a second person's approval to the certificate.

What names a person is typed into a form and stays out of the page's address; it is kept no longer than until the next step. Each
tenant has forms of its own: what was typed for one is never carried out in another.
"""

from collections.abc import Mapping

import streamlit as st

from dashboards.desk import Handed
from dashboards.export import hand_out
from dashboards.frame import begin, desk_of, explained, moment, nanos
from dashboards.request_desk import Erasure, HoldForm, Matter, Outlook, Placed, Report, Right, Waiting

_WHOM = "Who: their token, or a value that records name them by, such as an address"
_TEXTS = "Read every text too: finds a value that redaction missed. Takes longer"
_NONCE = (
    "Keep this: it is shown once and stored nowhere. With it you can show later that the record is about this person."
)
_MOST = 320
_PLACED = "request-holds-placed"
_FORESEEN = "request-erasures-foreseen"


def show() -> None:
    """Draw the page."""
    desk, viewer, tenant = desk_of()
    begin(
        "Requests",
        "What people ask for: to be forgotten, to see what is held about them, or to keep records for a case.",
        tenant,
    )
    with explained():
        rights = desk.requests.rights(viewer, tenant)
    if not rights:
        st.info(
            "You may carry out no requests of this tenant. A compliance officer can: choose another tenant, or ask one.",
            icon=":material/info:",
        )
        return
    if rights & {Right.ERASE, Right.RELEASE}:
        _waiting()
    forms = {
        Right.REPORT: ("Access request", _report),
        Right.ERASE: ("Erasure", _erase),
        Right.HOLD: ("Place a hold", _hold),
        Right.RELEASE: ("Release a hold", _release),
    }
    shown = [each for right, each in forms.items() if right in rights]
    for tab, (_, draw) in zip(st.tabs([name for name, _ in shown]), shown, strict=True):
        with tab:
            draw()


def _waiting() -> None:
    desk, viewer, tenant = desk_of()
    st.header("Waits for a second person")
    with explained():
        found = desk.requests.waiting(viewer, tenant)
    if not found:
        st.caption("Nothing waits.")
    for each in found:
        with st.container(border=True):
            st.markdown(f"**{each.matter.value.capitalize()}**")
            st.text(f"{each.what}\nWhy: {each.reason}\nAsked by {each.asked_by}")
            if each.own:
                st.caption("You asked for this: another person has to approve it.")
            elif st.button(_verb(each), key=f"approve-{each.id}", type="primary"):
                with (
                    explained(goes_on=True),
                    st.spinner("Carrying it out, and searching again… this can take minutes."),
                ):
                    _keep("approved", desk.requests.approve(viewer, tenant, each.matter, each.id) or each)
                    st.rerun()
    made = _kept("approved")
    if isinstance(made, Erasure):
        _show_erasure(made)
    elif isinstance(made, Waiting):
        _drop("approved")
        st.success("The hold is released. What other holds keep stays kept.", icon=":material/lock_open:")


def _verb(each: Waiting) -> str:
    return "Approve, and erase now" if each.matter is Matter.ERASURE else "Approve, and release now"


def _report() -> None:
    desk, viewer, tenant = desk_of()
    st.markdown("Everything that is held about a person, in one file with a readable page and a proof of each record.")
    with st.form(f"report-{tenant}", clear_on_submit=True):
        person = st.text_input(_WHOM, max_chars=_MOST, key=f"report-person-{tenant}")
        texts = st.checkbox(_TEXTS, key=f"report-texts-{tenant}")
        pressed = st.form_submit_button("Collect", type="primary")
    if pressed:
        with (
            explained(goes_on=True),
            st.spinner("Searching every table, and proving what is found… this can take minutes."),
        ):
            _keep("report", desk.requests.report(viewer, tenant, person.strip(), texts=texts))
    made = _kept("report")
    if not isinstance(made, Report):
        return
    if made.rows:
        st.success(f"Found {_counts(made.rows)}; {made.proofs:,} are proved.", icon=":material/verified:")
    else:
        st.info("Nothing is held about this person in this tenant. The file says so.", icon=":material/info:")
    for problem in made.problems:
        st.warning("A record could not be proved:", icon=":material/help:")
        st.text(problem)
    hand_out(
        desk,
        viewer,
        tenant,
        "Download the file",
        Handed.REPORT,
        f"access-request-{tenant}.zip",
        lambda: made.content,
    )
    _show_nonce(made.nonce)


def _erase() -> None:
    desk, viewer, tenant = desk_of()
    st.markdown(
        "First see what would go, and what a hold or a law keeps; then erase. What is erased does not come back."
    )
    with st.form(f"foresee-{tenant}", clear_on_submit=True):
        person = st.text_input(_WHOM, max_chars=_MOST, key=f"erase-person-{tenant}")
        texts = st.checkbox(_TEXTS, key=f"erase-texts-{tenant}")
        pressed = st.form_submit_button("Show what would go")
    if pressed:
        _drop("erased")
        _drop("outlook")
        with explained(goes_on=True), st.spinner("Searching every table…"):
            outlook = desk.requests.foresee(viewer, tenant, person.strip(), texts=texts)
            number = st.session_state.get(_FORESEEN, 0)
            st.session_state[_FORESEEN] = number + 1
            _keep("outlook", (person.strip(), texts, outlook, number))
    planned = _kept("outlook")
    if isinstance(planned, tuple):
        _confirm(*planned)
    done = _kept("erased")
    if isinstance(done, Erasure):
        _show_erasure(done)


def _confirm(person: str, texts: bool, outlook: Outlook, number: int) -> None:
    """The order itself; each outlook has a form of its own, in which nothing is ticked yet."""
    desk, viewer, tenant = desk_of()
    with st.container(border=True):
        st.text(
            f"Would go: {_counts(outlook.going) or 'no records'}; {outlook.refused_records:,} refused records\n"
            + "".join(f"Stays: {each}\n" for each in outlook.staying)
            + "".join(f"Names them: pack {each}\n" for each in outlook.packs)
            + ("Their key would be destroyed." if outlook.key_goes else "Their key stays as long as something is kept.")
        )
        with st.form(f"erase-{tenant}-{number}"):
            reason = st.text_input("Why, for the record: name no person in it", "request of the person", max_chars=200)
            sure = st.checkbox("I have checked who this is, and that they have a right to be erased")
            pressed = st.form_submit_button("Erase", type="primary")
        if pressed and not sure:
            st.warning("Tick the box above first.", icon=":material/help:")
        elif pressed:
            with explained(goes_on=True), st.spinner("Erasing, and searching again… this can take minutes."):
                _keep("erased", desk.requests.erase(viewer, tenant, person, reason, texts=texts))
                _drop("outlook")
                st.rerun()


def _show_erasure(done: Erasure) -> None:
    if done.waits:
        st.warning(
            "Nothing is erased yet: a second person has to approve it on this page.", icon=":material/hourglass_top:"
        )
    else:
        st.success(
            f"Erased: {_counts(done.erased) or 'no records'}, {done.refused_records:,} refused records. Searched {done.rows_searched:,} records again and found nothing else.",
            icon=":material/verified:",
        )
        for each in done.packs:
            st.text(f"Deleted: pack {each}, which held what was erased. Build it again where you need it.")
        for each in done.staying:
            st.text(f"Stays: {each}")
        certificates = [*done.certificates, *([done.key_certificate] if done.key_certificate else [])]
        if certificates:
            st.caption("Certificates (the Retention page lists them)")
            st.code("\n".join(certificates), language=None)
    if done.nonce:
        _show_nonce(done.nonce)


def _hold() -> None:
    desk, viewer, tenant = desk_of()
    st.markdown(
        "What a hold names is deleted by no rule and no erasure until it is released. Give what fits; all of it has to apply."
    )
    number = st.session_state.get(_PLACED, 0)  # one that was placed leaves an empty form behind
    with st.form(f"hold-{tenant}-{number}"):
        case = st.text_input("Case", max_chars=200, placeholder="2026-017")
        reason = st.text_input("Why: name no person in it", max_chars=200)
        persons = st.text_area("Persons, one a line: tokens, or values that records name them by", max_chars=20_000)
        agents = st.text_input("Agents, separated by commas")
        traces = st.text_input("Runs (trace ids), separated by commas")
        conversations = st.text_input("Conversations, separated by commas")
        left, right = st.columns(2)
        first = left.date_input("From (UTC)", None, key=f"hold-from-{tenant}-{number}")
        last = right.date_input("To, this day included (UTC)", None, key=f"hold-to-{tenant}-{number}")
        everything = st.checkbox("Everything of this tenant, instead of the above")
        pressed = st.form_submit_button("Place the hold", type="primary")
    if pressed:
        form = HoldForm(
            reason.strip(),
            case.strip(),
            tuple(each.strip() for each in persons.splitlines() if each.strip()),
            _parts(agents),
            _parts(traces),
            _parts(conversations),
            None if first is None else nanos(first),
            None if last is None else nanos(last, days=1) - 1,
            everything,
        )
        with explained(goes_on=True), st.spinner("Placing it; where a deletion runs, after its end…"):
            _keep("placed", desk.requests.place_hold(viewer, tenant, form))
            st.session_state[_PLACED] = number + 1
            st.rerun()
    made = _kept("placed")
    if isinstance(made, Placed):
        st.success(f"In force: hold {made.id}.", icon=":material/lock:")
        st.text(f"It keeps {made.keeps}")
        for each in made.too_late_for:
            st.warning("It came too late for a deletion that had begun:", icon=":material/help:")
            st.text(each)
        if made.nonce:
            _show_nonce(made.nonce)


def _release() -> None:
    desk, viewer, tenant = desk_of()
    with explained():
        holds = [hold for hold in desk.requests.holds(viewer, tenant) if not hold.release_asked]
    if not holds:
        st.info("No hold of this tenant is in force that could be released.", icon=":material/info:")
    else:
        named = {f"{hold.id}, since {moment(hold.placed_unix_nano)}": hold for hold in holds}
        chosen = named[st.selectbox("Hold", list(named))]
        st.text(f"Keeps {chosen.scope}\nWhy: {chosen.reason}\nOwner: {chosen.owner}")
        with st.form("release", clear_on_submit=True):
            reason = st.text_input("Why it ends: name no person in it", max_chars=200)
            pressed = st.form_submit_button("Release", type="primary")
        if pressed:
            with explained(goes_on=True):
                _keep("released", desk.requests.release_hold(viewer, tenant, chosen.id, reason.strip()))
                st.rerun()
    ended = _kept("released")
    _drop("released")
    if ended is True:
        st.success("The hold is released. What other holds keep stays kept.", icon=":material/lock_open:")
    elif ended is False:
        st.warning(
            "The hold stays in force: a second person has to approve its release on this page.",
            icon=":material/hourglass_top:",
        )


def _show_nonce(nonce: str) -> None:
    st.caption(_NONCE)
    st.code(nonce, language=None)


def _counts(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} of {table}" for table, count in sorted(rows.items()) if count)


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _keep(name: str, what: object) -> None:
    """Remember what came of a step, at this tenant alone."""
    _, _, tenant = desk_of()
    st.session_state[f"request-{name}"] = (tenant, what)


def _kept(name: str) -> object:
    """What came of a step, if it was at this tenant."""
    _, _, tenant = desk_of()
    at, what = st.session_state.get(f"request-{name}", (tenant, None))
    return what if at == tenant else None


def _drop(name: str) -> None:
    st.session_state.pop(f"request-{name}", None)
