"""Where somebody lands who had to sign in first."""

import pytest
from streamlit.web.server.starlette.starlette_app_utils import generate_xsrf_token_string

from dashboards.landing import KEPT_SECONDS, Landing, Landings

TOKEN = bytes(range(16))
HERE = "http://127.0.0.1:8501/incidents"
FILTERS = {"tenant": ["acme"], "show": ["all"]}


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def landings(clock):
    return Landings(clock)


def cookie(token=TOKEN):
    """The cookie as Streamlit writes it, with a mask of its own each time."""
    return generate_xsrf_token_string(token)


def test_a_browser_gets_its_page_and_filters_back_once(landings):
    """The mask of the cookie changes between the two visits, the browser does not; a second visit goes on from where it is."""
    landings.keep(cookie(), HERE, FILTERS)
    assert landings.take(cookie()) == Landing("incidents", FILTERS)
    assert landings.take(cookie()) is None


def test_another_browser_gets_nothing(landings):
    """What one browser wanted is nothing to another."""
    landings.keep(cookie(), HERE, FILTERS)
    assert landings.take(cookie(bytes(16))) is None
    assert landings.take(cookie()) is not None


def test_it_is_forgotten_with_time_and_by_the_next_visit_to_the_door(landings, clock):
    """Ten minutes are enough to sign in; who comes to the door anew without a page wants none."""
    landings.keep(cookie(), HERE, FILTERS)
    clock.seconds = KEPT_SECONDS
    assert landings.take(cookie()) is None
    landings.keep(cookie(), HERE, FILTERS)
    landings.keep(cookie(), "http://127.0.0.1:8501/", {})
    assert landings.take(cookie()) is None


def test_only_a_place_on_these_pages_is_kept(landings):
    """Of an address the path alone counts, whatever machine it names."""
    landings.keep(cookie(), "https://elsewhere.example/audit?x=1#y", {})
    assert landings.take(cookie()) == Landing("audit", {})


@pytest.mark.parametrize(
    "given", [None, "", "2", "2|zz|00|1", "2||00|1", "2|00112233||1", "1|00112233|00|1", "2|00112233|00"]
)
def test_a_cookie_of_another_form_tells_nobody_apart(landings, given):
    """Nothing is kept for it, and nothing fails."""
    landings.keep(given, HERE, FILTERS)
    assert landings.take(given) is None


def test_what_is_kept_has_a_bound(landings):
    """A long address is not kept, and many browsers push out the oldest."""
    landings.keep(cookie(), HERE, {"text": ["x" * 5_000]})
    assert landings.take(cookie()) is None
    for number in range(1_001):
        landings.keep(cookie(number.to_bytes(16, "big")), HERE, FILTERS)
    assert landings.take(cookie((0).to_bytes(16, "big"))) is None
    assert landings.take(cookie((1_000).to_bytes(16, "big"))) is not None
