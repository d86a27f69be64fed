"""Detectors that a policy defines: a pattern, what triggers it, and words that must stand nearby.

A pattern from outside cannot be trusted to be linear: it runs on `regex` with a deadline, and a text on which it is not done by
then makes `find` raise `TimeoutError`, so that the text is withheld rather than let through.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import regex

from collectors.redact.context import stands_in
from collectors.redact.detector import Match

FIND_SECONDS = 0.25
"""Longest that one pattern may take on one text. Texts are short: 1 MB takes a linear pattern some milliseconds."""

CONTEXT_CHARACTERS = 60
"""How far before or after a match a context word may stand."""

MOST_TRIGGER = 100
MOST_PATTERN = 1000
LEAST_TRIGGER_BYTES = 2
MOST_EXPANDED = 20_000
"""Most places a pattern may have once its counted repeats are written out, as `regex` does: 10^9 of them need all memory."""

_ANCHORS = frozenset("bBAZzGKXRN")
_COUNT = re.compile(r"\{(\d*)(,?)(\d*)\}")


def compile_pattern(pattern: str) -> "regex.Pattern[str]":
    """The pattern of a custom detector, compiled.

    Raises:
        ValueError: it does not compile, matches the empty text, or is too long; the message says got and expected.
    """
    if not 1 <= len(pattern) <= MOST_PATTERN:
        raise ValueError(f"got {len(pattern)} characters, expected 1 to {MOST_PATTERN}")
    if (size := _expanded_size(pattern)) > MOST_EXPANDED:
        raise ValueError(f"got {pattern!r}, which repeats {size:,} places, expected at most {MOST_EXPANDED:,}")
    try:
        compiled = regex.compile(pattern, cache_pattern=False)
        matches_nothing = compiled.search("", timeout=FIND_SECONDS) is not None
    except (regex.error, OverflowError, RecursionError, TimeoutError) as exc:
        raise ValueError(f"got {pattern!r}, expected a pattern that compiles: {exc}") from exc
    if matches_nothing:
        raise ValueError(f"got {pattern!r}, expected a pattern that does not match the empty text")
    return compiled


def check_trigger(trigger: str) -> "re.Pattern[bytes]":
    """A trigger, compiled, when it keeps to what the search over many joined texts can take.

    Raises:
        ValueError: it does not; the message says got and expected.
    """
    if not 1 <= len(trigger) <= MOST_TRIGGER:
        raise ValueError(f"got {len(trigger)} characters, expected 1 to {MOST_TRIGGER}")
    for construct in _constructs(trigger):
        raise ValueError(
            f"got {construct} in {trigger!r}, expected no anchors, groups with (?, references or unbounded repeats"
        )
    try:
        compiled = re.compile(trigger.encode(), re.IGNORECASE)
    except (re.error, OverflowError, RecursionError, UnicodeEncodeError) as exc:
        raise ValueError(f"got {trigger!r}, expected a pattern that compiles: {exc}") from exc
    if not _needs_bytes(compiled):
        raise ValueError(f"got {trigger!r}, expected a pattern of {LEAST_TRIGGER_BYTES} bytes or more")
    return compiled


def _needs_bytes(compiled: "re.Pattern[bytes]") -> bool:
    """Whether no text of fewer than `LEAST_TRIGGER_BYTES` bytes matches: else nearly every text would be searched."""
    if compiled.fullmatch(b""):
        return False
    return not any(compiled.fullmatch(bytes([byte])) for byte in range(256))


def _constructs(trigger: str) -> Iterator[str]:
    """Every part of a trigger that the search over joined texts cannot take, as it stands there."""
    at, in_class = 0, False
    while at < len(trigger):
        character = trigger[at]
        if character == "\\":
            following = trigger[at + 1 : at + 2]
            if not in_class and (following in _ANCHORS or following.isdigit()):
                yield f"\\{following}"
            at += 2
            continue
        if in_class:
            in_class = character != "]"
        elif character == "[":
            in_class = True
            # A bracket that comes first, or first after ^, is a member of the class and does not end it.
            at += 1 if trigger[at + 1 : at + 2] == "^" else 0
            at += 1 if trigger[at + 1 : at + 2] == "]" else 0
        elif character in "^$*+":
            yield character
        elif trigger.startswith("(?", at):
            yield "(?"
        elif (count := _COUNT.match(trigger, at)) and count[2] and not count[3]:
            yield count[0]
        at += 1


def _expanded_size(pattern: str) -> int:
    """Places of a pattern with its counted repeats written out; rather too many than too few."""
    sums, last, at = [0], 0, 0
    while at < len(pattern):
        character = pattern[at]
        step = 2 if character == "\\" else 1
        if count := _COUNT.match(pattern, at):
            sums[-1] += last * (int(count[3] or count[1] or 1) - 1)
            last *= int(count[3] or count[1] or 1)
            step = len(count[0])
        elif character == "(":
            sums.append(0)
        elif character == ")" and len(sums) > 1:
            last = sums.pop() + 1
            sums[-1] += last
        else:
            last = 1
            sums[-1] += last
        at += step
    return sum(sums)


def make_find(pattern: str, context: Sequence[str]) -> Callable[[str], Iterable[Match]]:
    """The search of a custom detector; with context words, only matches near one of them count.

    Raises:
        ValueError: as `compile_pattern`.
    """
    compiled = compile_pattern(pattern)
    words = "|".join(re.escape(word) for word in context)
    near = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if words else None

    def find(text: str) -> list[Match]:
        found = []
        for match in compiled.finditer(text, timeout=FIND_SECONDS):
            start, end = match.span()
            if start < end and (near is None or _has_word(near, text, start, end)):
                found.append(Match(start, end))
        return found

    return find


def _has_word(near: "re.Pattern[str]", text: str, start: int, end: int) -> bool:
    # By position and not by slice: a word cut at the window's edge must not look like a whole one.
    before = stands_in(near, text, max(0, start - CONTEXT_CHARACTERS), start)
    return before or stands_in(near, text, end, end + CONTEXT_CHARACTERS)
