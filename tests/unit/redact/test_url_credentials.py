"""Credentials in URLs."""

import pytest

from collectors.redact.detectors.url_credentials import URL_CREDENTIALS
from tests.detection import found

CASES = [
    ("postgres://app:s3cr3t@db.internal/x", ["app:s3cr3t"]),
    ("mongodb+srv://u:p%40ss@cluster0.example.net", ["u:p%40ss"]),
    ("redis://:hunter22@cache:6379/0", [":hunter22"]),
    ("https://x.example/cb?state=1&access_token=ya8s7df6&x=2", ["ya8s7df6"]),
    ("https://h/?sig=ab12cd34ef&se=2025", ["ab12cd34ef"]),
    ("https://h/?api_key=AbC123xyz", ["AbC123xyz"]),
    ("postgres://app:${DB_PASSWORD}@db/x", []),
    ("postgres://app:****@db/x", []),
    ("https://example.com/?key=value", []),
    ("https://example.com:443/a@b", []),
    ("https://user@example.com/", []),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_finds_user_and_password_and_secret_parameters(text, expected):
    """The match is what a thief would need: user and password, or the parameter's value."""
    assert found(URL_CREDENTIALS, text) == expected
