"""International bank account numbers: country, its length and the check digits (ISO 13616, mod 97-10 of ISO/IEC 7064).

In capitals, as they are printed; in lower case, where they look like the ids and digests that texts of machines are full of, only
where they are called IBAN.
"""

import re
from collections.abc import Iterator

from collectors.redact.detector import Category, DataClass, Detector, Match
from collectors.redact.folding import UNUSUAL_DIGITS, folded

_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28,
    "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
    "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24,
    "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26,
    "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip
_EDGE = r"(?:(?<![^\W_].)|(?<=\\[nrt].)|(?<=%[0-9A-Fa-f]{2}.))"
"""The edge before the one character that was matched already."""
_CANDIDATE = re.compile(rf"[A-Z]{_EDGE}[A-Z][0-9]{{2}}(?:[ -]?[A-Z0-9]){{11,31}}")
_ANY_CASE = re.compile(rf"[A-Za-z]{_EDGE}[A-Za-z][0-9]{{2}}(?:[ -]?[A-Za-z0-9]){{11,31}}")
_CALLED = re.compile(r"[Ii][Bb][Aa][Nn][^\d\r\n]{1,24}\d\d")
_SEPARATORS = re.compile("[ -]")


def _find(text: str) -> Iterator[Match]:
    at = 0
    lower = _CALLED.search(text) is not None
    while candidate := (_ANY_CASE if lower else _CANDIDATE).search(text, at):
        end = _end_of_number(candidate[0])
        at = candidate.start() + (end or 2)
        if end:
            yield Match(candidate.start(), at)


def _end_of_number(shown: str) -> int:
    """Where the number ends within `shown`, which may run on into the next words; 0 if there is none."""
    wanted = _LENGTHS.get(shown[:2].upper(), 0)
    seen = 0
    for offset, character in enumerate(shown):
        seen += character not in " -"
        if seen == wanted:
            end = offset + 1
            whole = not shown[end : end + 1].isalnum()
            return end if whole and _passes_mod_97(_SEPARATORS.sub("", shown[:end])) else 0
    return 0


def _passes_mod_97(number: str) -> bool:
    turned = number[4:] + number[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _partial(value: str) -> str:
    return f"{value[:2]}****{value[-4:]}"


IBAN = Detector(
    name="iban",
    category=Category.PII,
    data_class=DataClass.RESTRICTED,
    triggers=(
        r"(?-i:[A-Z]{2}\d\d[ -]?[A-Z0-9]{4}[ -]?[A-Z0-9]{4}[ -]?[A-Z0-9]{2})",
        r"iban[^\d\r\n]{1,24}[a-z]{2}\d\d",
        *UNUSUAL_DIGITS,
    ),
    find=folded(_find),
    strong=True,
    partial=_partial,
    priority=80,
)
