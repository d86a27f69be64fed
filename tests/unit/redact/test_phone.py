"""Telephone numbers."""

import pytest

from collectors.redact.detectors.phone import PHONE
from tests.detection import found

CASES = [
    ("+49 89 636 48018", ["+49 89 636 48018"]),
    ("+14155552671", ["+14155552671"]),
    ("+44 (0)20 7946 0958", ["+44 (0)20 7946 0958"]),
    ("(415) 555-2671", ["(415) 555-2671"]),
    ("415-555-2671 x123", ["415-555-2671 x123"]),
    ("1-415-555-2671", ["1-415-555-2671"]),
    ("001-415-555-2671", ["001-415-555-2671"]),
    ("06 12 34 56 78", ["06 12 34 56 78"]),
    ("020 7946 0958", ["020 7946 0958"]),
    ("089/63648018", ["089/63648018"]),
    ("phone: 4155552671", ["4155552671"]),
    ('{"phone": "4155552671"}', ["4155552671"]),
    ("llámame al 612 345 678", ["612 345 678"]),
    ("téléphone 0475183011", ["0475183011"]),
    ("+33\u00a06\u00a012\u00a034\u00a056\u00a078", ["+33\u00a06\u00a012\u00a034\u00a056\u00a078"]),
    ("4155552671", []),
    ("order 415-555-2671", []),
    ("2025-04-14 10:22", []),
    ("2025-04-14T10:22:33+10:00", []),
    ("123e4567-e89b-12d3-a456-426614174000", []),
    ("1764100000123", []),
    ("price 1 000 000", []),
    ("+12 points, +100", []),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_finds_numbers_by_plan_form_or_word(text, expected):
    """International numbers, national forms, and other digits only behind a word such as `phone`."""
    assert found(PHONE, text) == expected


@pytest.mark.parametrize("date", ["2026-11-23", "23.11.2026", "2026/11/23", "1999"])
@pytest.mark.parametrize(
    "number", ["+49 30 901820", "+1 415 555 2671", "(415) 555-2671", "089/63648018", "020 7946 0958"]
)
def test_a_date_beside_a_number_does_not_hide_it(number, date):
    """Before it or after it, digits of a date are groups of their own."""
    for text in (f"{number} {date}", f"{date} {number}", f"{number} {date} 10:22", f"{date} {number} {date}"):
        left = text
        for value in found(PHONE, text):
            left = left.replace(value, "")
        assert not any(part in left for part in number.split()[1:]), (text, found(PHONE, text))
    assert found(PHONE, f"{date} {date}") == []
