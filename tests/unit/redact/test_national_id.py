"""National identity and tax numbers."""

import pytest

from collectors.redact.detectors.national_id import NATIONAL_ID
from tests.detection import found

CASES = [
    ("85.07.30-033.28", ["85.07.30-033.28"]),
    ("CPF 390.533.447-05", ["390.533.447-05"]),
    ("390.533.447-06", []),
    ("SIN: 123-456-782", ["123-456-782"]),
    ("123-456-782", []),
    ("AHV 756.9217.0769.85", ["756.9217.0769.85"]),
    ("11010519491231002X", ["11010519491231002X"]),
    ("Steuer-ID: 36574261809", ["36574261809"]),
    ("36574261809", []),
    ("DNI 54362315K", ["54362315K"]),
    ("X-2482300W", ["X-2482300W"]),
    ("hetu: 131052-308T", ["131052-308T"]),
    ("2 95 10 99 126 111 93", ["2 95 10 99 126 111 93"]),
    ("national insurance number QQ 12 34 56 C", []),
    ("national insurance number AB 12 34 56 C", ["AB 12 34 56 C"]),
    ("NHS 943 476 5870", ["943 476 5870"]),
    ("Aadhaar: 2341 2341 2346", ["2341 2341 2346"]),
    ("RCCMNL83S18D969H", ["RCCMNL83S18D969H"]),
    ("BOXW310820HNERXN09", ["BOXW310820HNERXN09"]),
    ("BSN: 111222333", ["111222333"]),
    ("111222333", []),
    ("PESEL 44051401359", ["44051401359"]),
    ("personnummer 880320-0016", ["880320-0016"]),
    ("912-90-3456", ["912-90-3456"]),
    ("business 44051401359", []),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_finds_numbers_with_right_check_digits(text, expected):
    """Form and check digits decide; where they are weak, the number has to be called by its name. Examples are published ones."""
    assert found(NATIONAL_ID, text) == expected
