"""What a browser's session keeps between clicks, and for whom."""

import dataclasses

import pytest
from streamlit.testing.v1 import AppTest

from dashboards.viewer import Viewer

OLGA = Viewer("t-1", "olga", ("compliance-officer",), ("acme", "globex"), "sha256:a")


class Desk:
    """A desk at which whoever stands in `now` looks."""

    asks_sign_in = False

    def __init__(self):
        self.now = OLGA

    def viewer(self, token):
        return self.now


def draw(desk):
    """A page that keeps something once."""
    import streamlit as st

    from dashboards.entrance import identify

    identify(desk)
    st.text(st.session_state.get("kept", "nothing is kept"))
    st.session_state.setdefault("kept", "findings of globex")


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        ({}, True),
        ({"ticket": "t-2"}, False),
        ({"roles": ("sre",)}, False),
        ({"tenants": ("acme",)}, False),
        ({"policies": "sha256:b"}, False),
    ],
)
def test_what_was_kept_goes_with_the_rights_it_was_kept_under(change, stays):
    """Somebody else, another role, a tenant less, other policies: the page begins anew; the same rights find it as it was."""
    desk = Desk()
    app = AppTest.from_function(draw, kwargs={"desk": desk}, default_timeout=180)
    app.run()
    assert app.text[0].value == "nothing is kept"
    desk.now = dataclasses.replace(OLGA, **change)
    app.run()
    assert not app.exception
    assert app.text[0].value == ("findings of globex" if stays else "nothing is kept")
