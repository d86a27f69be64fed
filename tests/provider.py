"""A real OpenID Connect provider on loopback, for tests: people with claims, clients with secrets, tokens that it signs."""

import base64
import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.loopback import end_group, free_port, wait_until_answers


@dataclass(frozen=True)
class Client:
    """What the provider gave a client when it registered."""

    id: str
    secret: str
    redirect_uri: str


@dataclass(frozen=True)
class Provider:
    """The provider: `issuer` is its address."""

    issuer: str

    def register(self, redirect_uri):
        """Register a client; the provider checks its secret from then on."""
        answer = self._post(
            "/oauth2/clients", json.dumps({"redirect_uris": [redirect_uri]}).encode(), "application/json"
        )
        made = json.loads(answer)
        return Client(made["client_id"], made["client_secret"], redirect_uri)

    def id_token(self, client, sub):
        """The ID token that the client gets for this person, by the code flow."""
        wanted = {
            "client_id": client.id,
            "redirect_uri": client.redirect_uri,
            "response_type": "code",
            "scope": "openid email profile",
        }
        place = f"/oauth2/authorize?{urllib.parse.urlencode(wanted)}"
        code = urllib.parse.parse_qs(urllib.parse.urlsplit(self._location(place, {"sub": sub})).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": client.redirect_uri}
        basic = base64.b64encode(f"{client.id}:{client.secret}".encode()).decode()
        answer = self._post(
            "/oauth2/token",
            urllib.parse.urlencode(form).encode(),
            "application/x-www-form-urlencoded",
            {"authorization": f"Basic {basic}"},
        )
        return json.loads(answer)["id_token"]

    def _location(self, place, form):
        opener = urllib.request.build_opener(_Stay)
        try:
            opener.open(self.issuer + place, urllib.parse.urlencode(form).encode(), timeout=10)
        except urllib.error.HTTPError as exc:
            return exc.headers["location"]
        raise AssertionError("expected a redirect")

    def _post(self, place, body, kind, headers=None):
        request = urllib.request.Request(self.issuer + place, body, {"content-type": kind, **(headers or {})})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


@contextmanager
def running_provider(people, *, token_seconds=3600):
    """Run a provider that knows these people, a mapping of `sub` to claims, and takes registered clients alone."""
    port = free_port()
    known = [part for sub, claims in people.items() for part in ("--user-claims", json.dumps({"sub": sub, **claims}))]
    process = subprocess.Popen(
        [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-registration", "true",
         "--token-max-age", str(token_seconds), *known],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        issuer = f"http://127.0.0.1:{port}"
        wait_until_answers(f"{issuer}/jwks", process)
        yield Provider(issuer)
    finally:
        end_group(process)
