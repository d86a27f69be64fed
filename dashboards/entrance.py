"""Who is at the door: asks people to sign in where a provider is configured, and says why where somebody may not come in.

Invariant: what a page goes on with is a viewer whom the desk made. Nothing of a lake is asked for, or shown, before that.
"""

import time
from contextlib import suppress

import streamlit as st

from dashboards.desk import Desk
from dashboards.landing import GOES_TO, Landings
from dashboards.viewer import Viewer
from warehouse.errors import DeniedError, MunimentError

_KEPT = "for whom"
_BROWSER = "_streamlit_xsrf"


def identify(desk: Desk) -> Viewer:
    """The viewer of this run; where there is none the run ends with the page that says so."""
    token = None
    if desk.asks_sign_in:
        if not st.user.is_logged_in:
            _ask(desk)
        token = st.user.tokens.get("id", "")
    try:
        viewer = desk.viewer(token)
    except DeniedError as exc:
        if not desk.asks_sign_in:
            raise
        _refuse(exc)
    if st.session_state.get(_KEPT, viewer) != viewer:
        st.session_state.clear()  # what was kept for somebody else, or for somebody who may see less now
    if desk.asks_sign_in and _KEPT not in st.session_state and not st.query_params:
        st.session_state[GOES_TO] = _landings().take(st.context.cookies.get(_BROWSER))
    st.session_state[_KEPT] = viewer
    return viewer


def sign_out(desk: Desk, viewer: Viewer) -> None:
    """Forget the viewer here, in the browser, and, where it takes part, at the provider."""
    with suppress(MunimentError):  # the session has ended all the same, though that it did is not on record
        desk.sign_out(viewer)
    st.session_state.clear()
    st.logout()


@st.cache_resource(show_spinner=False)
def _landings() -> Landings:
    return Landings(time.monotonic)


def _sign_in() -> None:
    filters = {name: st.query_params.get_all(name) for name in st.query_params}
    _landings().keep(st.context.cookies.get(_BROWSER), st.context.url, filters)
    st.login()


def _ask(desk: Desk) -> None:
    st.title("Sign in")
    st.markdown(
        "These pages show records of what AI agents did. They are for people whom the owner of the lake gave a role."
    )
    st.caption(f"Lake {desk.lake_name}")
    st.button("Sign in", type="primary", on_click=_sign_in, icon=":material/login:")
    st.stop()


def _refuse(why: DeniedError) -> None:
    st.session_state.clear()
    st.title("You may not come in")
    st.error("These pages show nothing to you now.", icon=":material/lock:")
    st.text(str(why) + (f"\n{why.hint}" if why.hint else ""))
    with st.container(horizontal=True):
        st.button("Sign in again", type="primary", on_click=_sign_in, icon=":material/login:")
        st.button("Sign out", on_click=st.logout, icon=":material/logout:")
    st.stop()
