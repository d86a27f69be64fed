"""Asks an OpenID Connect provider who it is and by which keys it signs: OpenID Connect Discovery 1.0, section 4.

Invariants:
- What it says about itself counts only where it calls itself by the very issuer that the settings name (section 4.3).
- Keys are read from it alone, over TLS unless it is on this machine; redirects are not followed.
- Its keys are asked for again when a token names one that is not known, at most once a minute: a stranger's tokens make no load.
"""

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from governance.access.id_token import ProviderKeys, UnknownKeyError, check_id_token, read_keys
from muniment.sign_in import discovery_url
from pipelines.alerts.address import Address
from warehouse.errors import UnavailableError

_TIMEOUT_SECONDS = 10.0
_MOST_BYTES = 1024 * 1024
_AGAIN_SECONDS = 60.0
_FRESH_SECONDS = 3600.0

Fetch = Callable[[str], bytes]
"""Returns what is at an address.

Raises:
    UnavailableError: nothing that can be used.
"""


def fetch(url: str) -> bytes:
    """What is at an address of the provider's: at most 1 MiB, no redirect followed.

    Raises:
        UnavailableError: it does not answer, or not with 200.
    """
    try:
        address = Address.parse(url, unsafe_plain_http=False)
    except ValueError as exc:
        raise UnavailableError(f"identity provider: {exc}") from None
    kind = http.client.HTTPSConnection if address.tls else http.client.HTTPConnection
    connection = kind(address.host, address.port, timeout=_TIMEOUT_SECONDS)
    try:
        headers = {"accept": "application/json", "user-agent": "muniment", "connection": "close"}
        connection.request("GET", address.path or "/", headers=headers)
        response = connection.getresponse()
        content = response.read(_MOST_BYTES + 1)
    except (OSError, http.client.HTTPException) as exc:
        why = getattr(exc, "strerror", None) or type(exc).__name__
        raise UnavailableError(f"identity provider {address.place}: no answer: {why}") from exc
    finally:
        connection.close()
    if response.status != HTTPStatus.OK or len(content) > _MOST_BYTES:
        raise UnavailableError(
            f"identity provider {url}: expected an answer 200 of at most {_MOST_BYTES} bytes, got {response.status}",
            hint="the setting dashboards.sign_in.issuer is the provider's own address, without what comes after /.well-known",
        )
    return content


@dataclass
class IdentityProvider:
    """One provider, for one client of it. Safe to use from several threads."""

    issuer: str
    client_id: str
    fetch: Fetch = fetch
    clock_seconds: Callable[[], float] = time.monotonic
    _keys: ProviderKeys | None = field(default=None, repr=False)
    _read_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def metadata_url(self) -> str:
        """Where the provider says how it works."""
        return discovery_url(self.issuer)

    def claims(self, token: str, now: float) -> dict[str, Any]:
        """The claims of an ID token of this provider for this client that holds at `now`, in seconds since 1970.

        Raises:
            DeniedError: it is none.
            UnavailableError: the provider's keys cannot be read.
        """
        try:
            return self._check(token, self._known_keys(_FRESH_SECONDS), now)
        except UnknownKeyError:
            return self._check(token, self._known_keys(_AGAIN_SECONDS), now)

    def _check(self, token: str, keys: ProviderKeys, now: float) -> dict[str, Any]:
        return check_id_token(token, keys, issuer=self.issuer, client_id=self.client_id, now=now)

    def _known_keys(self, fresh_seconds: float) -> ProviderKeys:
        """The provider's keys, asked for where what is known is older than this."""
        with self._lock:
            now = self.clock_seconds()
            if self._keys is None or now - self._read_at >= fresh_seconds:
                self._keys, self._read_at = self._read(), now
            return self._keys

    def _read(self) -> ProviderKeys:
        described = _object(self.fetch(self.metadata_url), self.metadata_url)
        if described.get("issuer") != self.issuer:
            raise UnavailableError(
                f"identity provider {self.metadata_url}: expected it to call itself {self.issuer}, got another issuer",
                hint="set dashboards.sign_in.issuer to exactly what the provider calls itself, with or without a last /",
            )
        place = described.get("jwks_uri")
        if not isinstance(place, str):
            raise UnavailableError(f"identity provider {self.metadata_url}: expected jwks_uri, got none")
        try:
            return read_keys(_object(self.fetch(place), place))
        except ValueError as exc:
            raise UnavailableError(f"identity provider {place}: {exc}") from exc


def _object(content: bytes, url: str) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except ValueError as exc:
        raise UnavailableError(f"identity provider {url}: expected JSON, got something else") from exc
    if not isinstance(found, dict):
        raise UnavailableError(f"identity provider {url}: expected a JSON object, got {type(found).__name__}")
    return found
