"""One HTTP request to a target, bounded in time, and what its answer means.

Redirects and proxies are not followed: what is sent goes to the configured address alone. The limit holds for the whole of a request
from the first byte to the last, so a target that trickles its answer is cut off like one that says nothing. 400, 413, 415 and 422
condemn what was sent; every other failure is about the target, and is tried again.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from pipelines.alerts.address import Address
from pipelines.alerts.errors import AlertRefusedError, TargetUnavailableError
from pipelines.alerts.secret import NO_SECRET, Secret

MOST_RETRY_AFTER_SECONDS = 300.0
_ANSWER_BYTES = 64 * 1024
_SHOWN_BYTES = 200
_REFUSALS = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)


@dataclass(frozen=True)
class Poster:
    """Sends requests for one target. Safe to use from several threads: each request has a connection of its own."""

    name: str
    timeout_seconds: float
    ca_file: str | None = None

    def post(
        self, address: Address, body: bytes, *, headers: Mapping[str, str] | None = None, secret: Secret = NO_SECRET
    ) -> str:
        """Send JSON and return what the target answered, on one line; the secret is taken out of whatever is shown.

        Raises:
            TargetUnavailableError: no answer in time, or one that does not say that it was taken.
            AlertRefusedError: the target refuses this very request.
        """
        connection = self._connection(address)
        given = {"content-type": "application/json", "user-agent": "muniment", "connection": "close", **(headers or {})}
        expired = threading.Event()

        def cut() -> None:
            expired.set()
            if connection.sock is not None:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self.timeout_seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            connection.connect()
            if expired.is_set():  # names with several addresses: each had its own time
                raise TimeoutError
            connection.request("POST", address.path or "/", body=body, headers=given)
            response = connection.getresponse()
            answer = response.read(_ANSWER_BYTES)
            if expired.is_set():  # what was cut off reads like an answer that ended
                raise TimeoutError
        except (OSError, http.client.HTTPException) as exc:
            why = f"no answer within {self.timeout_seconds:g} s" if expired.is_set() else _reason(exc)
            raise TargetUnavailableError(f"target {self.name}: {address.place}: {secret.hide(why)}") from None
        finally:
            timer.cancel()
            connection.close()
        return self._judge(address, response, answer, secret)

    def _connection(self, address: Address) -> http.client.HTTPConnection:
        if not address.tls:
            return http.client.HTTPConnection(address.host, address.port, timeout=self.timeout_seconds)
        try:
            context = ssl.create_default_context()
            if self.ca_file is not None:
                context.load_verify_locations(self.ca_file)
        except (OSError, ssl.SSLError) as exc:
            raise TargetUnavailableError(f"target {self.name}: ca_file {self.ca_file}: {_reason(exc)}") from None
        return http.client.HTTPSConnection(address.host, address.port, timeout=self.timeout_seconds, context=context)

    def _judge(self, address: Address, response: http.client.HTTPResponse, answer: bytes, secret: Secret) -> str:
        said = secret.hide(" ".join(answer.decode("utf8", "replace").split()))[:_SHOWN_BYTES]
        said = "".join(character if character.isprintable() else "·" for character in said)
        status = response.status
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return f"{status} {said}".strip()
        shown = f"target {self.name}: {address.place}: expected an answer 2xx, got {status} {said}".strip()
        if status in _REFUSALS:
            raise AlertRefusedError(shown)
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            raise TargetUnavailableError(
                f"{shown}; redirects are not followed", hint="give the address that it leads to"
            )
        raise TargetUnavailableError(shown, retry_after_seconds=_retry_after(response))


def _reason(exc: Exception) -> str:
    """The system's own words; where it has none, the name of the error."""
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    said = getattr(exc, "verify_message", None) or getattr(exc, "strerror", None) or type(exc).__name__
    return f"{type(exc).__name__}: {said}" if said != type(exc).__name__ else said


def _retry_after(response: http.client.HTTPResponse) -> float | None:
    """Seconds that Retry-After asks for, at most five minutes (RFC 9110 §10.2.3; dates are not read)."""
    text = response.headers.get("Retry-After", "").strip()
    return min(float(text), MOST_RETRY_AFTER_SECONDS) if text.isascii() and text.isdigit() else None
