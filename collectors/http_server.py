"""uvicorn as every HTTP server of this package runs it: bounds on heads, no log of its own, and it tells when it listens."""

import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any

import uvicorn

from collectors.http_connection import BoundedConnection
from warehouse.errors import MunimentError, SettingsError


class ListeningServer(uvicorn.Server):
    """uvicorn, calling `tell` in its event loop once it listens."""

    def __init__(self, config: uvicorn.Config, tell: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = tell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self._tell()


def http_settings(
    application: Any,
    *,
    server: str,
    keep_alive_seconds: int,
    certificate: str | None = None,
    key: str | None = None,
    client_ca: str | None = None,
    max_connections: int | None = None,
    grace_seconds: int | None = None,
) -> uvicorn.Config:
    """How `application` is served; `server` is its name in errors.

    With `client_ca` clients must show a certificate of it. A stop cuts off what is unanswered after `grace_seconds`.

    Raises:
        SettingsError: TLS files that cannot be used.
    """
    settings = uvicorn.Config(
        application,
        loop="none",
        http=BoundedConnection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=max_connections,
        timeout_keep_alive=keep_alive_seconds,
        timeout_graceful_shutdown=grace_seconds,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        ssl_ca_certs=client_ca,
        ssl_cert_reqs=ssl.CERT_REQUIRED if client_ca else ssl.CERT_NONE,
    )
    try:
        settings.load()
    except (OSError, ssl.SSLError) as exc:
        raise SettingsError(
            f"{server}: expected a certificate in {certificate} and its key in {key}, got {type(exc).__name__}: {exc}"
        ) from exc
    return settings


def listen(host: str, port: int, *, server: str, backlog: int, in_use: MunimentError) -> socket.socket:
    """A socket that listens on this address; port 0 takes a free one. The port is in use: `in_use` is raised.

    Raises:
        SettingsError: a host that is none of this machine's, or a port that may not be taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise SettingsError(f"{server}: expected a host of this machine, got {host}: {exc}") from exc
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError as exc:
        listener.close()
        if exc.errno == errno.EADDRINUSE:
            raise in_use from exc
        raise SettingsError(f"{server}: expected to listen on {host}:{port}, got {exc}") from exc
    return listener
