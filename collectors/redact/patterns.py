"""Everything that one scan of a buffer looks for: detectors' triggers, keys, escapes, and what each of them asks for.

Every pattern belongs to one *bit* of a mask: a detector's, or one of those below. A cell's mask, the bits of all patterns found
in it, says whether it has to be treated and by whom.
"""

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collectors.redact.declared import CLASSIFICATION, REGULATION
from collectors.redact.detector import CAPITAL, NUMBERS, Detector
from collectors.redact.fields import FAST_IDENTITY_KEYS, FAST_IDENTITY_TRIGGERS, KEY_TRIGGERS
from collectors.redact.numbers import PATTERNS as NUMBER_PATTERNS
from collectors.redact.numbers import number_ends
from collectors.redact.scanner import Scanner

ESCAPED, KEYED, RULE, DECLARED, NUMERIC = 0, 1, 2, 3, 4
_FIRST_DETECTOR = 5
_MOST_DETECTORS = 63 - _FIRST_DETECTOR
_MOST_MASKS = 1 << 14

_ESCAPES = (
    r"\\u(?:[013-9abcef][0-9a-f]{3}|d[0-7][0-9a-f]{2}|2(?:[1-9a-f][0-9a-f]{2}|0(?:0|[3-9a-f])[0-9a-f]|01[0-3]|02[7-9a-f]))",
    r"\\/",
    r'"\$bytes',
)
"""Escapes may hide what a trigger would find: such a text is unescaped and looked at again. Bytes are looked into.

Dashes, quotes and dots from U+2014 to U+2026, which models write all the time, and what lies beyond U+FFFF hide nothing.
"""
_DECLARED = tuple(rf'{key}\\*"\s{{0,2}}:' for key in (CLASSIFICATION, REGULATION))

_GLOB = re.compile(r"(\*|\?|\[!?\]?[^\]]*\])")
_GLOB_PARTS = {"*": '[^"]{0,200}', "?": '[^"]', "[": '[^"]'}

_BEGINS_NAME = np.zeros(256, np.bool_)
_BEGINS_NAME[[*b"ABCDEFGHIJKLMNOPQRSTUVWXYZdv", *range(0xC3, 0xC6)]] = True

Masks = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Marks:
    """What a scan found in a buffer: offsets behind matches, with their bits, and offsets at which ids of persons begin.

    `identity_keys` are the numbers of the keys under which these stand.
    """

    ends: Ints
    masks: Masks
    identity_starts: Ints
    identity_keys: Ints


NOTHING = Marks(np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64))


class Patterns:
    """The patterns of one policy, compiled. Immutable but for its caches; safe to use from several threads."""

    def __init__(
        self, detectors: Mapping[str, Detector], rule_keys: Sequence[str] = (), *, engine: str | None = None
    ) -> None:
        """Compile for these detectors, and for fields that a policy treats by their names (shell-style patterns).

        Raises:
            ValueError: more detectors than bits, or a pattern that does not compile.
        """
        if len(detectors) > _MOST_DETECTORS:
            raise ValueError(f"got {len(detectors)} detectors, expected at most {_MOST_DETECTORS}")
        self.detectors = tuple(detectors.values())
        of_detectors = [
            (trigger, _FIRST_DETECTOR + at)
            for at, one in enumerate(self.detectors)
            for trigger in one.triggers
            if trigger != NUMBERS
        ]
        of_numbers = [(pattern, NUMERIC) for pattern in NUMBER_PATTERNS]
        escapes = [(pattern, ESCAPED) for pattern in _ESCAPES]
        keys = [
            *((pattern, KEYED) for pattern in KEY_TRIGGERS),
            *((pattern, DECLARED) for pattern in _DECLARED),
            *((_key_pattern(glob), RULE) for glob in rule_keys),
        ]
        strong = [(trigger, bit) for trigger, bit in of_detectors if self.detectors[bit - _FIRST_DETECTOR].strong]
        self._texts = _Part([*of_detectors, *of_numbers, *escapes, *keys], FAST_IDENTITY_TRIGGERS, engine)
        self._names = _Part([*strong, *escapes], (), engine)
        self._of_leaves = ~np.uint64(0) << np.uint64(NUMERIC)
        """Bits that count in a text without keys: numbers and detectors."""
        self.everything = sum(1 << _FIRST_DETECTOR + at for at in range(len(self.detectors))) | 1 << DECLARED
        """The mask of a text that was not scanned: every detector looks at it."""
        self._numeric = sum(1 << at for at, one in enumerate(self.detectors) if NUMBERS in one.triggers)
        self._by_mask: dict[int, tuple[Detector, ...]] = {}

    def scan_texts(self, data: bytes, bounds: Ints | None = None) -> Marks:
        """What a buffer of texts and of the decoder's JSON holds; `bounds` are where they begin and the last one ends."""
        marks = self._texts.scan(data, bounds)
        if not len(marks.identity_starts) or not len(marks.ends):
            return marks
        # the key of an id that is exchanged by position is no reason for the careful way
        known = (marks.masks == np.uint64(1 << KEYED)) & np.isin(marks.ends + 1, marks.identity_starts)
        return Marks(marks.ends[~known], marks.masks[~known], marks.identity_starts, marks.identity_keys)

    def scan_names(self, data: bytes) -> Marks:
        """What a buffer of names and identifiers holds: only what needs no context is looked for."""
        return self._names.scan(data)

    def scan_leaves(self, data: bytes) -> Marks:
        """What detectors' triggers mark in texts that are no JSON, or are no longer."""
        marks = self._texts.scan(data)
        mine = marks.masks & self._of_leaves != 0
        return Marks(marks.ends[mine], marks.masks[mine], NOTHING.identity_starts, NOTHING.identity_keys)

    @property
    def are_compiled(self) -> bool:
        """Whether a scan costs no more than itself; the first one compiles, which takes longer than treating a few records."""
        return self._texts.is_compiled

    def compile(self) -> None:
        """Compile now what the first scan would have to."""
        for part in (self._texts, self._names):
            part.compile()

    def detectors_of(self, mask: int) -> tuple[Detector, ...]:
        """The detectors whose bits are set."""
        found = self._by_mask.get(mask)
        if found is None:
            chosen = mask >> _FIRST_DETECTOR
            if mask >> NUMERIC & 1:
                chosen |= self._numeric
            found = tuple(one for at, one in enumerate(self.detectors) if chosen >> at & 1)
            if len(self._by_mask) < _MOST_MASKS:
                self._by_mask[mask] = found
        return found

    def detectors_for(self, text: str) -> tuple[Detector, ...]:
        """The detectors whose triggers a text holds: for texts that stood in the buffer escaped."""
        if not self.are_compiled:
            return self.detectors
        marks = self.scan_leaves(text.encode("utf8", "surrogatepass"))
        return self.detectors_of(int(np.bitwise_or.reduce(marks.masks, initial=np.uint64(0))))


class _Part:
    """Some patterns with their bits, as one scanner."""

    def __init__(self, patterns: Sequence[tuple[str, int]], identities: Sequence[str], engine: str | None) -> None:
        plain = [one for one in patterns if not one[0].endswith(CAPITAL)]
        words = [one for one in patterns if one[0].endswith(CAPITAL)]
        self._bits = np.array([bit for _, bit in (*plain, *words)], np.uint64)
        self._first_word = len(plain)
        self._patterns = [
            *(text for text, _ in plain),
            *(f"(?-i:{re.escape(text.removesuffix(CAPITAL))})" for text, _ in words),
            *identities,
        ]
        self._engine = engine
        self._lock = threading.Lock()
        self._compiled: Scanner | None = None

    @property
    def is_compiled(self) -> bool:
        return self._compiled is not None

    def compile(self) -> Scanner:
        """The scanner, made at first use."""
        if self._compiled is None:
            with self._lock:
                if self._compiled is None:
                    self._compiled = Scanner(self._patterns, engine=self._engine)
        return self._compiled

    def scan(self, data: bytes, bounds: Ints | None = None) -> Marks:
        """All marks, numbers among them only where they are long enough."""
        numbers, ends = self.compile().scan(data)
        words = (numbers >= self._first_word) & (numbers < len(self._bits))
        if words.any():
            kept = ~words
            kept[words] = before_capital(data, ends[words])
            numbers, ends = numbers[kept], ends[kept]
        fast = numbers >= len(self._bits)
        starts, keys = ends[fast], numbers[fast] - len(self._bits)
        if fast.any():
            numbers, ends = numbers[~fast], ends[~fast]
        bits = self._bits[numbers]
        digits = bits == NUMERIC
        if digits.any():
            long = number_ends(data, ends[digits], bounds)
            ends = np.concatenate([ends[~digits], long])
            bits = np.concatenate([bits[~digits], np.full(len(long), NUMERIC, np.uint64)])
        return Marks(ends, np.left_shift(np.uint64(1), bits), starts, keys)


def before_capital(data: bytes, ends: Ints) -> npt.NDArray[np.bool_]:
    """Which of these offsets have a capital letter, or the first letter of a particle of names, behind them."""
    following = np.zeros(len(ends), np.uint8)
    inside = ends < len(data)
    following[inside] = np.frombuffer(data, np.uint8)[ends[inside]]
    return _BEGINS_NAME[following]


def identity_key(number: int) -> str:
    """The key that `scan` numbered."""
    return FAST_IDENTITY_KEYS[number]


def _key_pattern(glob: str) -> str:
    """The key of a JSON member, as a shell-style pattern names it."""
    parts = (part for part in _GLOB.split(glob) if part)
    body = "".join(_GLOB_PARTS.get(part[0] if _GLOB.fullmatch(part) else "", re.escape(part)) for part in parts)
    return rf'"{body}\\*"\s{{0,2}}:'
