"""Whom Streamlit's cookies name, read from a request as Streamlit reads them from the WebSocket that its program opens.

Invariant: what is not signed by this server, or was given out for another address, names nobody. Whether the named still may look is
for the desk to say.
"""

import json
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from streamlit.auth_util import get_expose_tokens_config
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette import starlette_websocket
from streamlit.web.server.starlette.starlette_server_config import TOKENS_COOKIE_NAME, USER_COOKIE_NAME


def signed_in_by(cookies: str, origin: str) -> Mapping[str, object]:
    """What `st.user` would hold for the header `Cookie` of a request to `origin`; empty for nobody."""
    try:
        jar = {name: morsel.value for name, morsel in SimpleCookie(cookies).items()}
    except CookieError:
        return {}
    if not get_cookie_secret():
        return {}
    read = starlette_websocket._get_signed_cookie_with_chunks  # noqa: SLF001 - there is no other way to read it
    user = read(jar, USER_COOKIE_NAME)
    if not user:
        return {}
    found = dict(starlette_websocket._parse_decoded_user_cookie(user, origin))  # noqa: SLF001
    tokens = read(jar, TOKENS_COOKIE_NAME)
    if found and tokens:
        known = json.loads(tokens)
        found["tokens"] = {
            kind: known[f"{kind}_token"] for kind in get_expose_tokens_config() if f"{kind}_token" in known
        }
    return found
