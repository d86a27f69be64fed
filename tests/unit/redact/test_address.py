"""Street addresses."""

import pytest

from collectors.redact.detectors.address import ADDRESS
from tests.detection import found

CASES = [
    ("lives at 221B Baker Street, London NW1 6XE.", ["221B Baker Street, London NW1 6XE"]),
    ("1600 Pennsylvania Ave, Washington, DC 20500", ["1600 Pennsylvania Ave, Washington, DC 20500"]),
    ("500 Oak St. Apt 4", ["500 Oak St. Apt 4"]),
    ("Hauptstraße 12, 10115 Berlin", ["Hauptstraße 12, 10115 Berlin"]),
    ("Kerkstraat 7\n1017 GA Amsterdam", ["Kerkstraat 7\n1017 GA Amsterdam"]),
    ("12, rue de la Paix\n75002 Paris", ["12, rue de la Paix\n75002 Paris"]),
    ("Calle Mayor 5", ["Calle Mayor 5"]),
    ("Via Roma 22", ["Via Roma 22"]),
    ("P.O. Box 1234", ["P.O. Box 1234"]),
    ("10 Downing Street\n", ["10 Downing Street"]),
    ("Main Street was closed", []),
    ("5 orders arrived", []),
    ("Drive 12 items to stock", []),
    ("step 3 of the way", []),
    ("Berlin 10115", []),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_finds_a_house_number_with_a_street(text, expected):
    """Number and street together make an address, with what follows of town and postal code; either alone does not."""
    assert found(ADDRESS, text) == expected
