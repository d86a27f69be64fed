"""Finds which of many patterns occur where in a buffer, in one pass: Hyperscan, or Python's `re` where it has no wheel.

Patterns are written in the syntax that both share and matched over bytes, without regard to ASCII case. A match is told by the
pattern's number and the offset behind it, for every end that a match may have: texts lie side by side, and the longest match
that begins in one may end in the next.
"""

import contextlib
import importlib
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

hyperscan: Any = None
with contextlib.suppress(ImportError):  # no wheel for this machine
    hyperscan = importlib.import_module("hyperscan")

Hits = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Numbers of patterns, and the offset behind each match."""

_NONE: Hits = (np.zeros(0, np.int64), np.zeros(0, np.int64))


class Scanner:
    """A compiled set of patterns. Safe to use from several threads."""

    def __init__(self, patterns: Sequence[str], *, engine: str | None = None) -> None:
        """Compile `patterns`; `engine` is `hyperscan` or `re`, by default the first that is there.

        Raises:
            ValueError: a pattern that the engine does not understand; the message names it.
        """
        self.engine = engine or ("hyperscan" if hyperscan is not None else "re")
        self.patterns = tuple(patterns)
        self._database: Any = None
        self._expressions: list[re.Pattern[bytes]] = []
        self._local = threading.local()
        if not self.patterns:
            return
        if self.engine == "hyperscan":
            self._database = _compiled(self.patterns)
        else:
            warnings.warn(
                "hyperscan is not installed: redaction searches with `re`, at a fraction of the speed",
                RuntimeWarning,
                stacklevel=2,
            )
            self._expressions = [_expression(pattern) for pattern in self.patterns]

    def scan(self, buffer: bytes | memoryview) -> Hits:
        """All matches in a buffer of UTF-8 bytes, in no particular order."""
        if not self.patterns or not len(buffer):
            return _NONE
        found: list[int] = []
        if self._database is not None:
            add = found.append

            def keep(number: int, _start: int, end: int, _flags: int, _context: object) -> None:
                add(number)
                add(end)

            self._database.scan(buffer, match_event_handler=keep, scratch=self._scratch())
        else:
            for number, expression in enumerate(self._expressions):
                for end in _every_end(expression, buffer):
                    found += (number, end)
        if not found:
            return _NONE
        pairs = np.array(found, np.int64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def _scratch(self) -> Any:
        """Working memory of this thread: Hyperscan's must not be shared by two scans at once."""
        scratch = getattr(self._local, "scratch", None)
        if scratch is None:
            scratch = self._local.scratch = hyperscan.Scratch(self._database)
        return scratch


def _compiled(patterns: tuple[str, ...]) -> Any:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    try:
        database.compile(
            expressions=[pattern.encode() for pattern in patterns],
            ids=list(range(len(patterns))),
            flags=[hyperscan.HS_FLAG_CASELESS] * len(patterns),
        )
    except hyperscan.error as exc:
        raise ValueError(f"patterns of a detector: expected Hyperscan's syntax, got {exc}") from exc
    return database


def _every_end(expression: re.Pattern[bytes], buffer: bytes | memoryview) -> Iterator[int]:
    """Every end of every match, as Hyperscan tells them: the longest match of a text may end in the text behind it."""
    match = expression.search(buffer)
    while match:
        start = match.start()
        shorter: re.Match[bytes] | None = match
        while shorter:
            yield shorter.end()
            shorter = expression.match(buffer, start, shorter.end() - 1) if shorter.end() > start + 1 else None
        match = expression.search(buffer, start + 1)


def _expression(pattern: str) -> re.Pattern[bytes]:
    try:
        return re.compile(pattern.encode(), re.IGNORECASE)
    except re.error as exc:
        raise ValueError(f"pattern {pattern!r}: {exc}") from exc
