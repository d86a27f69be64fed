"""Serves a witness over HTTP (C2SP tlog-witness): `POST /add-checkpoint`, and `GET /<hex SHA-256 of origin>/checkpoint`.

Who asks is not asked: a checkpoint is believed by its signature, and a cosignature by the witness's. So plain HTTP is safe from
forgery; bounds on heads, bodies, time and connections keep strangers from using the witness up.
"""

import asyncio
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus

import uvloop

from collectors.http import Message, Receive, Scope, Send
from collectors.http_server import ListeningServer, http_settings, listen
from warehouse.errors import ConflictError, UnavailableError
from warehouse.ledger.add_checkpoint import MAX_REQUEST_BYTES
from warehouse.ledger.witness import TEXT, Answer, Witness

BODY_SECONDS = 10.0
MAX_CONNECTIONS = 256
KEEP_ALIVE_SECONDS = 5

_START_SECONDS = 30.0
_GRACE_SECONDS = 5
_WORKERS = 4
_CHECKPOINT_PATH = re.compile("/([0-9a-f]{64})/checkpoint")


class _TooLargeError(Exception):
    """A body over the limit."""


class _GoneError(Exception):
    """The client closed the connection before its request was whole."""


class WitnessApplication:
    """The ASGI application. `body_seconds` bounds how long a request's body may take to arrive."""

    def __init__(
        self, witness: Witness, workers: ThreadPoolExecutor, say: Callable[[str], None], *, body_seconds: float
    ) -> None:
        self._witness = witness
        self._workers = workers
        self._say = say
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        extra: list[tuple[bytes, bytes]] = []
        try:
            answer = await self._answer(scope, receive)
        except _GoneError:
            return
        except _TooLargeError:
            extra.append((b"connection", b"close"))
            answer = _text(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"body: expected at most {MAX_REQUEST_BYTES} bytes")
        except TimeoutError:
            extra.append((b"connection", b"close"))
            answer = _text(HTTPStatus.REQUEST_TIMEOUT, f"body: expected it whole within {self._body_seconds:g} s")
        except Exception as exc:  # noqa: BLE001 - whatever went wrong is answered, and the witness lives on
            self._say(f"500 {type(exc).__name__}: {exc}")
            answer = _text(HTTPStatus.INTERNAL_SERVER_ERROR, "the witness cannot read or write its state")
        headers = [
            (b"content-type", answer.media_type.encode()),
            (b"content-length", b"%d" % len(answer.body)),
            *extra,
        ]
        await send({"type": "http.response.start", "status": answer.status.value, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        path, method = scope["path"], scope["method"]
        loop = asyncio.get_running_loop()
        if path == "/add-checkpoint":
            if method != "POST":
                return _text(HTTPStatus.METHOD_NOT_ALLOWED, "method: expected POST")
            async with asyncio.timeout(self._body_seconds):
                body = await _read(scope, receive)
            return await loop.run_in_executor(self._workers, self._witness.add_checkpoint, body)
        match = _CHECKPOINT_PATH.fullmatch(path)
        if match is None:
            return _text(HTTPStatus.NOT_FOUND, "path: expected /add-checkpoint or /<SHA-256 of an origin>/checkpoint")
        if method not in ("GET", "HEAD"):
            return _text(HTTPStatus.METHOD_NOT_ALLOWED, "method: expected GET")
        note = await loop.run_in_executor(self._workers, self._witness.last_checkpoint, match[1])
        if note is None:
            return _text(HTTPStatus.NOT_FOUND, "checkpoint: none of that log was cosigned")
        return Answer(HTTPStatus.OK, TEXT, note)


class WitnessServer:
    """A witness on one address. `start` returns once it listens; `stop` answers what is in hand and is safe to repeat."""

    def __init__(
        self,
        witness: Witness,
        *,
        host: str,
        port: int,
        tls_files: tuple[str, str] | None = None,
        say: Callable[[str], None],
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._host, self._wanted_port = host, port
        self._tls_files = tls_files
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="witness")
        self._application = WitnessApplication(witness, self._workers, say, body_seconds=body_seconds)
        self._listening: Future[int] = Future()
        self._server: ListeningServer | None = None
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)

    @property
    def port(self) -> int:
        """The port taken."""
        return self._listening.result(_START_SECONDS)

    def start(self) -> None:
        """Listen.

        Raises:
            ConflictError: the port is in use.
            SettingsError: a host that is none of this machine's, or TLS files that cannot be used.
        """
        self._thread.start()
        try:
            self._listening.result(_START_SECONDS)
        except TimeoutError as exc:
            raise UnavailableError(f"witness: expected to listen within {_START_SECONDS:g} s, got nothing") from exc

    def stop(self) -> None:
        """Take no more requests, answer those in hand, then end."""
        if self._server is not None:
            self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(2 * _GRACE_SECONDS)
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        try:
            uvloop.run(self._serve())
        except BaseException as exc:  # noqa: BLE001 - whoever waits for the start must hear of whatever went wrong
            if not self._listening.done():
                self._listening.set_exception(exc)

    async def _serve(self) -> None:
        host, wanted = self._host, self._wanted_port
        certificate, key = self._tls_files or (None, None)
        settings = http_settings(
            self._application,
            server="witness",
            keep_alive_seconds=KEEP_ALIVE_SECONDS,
            certificate=certificate,
            key=key,
            max_connections=MAX_CONNECTIONS,
            grace_seconds=_GRACE_SECONDS,
        )
        in_use = ConflictError(f"witness: expected port {wanted} on {host} to be free, got it in use")
        listener = listen(host, wanted, server="witness", backlog=MAX_CONNECTIONS, in_use=in_use)
        port: int = listener.getsockname()[1]
        self._server = ListeningServer(settings, lambda: self._listening.set_result(port))
        await self._server.serve([listener])


async def _read(scope: Scope, receive: Receive) -> bytes:
    """Read a body within its limit; nothing is read where its declared length is too much already."""
    declared = dict(scope["headers"]).get(b"content-length", b"")
    if declared.isdigit() and int(declared) > MAX_REQUEST_BYTES:
        raise _TooLargeError
    body = bytearray()
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        body += message.get("body", b"")
        if len(body) > MAX_REQUEST_BYTES:
            raise _TooLargeError
        if not message.get("more_body", False):
            return bytes(body)


def _text(status: HTTPStatus, message: str) -> Answer:
    return Answer(status, TEXT, f"{message}\n".encode())
