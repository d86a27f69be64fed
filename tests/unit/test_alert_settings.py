"""What settings of targets are refused, with words that hold no secret."""

import msgspec
import pytest

from pipelines.alerts.address import Address
from pipelines.alerts.config import AlertsConfig
from pipelines.alerts.errors import TargetUnavailableError
from pipelines.alerts.secret import Secret, read_secret

SECRET = "tops3cret-value-123456"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"type": "pager"}, "Invalid enum value 'pager'"),
        ({"type": "file"}, "expected path for type file"),
        ({"type": "file", "path": "x", "url": "https://a.example.org"}, "expected no url for type file"),
        ({"type": "file", "path": "x", "secret_file": "s"}, "expected no secret for type file"),
        ({"type": "webhook", "secret_file": "s"}, "expected url for type webhook"),
        ({"type": "webhook", "url": "https://a.example.org"}, "expected secret_file or secret_variable"),
        (
            {"type": "webhook", "url": "https://a.example.org", "secret_file": "s", "secret_variable": "S"},
            "expected secret_file or secret_variable, got both",
        ),
        ({"type": "slack", "url": f"https://a.example.org/{SECRET}", "secret_file": "s"}, "Slack's URL as the secret"),
        ({"type": "alertmanager", "url": "http://a.example.org"}, "expected https, or http to this machine"),
        ({"type": "alertmanager", "url": f"https://me:{SECRET}@a.example.org"}, "expected no user"),
        ({"type": "alertmanager", "url": f"https://a.example.org/?token={SECRET}"}, "expected no user"),
        ({"type": "alertmanager", "url": f"ftp://a.example.org/{SECRET}"}, "expected https://HOST"),
        ({"type": "alertmanager", "url": f"https://[{SECRET}"}, "expected https://HOST"),
        ({"type": "alertmanager", "url": "https://a.example.org", "name": "No Blanks"}, "target name"),
        ({"type": "alertmanager", "url": "https://a.example.org", "severities": []}, "at least one"),
        ({"type": "alertmanager", "url": "https://a.example.org", "severities": ["loud"]}, "Invalid enum value 'loud'"),
        ({"type": "alertmanager", "url": "https://a.example.org", "secret": SECRET}, "unknown field `secret`"),
        ({"type": "alertmanager", "url": "https://a.example.org", "resolve_timeout_seconds": 60}, ">= 180"),
    ],
)
def test_settings_that_are_refused(settings, expected):
    """Each mistake is named, and no part of an address or secret is repeated."""
    with pytest.raises(msgspec.ValidationError, match=expected) as caught:
        msgspec.convert({"targets": [{"name": "one", **settings}]}, AlertsConfig)
    assert SECRET not in str(caught.value)


def test_two_targets_of_one_name_are_refused():
    """A delivery is kept by the target's name."""
    one = {"name": "one", "type": "file", "path": "x"}
    with pytest.raises(msgspec.ValidationError, match="each name once, got one"):
        msgspec.convert({"targets": [one, one]}, AlertsConfig)


@pytest.mark.parametrize(
    ("url", "unsafe", "allowed"),
    [
        ("http://127.0.0.1:9093", False, True),
        ("http://127.8.8.8", False, True),
        ("http://[::1]:9093/x", False, True),
        ("http://localhost:9093", False, True),
        ("http://localhost.example.org", False, False),
        ("http://10.0.0.8:9093", False, False),
        ("http://10.0.0.8:9093", True, True),
        ("https://10.0.0.8", False, True),
    ],
)
def test_clear_text_stays_on_this_machine(url, unsafe, allowed):
    """Plain http goes to a loopback address, elsewhere only by a setting that says unsafe."""
    if allowed:
        assert Address.parse(url, unsafe_plain_http=unsafe).host
        return
    with pytest.raises(ValueError, match="expected https"):
        Address.parse(url, unsafe_plain_http=unsafe)


@pytest.fixture
def secret_target(alerting, tmp_path):
    return alerting.target("slack", secret_file=str(tmp_path / "secret"))


def test_a_secret_is_read_from_its_file(secret_target, tmp_path):
    """Mode 0600 or less, without its line's end."""
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o600)
    assert read_secret(secret_target, lambda _name: None).text == SECRET
    assert SECRET not in repr(read_secret(secret_target, lambda _name: None))


@pytest.mark.parametrize(
    ("mode", "content", "expected"),
    [
        (0o644, SECRET, "got mode 0644"),
        (0o640, SECRET, "got mode 0640"),
        (0o600, "", "expected one line"),
        (0o600, f"{SECRET}\n{SECRET}", "expected one line"),
        (0o600, f"{SECRET}\r\nx-header: y", "expected one line"),
    ],
)
def test_secret_files_that_are_refused(secret_target, tmp_path, mode, content, expected):
    """A file that others may read, or that holds something else than one line, is not used; its content is not shown."""
    file = tmp_path / "secret"
    file.write_text(content)
    file.chmod(mode)
    with pytest.raises(TargetUnavailableError, match=expected) as caught:
        read_secret(secret_target, lambda _name: None)
    assert SECRET not in f"{caught.value} {caught.value.hint}"


def test_a_pipe_in_place_of_a_secret_does_not_hang(secret_target, tmp_path):
    """What is no regular file is refused at once."""
    import os

    os.mkfifo(tmp_path / "secret", 0o600)
    with pytest.raises(TargetUnavailableError, match="no regular file"):
        read_secret(secret_target, lambda _name: None)


def test_a_secret_is_read_from_a_variable(alerting):
    """By the variable's name; one that is not set is an error that names it."""
    target = alerting.target("pagerduty", secret_variable="KEY")
    assert read_secret(target, {"KEY": SECRET}.get).text == SECRET
    with pytest.raises(TargetUnavailableError, match="variable KEY"):
        read_secret(target, {}.get)


def test_a_secret_is_taken_out_of_what_is_shown():
    """The whole of it, and each part of an address that lets its holder post."""
    url = Secret("https://hooks.example.org/services/T000111/B000222/abcdefghijkl")
    shown = url.hide("no_service: /services/T000111/B000222/abcdefghijkl from abcdefghijkl")
    assert "abcdefghijkl" not in shown
    assert "B000222" not in shown
