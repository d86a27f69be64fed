"""Payment card numbers: a prefix and length that an issuer uses, and the Luhn check digit (ISO/IEC 7812-1, annex B).

One number in ten passes Luhn by chance, so a number that no issuer uses needs to be called a card, a number without separators that is introduced as an id of something needs
a word about cards nearby, and so do the lengths 12 and 13.
"""

import re
from collections.abc import Iterator

from collectors.redact.context import IDENTIFIERS, Words
from collectors.redact.detector import Category, DataClass, Detector, Match
from collectors.redact.folding import UNUSUAL_DIGITS, folded

_REST = (
    r"(?:[0-9]{11,18}|[0-9]{3}([ .-])[0-9]{4}\1[0-9]{4}(?:\1[0-9]{1,7}){1,2}|[0-9]{3}([ .-])[0-9]{6}\2[0-9]{4,5})"
    r"(?![\w-]|\.\d)"
)
_CANDIDATE = re.compile(
    # the look-behinds hold the first digit: a search for digits is ten times as fast as one that looks behind everywhere
    r"[0-9](?:(?<![\w.+-].)|(?<=\\[nrt].)|(?<=\D[.:].))" + _REST
)
_ESCAPED = re.compile(r"(?<=%[0-9A-Fa-f]{2})[0-9]" + _REST)
"""The same behind an escape of a URL, whose digits stand against those of the number: `card%204111111111111111`."""
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|095|6\d|[89]\d)\d{11,16}"  # Diners Club
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12,15}"  # Discover
    r"|35(?:2[89]|[3-8]\d)\d{12,15}|(?:1800|2131)\d{11}"  # JCB
    r"|62\d{14,17}"  # UnionPay
    r"|(?:50[0-9]|5[6-9]\d|6[0-9]\d)\d{9,16}"  # Maestro
    r"|220[0-4]\d{12,15}|60(?:69|8\d)\d{12}"  # Mir, RuPay
)
_CARD_WORDS = Words(
    (
        r"card", r"credit", r"debit", r"visa", r"master ?card", r"amex", r"american express", r"maestro", r"discover", r"diners",
        r"jcb", r"pay", r"cc\b", r"ccn", r"cvv", r"cvc", r"charge", r"billing", r"checkout", r"pan\b", r"expir",
        r"karte", r"kredit", r"bankkarte", r"carte", r"tarjeta", r"cart[ao]", r"kaart", r"cartão",
    ),
    before=64,
    after=40,
)  # fmt: skip
_CALLED = (
    r"(?:card|(?:kredit|bank|giro|debit)?karte|carte|carta|cart(?:a|ã)o|tarjeta|kaart|cc|ccn|visa|amex)[^\d\r\n]{0,40}"
)
_CALLED_CARD = Words((_CALLED + "$",), before=64, after=0)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_SURE_LENGTHS = range(14, 20)
_SHORTEST, _LONGEST = 12, 19
_SEPARATOR = re.compile("[ .-]")


def passes_luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit of those before it."""
    plain = sum(map(int, digits[::-2]))
    return (plain + sum(_DOUBLED[int(digit)] for digit in digits[-2::-2])) % 10 == 0


def _find(text: str) -> Iterator[Match]:
    yield from _cards(text, _CANDIDATE)
    if "%" in text:
        yield from _cards(text, _ESCAPED)


def _cards(text: str, pattern: re.Pattern[str]) -> Iterator[Match]:
    """Cards among the candidates; digits that stand beside a card as groups of their own (a year, a month) do not hide it."""
    candidate = pattern.search(text)
    while candidate is not None:
        start, end = candidate.span()
        found = next((stop for stop in _ends(text, start, end) if _is_card(text, start, stop)), None)
        if found is not None:
            yield Match(start, found)
        group = _SEPARATOR.search(text, start, end)
        candidate = pattern.search(text, found or (end if group is None else group.end()))


def _ends(text: str, start: int, end: int) -> Iterator[int]:
    """Where a number that starts at `start` may end: at `end`, or with one of its groups, longest first."""
    yield end
    yield from reversed([each.start() for each in _SEPARATOR.finditer(text, start, end)])


def _is_card(text: str, start: int, end: int) -> bool:
    digits = _SEPARATOR.sub("", text[start:end])
    if not (_SHORTEST <= len(digits) <= _LONGEST and len(set(digits)) > 1 and passes_luhn(digits)):
        return False
    if not _ISSUERS.fullmatch(digits):
        return _CALLED_CARD.before(text, start)
    bare = end - start == len(digits)
    doubtful = len(digits) not in _SURE_LENGTHS or (bare and IDENTIFIERS.before(text, start))
    return not doubtful or _CARD_WORDS.near(text, start, end)


CARD = Detector(
    name="card",
    category=Category.PCI,
    data_class=DataClass.RESTRICTED,
    triggers=(r"(?:[0-9][ .-]?){11}[0-9]", *UNUSUAL_DIGITS),
    find=folded(_find),
    strong=True,
    partial=lambda value: "****" + re.sub(r"\D", "", value)[-4:],
    priority=90,
)
