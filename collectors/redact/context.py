"""Words near a candidate that raise or lower it, and the edges that a candidate has.

Windows are short and looked at only for candidates, so that context costs nothing where nothing was found.
"""

import re
from collections.abc import Sequence

EDGE = r"(?:(?<![^\W_])|(?<=\\[nrt]))"
"""No letter or digit before; an escaped line break of JSON inside JSON (`\\n`) does not count as its letter."""

END = r"(?![^\W_])"
"""No letter or digit behind."""

_MASK = re.compile(r"\[[A-Z][A-Z_]*\]")
_LONGEST_MASK = 32
_BEFORE = 48
_AFTER = 24


class Words:
    """Some words and phrases that stand near what they speak of, whatever their case.

    Args:
        phrases: patterns without groups; each begins where a word begins.
        before: how many characters before a candidate are looked at.
        after: how many behind it.
    """

    def __init__(self, phrases: Sequence[str], *, before: int = _BEFORE, after: int = _AFTER) -> None:
        self._pattern = re.compile(r"(?<![^\W_])(?:" + "|".join(phrases) + ")", re.IGNORECASE)
        self._before = before
        self._after = after

    def near(self, text: str, start: int, end: int) -> bool:
        """Whether one of them stands before `start` or behind `end`."""
        return self.before(text, start) or (self._after > 0 and stands_in(self._pattern, text, end, end + self._after))

    def before(self, text: str, start: int) -> bool:
        """Whether one of them stands before `start`."""
        return stands_in(self._pattern, text, max(0, start - self._before), start)


def stands_in(words: re.Pattern[str], text: str, begin: int, end: int) -> bool:
    """Whether some words stand between two places of a text. What a mask says (`[PHONE]`) is nobody's word."""
    if text.find("[", max(0, begin - _LONGEST_MASK), end) < 0:
        return words.search(text, begin, end) is not None
    first = max(0, begin - _LONGEST_MASK)
    window = _MASK.sub(lambda mask: " " * len(mask[0]), text[first : end + _LONGEST_MASK])
    return words.search(window, begin - first, end - first) is not None


_NUMBERED = r"(?:[ _-]?(?:id|no\.?|number|nr\.?|key))?[\"'\\]{0,3} ?[=:#]{0,2} ?[\"'\\]{0,3}$"

IDENTIFIERS = Words(
    (
        r"[a-z_.\-]{0,24}id[\"'\\]{0,3} ?[=:#] ?[\"'\\]{0,3}$",
        r"(?:trace|span|order|invoice|ticket|case|request|session|run|job|ref|reference|build|commit|sku|serial|tracking)"
        + _NUMBERED,
    ),
    before=32,
    after=0,
)
"""What numbers of machines are called, right before them."""
