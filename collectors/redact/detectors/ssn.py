"""United States social security numbers: area, group and serial as the administration issues them.

There is no check digit. With two separators the form is enough; nine digits alone need to be called a social security number.
"""

import re
from collections.abc import Iterator

from collectors.redact.context import IDENTIFIERS, Words
from collectors.redact.detector import Category, DataClass, Detector, Match
from collectors.redact.folding import FULL_WIDTH_DIGITS, SPLIT_DIGITS, folded

_CANDIDATE = re.compile(
    r"(?:(?<![\w.+-])|(?<=\\[nrt])|(?<=[^\d][.:_]))(?!000|666|9\d\d)\d{3}([ -]?)(?!00)\d{2}\1(?!0000)\d{4}(?![\w-]|\.\d)"
)
_WORDS = Words(
    (r"ssns?(?![a-z])", r"soc(?:ial)?\.? ?_?sec", r"social ?(?:number|#)", r"tax ?payer ?id"), before=64, after=32
)


def _find(text: str) -> Iterator[Match]:
    for candidate in _CANDIDATE.finditer(text):
        separator = candidate[1]
        near = _WORDS.near(text, candidate.start(), candidate.end())
        doubtful = separator != "-" or IDENTIFIERS.before(text, candidate.start())
        if near or not doubtful:
            yield Match(candidate.start(), candidate.end())


SSN = Detector(
    name="ssn",
    category=Category.PII,
    data_class=DataClass.RESTRICTED,
    triggers=(r"\d{3}-\d{2}-\d{4}", r"ssn", r"soc(?:ial)?\.?[ _]?sec", r"social (?:number|#)", r"tax ?payer ?id",
              FULL_WIDTH_DIGITS, SPLIT_DIGITS),
    find=folded(_find),
    partial=lambda value: "***-**-" + value[-4:],
    priority=70,
)  # fmt: skip
