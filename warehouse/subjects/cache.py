"""Tokens that a process remembers, so that a value seen before costs no query.

Invariant: what is remembered belongs to one generation of the vault. Destroying a key begins a new generation; who learns
of it forgets everything, and tokens that were read under another generation are not taken in.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

LONGEST_VALUE = 1024
"""Characters of the longest value that is remembered: bounds the memory together with the number of entries."""


class TokenCache:
    """The most recently used tokens. Safe to use from several threads."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._tokens: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._generation: int | None = None
        self._lock = threading.Lock()

    def look(self, tenant_id: str, values: Sequence[str]) -> list[str | None]:
        """The token of each value, None where it is not remembered."""
        found: list[str | None] = []
        tokens = self._tokens
        with self._lock:
            for value in values:
                key = (tenant_id, value)
                token = tokens.get(key)
                if token is not None:
                    tokens.move_to_end(key)
                found.append(token)
        return found

    def advance(self, generation: int) -> None:
        """Take note of the vault's generation; another than the one known means forgetting everything."""
        with self._lock:
            if generation != self._generation:
                self._tokens.clear()
                self._generation = generation

    def fill(self, generation: int, tenant_id: str, tokens: Mapping[str, str]) -> None:
        """Remember tokens that were read in this generation of the vault."""
        with self._lock:
            if generation != self._generation:
                return
            for value, token in tokens.items():
                if len(value) <= LONGEST_VALUE:
                    self._tokens[tenant_id, value] = token
            while len(self._tokens) > self._capacity:
                self._tokens.popitem(last=False)
