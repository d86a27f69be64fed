"""From the first paint to the program, in a real browser and without a server: what takes its place, and what does not."""

import pytest

from dashboards.first_paint import shell

ADDRESS = "http://127.0.0.1:9/overview"
ANSWER = "2 of 9 need attention"
PAINT = (
    '<div id="first-paint"><style>#root { visibility: hidden; }</style><template shadowrootmode="closed">'
    f'<div style="position: fixed; inset: 0">{ANSWER}</div></template></div>'
)
LATE_MILLISECONDS = 21_000
SKELETON = '<div data-testid="stSkeleton"></div>'


def program(inner, state="notRunning"):
    """What the program has drawn, with `state` of its script."""
    return f'<div data-testid="stApp" data-test-script-state="{state}"><section data-testid="stMain">{inner}</section></div>'


@pytest.fixture
def tab(browser):
    """A tab with a page whose program never comes by itself, and a clock of its own."""
    whole = shell()
    with browser.new_context() as context:
        tab = context.new_page()
        body = whole.head + PAINT + whole.tail
        tab.route(
            "**/*",
            lambda route: (
                route.fulfill(body=body, content_type="text/html") if route.request.url == ADDRESS else route.abort()
            ),
        )
        tab.clock.install()
        tab.goto(ADDRESS)
        yield tab


def draw(tab, html):
    """Have the program draw something, and let a moment pass."""
    tab.evaluate("html => { document.getElementById('root').innerHTML = html }", html)
    tab.clock.run_for(100)


def shows_first(tab):
    """Whether the first paint is still there, and the program's own part hidden."""
    hidden = tab.evaluate("getComputedStyle(document.getElementById('root')).visibility === 'hidden'")
    assert hidden == (tab.locator("#first-paint").count() == 1)
    return hidden


@pytest.mark.parametrize("inner", ["<h1>Overview</h1>", '<div data-testid="stAlert">You may not see this.</div>'])
def test_the_program_takes_the_place_once_it_has_drawn_the_page(tab, inner):
    """Neither while it runs, nor while rooms for what comes stand in it; an error is a page too."""
    for unfinished in ("", program(""), program(inner, "running"), program(inner + SKELETON)):
        draw(tab, unfinished)
        assert shows_first(tab)
    draw(tab, program(inner))
    assert not shows_first(tab)


@pytest.mark.parametrize("drawn", ["", program(SKELETON, "initial")], ids=["no program", "no connection"])
def test_an_answer_does_not_give_way_to_an_empty_page(tab, drawn):
    """Where the program or its connection does not come, the answer stays, and says that it is as old as it is."""
    draw(tab, drawn)
    assert tab.get_by_role("alert").count() == 0
    tab.clock.run_for(LATE_MILLISECONDS)
    assert shows_first(tab)
    assert "load the page again" in tab.get_by_role("alert").inner_text()
    draw(tab, program("<h1>Overview</h1>"))
    assert not shows_first(tab)
    assert tab.get_by_role("alert").count() == 0


@pytest.mark.parametrize(
    ("drawn", "milliseconds"),
    [(program("<h1>Overview</h1>" + SKELETON, "running"), LATE_MILLISECONDS), ('<div role="dialog">Error</div>', 100)],
    ids=["a long run", "a dialog"],
)
def test_what_somebody_has_to_see_is_not_kept_from_them(tab, drawn, milliseconds):
    """A page that takes very long is shown as far as it is; what asks for an answer is shown at once."""
    draw(tab, drawn)
    tab.clock.run_for(milliseconds)
    assert not shows_first(tab)
