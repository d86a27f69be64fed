"""Dates of birth."""

import pytest

from collectors.redact.detectors.date_of_birth import DATE_OF_BIRTH
from tests.detection import found

CASES = [
    ("born 12 March 1984 in Leeds", ["12 March 1984"]),
    ("DOB: 03/12/1984", ["03/12/1984"]),
    ('"date_of_birth": "1984-03-12"', ["1984-03-12"]),
    ("Date of birth is March 12th, 1984", ["March 12th, 1984"]),
    ("geboren am 12.03.1984", ["12.03.1984"]),
    ("née le 12 mars 1984", ["12 mars 1984"]),
    ("fecha de nacimiento: 12 de marzo de 1984", ["12 de marzo de 1984"]),
    ("nata il 12/03/1984", ["12/03/1984"]),
    ("2025-04-14", []),
    ("stubborn since 12 March 1984", []),
    ("born in 1984", []),
    ("released 12 March 1984", []),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_finds_dates_that_are_called_one(text, expected):
    """A date counts only behind a word for birth."""
    assert found(DATE_OF_BIRTH, text) == expected
