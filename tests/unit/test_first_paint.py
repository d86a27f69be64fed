"""Which requests get a page that is drawn already, and what they get otherwise: never less than Streamlit's own page."""

import asyncio

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from dashboards import first_paint
from dashboards.cookies import signed_in_by
from dashboards.first_paint import PAGES, FirstPaint, shell

OPENS = {"host": "127.0.0.1:8501", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


async def application(scope, receive, send):
    """Streamlit's own page."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"own page"})


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    """What was drawn, in place of a running Streamlit: page, query, user."""
    asked = []

    async def draw(name, query, who):
        asked.append((name, query, dict(who)))
        if name == "integrity":
            raise RuntimeError("broken")
        return f"<p>{name}</p>"

    monkeypatch.setattr(first_paint, "_drawn", draw)
    monkeypatch.setattr(first_paint, "is_strangers", lambda scope: scope.get("strange", False))
    return asked


def ask(path="/overview", query="", method="GET", *, signs_in=False, headers=OPENS, **more):
    """The body that a browser gets."""
    sent = []

    async def send(message):
        sent.append(message)

    named = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http", "scheme": "http", "method": method, "path": path, "query_string": query.encode(), "headers": named, **more,
    }  # fmt: skip
    asyncio.run(FirstPaint(application, signs_in=signs_in)(scope, None, send))
    return b"".join(each.get("body", b"") for each in sent).decode()


def test_a_page_comes_drawn(drawn):
    """It stands where the program's own part ends, and the program is started behind it."""
    body = ask(query="tenant=acme&text=x")
    assert drawn == [("overview", "tenant=acme&text=x", {})]
    before, _, after = body.partition("<p>overview</p>")
    assert '<div id="root"></div><script>' in before
    assert after.startswith("<script>")
    assert '<script type="module"' not in body
    assert "ENTRY" not in body


def test_every_page_but_the_search_comes_drawn(drawn):
    """A search, or a framework's findings, would be made, and recorded, twice; addresses that are no pages are the application's."""
    for name in PAGES:
        ask(f"/{name}")
    assert {each[0] for each in drawn} == PAGES
    for path in ("/search", "/", "/static/js/index.js", "/_stcore/health", "/overview/x", "//overview"):
        assert ask(path) == "own page"
    assert ask("/evidence", query="tenant=acme&findings=shown") == "own page"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": OPENS["host"]},
        {**OPENS, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {**OPENS, "sec-fetch-dest": "iframe"},
        {**OPENS, "sec-purpose": "prefetch"},
        {**OPENS, "sec-purpose": "prefetch;prerender"},
        {**OPENS, "purpose": "prefetch"},
        {**OPENS, "x-moz": "prefetch"},
    ],
)
def test_what_no_person_opens_is_not_drawn(drawn, headers):
    """Nobody looks at what a page of somebody else's loads, or a browser has ready; so nothing is read and recorded for it."""
    assert ask(headers=headers) == "own page"
    assert ask(method="HEAD") == "own page"
    assert ask(query="x" * 5_000) == "own page"
    assert not drawn


def test_nothing_is_drawn_for_another_account_of_this_machine(drawn):
    """Without a sign-in the pages are those of the user who runs them."""
    assert ask(strange=True) == "own page"
    assert not drawn


@pytest.mark.parametrize(
    "cookie", ["", "_streamlit_user=forged", '_streamlit_user="2|x"; _streamlit_user_tokens=x', "\x7f=;;"]
)
def test_nothing_is_drawn_for_who_did_not_sign_in(drawn, cookie):
    """A cookie that this server did not sign is none."""
    assert ask(signs_in=True, headers={**OPENS, "cookie": cookie}) == "own page"
    assert not drawn
    assert signed_in_by(cookie, "http://127.0.0.1:8501") == {}


def test_what_cannot_be_drawn_is_left_to_the_program(drawn, caplog):
    """The browser gets the rest of the page all the same; the operator gets the reason."""
    body = ask("/integrity")
    assert drawn
    assert body.startswith(shell().head)
    assert body.endswith(shell().tail)
    assert "first paint failed" in caplog.text


def test_a_streamlit_whose_page_is_another_is_left_alone(drawn, monkeypatch, tmp_path):
    """What does not look as expected goes to the browser as it is."""
    (tmp_path / "index.html").write_text("<html><div id='root'></div></html>")
    monkeypatch.setattr(first_paint, "get_static_dir", lambda: str(tmp_path))
    shell.cache_clear()
    try:
        assert ask() == "own page"
    finally:
        shell.cache_clear()
    assert not drawn


def test_no_more_are_drawn_at_once_than_may_be(drawn, monkeypatch):
    """However slowly their browsers take what is sent: who comes meanwhile gets Streamlit's own page."""
    going, at_once = 0, []

    async def draw(*_):
        nonlocal going
        going += 1
        at_once.append(going)
        await asyncio.sleep(0.01)
        going -= 1
        return ""

    async def send(_):
        await asyncio.sleep(0)

    async def openings():
        scope = {"type": "http", "scheme": "http", "method": "GET", "path": "/slos", "query_string": b""}
        scope["headers"] = [(name.encode(), value.encode()) for name, value in OPENS.items()]
        paint = FirstPaint(application, signs_in=False)
        await asyncio.gather(*(paint(scope, None, send) for _ in range(20)))
        await paint(scope, None, send)  # and once they have gone it is drawn again

    monkeypatch.setattr(first_paint, "_drawn", draw)
    asyncio.run(openings())
    assert at_once == [1, 2, 3, 4, 1]


def test_a_browser_that_has_gone_takes_no_place(drawn, monkeypatch):
    """What cannot be sent any more ends the drawing, and the next one is drawn."""
    paint = FirstPaint(application, signs_in=False)
    scope = {"type": "http", "scheme": "http", "method": "GET", "path": "/slos", "query_string": b""}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in OPENS.items()]

    async def gone(_):
        raise OSError("closed")

    for _ in range(first_paint._MOST_AT_ONCE + 1):
        with pytest.raises(OSError, match="closed"):
            asyncio.run(paint(scope, None, gone))
    assert not drawn
    assert paint._drawing == 0


def sends(listener, *kinds):
    """Have Streamlit send messages of these kinds."""
    for place, kind in enumerate(kinds):
        message = ForwardMsg()
        if kind in {"heading", "text"}:
            message.metadata.delta_path.extend([0, place])
            getattr(message.delta.new_element, kind).body = kind
        elif kind == "new_session":
            message.new_session.name = "x"
        else:
            message.script_finished = getattr(ForwardMsg, kind)
        listener.write_forward_msg(message)


def test_a_page_that_leads_to_another_is_drawn_as_that():
    """A run that ended for another one is not the page, and leaves nothing in it."""
    listener = first_paint._Listener()
    sends(listener, "new_session", "text", "FINISHED_EARLY_FOR_RERUN")
    assert not listener.ended.is_set()
    sends(listener, "new_session", "heading", "FINISHED_SUCCESSFULLY")
    assert listener.ended.is_set()
    assert [each.WhichOneof("type") for each in listener.messages] == ["new_session", "delta", "script_finished"]


def test_an_answer_is_enough_where_all_of_the_page_takes_long(monkeypatch):
    """Title and answer are shown once the first moments are over; a title alone is waited with, and then left to the program."""
    monkeypatch.setattr(first_paint, "ENOUGH_SECONDS", 0.01)
    monkeypatch.setattr(first_paint, "_LOOKS_SECONDS", 0.01)
    listener = first_paint._Listener()
    sends(listener, "heading", "text")
    assert asyncio.run(listener.is_enough())
    bare = first_paint._Listener()
    sends(bare, "heading")
    monkeypatch.setattr(first_paint, "LONGEST_SECONDS", 0.05)
    assert not asyncio.run(bare.is_enough())
    sends(bare, "FINISHED_SUCCESSFULLY")
    assert asyncio.run(bare.is_enough())
