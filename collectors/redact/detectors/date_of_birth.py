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
    r"(?:(?<![^\W_])|(?<=\\[nrt])|(?<=[_.]))(?:born|d\.?o\.?b\b\.?|(?:date|day)[ _-]?of[ _-]?birth|birth[ _-]?da(?:te|y)|geburtsdatum|geburtstag|geboren|geb\.|"
    r"née?\b(?:\(e\))?|date de naissance|naissance|nacimiento|nacid[oa]|nascita|nat[oa]\b|geboortedatum|data di nascita)"
)
_BIRTH = re.compile(
    _CUE + r"(?P<between>[^\d\r\n]{0,48}?)(?P<date>" + r"(?<![^\W_])" + _DATE + ")",
    re.IGNORECASE,
)


def _find(text: str) -> Iterator[Match]:
    for match in _BIRTH.finditer(text):
        yield Match(*match.span("date"))


DATE_OF_BIRTH = Detector(
    name="date_of_birth",
    category=Category.PII,
    data_class=DataClass.CONFIDENTIAL,
    triggers=(
        r"(?:born|birth|dob|d\.o\.b|geburt|geboren|geb\.|naissance|nacimiento|nacid[oa]|nascita|geboorte)[^\d\r\n]{0,64}\d",
        r"(?:n\xc3\xa9e?|nat[oa]) [^\d\r\n]{0,48}\d",
    ),
    find=_find,
    priority=55,
    partial=lambda value: (re.findall(r"(?:18|19|20)\d\d", value) or ["****"])[0],
)
