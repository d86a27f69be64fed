"""Keys as receivers ask for them: from memory for a few seconds, then from the control database again.

Invariants:
- A revocation is seen within `ttl_seconds`; expiry and the end of an overlap at their instant.
- Without the control database a cached key works to the end of its time here, at most `ttl_seconds`, and then nobody is let
  in: `ControlUnavailableError`, which receivers answer with 503.
- No secret is kept: entries are found by the SHA-256 of the key's text.
- Bounded in memory; refused keys have a place of their own, so that a flood of wrong ones pushes out no right one.
"""

import hashlib
import threading
from typing import Protocol, TypeVar

from warehouse.clock import NANOS_PER_SECOND, Clock
from warehouse.control.records import KeyRecord
from warehouse.errors import UnauthenticatedError

Entry = TypeVar("Entry")


class Authenticator(Protocol):
    """Where the cache asks: `ControlStore`. It MAY be called from several threads at once."""

    def authenticate(self, key_text: str) -> KeyRecord:
        """The key that this text is, or `UnauthenticatedError`, or `ControlUnavailableError`."""


class KeyCache:
    """Resolves the key of each request. Safe to use from several threads.

    Costs about a microsecond where the key is cached: one SHA-256, one dictionary lookup, no lock.
    """

    def __init__(
        self,
        store: Authenticator,
        *,
        clock: Clock,
        ttl_seconds: float = 5.0,
        refused_ttl_seconds: float = 1.0,
        capacity: int = 10_000,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ttl = int(ttl_seconds * NANOS_PER_SECOND)
        self._refused_ttl = int(refused_ttl_seconds * NANOS_PER_SECOND)
        self._capacity = capacity
        # Each value: from and until (exclusive) which instant it holds. From, because a clock set back must not lengthen it.
        self._known: dict[bytes, tuple[int, int, KeyRecord]] = {}
        self._refused: dict[bytes, tuple[int, int, str]] = {}
        self._lock = threading.Lock()

    def peek(self, key_text: str) -> KeyRecord | None:
        """The key, if that can be told from memory; None where `resolve` has to ask the database. Never blocks.

        For receivers on an event loop: `peek` first, and `resolve` in a thread only where it returns None.

        Raises:
            UnauthenticatedError: the key was refused a moment ago.
        """
        return self._peek(_digest(key_text))

    def resolve(self, key_text: str) -> KeyRecord:
        """The key that this text is, if it works now.

        Raises:
            UnauthenticatedError: it does not.
            ControlUnavailableError: not in memory, and the control database does not answer.
        """
        digest = _digest(key_text)
        known = self._peek(digest)
        if known is not None:
            return known
        # Before asking: what the database says is at least as new as this instant.
        now = self._clock()
        try:
            key = self._store.authenticate(key_text)
        except UnauthenticatedError as exc:
            self._remember(self._refused, digest, (now, now + self._refused_ttl, str(exc)))
            with self._lock:
                self._known.pop(digest, None)
            raise
        until = now + self._ttl
        if key.ends_unix_nano is not None:
            until = min(until, key.ends_unix_nano)
        self._remember(self._known, digest, (now, until, key))
        return key

    def _peek(self, digest: bytes) -> KeyRecord | None:
        now = self._clock()
        known = self._known.get(digest)
        if known is not None and known[0] <= now < known[1]:
            return known[2]
        refused = self._refused.get(digest)
        if refused is not None and refused[0] <= now < refused[1]:
            raise UnauthenticatedError(refused[2])
        return None

    def _remember(self, entries: dict[bytes, Entry], digest: bytes, entry: Entry) -> None:
        with self._lock:
            # Taken out first, so that the dictionary's order is by age of what is known and the oldest goes first.
            entries.pop(digest, None)
            while len(entries) >= self._capacity:
                del entries[next(iter(entries))]
            entries[digest] = entry


def _digest(key_text: str) -> bytes:
    return hashlib.sha256(key_text.encode("utf-8", "surrogatepass")).digest()
