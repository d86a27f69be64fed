"""How people sign in to the pages, as `muniment.yaml` says it, and the private file by which Streamlit learns of it.

Invariants:
- No secret stands in the settings, on a command line or in a message: the client's is read from a file of mode 0600 or a variable,
  and what Streamlit gets is a file of mode 0600 in a folder of mode 0700 in `LAKE/run`.
- The secret that signs cookies is made anew at every start of the pages: what was signed before counts no more.
"""

import json
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from governance.access.identity import UserClaim
from pipelines.alerts.address import Address, is_loopback
from warehouse.durable import make_folder, replace_file
from warehouse.errors import SettingsError
from warehouse.lake import Lake
from warehouse.secret_text import ReadVariable, SecretTextError, read_secret_line

CALLBACK = "/oauth2callback"
_DISCOVERY_PATH = "/.well-known/openid-configuration"
_COOKIE_SECRET_BYTES = 32


class SignInConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The OpenID Connect provider by which people sign in to the pages.

    `issuer` is what the provider calls itself, `client_id` what it calls these pages. The client's secret is read from
    `client_secret_file`, which nobody else may read, or from the environment variable that `client_secret_variable` names.
    `redirect_uri` is where the provider sends people back to: the pages' own address unless said otherwise, always this machine.
    `user_claim` says which claim names a person in records: `sub`, or an address that the provider checked.
    """

    issuer: str
    client_id: str
    client_secret_file: str | None = None
    client_secret_variable: str | None = None
    redirect_uri: str | None = None
    user_claim: UserClaim = "sub"
    scopes: list[str] = msgspec.field(default_factory=lambda: ["openid", "email", "profile"])

    def __post_init__(self) -> None:
        try:
            Address.parse(self.issuer, unsafe_plain_http=False)
        except ValueError as exc:
            raise ValueError(f"issuer: {exc}") from exc  # what msgspec reports with the place in the file
        if self.issuer.endswith(_DISCOVERY_PATH):
            raise ValueError(f"issuer: expected the provider's own address, got the one of its {_DISCOVERY_PATH}")
        if not self.client_id or not self.client_id.isprintable():
            raise ValueError("client_id: expected what the provider calls these pages, got nothing printable")
        if (self.client_secret_file is None) == (self.client_secret_variable is None):
            raise ValueError("expected client_secret_file or client_secret_variable, exactly one of them")
        if "openid" not in self.scopes:
            raise ValueError("scopes: expected openid among them, got none: no provider says without it who signed in")
        if self.redirect_uri is not None:
            _check_redirect(self.redirect_uri)


def discovery_url(issuer: str) -> str:
    """Where a provider says how it works."""
    return issuer.rstrip("/") + _DISCOVERY_PATH


def write_secrets(lake: Lake, config: SignInConfig, *, host: str, port: int, read_variable: ReadVariable) -> Path:
    """Write what Streamlit has to know for sign-in at this port, with a new secret for its cookies, and return the file.

    Raises:
        SettingsError: the client's secret cannot be read, or others may read it.
    """
    folder = lake.run / f"pages-{port}"
    make_folder(folder)
    file = folder / "secrets.toml"
    auth = {
        "redirect_uri": config.redirect_uri or f"http://{host}:{port}{CALLBACK}",
        "cookie_secret": secrets.token_urlsafe(_COOKIE_SECRET_BYTES),
        "client_id": config.client_id,
        "client_secret": _client_secret(lake, config, read_variable),
        "server_metadata_url": discovery_url(config.issuer),
        "expose_tokens": ["id"],
    }
    kwargs = {"scope": " ".join(config.scopes)}
    replace_file(file, f"[auth]\n{_toml(auth)}\n[auth.client_kwargs]\n{_toml(kwargs)}".encode())
    return file


def _toml(values: dict[str, Any]) -> str:
    """Keys with their values; a JSON text without surrogates is a TOML text too, and so is a list of such."""
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def _check_redirect(uri: str) -> None:
    parts = urlsplit(uri)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not is_loopback(parts.hostname):
        raise ValueError(f"redirect_uri: expected http://127.0.0.1:PORT{CALLBACK}, this machine, got another address")
    if parts.path != CALLBACK or parts.query or parts.fragment or parts.username or not uri.isascii():
        raise ValueError(f"redirect_uri: expected the path {CALLBACK} and nothing after it, got another")


def _client_secret(lake: Lake, config: SignInConfig, read_variable: ReadVariable) -> str:
    variable = config.client_secret_variable
    file = lake.path / Path(config.client_secret_file or "").expanduser() if variable is None else None
    try:
        return read_secret_line(file, variable or "", read_variable, what="the client's secret")
    except SecretTextError as exc:
        where = f"variable {variable}" if file is None else f"client_secret_file {file}"
        raise SettingsError(f"dashboards.sign_in: {where}: {exc}", hint=exc.hint) from exc.__cause__
