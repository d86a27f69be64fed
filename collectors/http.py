"""OTLP/HTTP: `POST /v1/traces`, `/v1/logs` and `/v1/metrics`, and the endpoints that supervisors ask.

The standard is OTLP §OTLP/HTTP. A plain ASGI application: routing is one dictionary lookup, where Starlette's layers cost
15 µs on top of the 110 µs of CPU that a request of 14 KB takes, and nothing else of them would be used. Responses have the
encoding of their request.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from collectors.answers import INVALID_ARGUMENT, NOT_FOUND, Fault, fault_of, response_json, response_protobuf
from collectors.bodies import TooLargeError, UnsupportedEncodingError, check_size
from collectors.exports import Outcome, Signal
from collectors.reception import JSON, PROTOBUF, Arrival, Place, Reception
from warehouse.errors import UnavailableError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

SIGNAL_PATHS = {f"/v1/{signal.value}": signal for signal in Signal}

_UNIMPLEMENTED = 12
_DEADLINE_EXCEEDED = 4
_CLOSE: Header = (b"connection", b"close")
_TEXT = b"text/plain; charset=utf-8"
_NOTHING: Message = {"type": "http.response.body", "body": b""}
_ACCEPTED_PROTOBUF: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", PROTOBUF.encode()), (b"content-length", b"0")],
}


class _GoneError(Exception):
    """The client closed the connection before its request was whole."""


class _StalledError(Exception):
    """The request's body did not arrive in time."""


class HttpReceiver:
    """The ASGI application.

    `ready` returns what keeps the collector from taking requests (none: ready), `metrics` returns Prometheus text; both may
    block. `body_seconds` bounds how long a request's body may take to arrive.
    """

    def __init__(
        self,
        reception: Reception,
        *,
        ready: Callable[[], list[str]],
        metrics: Callable[[], bytes],
        body_seconds: float,
    ) -> None:
        self._reception = reception
        self._ready = ready
        self._metrics = metrics
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        signal = SIGNAL_PATHS.get(scope["path"])
        if signal is None:
            await self._answer_supervisor(scope, send)
        else:
            await self._answer_export(signal, scope, receive, send)

    async def _answer_export(self, signal: Signal, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        media = _content_type(headers.get(b"content-type", b""))
        content_type = media[0]
        extra: list[Header] = []
        if scope["method"] != "POST":
            extra.append((b"allow", b"POST"))
            fault = Fault(405, _UNIMPLEMENTED, f"method: expected POST, got {scope['method']}")
        else:
            try:
                with self._reception.admission.enter() as place:
                    outcome = await self._take(
                        signal=signal, scope=scope, headers=headers, receive=receive, place=place, media=media
                    )
                    await self._send_outcome(signal, content_type, outcome, send)
                    return
            except _GoneError:
                return
            except _StalledError:
                extra.append(_CLOSE)
                seconds = self._body_seconds
                fault = Fault(408, _DEADLINE_EXCEEDED, f"body: expected it whole within {seconds:g} seconds")
            except asyncio.CancelledError:
                # The grace of a stop is over. Passed on, this would become a 500, which exporters take for final.
                extra.append(_CLOSE)
                fault = fault_of(
                    UnavailableError("the collector is stopping; the request was not acknowledged"), "HTTP"
                )
            except Exception as exc:  # noqa: BLE001 - whatever went wrong is answered, and the receiver lives on
                fault = fault_of(exc, "HTTP")
        if fault.http_status == 401:  # noqa: PLR2004 - a status is its own name
            extra.append((b"www-authenticate", b'Bearer realm="muniment"'))
        if fault.http_status == 413 and _unbounded(headers, self._reception.limits.body_bytes):  # noqa: PLR2004 - as above
            extra.append(_CLOSE)
        await self._send_fault(signal, content_type, fault, extra, send)

    async def _take(
        self,
        *,
        signal: Signal,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        place: Place,
        media: tuple[str, str],
    ) -> Outcome:
        content_type, charset = media
        client = scope.get("client")
        peer = f"{client[0]}:{client[1]}" if client else "local"
        sender = await self._reception.authenticate(_key_text(headers), peer)
        if content_type not in (PROTOBUF, JSON) or charset not in ("", "utf-8", "utf8"):
            raise UnsupportedEncodingError(
                f"content type: expected {PROTOBUF} or {JSON} (in UTF-8), got {'another' if content_type else 'none'}"
            )
        encoding = headers.get(b"content-encoding", b"").decode("latin-1")
        try:
            async with asyncio.timeout(self._body_seconds):
                body = await self._read(headers, receive, place)
        except TimeoutError as exc:
            raise _StalledError from exc
        except TooLargeError as exc:
            unread = Arrival(signal, sender, content_type, encoding, b"")
            reason, size_bytes = str(exc), max(_declared(headers), place.size_bytes)
            await self._reception.aside(lambda: self._reception.report(unread, reason, size_bytes))
            raise
        return await self._reception.take(Arrival(signal, sender, content_type, encoding, body), place)

    async def _read(self, headers: dict[bytes, bytes], receive: Receive, place: Place) -> bytes:
        """Read the body within its limit; nothing is read where its declared length is too much already."""
        limits = self._reception.limits
        check_size(_declared(headers), limits)
        parts: list[bytes] = []
        size_bytes = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _GoneError
            part: bytes = message.get("body", b"")
            size_bytes += len(part)
            place.hold(len(part))
            check_size(size_bytes, limits)
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _send_outcome(self, signal: Signal, content_type: str, outcome: Outcome, send: Send) -> None:
        self._reception.answered["http", signal.value, 200] += 1
        if content_type == JSON:
            await _send(send, 200, JSON.encode(), response_json(signal, outcome))
        elif body := response_protobuf(signal, outcome):
            await _send(send, 200, PROTOBUF.encode(), body)
        else:
            await send(_ACCEPTED_PROTOBUF)
            await send(_NOTHING)

    async def _send_fault(
        self, signal: Signal, content_type: str, fault: Fault, extra: list[Header], send: Send
    ) -> None:
        self._reception.answered["http", signal.value, fault.http_status] += 1
        if (retry_after := fault.retry_after_header) is not None:
            extra.append((b"retry-after", retry_after.encode()))
        if content_type == PROTOBUF:
            await _send(send, fault.http_status, PROTOBUF.encode(), fault.status().SerializeToString(), extra)
        else:
            await _send(send, fault.http_status, JSON.encode(), fault.status_json(), extra)

    async def _answer_supervisor(self, scope: Scope, send: Send) -> None:
        path = scope["path"]
        if path not in ("/healthz", "/readyz", "/metrics"):
            expected = ", ".join((*SIGNAL_PATHS, "/healthz", "/readyz", "/metrics"))
            fault = Fault(404, NOT_FOUND, f"path: expected one of {expected}, got another")
            await _send(send, 404, JSON.encode(), fault.status_json())
        elif scope["method"] not in ("GET", "HEAD"):
            fault = Fault(405, INVALID_ARGUMENT, f"method: expected GET or HEAD, got {scope['method']}")
            await _send(send, 405, JSON.encode(), fault.status_json(), [(b"allow", b"GET, HEAD")])
        elif path == "/healthz":
            await _send(send, 200, _TEXT, b"alive\n")
        elif path == "/metrics":
            text = await self._reception.aside(self._metrics)
            await _send(send, 200, b"text/plain; version=0.0.4; charset=utf-8", text)
        else:
            problems = await self._reception.aside(self._ready)
            body = "".join(f"{problem}\n" for problem in problems) or "ready\n"
            await _send(send, 503 if problems else 200, _TEXT, body.encode())


async def _send(send: Send, status: int, content_type: bytes, body: bytes, extra: list[Header] | None = None) -> None:
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *(extra or ())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _content_type(header: bytes) -> tuple[str, str]:
    """The media type in lower case, and its charset parameter."""
    media, *parameters = header.decode("latin-1").lower().split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset":
            return media.strip(), value.strip().strip('"')
    return media.strip(), ""


def _key_text(headers: dict[bytes, bytes]) -> str | None:
    scheme, _, credentials = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and credentials.strip():
        return credentials.strip().decode("latin-1")
    return headers.get(b"x-api-key", b"").strip().decode("latin-1") or None


def _declared(headers: dict[bytes, bytes]) -> int:
    declared = headers.get(b"content-length", b"")
    return int(declared) if declared.isdigit() else 0


def _unbounded(headers: dict[bytes, bytes], limit: int) -> bool:
    """Whether the rest of a refused body is not worth reading to its end: no length, or several times the limit.

    A body a little over the limit is read and dropped, so that its sender gets to see the answer.
    """
    declared = _declared(headers)
    return declared == 0 or declared > 4 * limit
