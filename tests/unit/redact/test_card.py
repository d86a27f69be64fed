"""Payment card numbers."""

import pytest

from collectors.redact.detectors.card import CARD, passes_luhn
from tests.detection import found

CASES = [
    ("4111 1111 1111 1111", ["4111 1111 1111 1111"]),
    ("card 5555555555554444.", ["5555555555554444"]),
    ("378282246310005", ["378282246310005"]),
    ("3782 822463 10005", ["3782 822463 10005"]),
    ("6011-1111-1111-1117", ["6011-1111-1111-1117"]),
    ("30569309025904", ["30569309025904"]),
    ("visa 4222222222222", ["4222222222222"]),
    ("4222222222222", []),
    ("trace id=4111111111111111", []),
    ("order 4111111111111111", []),
    ("order 4111111111111111 paid by card", ["4111111111111111"]),
    ("4111111111111112", []),
    ("1234567812345670", []),
    ("my card is 1234567812345670", ["1234567812345670"]),
    ("0.4111111111111111", []),
    ("call_4111111111111111", []),
    ("4111111111111111-9", []),
    ("０", []),  # noqa: RUF001 - a full-width digit
    ("４１１１１１１１１１１１１１１１", ["４１１１１１１１１１１１１１１１"]),  # noqa: RUF001 - full-width digits
    ("4111\u200b1111\u200b1111\u200b1111", ["4111\u200b1111\u200b1111\u200b1111"]),
    ("card%204111111111111111%0A", ["4111111111111111"]),
    ("q%3A4111111111111111", ["4111111111111111"]),
    ("4111.1111.1111.1111", ["4111.1111.1111.1111"]),
    ("v4111.1111.1111.1111", []),
    (r"\n4111111111111111\n", ["4111111111111111"]),
    ("4111 1111 1111 1111 0", ["4111 1111 1111 1111"]),
    ("4111 1111 1111 1111 12/27", ["4111 1111 1111 1111"]),
    ("4111-1111-1111-1111-123", ["4111-1111-1111-1111"]),
    ("2025 2026 4111 1111 1111 1111 2027", ["4111 1111 1111 1111"]),
    ("4111 1111 1111 1111 5555 5555 5555 4444", ["4111 1111 1111 1111", "5555 5555 5555 4444"]),
    ("4111 1111 1111 1112 2027", []),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_finds_numbers_that_an_issuer_uses_with_a_right_check_digit(text, expected):
    """Prefix, length and Luhn decide; ids and rare lengths need a word about cards."""
    assert found(CARD, text) == expected


def test_luhn_agrees_with_the_published_example():
    """ISO/IEC 7812-1, annex B: 7992739871 has the check digit 3."""
    assert [digit for digit in "0123456789" if passes_luhn("7992739871" + digit)] == ["3"]


def test_partial_keeps_four_digits():
    """Four digits are what receipts show."""
    assert CARD.partial("4111 1111 1111 1234") == "****1234"
