"""What the settings say about sign-in, and the private file that Streamlit reads."""

import stat
import tomllib

import msgspec
import pytest

from dashboards.service import command
from muniment.settings import MunimentConfig
from muniment.sign_in import SignInConfig, write_secrets
from muniment.supervisor import services_of
from warehouse.errors import SettingsError
from warehouse.lake import make_lake

GOOD = {"issuer": "https://id.example/realms/a", "client_id": "pages", "client_secret_variable": "SECRET"}
SECRET = "p\"a\\s's=[word]"


def read(**changes):
    return msgspec.convert({k: v for k, v in (GOOD | changes).items() if v is not None}, SignInConfig)


@pytest.fixture
def lake(tmp_path):
    return make_lake(tmp_path / "lake")


REFUSED = [
    ("http elsewhere", {"issuer": "http://id.example"}, "issuer: url: expected https"),
    ("no address", {"issuer": "id.example"}, "issuer: url: expected https"),
    ("with a query", {"issuer": "https://id.example?a=1"}, "issuer: url: expected no user, query"),
    ("its metadata", {"issuer": "https://id.example/.well-known/openid-configuration"}, "the provider's own address"),
    ("no client", {"client_id": ""}, "client_id"),
    ("no secret", {"client_secret_variable": None}, "exactly one"),
    ("two secrets", {"client_secret_file": "a"}, "exactly one"),
    ("secret in settings", {"client_secret": "s"}, "client_secret"),
    ("no openid", {"scopes": ["email"]}, "openid"),
    ("elsewhere", {"redirect_uri": "https://pages.example/oauth2callback"}, "this machine"),
    ("looks like here", {"redirect_uri": "http://127.0.0.1.example/oauth2callback"}, "this machine"),
    ("another path", {"redirect_uri": "http://127.0.0.1:8501/"}, "/oauth2callback"),
    ("more", {"redirect_uri": "http://127.0.0.1:8501/oauth2callback?next=x"}, "/oauth2callback"),
    ("unknown claim", {"user_claim": "name"}, "user_claim"),
]


@pytest.mark.parametrize(("changes", "problem"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED])
def test_settings_that_would_not_be_safe_are_refused(changes, problem):
    """Mistakes are named when the settings are read, before anybody signs in."""
    with pytest.raises(msgspec.ValidationError, match=problem):
        read(**changes)


def test_streamlit_gets_a_private_file(lake):
    """Mode 0600 in a folder of mode 0700; the client's secret as it is, whatever characters it has; only the ID token is handed on."""
    file = write_secrets(lake, read(), host="127.0.0.1", port=8501, read_variable={"SECRET": f" {SECRET}\n"}.get)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert lake.run in file.parents
    auth = tomllib.loads(file.read_text())["auth"]
    cookie = auth.pop("cookie_secret")
    assert auth == {
        "redirect_uri": "http://127.0.0.1:8501/oauth2callback",
        "client_id": "pages",
        "client_secret": SECRET,
        "server_metadata_url": "https://id.example/realms/a/.well-known/openid-configuration",
        "expose_tokens": ["id"],
        "client_kwargs": {"scope": "openid email profile"},
    }
    again = write_secrets(lake, read(), host="127.0.0.1", port=8501, read_variable={"SECRET": SECRET}.get)
    other = tomllib.loads(again.read_text())["auth"]["cookie_secret"]
    assert len(cookie) >= 43
    assert cookie != other, "cookies signed before a restart count no more"


def test_secrets_stand_on_no_command_line(lake):
    """The pages are started with the name of the file alone."""
    file = write_secrets(lake, read(), host="127.0.0.1", port=8501, read_variable={"SECRET": SECRET}.get)
    words = command(lake.path, 8501, file)
    assert words[words.index("--secrets") + 1] == str(file)
    assert SECRET not in " ".join(words)
    assert "--secrets" not in command(lake.path, 8501)


@pytest.mark.parametrize(
    ("content", "mode", "problem"),
    [
        (SECRET, 0o600, None),
        (SECRET, 0o640, "expected a file that its owner alone may read"),
        (SECRET, 0o604, "expected a file that its owner alone may read"),
        ("", 0o600, "one line of printable ASCII"),
        ("a\nb", 0o600, "one line of printable ASCII"),
        (None, 0o600, "No such file"),
    ],
)
def test_the_client_s_secret_is_read_from_a_private_file(lake, content, mode, problem):
    """Its path begins in the lake's folder; a file that others may read is refused, and no message shows what is in it."""
    file = lake.path / "client.secret"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    config = read(client_secret_variable=None, client_secret_file="client.secret")
    if problem is None:
        written = write_secrets(lake, config, host="127.0.0.1", port=8501, read_variable=pytest.fail)
        assert tomllib.loads(written.read_text())["auth"]["client_secret"] == SECRET
        return
    with pytest.raises(SettingsError, match=problem) as refused:
        write_secrets(lake, config, host="127.0.0.1", port=8501, read_variable=pytest.fail)
    assert SECRET not in str(refused.value)


def test_a_variable_that_is_not_set_is_named(lake):
    """The message says which."""
    with pytest.raises(SettingsError, match="variable SECRET"):
        write_secrets(lake, read(), host="127.0.0.1", port=8501, read_variable={}.get)


def test_the_supervisor_starts_the_pages_by_their_own_command(lake):
    """So each start has a new secret for cookies; settings may turn the pages off."""
    settings = msgspec.convert({"dashboards": {"sign_in": GOOD}}, MunimentConfig)
    found = {each.name: each for each in services_of(lake, settings, shard="main")}
    assert found["pages"].command[-3:] == ("dashboard", "--lake", str(lake.path))
    settings = msgspec.convert({"dashboards": {"enabled": False}}, MunimentConfig)
    assert "pages" not in {each.name for each in services_of(lake, settings, shard="main")}
