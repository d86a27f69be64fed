"""Dates that are called a date of birth: the date right behind the words, in several forms and languages."""

import re
from collections.abc import Iterator

from collectors.redact.detector import Category, DataClass, Detector, Match

_MONTHS = (
    "jan(?:uary|uar|vier)?|feb(?:ruary|ruar)?|f[ée]v(?:rier)?|mar(?:ch|s|zo)?|märz|apr(?:il|ile)?|avr(?:il)?|may|mai|maggio|mayo|mei|"
    "june?|juin|juni|giugno|junio|july?|juillet|juli|luglio|julio|aug(?:ust|ustus)?|août|agosto|sep(?:t(?:ember|embre|iembre|\\.)?)?|settembre|"
    "oct(?:ober|obre|ubre)?|okt(?:ober)?|ottobre|nov(?:ember|embre|iembre)?|dec(?:ember)?|dez(?:ember)?|d[ée]c(?:embre)?|dicembre|diciembre|"
    "enero|ene|gennaio|gen|januari|febrero|febbraio|februari|abril|maart"
)
_YEAR = r"(?:18|19|20)\d\d"
_DATE = (
    rf"(?:{_YEAR}[-./]\d{{1,2}}[-./]\d{{1,2}}(?!\d)"
    rf"|\d{{1,2}}[-./]\d{{1,2}}[-./](?:{_YEAR}|\d\d)(?!\d)"
    rf"|\d{{1,2}}\. ?\d{{1,2}}\. ?{_YEAR}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|\.|er)?[ -]{{1,2}}(?:of |de |d')?(?:{_MONTHS})\.?,?[ -]{{1,2}}(?:de |del )?{_YEAR}(?!\d)"
    rf"|(?:{_MONTHS})\.? {{1,2}}\d{{1,2}}(?:st|nd|rd|th)?,? {{1,2}}{_YEAR}(?!\d)"
    rf"|{_YEAR}(?:0[1-9]|1[0-2])[0-3]\d(?!\d))"
)
_CUE = (
    # the first letter by itself: a search for a few letters is fast, one that looks behind everywhere is not
    r"[bdgnBDGN](?:(?<![^\W_].)|(?<=\\[nrt].)|(?<=[_.].))"
    r"(?i:(?<=b)orn|(?<=b)irth[ _-]?da(?:te|y)|(?<=d)\.?o\.?b\b\.?|(?<=d)(?:ate|ay)[ _-]?of[ _-]?birth|(?<=d)ate de naissance|"
    r"(?<=d)ata di nascita|(?<=g)eburtsdatum|(?<=g)eburtstag|(?<=g)eb(?:oren|\.)|(?<=g)eboortedatum|"
    r"(?<=n)ée?\b(?:\(e\))?|(?<=n)aissance|(?<=n)acimiento|(?<=n)acid[oa]|(?<=n)ascita|(?<=n)at[oa]\b)"
)
_BIRTH = re.compile(
    _CUE + r"(?=[^\d\r\n]{0,64}[0-9])(?P<between>[^\d\r\n]{0,48}?)(?P<date>(?<![^\W_])(?i:" + _DATE + "))"
)


def _find(text: str) -> Iterator[Match]:
    for match in _BIRTH.finditer(text):
        yield Match(*match.span("date"))


DATE_OF_BIRTH = Detector(
    name="date_of_birth",
    category=Category.PII,
    data_class=DataClass.CONFIDENTIAL,
    triggers=(
        r"birth|geburts|geboren|geboorte|naissance|nacimiento|nascita|nacid[oa]",
        r"(?:born|d\.?o\.?b|geb\.|nat[oa]|n\xc3\xa9e?)[^a-z\d\r\n]",
    ),
    find=_find,
    priority=55,
    partial=lambda value: (re.findall(r"(?:18|19|20)\d\d", value) or ["****"])[0],
)
