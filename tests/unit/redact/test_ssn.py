"""Social security numbers."""

import pytest

from collectors.redact.detectors.ssn import SSN
from tests.detection import found

CASES = [
    ("536-90-4399", ["536-90-4399"]),
    ("ssn 536904399", ["536904399"]),
    ("her social security number: 536 90 4399", ["536 90 4399"]),
    ("ssn%20536-90-4399", ["536-90-4399"]),
    ("536904399", []),
    ("536 90 4399", []),
    ("000-12-3456", []),
    ("666-12-3456", []),
    ("900-12-3456", []),
    ("536-00-4399", []),
    ("536-90-0000", []),
    ("ticket 536-90-4399", []),
    ("1536-90-4399", []),
    ("536-90-43991", []),
    ("2025-04-14", []),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_finds_numbers_that_may_be_issued(text, expected):
    """Areas 000, 666 and 900-999, group 00 and serial 0000 are never issued; without dashes a word is needed."""
    assert found(SSN, text) == expected
