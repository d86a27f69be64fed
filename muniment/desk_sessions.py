"""Who looks at the pages: sessions that the desk itself opened, by the local user or by an ID token that it checked.

Invariants:
- A page has a ticket, random and of this process, and nothing else: which principal that is, only this module says. A ticket that
  it did not give out, or one whose session ended, is refused at every question.
- Where a provider is configured nobody is the local user; where none is, nobody comes by a token.
- A token opens a session only while it is valid. The session then ends `session_hours` after the token was issued, or with signing
  out; a token that signed out opens none again. A clock that is set back makes none longer, and voids no signing out.
"""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from governance.access import local_principal
from governance.access.identity import shown_name
from muniment.identity_provider import IdentityProvider
from warehouse.errors import DeniedError
from warehouse.principals import Principal

_TICKET_BYTES = 32
_HOUR_SECONDS = 3600.0
_LOCAL = b""


@dataclass(frozen=True)
class Session:
    """One who looks: the ticket, the principal, the name to show, and until when, in seconds since 1970; None is for ever."""

    ticket: str = field(repr=False)
    principal: Principal
    name: str
    ends: float | None
    ends_steady: float | None = None
    """The same by the steady clock, which nobody sets."""


SignedIn = Callable[[Mapping[str, object]], Principal]
"""Returns the principal of checked claims.

Raises:
    DeniedError: they do not say who it is, or the session that they would open has ended.
"""


@dataclass
class Sessions:
    """The sessions of one desk. Safe to use from several threads; `now` returns seconds since 1970, `steady` seconds since whenever."""

    provider: IdentityProvider | None
    signed_in: SignedIn
    session_hours: float
    now: Callable[[], float]
    local: Callable[[], Principal] = local_principal
    steady: Callable[[], float] = time.monotonic
    _by_token: dict[bytes, Session] = field(default_factory=dict, repr=False)
    _by_ticket: dict[str, bytes] = field(default_factory=dict, repr=False)
    _signed_out: dict[bytes, Session] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def find(self, token: str | None) -> Session | None:
        """The session that this token, or the local user without one, has open; None where one has to be opened.

        Raises:
            DeniedError: the token signed out, or its session has ended.
        """
        digest = self._digest(token)
        with self._lock:
            self._sweep()
            self._check_not_signed_out(digest)
            return self._by_token.get(digest)

    def open(self, token: str | None, announce: Callable[[Session], None]) -> Session:
        """Open the session of a token, or of the local user without one, once `announce` has recorded whose it is.

        Raises:
            DeniedError: the token is none of the provider's for these pages, not valid any more, signed out, or does not say who
                it is; or a provider is configured and no token was given, or the other way round.
            UnavailableError: the provider's keys cannot be read.
            MunimentError: what `announce` raises; no session is opened.
        """
        digest, ends, ends_steady = self._digest(token), None, None
        if token is None or self.provider is None:
            principal = self.local()
            name = principal.id
        else:
            claims = self.provider.claims(token, self.now())
            principal = self.signed_in(claims)
            name, ends = shown_name(claims, principal), float(claims["iat"]) + self.session_hours * _HOUR_SECONDS
            ends_steady = self.steady() + ends - self.now()
        session = Session(secrets.token_urlsafe(_TICKET_BYTES), principal, name, ends, ends_steady)
        announce(session)
        with self._lock:
            self._check_not_signed_out(digest)  # by another tab, while this one was at the provider's
            if digest not in self._by_token:
                self._by_token[digest], self._by_ticket[session.ticket] = session, digest
            return self._by_token[digest]

    def principal(self, ticket: str) -> Principal:
        """Who holds a ticket.

        Raises:
            DeniedError: this desk gave out none such, or its session has ended.
        """
        with self._lock:
            self._sweep()
            digest = self._by_ticket.get(ticket)
            if digest is None:
                raise DeniedError("this session has ended", hint="sign in again")
            return self._by_token[digest].principal

    def end(self, ticket: str) -> None:
        """Sign out: the ticket is void, and so is the token that it was given for. Safe to repeat; the local user stays."""
        with self._lock:
            digest = self._by_ticket.get(ticket)
            if digest is None or digest == _LOCAL:
                return
            session = self._by_token[digest]
            self._drop(digest)
            self._signed_out[digest] = session

    def _check_not_signed_out(self, digest: bytes) -> None:
        if digest in self._signed_out:
            raise DeniedError("this session has ended: it was signed out", hint="sign in again")

    def _digest(self, token: str | None) -> bytes:
        if token is None and self.provider is not None:
            raise DeniedError("pages: expected somebody who signed in, got nobody", hint="sign in")
        if token is not None and self.provider is None:
            raise DeniedError(
                "pages: expected the local user, got a token: no sign-in is configured",
                hint="the setting dashboards.sign_in names a provider",
            )
        return _LOCAL if token is None else hashlib.sha256(token.encode("utf8", "surrogatepass")).digest()

    def _sweep(self) -> None:
        now, steady = self.now(), self.steady()
        for digest in [key for key, each in self._by_token.items() if _has_ended(each, now, steady)]:
            self._drop(digest)
        # past its end, by both clocks, a token opens no session anyway
        for digest in [key for key, each in self._signed_out.items() if _is_past(each, now, steady)]:
            del self._signed_out[digest]

    def _drop(self, digest: bytes) -> None:
        del self._by_ticket[self._by_token.pop(digest).ticket]


def _has_ended(session: Session, now: float, steady: float) -> bool:
    """By either clock: one that was set back makes no session longer."""
    if session.ends is None or session.ends_steady is None:
        return False
    return session.ends <= now or session.ends_steady <= steady


def _is_past(session: Session, now: float, steady: float) -> bool:
    """By both clocks: one that was set forward and back again makes no token new."""
    return (session.ends or 0.0) <= now and (session.ends_steady or 0.0) <= steady
