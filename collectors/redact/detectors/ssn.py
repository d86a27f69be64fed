"""United States social security numbers: area, group and serial as the administration issues them.

There is no check digit. With two separators the form is enough; nine digits alone need to be called a social security number.
"""

import re
from collections.abc import Iterator

from collectors.redact.context import IDENTIFIERS, Words
from collectors.redact.detector import NUMBERS, Category, DataClass, Detector, Match
from collectors.redact.folding import UNUSUAL_DIGITS, folded

_CANDIDATE = re.compile(
    r"[0-8](?:(?<![\w.+-].)|(?<=\\[nrt].)|(?<=[^\d][.:_].)|(?<=%[0-9A-Fa-f]{2}.))[0-9]{2}(?<!000)(?<!666)([ -]?)(?!00)[0-9]{2}\1(?!0000)[0-9]{4}(?![\w-]|\.\d)"
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
    triggers=(NUMBERS, *UNUSUAL_DIGITS),
    find=folded(_find),
    partial=lambda value: "***-**-" + value[-4:],
    priority=70,
)
