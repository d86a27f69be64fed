"""Names of persons."""

import pytest

from collectors.redact.detectors.person import PERSON
from tests.detection import found

CASES = [
    ("My name is Ngozi Okafor and I", ["Ngozi Okafor"]),
    ("Mr. Whitfield called", ["Whitfield"]),
    ("Dr Ana María López-Ruiz", ["Ana María López-Ruiz"]),
    ("Please ask Maria Rossi today", ["Maria Rossi"]),
    ("Jan van der Berg signed", ["Jan van der Berg"]),
    ("Dear Alice,", ["Alice"]),
    ("Dear Zoraida Talavera,", ["Zoraida Talavera"]),
    ("Best regards,\nTomasz Nowak\n", ["Tomasz Nowak"]),
    ('{"customer_name": "Wim Kok"}', ["Wim Kok"]),
    ("Name: Nayla Montero", ["Nayla Montero"]),
    (r"Thanks,\nPeter Novak", ["Peter Novak"]),
    ("Maria Rossi's order", ["Maria Rossi"]),
    ("Dear Customer,", []),
    ("Hi Team,", []),
    ("The United States and New York", []),
    ("agent name: get_weather", []),
    ("Regards,\nBilling", []),
    ("Alice", []),
    ("model Claude Sonnet", []),
    ("AdaMaria Rossi", []),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_finds_names_behind_cues_or_with_a_common_given_name(text, expected):
    """A cue before a name or a given name before a surname; capital letters alone are none."""
    assert found(PERSON, text) == expected
