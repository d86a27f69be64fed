"""The local control socket: HTTP over a Unix socket that its owner alone may open (0600).

Other commands of the same user hand Muniment's own events to the running collector through it. Standard library alone, so
that a short command does not pay for a server it never starts. Paths may be longer than the 107 bytes that a socket
address holds: they are reached through the open folder, as `/proc/self/fd/<n>/<name>`.
"""

import http.client
import os
import socket
import socketserver
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from warehouse.errors import ConflictError, InputError, MunimentError, Permanent, SettingsError, UnavailableError

EVENTS_PATH = "/internal/events"
MAX_PAYLOAD_BYTES = 16 * 1024 * 1024

_ADDRESS_BYTES = 107
_READ_SECONDS = 30.0
_PROBE_SECONDS = 1.0
_MODE = 0o600
_JSON = "application/json"

Handler = Callable[[bytes], bytes]


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """A name for `path` that fits into a socket address, valid inside the `with` block.

    Raises:
        SettingsError: there is none on this system.
    """
    if len(os.fsencode(path)) <= _ADDRESS_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        short = f"/proc/self/fd/{folder}/{path.name}"
        if not Path("/proc/self/fd").is_dir() or len(os.fsencode(short)) > _ADDRESS_BYTES:
            raise SettingsError(
                f"local socket: expected a path of at most {_ADDRESS_BYTES} bytes, got {len(os.fsencode(path))}: {path}",
                hint="put the lake into a folder with a shorter path",
            )
        yield short
    finally:
        os.close(folder)


class LocalSocket:
    """Serves `POST /internal/events`: the JSON body goes to `handler`, what that returns goes back.

    `handler` is called from several threads and may block. A `MunimentError` of it is answered with 503 where a repeat may
    succeed and 400 where not.
    """

    def __init__(self, path: Path, handler: Handler) -> None:
        self._path = path.absolute()
        self._handler = handler
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._identity: tuple[int, int] | None = None

    def start(self) -> None:
        """Listen. A socket left by a process that died is replaced.

        Raises:
            ConflictError: another process listens there.
            SettingsError: the path cannot be used.
        """
        self._clear_stale()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Linux makes the file with the socket's own mode: it is never open to others, not even for an instant.
            os.fchmod(listener.fileno(), _MODE)
            with _address(self._path) as address:
                listener.bind(address)
            self._path.chmod(_MODE)
            listener.listen(64)
        except OSError as exc:
            listener.close()
            raise SettingsError(f"local socket: expected to listen at {self._path}, got {exc}") from exc
        except SettingsError:
            listener.close()
            raise
        found = self._path.stat()
        self._identity = (found.st_dev, found.st_ino)
        self._server = _Server(listener, self._handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="local-socket", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, let requests in hand finish, remove the socket. Safe to call twice."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = None
        with suppress(OSError):
            found = self._path.stat()
            # A collector that started meanwhile owns what lies there now.
            if (found.st_dev, found.st_ino) == self._identity:
                self._path.unlink()

    def _clear_stale(self) -> None:
        try:
            mode = self._path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise SettingsError(f"local socket: expected a socket or nothing at {self._path}, got another kind of file")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, _address(self._path) as address:
            probe.settimeout(_PROBE_SECONDS)
            try:
                probe.connect(address)
            except ConnectionRefusedError:
                self._path.unlink(missing_ok=True)
                return
            except FileNotFoundError:
                return
            except OSError as exc:
                raise ConflictError(f"local socket: expected {self._path} to be free, got {exc}") from exc
        raise ConflictError(
            f"local socket: expected {self._path} to be free, got another process that listens there",
            hint="a collector of this lake runs already",
        )


class _Server(socketserver.ThreadingMixIn, socketserver.BaseServer):
    """A thread a connection, on a socket that listens already."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, listener: socket.socket, handler: Handler) -> None:
        super().__init__(str(listener.getsockname()), _Request)
        self.listener = listener
        self.handler = handler

    def fileno(self) -> int:
        return self.listener.fileno()

    def get_request(self) -> tuple[socket.socket, str]:
        connection, _ = self.listener.accept()
        connection.settimeout(_READ_SECONDS)
        return connection, "local"

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        if isinstance(request, socket.socket):
            request.close()

    def server_close(self) -> None:
        self.listener.close()
        super().server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no event; whatever else fails was answered by the request itself."""


class _Request(BaseHTTPRequestHandler):
    """One request of one connection."""

    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "muniment"
    sys_version = ""

    def do_POST(self) -> None:
        self.close_connection = True
        if self.path != EVENTS_PATH:
            self._answer(404, f"path: expected {EVENTS_PATH}".encode())
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_PAYLOAD_BYTES:
            self._answer(413, f"body: expected a length of at most {MAX_PAYLOAD_BYTES} bytes".encode())
            return
        payload = self.rfile.read(int(length))
        if len(payload) != int(length):
            return
        try:
            self._answer(200, self.server.handler(payload), _JSON)
        except MunimentError as exc:
            self._answer(400 if isinstance(exc, Permanent) else 503, str(exc).encode())
        except Exception as exc:  # noqa: BLE001 - the caller must hear of it, and the socket lives on
            self._answer(500, f"internal error: {type(exc).__name__}".encode())

    def _answer(self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's signature
        """No access log."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with _address(self._path) as address:
            self.sock.connect(address)


def call_local_socket(path: Path, payload: bytes, *, timeout_seconds: float) -> bytes:
    """Send `payload` to the collector that listens at `path` and return its answer.

    Raises:
        UnavailableError: nobody listens, no answer came in time (it may have been done nevertheless), or a repeat may succeed.
        InputError: the collector refused the payload.
    """
    connection = _Connection(path.absolute(), timeout_seconds)
    try:
        connection.request("POST", EVENTS_PATH, payload, {"Content-Type": _JSON, "Connection": "close"})
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as exc:
        raise UnavailableError(
            f"local socket: expected a collector at {path}, got {type(exc).__name__}: {exc}",
        ) from exc
    finally:
        connection.close()
    if response.status == http.HTTPStatus.OK:
        return body
    text = f"collector: {body.decode(errors='replace')}"
    raise UnavailableError(text) if response.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR else InputError(text)
