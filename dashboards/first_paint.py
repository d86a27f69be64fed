"""The first paint of a page: its answer stands in the HTML that a browser gets first, drawn by the same code, before any program runs.

Streamlit's program takes a browser half a second and more to start, and only then asks for the page. So the server draws the page when
its address is asked for: in a session of its own, which asks the desk what the page asks and ends with it. The program starts behind
what is shown, and takes its place once it has drawn the same.

Invariants:
- What is shown was asked of the desk by this viewer, for this request, and stands on record as any view; nothing is kept from one
  request to the next.
- Without a sign-in it is drawn for the user who runs the pages alone; with one for whom the signed cookie names, asked by the desk again.
- Whatever goes wrong in it, the browser gets Streamlit's own page, which goes on without it.
"""

import asyncio
import functools
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs

from streamlit.file_util import get_static_dir
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.Navigation_pb2 import Navigation
from streamlit.runtime import get_instance
from streamlit.runtime.session_manager import ClientContext, SessionClient

from dashboards.cookies import signed_in_by
from dashboards.door import Application, Message, Receive, Send, is_strangers, text_of
from dashboards.plain import Node, is_useful, page, tree

PAGES = frozenset(
    {"overview", "evidence", "audit", "trace", "agents", "slos", "incidents", "retention", "requests", "integrity"}
)
"""The pages that are drawn first. The search is not, nor a link to findings: they would be made, and recorded, twice."""
ENOUGH_SECONDS, LONGEST_SECONDS = 0.3, 5.0
"""How long it takes at most to have all of it, and, where there is nothing useful by then, some; the program shows the rest."""
_LOOKS_SECONDS = 0.05
_MOST_AT_ONCE = 4
_MOST_CHARACTERS = 4_096
_STYLE = Path(__file__).with_name("first_paint.css")
_SCRIPT = Path(__file__).with_name("first_paint.js")
_PROGRAM = Path(__file__).with_name("first_program.js")
_ENTRY = re.compile(r'<script type="module" crossorigin src="\./(static/js/[\w.-]+\.js)"></script>')
_FONT = re.compile(r'href="\./(static/media/[\w.-]+\.woff2)"')
_ROOT = '<div id="root"></div>'
_AHEAD = {b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"}
"""Headers by which browsers say that they have a page ready that nobody opened yet; the last three are what older ones say."""
_log = logging.getLogger(__name__)


@dataclass
class _Listener(SessionClient):
    """Takes the place of a browser in a session: keeps what the last run sent, until that run has ended."""

    messages: list[ForwardMsg] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def write_forward_msg(self, msg: ForwardMsg) -> None:
        """Keep a message; called where an exception would end every session, so it raises none."""
        kind = msg.WhichOneof("type")
        if kind == "new_session":
            self.messages.clear()  # the page led to another one
        self.messages.append(msg)
        if kind == "script_finished" and msg.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            self.ended.set()

    async def is_enough(self) -> bool:
        """Wait for what is shown first: all of the page, or an answer where all of it takes long. False where there is none in time."""
        waited = ENOUGH_SECONDS
        ended = await self._ends_within(ENOUGH_SECONDS)
        while not (ended or is_useful(tree(self.messages)) or waited > LONGEST_SECONDS):
            ended = await self._ends_within(_LOOKS_SECONDS)
            waited += _LOOKS_SECONDS
        return ended or waited <= LONGEST_SECONDS

    async def _ends_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        except TimeoutError:
            return False
        return True

    @property
    def client_context(self) -> ClientContext | None:
        """No browser: cookies and headers stay outside."""
        return None


@dataclass(frozen=True)
class Shell:
    """Streamlit's own page in two parts, between which the first paint goes; its program starts with the second, or by itself."""

    head: str
    tail: str


@functools.cache
def shell() -> Shell | None:
    """The shell of the Streamlit that is installed; None where its page is not as expected, and is left alone."""
    text = (Path(get_static_dir()) / "index.html").read_text("utf-8")
    entry, font = _ENTRY.search(text), _FONT.search(text)
    if entry is None or font is None or text.count(_ROOT) != 1:
        return None
    text = text.replace(entry[0], f'<link rel="modulepreload" crossorigin href="./{entry[1]}">')
    face = (
        '<style>@font-face{font-family:"Source Sans";font-weight:200 900;font-display:swap;'
        f"src:url(./{font[1]}) format('woff2')}}</style>"
    )
    head, tail = text.replace("<title>Streamlit</title>", "<title>Muniment</title>").split(_ROOT)
    program = _PROGRAM.read_text("utf-8").replace("ENTRY", f"./{entry[1]}")
    return Shell(
        f"{head.replace('</head>', f'{face}</head>')}{_ROOT}<script>{program}</script>",
        f"<script>{_SCRIPT.read_text('utf-8')}</script>{tail}",
    )


@dataclass
class FirstPaint:
    """Draws pages before the application behind it is asked for them; `signs_in` says that people have to sign in."""

    application: Application
    signs_in: bool
    _drawing: int = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a browser that opens a page; let everything else through."""
        whole = shell()
        who = self._who(scope) if whole is not None and _opens_page(scope) else None
        if whole is None or who is None or self._drawing >= _MOST_AT_ONCE:
            await self.application(scope, receive, send)
            return
        headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")]
        self._drawing += 1  # before anything is waited for, or all who come at once are the first
        try:
            await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
            await send({"type": "http.response.body", "body": whole.head.encode(), "more_body": True})
            drawn = await _drawn_or_nothing(scope, who)
        finally:
            self._drawing -= 1
        await send({"type": "http.response.body", "body": (drawn + whole.tail).encode()})

    def _who(self, scope: Message) -> Mapping[str, object] | None:
        """What Streamlit knows of the user who asks; None for whom nothing is drawn."""
        if not self.signs_in:
            return None if is_strangers(scope) else {}
        found = signed_in_by(text_of(scope, b"cookie"), f"{scope['scheme']}://{text_of(scope, b'host')}")
        return found or None


def _opens_page(scope: Message) -> bool:
    """Whether a browser asks for one of the pages to show it: in a tab of its own, and not to have it ready."""
    return (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and scope["path"].removeprefix("/") in PAGES
        and len(scope["query_string"]) <= _MOST_CHARACTERS
        and b"findings=" not in scope["query_string"]
        and text_of(scope, b"sec-fetch-mode") == "navigate"
        and text_of(scope, b"sec-fetch-dest") == "document"
        and _AHEAD.isdisjoint(name for name, _ in scope["headers"])
    )


async def _drawn_or_nothing(scope: Message, who: Mapping[str, object]) -> str:
    try:
        return await _drawn(scope["path"].strip("/"), scope["query_string"].decode("latin-1"), who)
    except Exception:  # noqa: BLE001 - the browser goes on with Streamlit's own page
        _log.exception("first paint failed")
        return ""


async def _drawn(name: str, query: str, who: Mapping[str, object]) -> str:
    """The page as HTML; empty where there is nothing useful to be shown in time."""
    messages = await _messages(name, query, who)
    tenant = (parse_qs(query).get("tenant") or [""])[-1]
    return _framed(tree(messages), _navigation(messages), tenant) if messages else ""


async def _messages(name: str, query: str, who: Mapping[str, object]) -> list[ForwardMsg]:
    """What Streamlit sends a browser that opens the page, as far as it is shown first; nothing where there is no answer in time."""
    runtime, listener = get_instance(), _Listener()
    session = runtime.connect_session(listener, dict(who))  # type: ignore[arg-type] # as its own handler does
    try:
        state = ClientState(page_name=name, query_string=query)
        runtime.handle_backmsg(session, BackMsg(rerun_script=state), client=listener)
        return list(listener.messages) if await listener.is_enough() else []
    finally:
        runtime.close_session(session)


def _navigation(messages: list[ForwardMsg]) -> Navigation | None:
    found = [each.navigation for each in messages if each.WhichOneof("type") == "navigation"]
    return found[-1] if found else None


@functools.cache
def _style() -> str:
    return _STYLE.read_text("utf-8")


def _framed(root: Node, pages: Navigation | None, tenant: str) -> str:
    """The page apart from everything that Streamlit's program styles and looks for, and instead of it while it is drawing."""
    return (
        f'<div id="first-paint"><style>#root {{ visibility: hidden; }}</style><template shadowrootmode="closed"><style>{_style()}</style>'
        f'<div class="page">{page(root, pages, tenant)}</div></template></div>'
    )
