"""Which requests reach the pages: by name, origin and way, and what each answer tells the browser."""

import asyncio
import os

import pytest

from dashboards.door import Door, is_strangers

HERE = "127.0.0.1:8501"


async def application(scope, receive, send):
    """Answers everything."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"let in"})


def ask(*headers, kind="http", path="/overview", signs_in=False, strange=False):
    """What the door sends for a request with these headers."""
    sent = []

    async def receive():
        return {"type": f"{kind}.connect"}

    async def send(message):
        sent.append(message)

    named = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": kind, "path": path, "headers": named}
    asyncio.run(Door(application, signs_in=signs_in, is_strangers=lambda _: strange)(scope, receive, send))
    return sent


def is_let_in(sent):
    """Whether the application answered."""
    return sent[-1].get("body") == b"let in"


@pytest.mark.parametrize("host", [HERE, "localhost:9000", "127.0.0.1", "[::1]:8501", "LOCALHOST:8501"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_this_machines_names_are_let_in(host, kind):
    """By each name of this machine, at each port, as a tunnel's end has another one."""
    assert is_let_in(ask(("host", host), ("origin", f"http://{host}"), kind=kind))


@pytest.mark.parametrize(
    "host",
    ["evil.example:8501", "127.0.0.1.evil.example:8501", "evil.example@127.0.0.1:8501", "127.0.0.1:8501/x", "127.0.0.1:x",
     "localhost.:8501", "127.0.0.2:8501", "0.0.0.0:8501", "192.168.0.7", "", "[::1", "127.0.0.1:8501?x"],
)  # fmt: skip
@pytest.mark.parametrize("signs_in", [False, True])
def test_a_name_that_somebody_pointed_here_is_refused(host, signs_in):
    """A page of another name reaches neither pages nor sessions, whatever that name resolves to."""
    assert ask(("host", host), signs_in=signs_in)[0]["status"] == 403
    sent = ask(("host", host), ("origin", f"http://{host}"), kind="websocket", signs_in=signs_in)
    assert [(each["type"], each["code"]) for each in sent] == [("websocket.close", 1008)]


def test_two_names_or_none_are_refused():
    """What can be read in two ways is let in by neither."""
    assert not is_let_in(ask(("host", HERE), ("host", "evil.example")))
    assert not is_let_in(ask())


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:8501", "http://127.0.0.1:3000", "http://127.0.0.1"]
)
def test_another_pages_sessions_are_refused(origin):
    """A page of another address, on another port of this machine too, opens no session."""
    assert not is_let_in(ask(("host", HERE), ("origin", origin), kind="websocket", signs_in=True))


def test_a_program_without_an_origin_opens_a_session():
    """What sends no origin is no browser."""
    assert is_let_in(ask(("host", HERE), kind="websocket"))


@pytest.mark.parametrize("name", ["x-forwarded-for", "x-forwarded-host", "forwarded", "x-real-ip", "via"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_without_a_sign_in_nobody_comes_by_a_proxy(name, kind):
    """Who is behind a proxy is not the local user; with a sign-in the provider says who it is."""
    headers = (("host", HERE), (name, "203.0.113.7"))
    assert not is_let_in(ask(*headers, kind=kind))
    assert is_let_in(ask(*headers, kind=kind, signs_in=True))


def test_without_a_sign_in_another_account_opens_no_session():
    """Who has another account of this machine is not the user who runs the pages; with a sign-in the provider says who it is."""
    headers = (("host", HERE), ("origin", f"http://{HERE}"))
    assert not is_let_in(ask(*headers, kind="websocket", strange=True))
    assert is_let_in(ask(*headers, kind="websocket", strange=True, signs_in=True))


@pytest.mark.parametrize(
    ("user", "strange"), [(None, True), (os.geteuid() + 1, True), (os.geteuid(), False), (0, False)]
)
def test_who_is_not_known_is_a_stranger(monkeypatch, user, strange):
    """Only this process's own user and root are none; where the system does not tell, nobody is."""
    monkeypatch.setattr("dashboards.door.can_tell", lambda: True)
    monkeypatch.setattr("dashboards.door.user_of", lambda *_: user)
    scope = {"client": ["127.0.0.1", 40000], "server": ["127.0.0.1", 8501]}
    assert is_strangers(scope) == strange
    monkeypatch.setattr("dashboards.door.can_tell", lambda: False)
    assert not is_strangers(scope)


@pytest.mark.parametrize("path", ["/_stcore/metrics", "/_stcore/agent/interact", "/_stcore/agent/mcp"])
def test_what_no_page_needs_is_closed(path):
    """Counts of sessions and caches are told to nobody, and programs drive no page."""
    assert ask(("host", HERE), path=path, signs_in=True)[0]["status"] == 403


def test_each_answer_says_what_a_browser_may_do_with_it():
    """Nothing is loaded from elsewhere, no frame shows it, and a download is kept by no cache; what it already said stays."""
    headers = dict(ask(("host", HERE))[0]["headers"])
    assert headers[b"content-type"] == b"text/plain"
    policy = dict(part.strip().split(" ", 1) for part in headers[b"content-security-policy"].decode().split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == f"'self' ws://{HERE} wss://{HERE}"
    assert not [part for part in policy.values() if "*" in part or "http" in part]
    assert headers[b"x-frame-options"] == b"DENY"
    assert b"cache-control" not in headers
    assert dict(ask(("host", HERE), path="/media/abc.csv")[0]["headers"])[b"cache-control"] == b"no-store"
