"""Characters that look like ASCII ones: a detector sees the ASCII ones, its matches are those of the text as it was.

Full-width forms, the spaces and hyphens that typesetting puts in place of the plain ones, and characters without width, such as a
zero-width space inside a card number. ASCII texts, nearly all, pay one check.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

from collectors.redact.detector import Match

_FULL_WIDTH = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_SPACES = dict.fromkeys((0xA0, 0x2007, 0x2009, 0x202F, 0x3000), " ")
_HYPHENS = dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2212), "-")
_SAME_LENGTH: dict[int, str] = _FULL_WIDTH | _SPACES | _HYPHENS
_WIDTHLESS = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_FOLDABLE = re.compile("[" + "".join(map(chr, _SAME_LENGTH)) + _WIDTHLESS + "]")
_WITHOUT_WIDTH = re.compile(f"[{_WIDTHLESS}]")

Find = Callable[[str], Iterable[Match]]

FULL_WIDTH_DIGITS = r"(?:\xef\xbc[\x90-\x99]){4}"
"""A trigger: four full-width digits."""

SPLIT_DIGITS = r"\d(?:\xe2\x80[\x8b-\x8f]|\xe2\x81\xa0|\xef\xbb\xbf|\xc2\xad)\d"
"""A trigger: two digits with a character without width between them."""

SPACED_DIGITS = r"\d\d(?:\xc2\xa0|\xe2\x80[\x87\x89\x90-\x92\xaf]|\xe3\x80\x80|\xe2\x88\x92)\d\d"
"""A trigger: digits with a space or hyphen of typesetting between them; not the dash of ranges such as years."""

UNUSUAL_DIGITS = (FULL_WIDTH_DIGITS, SPLIT_DIGITS, SPACED_DIGITS)
"""The triggers of detectors of numbers beside those for plain digits."""


def folded(find: Find) -> Find:
    """`find`, which sees each text with the look-alikes replaced and reports offsets into the text as it was."""

    def find_folded(text: str) -> Iterable[Match]:
        if text.isascii() or not _FOLDABLE.search(text):
            return find(text)
        if not _WITHOUT_WIDTH.search(text):
            return find(text.translate(_SAME_LENGTH))
        return _unfold(text, find)

    return find_folded


def _unfold(text: str, find: Find) -> Iterator[Match]:
    plain = _WITHOUT_WIDTH.sub("", text)
    if not plain.isascii():
        plain = plain.translate(_SAME_LENGTH)
    gaps: list[int] = []
    for match in find(plain):
        if not gaps:
            # where in the plain text each of the characters that are gone stood
            gaps = [gone.start() - number for number, gone in enumerate(_WITHOUT_WIDTH.finditer(text))]
        last = match.end - 1
        yield Match(match.start + bisect_right(gaps, match.start), last + bisect_right(gaps, last) + 1)
