"""The pages of one lake: who looks, at which tenant, and then the page."""

import functools
from pathlib import Path

import streamlit as st

from dashboards import (
    agents,
    audit,
    deletion,
    evidence,
    incidents,
    integrity,
    overview,
    request_forms,
    search,
    slos,
    trace,
)
from dashboards.desk import Desk, open_desk
from dashboards.entrance import identify, sign_out
from dashboards.frame import explained
from dashboards.landing import GOES_TO, Landing
from dashboards.viewer import Viewer

_ICON = Path(__file__).with_name("icon.png")  # a named icon would be fetched from elsewhere
_LOOK = Path(__file__).with_name("look.css")
_PAPER = "<style>@media print { canvas, svg.marks { filter: invert(1) hue-rotate(180deg); } }</style>"
"""Tables and charts are drawn as pictures, in the colours of the screen: on paper those of a dark one are turned round."""

_FILTERS, _AT = "filters of pages", "page"


@functools.cache
def desk_at(lake: str) -> Desk:
    """The lake's desk, one for all sessions, which asks who is looking each time."""
    return open_desk(Path(lake))


def main(lake: str) -> None:
    """Find out who looks, then draw what the address names, of the lake in this folder."""
    st.set_page_config(page_title="Muniment", page_icon=str(_ICON), layout="wide")
    st.html(_LOOK)
    if st.context.theme.type == "dark":
        st.html(_PAPER)
    found = st.Page(search.show, title="Search", icon=":material/search:", url_path="search")
    pages = [
        st.Page(overview.show, title="Overview", icon=":material/home:", url_path="overview"),
        found,
        st.Page(evidence.show, title="Evidence", icon=":material/fact_check:", url_path="evidence"),
        st.Page(audit.show, title="Audit explorer", icon=":material/manage_search:", url_path="audit"),
        st.Page(trace.show, title="Trace", icon=":material/account_tree:", url_path="trace"),
        st.Page(agents.show, title="Agents", icon=":material/smart_toy:", url_path="agents"),
        st.Page(slos.show, title="SLOs", icon=":material/speed:", url_path="slos"),
        st.Page(incidents.show, title="Incidents", icon=":material/crisis_alert:", url_path="incidents"),
        st.Page(deletion.show, title="Retention", icon=":material/auto_delete:", url_path="retention"),
        st.Page(request_forms.show, title="Requests", icon=":material/assignment_ind:", url_path="requests"),
        st.Page(integrity.show, title="Integrity", icon=":material/verified:", url_path="integrity"),
    ]
    with explained(), st.spinner("Opening the lake…"):
        desk = desk_at(lake)
    with explained():
        viewer = identify(desk)
    page = st.navigation([st.Page(_first, title="Muniment", default=True, visibility="hidden"), *pages])
    st.set_page_config(
        page_title=f"{page.title} · Muniment"
    )  # tabs, bookmarks and what the browser remembers tell pages apart
    _land(pages, at_door=page.url_path == "")
    _restore(page.url_path)
    st.session_state["desk"], st.session_state["viewer"] = desk, viewer
    st.session_state["tenant"] = _tenant(viewer)
    with st.sidebar:
        if search.box():
            st.switch_page(found, query_params={"tenant": st.session_state["tenant"]})
    _sidebar(desk, viewer)
    try:
        with explained():
            page.run()
    finally:
        filters = {name: st.query_params.get_all(name) for name in st.query_params if name != "tenant"}
        st.session_state[_FILTERS][st.session_state["tenant"], page.url_path] = filters


def _restore(page: str) -> None:
    """Give a page that is come back to, by the browser's button or a link without filters, those it had in this session.

    A browser that goes back to another page sends the page's name and not what stood behind it. The link of the page that is open
    already leads to it as it is at first.
    """
    kept = st.session_state.setdefault(_FILTERS, {}).get((st.session_state.get("tenant"), page))
    if kept and not st.query_params and st.session_state.get(_AT) != page:
        for name, values in kept.items():
            st.query_params[name] = values
    st.session_state[_AT] = page


def _first() -> None:
    """What the bare address names: never drawn, since it leads to the first page, which has an address of its own."""


def _land(pages: list[st.Page], *, at_door: bool) -> None:
    """Lead to the page that was opened before signing in, or that another page leads to, with its filters."""
    wanted = st.session_state.pop(GOES_TO, None)
    if wanted is None and at_door:
        wanted = Landing("", {name: st.query_params.get_all(name) for name in st.query_params})
    named = {page.url_path: page for page in pages}
    if wanted is not None:
        st.switch_page(named.get(wanted.page, pages[0]), query_params=wanted.filters)


def _tenant(viewer: Viewer) -> str:
    if not viewer.tenants:
        st.error("You may not read any tenant's records.", icon=":material/lock:")
        st.text("Have the lake's owner give you a role: in the setting users, or in LAKE/policies/access/groups.yaml.")
        st.stop()
    wanted = st.query_params.get("tenant", viewer.tenants[0])
    options = list(viewer.tenants)
    chosen = st.sidebar.selectbox(
        "Tenant", options, index=options.index(wanted) if wanted in options else 0, key="tenant-choice"
    )
    st.query_params["tenant"] = chosen
    return str(chosen)


def _sidebar(desk: Desk, viewer: Viewer) -> None:
    st.sidebar.caption(f"Lake: {desk.lake_name}")
    who = f"{viewer.name} ({', '.join(viewer.roles)})"
    st.sidebar.text(f"Signed in as {who}" if desk.asks_sign_in else f"You are {who}")
    if desk.asks_sign_in:
        st.sidebar.button("Sign out", on_click=sign_out, args=(desk, viewer), icon=":material/logout:")
        return
    st.sidebar.warning(
        "No sign-in is configured: these pages answer on this machine alone, to the user who runs them.",
        icon=":material/computer:",
    )
