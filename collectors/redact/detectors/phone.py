"""Telephone numbers: international ones, the written forms of several countries, and others where a word announces one.

International numbers are held against the numbering plans that `phonenumbers` knows. National ones are told by how they are
grouped: `(415) 555-2671`, `06 12 34 56 78`, `020 7946 0958`. Ten digits in a row are a number of anything without a word
such as `phone` before them.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

import phonenumbers

from collectors.redact.context import IDENTIFIERS, Words
from collectors.redact.detector import NUMBERS, Category, DataClass, Detector, Match
from collectors.redact.folding import UNUSUAL_DIGITS, folded

_GAP = r"[ .\-/()]"
_CANDIDATE = re.compile(
    r"(?P<number>[0-9+(](?:(?<![\w.,/+=#$€£-].)|(?<=\\[nrt].)|(?<=[^\W\d][.,/:=-].)|(?<=[^\w][.,-].))"
    r"(?:(?<=[0-9])|(?<=\+)[0-9]|(?<=\()\+?[0-9])(?:[ .\-/()]{0,3}[0-9]){5,17})"
    r"(?i:,? ?(?:x|ext\.?:?|extension|ext ?#) ?\d{1,6})?(?![\w%€£]|[.,:]\d|-\d|-(?!(?i:office|fax|home|work|mobile|cell|direct|main)\b)\w)"
)
_LABEL = re.compile(r"[ ,(-]{0,3}(?:office|fax|home|work|mobile|cell|direct)\b", re.IGNORECASE)
_NANP = re.compile(
    r"(?:(?:\+|00)?1[ .\-]{0,2})?(?:\([2-9]\d\d\)[ .\-]{0,2}|[2-9]\d\d[.\-/]|[2-9]\d\d )[2-9]\d\d[ .\-]\d{4}"
)
_LOOSE_NANP = re.compile(r"(?:(?:\+|00)?1[ .\-]{0,2})?(?:\(\d{3}\)[ .\-]{0,2}|\d{3}([.\-]))\d{3}[.\-]\d{4}")
_GROUPED = re.compile(
    r"0[1-9](?:([ .\-])\d\d)(?:\1\d\d){3}"  # France, Belgium
    r"|\(0\d{1,5}\)[ /\-]{0,2}\d{3,8}(?:[ \-]\d{2,6}){0,3}"  # a trunk code in parentheses
    r"|0[1-9]\d{1,4}(?:/| / ?|[ \-])\d{3,8}(?:[ \-]\d{2,5}){0,3}"  # Germany, Italy, the Netherlands, United Kingdom
    r"|0[2-9] \d{4} \d{4}"  # Australia
)
_TRUNK_REGIONS = ("GB", "DE", "FR", "NL", "IT", "AU", "CH", "AT", "BE", "SE", "ZA", "JP")
_DATE = re.compile(
    r"(?:19|20)\d\d[\-./ ]\d\d?[\-./ ]\d\d?|\d\d?[\-./ ]\d\d?[\-./ ](?:19|20)\d\d|(?:19|20)\d\d ?[\-/] ?(?:19|20)\d\d"
)
_YEAR = re.compile(r"(?:19|20)\d\d(?=[ (])")
_BEFORE_DATE = re.compile(rf"[ (]+(?=(?:{_DATE.pattern}|(?:19|20)\d\d)(?!\d))")
_BEFORE_MORE = re.compile(r"[ (]+")
_OTHER = re.compile(
    r"\d{3}-\d{2}-\d{4}|(?:\d{1,3}\.){3}\d{1,3}|\d{4}([ -])\d{4}\1\d{4}\1.*|\d{4}[ -]\d{6}[ -]\d{4,5}|\d{2,3}\.\d+"
)
_WORDS = Words(
    (
        r"(?:t[eé]l[eé])?phones?", r"tel[eé]f", r"tel(?:[.: n]|é|e?f)", r"mobiles?", r"mobil[:e ]", r"m[oó]vil", r"cell", r"fax", r"whats ?app", r"sms",
        r"call(?:ed|ing)? (?:me|us|him|her|them|at|on|back|the|my)", r"call:? ?(?=[+(\d]|$)", r"dial", r"text(?:ed)? (?:me|us|him|her)",
        r"reach(?:ed|able)?", r"contact", r"(?:my|your|his|her|their|our) number is", r"hot ?line", r"ring me", r"handy", r"rufnummer", r"anrufen",
        r"ruf", r"appele", r"portable", r"joindre", r"ll[aá]m", r"chiam", r"cellulare", r"recapito", r"bel(?: |len)", r"nummer",
        r"ph[.: ]", r"hp[: ]", r"voice ?mail", r"land ?line", r"answer(?:s|ed|ing)?", r"messages?",
    ),
    before=36,
    after=0,
)  # fmt: skip
_TRIGGER_WORDS = (
    r"(?:phone|tel[.: n]|tel(?:e|é)f|mobile?|movil|m\xc3\xb3vil|cell|fax|whats ?app|sms|call(?:ed|ing)? |dial|text(?:ed)? (?:me|us|him|her)|"
    r"reach|contact|number|hot ?line|ring me|handy|nummer|ruf|appele|portable|joindre|ll(?:a|á)m|chiam|recapito|bel |bellen|ph[.: ]|hp[: ]|"
    r"voice ?mail|land ?line|answer|message)"
)
_NO_DATE = (
    r"(?:[013-9][\d .\-/()]{6}|2[1-9 .\-/()][\d .\-/()]{5}"
    r"|20(?:[3-9 .\-/()]|[0-2][ .\-/()]|[0-2]\d[\d ./()])[\d .\-/()]{2})"
)
"""Seven digits or what groups them, but `2025-04-14`."""
_FEWEST_DIGITS = 7
_MOST_DIGITS = 15


def _find(text: str) -> Iterator[Match]:
    """Numbers among the candidates; a date that stands beside one does not hide it."""
    candidate = _CANDIDATE.search(text)
    while candidate is not None:
        number = candidate["number"]
        start, resume = candidate.span()
        if number[0] == "(" and ")" not in number:
            number = number[1:]
            start += 1
        if date := _DATE.match(number):
            resume = start + date.end()
        elif _is_phone(text, start, candidate.end("number"), number):
            yield Match(start, candidate.end())
        elif stop := next((stop for stop in _ends(number) if _is_phone(text, start, start + stop, number[:stop])), 0):
            resume = start + stop
            yield Match(start, resume)
        elif year := _YEAR.match(number):
            resume = start + year.end()
        candidate = _CANDIDATE.search(text, resume)


def _ends(number: str) -> Iterator[int]:
    """Where a number may end within its digits: before a date or year, and what begins with `+` before any space; longest first."""
    gap = _BEFORE_MORE if number.startswith(("+", "(+")) else _BEFORE_DATE
    yield from reversed([each.start() for each in gap.finditer(number)])


def _is_phone(text: str, start: int, end: int, number: str) -> bool:
    digits = sum(map(str.isdigit, number))
    if not _FEWEST_DIGITS <= digits <= _MOST_DIGITS or _DATE.match(number) or _OTHER.fullmatch(number):
        return False
    if number.startswith(("+", "(+")):
        return is_international(number, called=_WORDS.before(text, start))
    if _NANP.fullmatch(number) or _LOOSE_NANP.fullmatch(number):
        return not IDENTIFIERS.before(text, start)
    grouped = _GROUPED.fullmatch(number) is not None and is_national(number)
    return bool(
        grouped
        or _is_dialled(number)
        or ((_WORDS.before(text, start) or _LABEL.match(text, end) is not None) and not IDENTIFIERS.before(text, start))
    )


def _is_dialled(number: str) -> bool:
    """Whether it is an international number after the prefix `00`, in groups."""
    grouped = number.startswith("00") and not number.isdigit()
    return grouped and is_international("+" + number[2:], called=False)


@lru_cache(maxsize=4096)
def is_international(number: str, *, called: bool) -> bool:
    """Whether a plan has the number; where it is grouped or announced, having its length is enough."""
    shown = number.replace("(0)", "").strip("(")
    try:
        parsed = phonenumbers.parse(shown, None)
    except phonenumbers.NumberParseException:
        return False
    if called or not number[1:].isdigit():
        return phonenumbers.is_possible_number(parsed)
    return phonenumbers.is_valid_number(parsed)


@lru_cache(maxsize=4096)
def is_national(number: str) -> bool:
    """Whether one of the countries that dial a trunk zero has numbers of this length."""
    digits = sum(map(str.isdigit, number))
    if digits not in range(9, 13):
        return False
    for region in _TRUNK_REGIONS:
        try:
            if phonenumbers.is_possible_number(phonenumbers.parse(number, region)):
                return True
        except phonenumbers.NumberParseException:
            return False
    return False


PHONE = Detector(
    name="phone",
    category=Category.PII,
    data_class=DataClass.CONFIDENTIAL,
    triggers=(
        NUMBERS,
        r"\+[1-9][\d ().\-/]{7}",
        r"\d{3}-\d{4}",
        r"\d\d[ ,(\-]{1,3}(?:office|fax|home|work|mobile|cell|direct)",
        _TRIGGER_WORDS + r"[^\d]{0,40}" + _NO_DATE,
        *UNUSUAL_DIGITS,
    ),
    find=folded(_find),
    partial=lambda value: "***" + re.sub(r"\D", "", value)[-2:],
    priority=50,
)
