"""What belongs to this? One box for a person, ticket, conversation, approval, trace or record, and its whole story in order of time.

What is typed can be somebody's name: it is looked up once and forgotten. The page's address holds the token, or an id, or nothing.
"""

import json
from collections.abc import Iterable
from urllib.parse import urlencode

import streamlit as st

from dashboards.export import Export, offer
from dashboards.frame import begin, day_of, desk_of, explained, moment, nanos, number_of, show_rows
from warehouse.questions.seals import Seal
from warehouse.questions.story import MOST_LINES, Bounds
from warehouse.questions.story_lines import Entry, Line, Story

FIND = "find"
_TYPED = "search-typed"
_TOLD = "search-told"
_ALL_TIME = "all"
_HELP = (
    "A ticket, conversation, approval, trace (hex digits) or record number (shard/index); or a person: their token, name or "
    "address. A name is turned into the token and kept nowhere."
)
_PLACEHOLDER = "person, ticket, trace, record …"
_PAGES = {
    Entry.STEP: "trace",
    Entry.LOG: "trace",
    Entry.CONTENT: "trace",
    Entry.EVENT: "audit",
    Entry.ACCESS: "audit",
    Entry.INCIDENT: "incidents",
    Entry.HOLD: "retention",
    Entry.CERTIFICATE: "retention",
    Entry.REQUEST: "requests",
}


def box() -> bool:
    """The box as it stands on every page; whether something was typed, which `show` then looks for."""
    with st.form("search-box", clear_on_submit=True, border=False):
        typed = st.text_input("Search everything", help=_HELP, autocomplete="off")
        pressed = st.form_submit_button("Search", icon=":material/search:", width="stretch")
    if pressed and typed.strip():
        st.session_state[_TYPED] = typed
        return True
    return False


def show() -> None:
    """Draw the page."""
    desk, viewer, tenant = desk_of()
    begin(
        "Search",
        "Everything that belongs to a person, ticket, conversation, approval, trace or record, in order of time.",
        tenant,
    )
    bounds = _form()
    text = st.session_state.pop(_TYPED, None) or st.query_params.get(FIND, "")
    st.query_params.pop(FIND, None)  # back once it is known to name nobody
    if not text:
        story = _kept(tenant)
        if story is None:
            st.info(
                "Type what you have: a ticket (GRC-7), a conversation, an approval, a run (4bf92f35…), a record (SHARD/17), or a person: "
                "their token (sub_…), name or address.",
                icon=":material/search:",
            )
            return
    else:
        st.session_state.pop(_TOLD, None)
        with explained(), st.spinner("Looking through every table…"):
            story = desk.search.story(viewer, tenant, text, bounds)
        if story.address:
            st.query_params[FIND] = story.address
        else:
            st.session_state[_TOLD] = story
    _head(story)
    _further_back(story)
    if story.lines:
        _reveal(story)
        _lines(story)


def _form() -> Bounds:
    """The box with its time, both kept in the page's address but for what was typed."""
    params = st.query_params
    with st.form("search-page", clear_on_submit=True):
        wide, first, last, count = st.columns([4, 2, 2, 1.5])
        typed = wide.text_input(
            "What do you look for?",
            help=_HELP,
            placeholder=_PLACEHOLDER,
            autocomplete="off",
        )
        since = first.date_input("From (UTC)", day_of(params.get("from")))
        until = last.date_input("To, included (UTC)", day_of(params.get("to")))
        most = int(
            count.number_input("At most", 100, 10_000, number_of(params.get("most"), MOST_LINES, 100, 10_000), step=500)
        )
        all_time = st.checkbox(
            "All time",
            params.get(_ALL_TIME) == "1",
            help="A ticket is looked for in texts of runs and logs from the newest back, for some seconds: with this in all of them.",
        )
        if st.form_submit_button("Search", type="primary"):
            kept = (
                ("from", since),
                ("to", until),
                ("most", most if most != MOST_LINES else None),
                (_ALL_TIME, "1" if all_time else None),
            )
            for key, value in kept:
                if value is None:
                    params.pop(key, None)
                else:
                    params[key] = str(value)
            if typed.strip():
                st.session_state[_TYPED] = typed
    end = None if until is None else nanos(until, days=1) - 1
    return Bounds(None if since is None else nanos(since), end, most, all_time)


def _kept(tenant: str) -> Story | None:
    """What was told last, where no address can tell it again: of this tenant, and without what was typed."""
    told = st.session_state.get(_TOLD)
    return told if isinstance(told, Story) and told.tenant == tenant else None


def _head(story: Story) -> None:
    looked = f"Looked for it as {', '.join(story.sought)}."
    if not story.lines:
        st.info(
            f"Nothing found in tenant {story.tenant}. {looked} Runs, events, logs, incidents, holds and certificates were "
            "searched: check the spelling, the time and the tenant.",
            icon=":material/search_off:",
        )
    else:
        st.header(f"Found as {', '.join(story.found) or 'what a case names'}")
        if story.token:
            st.text(f"Person {story.token}")
        st.caption(f"{story.extent}. {looked}")
        _say_seals(story)
        if not story.address:
            st.caption("This word could be somebody's name: the address of the page does not hold it.")
    if story.notes:
        with st.container(border=True):
            st.markdown("**To know**")
            for note in story.notes:
                st.text(note)


def _further_back(story: Story) -> None:
    """Where older texts were not searched, a way to have them searched; what may be somebody's name has to be typed again."""
    if story.texts_from is None:
        return
    if not story.again:
        st.caption("To look through older texts too, type it again with *All time*.")
    elif st.button(
        "Look through all time", icon=":material/history:", help="Reads everything, which can take a minute."
    ):
        st.query_params[_ALL_TIME] = "1"
        st.session_state[_TYPED] = story.again
        st.rerun()


def _say_seals(story: Story) -> None:
    counts = story.seals
    said = ", ".join(f"{count:,} {seal}" for seal, count in counts.items())
    if counts.get(Seal.BROKEN):
        st.error(
            f"Seals: {said}. A broken seal means that a record is not what was recorded: open Integrity, and run a verification.",
            icon=":material/gpp_bad:",
        )
    elif set(counts) == {Seal.HOLDS.value}:
        st.success(
            f"The seals of all {counts[Seal.HOLDS]:,} records hold. To prove one to somebody else: Integrity, *Prove one record*.",
            icon=":material/verified:",
        )
    elif counts:
        st.info(f"Seals: {said}.", icon=":material/verified:")


def _reveal(story: Story) -> None:
    """Whose the token is: asked with a reason, shown once, kept nowhere."""
    if not story.may_reveal or story.token is None:
        return
    desk, viewer, _ = desk_of()
    with st.expander("Whose token is this?"), st.form("reveal", clear_on_submit=True, border=False):
        reason = st.text_input("Why do you need to know? The reason is on record", max_chars=200)
        if st.form_submit_button("Show the name") and reason.strip():
            with explained(goes_on=True):
                st.text(desk.search.reveal(viewer, story.tenant, story.token, reason.strip()))


def _lines(story: Story) -> None:
    there = [entry.value for entry in Entry if any(line.entry is entry for line in story.lines)]
    chosen = st.pills("Show", there, selection_mode="multi", default=there, key=f"search-{'-'.join(there)}")
    shown = [line for line in story.lines if line.entry in chosen]
    show_rows(
        [_row(line) for line in shown],
        f"story-{story.tenant}",
        empty="Choose above what to show.",
        height=620,
        wide=("what", "said"),
        links={"open": _links(shown, story.tenant)},
    )
    desk, viewer, _ = desk_of()
    offer(
        desk,
        viewer,
        story.tenant,
        "Export the story as JSON",
        Export(
            f"story-{story.tenant}.json",
            "application/json",
            len(story.lines),
            lambda: json.dumps(story.to_json(), ensure_ascii=False, indent=1).encode(),
        ),
    )


def _row(line: Line) -> dict[str, object]:
    return {
        "time (UTC)": moment(line.time_unix_nano) if line.time_unix_nano else "",
        "from": line.entry.value,
        "what": line.what,
        "outcome": line.outcome,
        "seal": f"{line.seal}: {line.seal_note}" if line.seal_note else line.seal,
        "who": line.who,
        "said": line.said,
        "redacted": line.marks,
        "record number": line.record,
        "run": line.trace_id,
        "case": line.link,
    }


def _links(lines: Iterable[Line], tenant: str) -> list[str | None]:
    """Where more of each line stands."""
    return [_link(line, tenant) for line in lines]


def _link(line: Line, tenant: str) -> str | None:
    page, given = _PAGES[line.entry], {"tenant": tenant}
    if page == "trace":
        if not line.trace_id:
            return None
        given["trace"] = line.trace_id
    elif page == "audit":
        day = moment(line.time_unix_nano)[:10]
        given |= {"from": day, "to": day, "event": line.what.partition(" ")[0]}
    elif page == "incidents":
        given["incident"] = line.link
    return f"/{page}?{urlencode(given)}#{page}"
