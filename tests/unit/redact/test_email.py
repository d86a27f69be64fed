"""E-mail addresses."""

import pytest

from collectors.redact.detectors.email import EMAIL
from tests.detection import found

CASES = [
    ("write to ada.lovelace+ml@example.co.uk.", ["ada.lovelace+ml@example.co.uk"]),
    ("<mailto:o'brien@example.org>", ["o'brien@example.org"]),
    ('{"email": "x_1@sub.example.com"}', ["x_1@sub.example.com"]),
    (r"line\nbob@example.com", ["bob@example.com"]),
    ("?to=jo%40example.com&x=1", ["jo%40example.com"]),
    (r"jo\u0040example.com", [r"jo\u0040example.com"]),
    ("jo＠example.com", ["jo＠example.com"]),  # noqa: RUF001 - a full-width @
    ("jürgen@müller.example", ["jürgen@müller.example"]),
    ("a@b.com,c@d.org", ["a@b.com", "c@d.org"]),
    ("jo\u200bhn@example.com", ["jo\u200bhn@example.com"]),
    ("user@host", []),
    ("@decorator.name(x)", []),
    ("npm i @types/node@18.11.9", []),
    ("git@github.com:foo/bar.git", []),
    ("logo@2x.png", []),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_finds_addresses_whole_and_nothing_else(text, expected):
    """An address is found with its local part and domain, escaped or not; things with an `@` that are none are not."""
    assert found(EMAIL, text) == expected


def test_partial_keeps_the_first_letter_and_the_domain():
    """What is left tells the domain, not the person."""
    assert EMAIL.partial("ada@example.com") == "a***@example.com"
