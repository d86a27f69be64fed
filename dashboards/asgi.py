"""The few words of ASGI that the pages' server needs (ASGI 3.0, HTTP and WebSocket message formats)."""

from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


async def answer(
    send: Send,
    body: bytes,
    *headers: tuple[bytes, bytes],
    kind: str,
    caching: str = "no-store",
    status: HTTPStatus = HTTPStatus.OK,
) -> None:
    """Send one whole answer of a media type, with these headers more."""
    named = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", caching.encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": named})
    await send({"type": "http.response.body", "body": body})
