"""IP addresses."""

import pytest

from collectors.redact.detectors.ip import IP
from tests.detection import found

CASES = [
    ("from 203.0.113.7:443", ["203.0.113.7"]),
    ("8.8.8.8, 81.2.69.142.", ["8.8.8.8", "81.2.69.142"]),
    ("2001:db8:85a3:8d3:1319:8a2e:370:7348", ["2001:db8:85a3:8d3:1319:8a2e:370:7348"]),
    ("[2001:db8::1]:80", ["2001:db8::1"]),
    ("::ffff:203.0.113.9", ["::ffff:203.0.113.9"]),
    ("127.0.0.1 10.1.2.3 172.16.0.1 192.168.0.9 169.254.169.254 0.0.0.0 224.0.0.1 255.255.255.255", []),
    ("::1 fe80::1 fd00::12 ff02::1", []),
    ("version 8.8.8.8", []),
    ('"version": "8.8.8.8"', []),
    ("v8.8.8.8", []),
    ("Chrome/120.0.6099.109", []),
    ("1.2.3.4.5", []),
    ("256.1.1.1", []),
    ("01.02.03.04", []),
    ("std::vector a::b 12:30:45", []),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_finds_addresses_that_may_lead_to_a_person(text, expected):
    """Public addresses are found; those of machines among themselves, versions and names with colons are not."""
    assert found(IP, text) == expected
