"""One OTLP/HTTP request and what its answer means (OTLP 1.x §OTLP/HTTP response).

429, 502, 503 and 504 invite a retry and may carry Retry-After; other failures do not. Redirects and proxies are not
followed: the key goes to the configured address alone.
"""

import http.client
import ipaddress
import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from muniment.emit.errors import RefusedError, UndeliveredError
from muniment.emit.wire import refused_count

LOGS_PATH = "/v1/logs"
RETRIABLE = frozenset({429, 502, 503, 504})
ABOUT_THE_RECORD = frozenset({400, 413, 415, 422})
"""Statuses that condemn the request itself; every other refusal is about the key or the address."""
ANSWER_LIMIT_BYTES = 64 * 1024
RETRY_AFTER_LIMIT_SECONDS = 300.0


@dataclass(frozen=True)
class Later:
    """The receiver did not take the record: try again, after so many seconds where it said so."""

    problem: str
    after_seconds: float | None = None
    maybe_stored: bool = False


@dataclass(frozen=True)
class Address:
    """Where to send, taken apart."""

    host: str
    port: int
    path: str
    tls: bool

    @classmethod
    def parse(cls, endpoint: str, *, unsafe_plain_http: bool) -> "Address":
        """Take an endpoint such as `http://127.0.0.1:4318` or `https://lake.example/otlp` apart.

        Raises:
            ValueError: No HTTP address, or one that would send the key in clear text to another machine.
        """
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(
                f"endpoint is no HTTP address: expected http://HOST:PORT or https://HOST, got {endpoint!r}"
            )
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("endpoint has more than an address: expected no user, query or fragment")
        tls = parts.scheme == "https"
        if not (tls or unsafe_plain_http or _is_loopback(parts.hostname)):
            raise ValueError(
                f"endpoint would send the key in clear text: expected https or a loopback address, got {endpoint!r}; "
                "unsafe_plain_http=True allows it"
            )
        path = parts.path.rstrip("/")
        return cls(
            host=parts.hostname,
            port=parts.port or (443 if tls else 80),
            path=path if path.endswith(LOGS_PATH) else path + LOGS_PATH,
            tls=tls,
        )


class Transport:
    """Sends to one address over one connection that is kept open; one thread at a time, the caller sees to that."""

    def __init__(self, address: Address, api_key: str, ssl_context: ssl.SSLContext | None) -> None:
        self._address = address
        self._headers = {"content-type": "application/json", "x-api-key": api_key, "user-agent": "muniment-emit"}
        self._ssl_context = ssl_context
        self._connection: http.client.HTTPConnection | None = None

    def send(self, body: bytes, timeout_seconds: float) -> Later | None:
        """Send one request; None means acknowledged.

        Raises:
            RefusedError: The receiver refused, and will again.
        """
        written = False
        try:
            connection = self._connect(timeout_seconds)
            connection.request("POST", self._address.path, body, self._headers)
            written = True
            response = connection.getresponse()
            answer = response.read(ANSWER_LIMIT_BYTES + 1)
            if response.will_close or len(answer) > ANSWER_LIMIT_BYTES:
                self.close()
        except ssl.SSLCertVerificationError as exc:
            self.close()
            raise RefusedError(
                f"the receiver's certificate is not to be trusted: expected one that verifies, got {exc.verify_message}",
                about_sender=True,
                hint="pass an ssl_context that knows its authority",
            ) from exc
        except (OSError, http.client.HTTPException) as exc:
            # Half a request cannot be stored; a whole one whose answer is lost can.
            self.close()
            return Later(f"{type(exc).__name__}: {exc}", maybe_stored=written)
        return _judge(response, answer)

    def close(self) -> None:
        """Close the connection, if one is open; safe to call again, and `send` opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self, timeout_seconds: float) -> http.client.HTTPConnection:
        if self._connection is None:
            host, port = self._address.host, self._address.port
            if self._address.tls:
                context = self._ssl_context or ssl.create_default_context()
                self._connection = http.client.HTTPSConnection(host, port, timeout=timeout_seconds, context=context)
            else:
                self._connection = http.client.HTTPConnection(host, port, timeout=timeout_seconds)
        elif self._connection.sock is not None:
            self._connection.sock.settimeout(timeout_seconds)
        return self._connection


def undelivered(later: Later, *, maybe_stored: bool) -> UndeliveredError:
    """The error for a record that got no acknowledgement in time."""
    return UndeliveredError(
        f"no acknowledgement in time: expected 200 from the receiver, got {later.problem}",
        maybe_stored=maybe_stored,
        hint="give the Emitter a spool_dir to keep events on disk until the receiver answers",
    )


def _judge(response: http.client.HTTPResponse, answer: bytes) -> Later | None:
    status = response.status
    if status in RETRIABLE:
        return Later(f"HTTP {status} {_reason(answer)}".strip(), _retry_after(response))
    if status != http.client.OK:
        raise RefusedError(
            f"the receiver refused: expected HTTP 200, got {status} {_reason(answer)}".strip(),
            about_sender=status not in ABOUT_THE_RECORD,
            hint="check endpoint and API key" if status not in ABOUT_THE_RECORD else None,
        )
    try:
        refused, message = refused_count(answer)
    except ValueError as exc:
        raise RefusedError(
            f"something other than an OTLP receiver answered: expected OTLP/JSON, got {answer[:80]!r}",
            about_sender=True,
        ) from exc
    if refused:
        raise RefusedError(f"the receiver refused the event: {message or 'no reason given'}")
    return None


def _retry_after(response: http.client.HTTPResponse) -> float | None:
    """Seconds that Retry-After asks for (RFC 9110 §10.2.3: seconds, or a date), at most five minutes."""
    text = response.headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text), RETRY_AFTER_LIMIT_SECONDS)
    try:
        # Against the receiver's own clock, so that this machine's skew does not matter.
        asked, now = parsedate_to_datetime(text), parsedate_to_datetime(response.headers.get("Date", ""))
        seconds = (asked - now).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_LIMIT_SECONDS)


def _reason(answer: bytes) -> str:
    return " ".join(answer[:300].decode("utf-8", "replace").split())


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
