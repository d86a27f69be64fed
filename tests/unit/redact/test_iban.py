"""Bank account numbers."""

import pytest

from collectors.redact.detectors.iban import IBAN
from tests.detection import found

CASES = [
    ("DE89370400440532013000", ["DE89370400440532013000"]),
    ("pay GB82 WEST 1234 5698 7654 32 now", ["GB82 WEST 1234 5698 7654 32"]),
    ("FR14 2004 1010 0505 0001 3M02 606", ["FR14 2004 1010 0505 0001 3M02 606"]),
    ("NO9386011117947 and NL91ABNA0417164300", ["NO9386011117947", "NL91ABNA0417164300"]),
    ("MT84MALT011000012345MTLCAST001S", ["MT84MALT011000012345MTLCAST001S"]),
    ("iban: de89370400440532013000", ["de89370400440532013000"]),
    ("iban%20DE89370400440532013000%0A", ["DE89370400440532013000"]),
    ("de89370400440532013000", []),
    ("DE88370400440532013000", []),
    ("XX89370400440532013000", []),
    ("DE893704004405320130001", []),
    ("AB12CD34EF56AB12CD34EF56AB12", []),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_finds_numbers_of_a_country_s_length_with_right_check_digits(text, expected):
    """Country, its length and mod 97 decide; the examples are those of the registry of ISO 13616."""
    assert found(IBAN, text) == expected
