"""Where somebody wanted to go when they had to sign in first: the page that their address named, with its filters.

A provider sends a browser back to the overview, in a session of its own; what the two visits have in common is the random token
that Streamlit gives each browser against forged requests. Invariant: what is kept is a page of this application and its filters,
never an address elsewhere, for ten minutes, and it is given out once.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

GOES_TO = "goes to"
"""Where a browser's session keeps the landing that its next run leads to."""
KEPT_SECONDS = 600.0
_MOST_KEPT = 1_000
_MOST_CHARACTERS = 4_096
_FORM = ("2", 4)
"""Version of the cookie, and how many parts it has: version, mask, masked token, time."""

Filters = Mapping[str, list[str]]


@dataclass(frozen=True)
class Landing:
    """A page by its place in the address, and its filters."""

    page: str
    filters: Filters


@dataclass
class Landings:
    """What browsers wanted before they signed in. Safe to use from several threads."""

    now: Callable[[], float]
    _kept: OrderedDict[bytes, tuple[float, Landing]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, cookie: str | None, url: str | None, filters: Filters) -> None:
        """Remember where the browser with this cookie is, instead of where it was; nothing where it is at no page."""
        browser, page = _browser(cookie), urlsplit(url or "").path.strip("/")
        if browser is None:
            return
        size = sum(len(name) + sum(map(len, values)) for name, values in filters.items())
        with self._lock:
            self._kept.pop(browser, None)
            if (page or filters) and len(page) + size <= _MOST_CHARACTERS:
                self._kept[browser] = (self.now() + KEPT_SECONDS, Landing(page, dict(filters)))
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)

    def take(self, cookie: str | None) -> Landing | None:
        """Where the browser with this cookie wanted to go, once, unless that was too long ago."""
        browser = _browser(cookie)
        if browser is None:
            return None
        with self._lock:
            found = self._kept.pop(browser, None)
        return found[1] if found is not None and found[0] > self.now() else None


def _browser(cookie: str | None) -> bytes | None:
    """What stays the same of a browser's cookie, whose mask changes: a digest of the token below the mask."""
    parts = (cookie or "").strip('"').split("|")
    if (parts[0], len(parts)) != _FORM:
        return None
    try:
        mask, masked = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
    except ValueError:
        return None
    if not mask or not masked:
        return None
    token = bytes(byte ^ mask[place % len(mask)] for place, byte in enumerate(masked))
    return hashlib.sha256(token).digest()
