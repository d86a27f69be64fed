"""Which requests reach the pages at all: those of browsers that opened the pages' own address on this machine.

A page of somebody else's, open in the same browser, can send requests here too: under a name that it points at this machine (DNS
rebinding), from another port of it, or with these pages in a frame. Without a sign-in each of them would act as the local user.

Invariants:
- The name in `Host` is one of this machine, and what opens a session's WebSocket from a browser was loaded from that same address.
- Without a sign-in nothing comes by a proxy, and no session is opened by another account of this machine: neither is the local user.
  Where the system does not say whose a connection is (`dashboards.peers`) everybody on the machine is let in.
- Every answer tells the browser to load from here alone, to show it in no frame, and to keep no download.
"""

import os
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from dashboards.peers import can_tell, user_of

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

OWN_NAMES = ("127.0.0.1", "localhost", "::1")
_FORWARDED = {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", b"via"}
_CLOSED = ("/_stcore/metrics", "/_stcore/agent")
"""Of Streamlit's own addresses those that no page needs: what its caches and sessions count, and a way in for programs."""
_DOWNLOADS = "/media/"
_REFUSED = 1008  # policy violation: RFC 6455, section 7.4.1


def is_strangers(scope: Message) -> bool:
    """Whether a connection is another user's of this machine than this process's; root may do everything anyway."""
    if not can_tell():
        return False
    return user_of(tuple(scope["client"]), tuple(scope["server"])) not in {os.geteuid(), 0}


@dataclass(frozen=True)
class Door:
    """The door of an ASGI application; `signs_in` says that people have to sign in behind it."""

    application: Application
    signs_in: bool
    is_strangers: Callable[[Message], bool] = is_strangers

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let a request through to the application, or answer it here."""
        if scope["type"] not in {"http", "websocket"}:
            await self.application(scope, receive, send)
            return
        host, why = text_of(scope, b"host"), self._refusal(scope)
        if why is None:
            await self.application(scope, receive, _guarded(send, host, scope["path"]))
        elif scope["type"] == "websocket":
            await receive()  # that it wants to connect
            await send({"type": "websocket.close", "code": _REFUSED, "reason": why})
        else:
            await _answer(send, HTTPStatus.FORBIDDEN, why)

    def _refusal(self, scope: Message) -> str | None:
        """Why a request may not come in; None where it may."""
        host = text_of(scope, b"host")
        if not _is_own(host):
            return "these pages answer under http://127.0.0.1 of this machine alone"
        if not self.signs_in and not _FORWARDED.isdisjoint(name for name, _ in scope["headers"]):
            return "no sign-in is configured: these pages answer nobody who comes by a proxy"
        origin, opens = text_of(scope, b"origin"), scope["type"] == "websocket"
        if opens and not self.signs_in and self.is_strangers(scope):
            return "no sign-in is configured: these pages answer the user who runs them alone"
        if opens and origin and urlsplit(origin).netloc != host:
            return "another page may not open these pages' sessions"
        if scope["path"].startswith(_CLOSED):
            return "no page needs this address: it is closed"
        return None


def text_of(scope: Message, name: bytes) -> str:
    """The only header of that name; with several it is nothing that counts."""
    found = [value for key, value in scope["headers"] if key == name]
    return found[0].decode("latin-1") if len(found) == 1 else ""


def _is_own(host: str) -> bool:
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises where it is no number
    except ValueError:
        return False
    return parts.hostname in OWN_NAMES and "@" not in host and parts.netloc == host


def _guarded(send: Send, host: str, path: str) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_headers(host, path)]
        await send(message)

    return guarded


def _headers(host: str, path: str) -> Iterable[tuple[bytes, bytes]]:
    """What a browser has to keep to; Streamlit's scripts and charts need `eval` and styles in the page."""
    policy = (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        f"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws://{host} wss://{host}; "
        "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; frame-ancestors 'none'"
    )
    yield b"content-security-policy", policy.encode("latin-1")
    yield b"x-frame-options", b"DENY"
    yield b"x-content-type-options", b"nosniff"
    yield b"referrer-policy", b"same-origin"
    yield b"cross-origin-resource-policy", b"same-origin"
    yield b"cross-origin-opener-policy", b"same-origin"
    if path.startswith(_DOWNLOADS):
        yield b"cache-control", b"no-store"


async def _answer(send: Send, status: HTTPStatus, why: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": why.encode()})
