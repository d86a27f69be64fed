"""A real provider on loopback: whose tokens open the desk, and what is asked of it."""

import dataclasses
import json
import time

import pytest
from joserfc.jwk import RSAKey

from dashboards.viewer import Viewer
from muniment.cli.app import run
from muniment.desk import open_desk
from muniment.identity_provider import IdentityProvider, fetch
from tests.provider import running_provider
from tests.template import init_lake
from warehouse.errors import DeniedError, UnavailableError
from warehouse.names import LAKE_TENANT
from warehouse.questions.audit_events import EventFilter

REDIRECT = "http://127.0.0.1:1/oauth2callback"
PEOPLE = {
    "u-1": {"email": "ada@example.org", "email_verified": True, "groups": ["g"]},
    "u-2": {"groups": ["unknown"]},
    "u-3": {"groups": ["officers"]},
}


@pytest.fixture(scope="module")
def provider():
    """The provider."""
    with running_provider(PEOPLE) as running:
        yield running


@pytest.fixture(scope="module")
def client(provider):
    """The pages, as the provider knows them."""
    return provider.register(REDIRECT)


def test_a_token_that_it_signed_for_these_pages_is_taken(provider, client):
    """Its claims come back, groups among them."""
    found = IdentityProvider(provider.issuer, client.id).claims(provider.id_token(client, "u-1"), time.time())
    assert {"sub": "u-1", "groups": ["g"], "email_verified": True}.items() <= found.items()


def test_a_token_for_another_client_is_refused(provider, client):
    """The same provider's token for somebody else's pages opens nothing here."""
    other = provider.register(REDIRECT)
    with pytest.raises(DeniedError, match="meant for these pages"):
        IdentityProvider(provider.issuer, client.id).claims(provider.id_token(other, "u-1"), time.time())


def test_a_token_of_another_provider_is_refused(provider, client):
    """One provider's signature says nothing about another."""
    with running_provider(PEOPLE) as stranger:
        token = stranger.id_token(stranger.register(REDIRECT), "u-1")
    with pytest.raises(DeniedError):
        IdentityProvider(provider.issuer, client.id).claims(token, time.time())


def test_a_token_whose_time_is_over_is_refused(provider, client):
    """It holds as long as the provider said, and half a minute for clocks that differ."""
    token = provider.id_token(client, "u-1")
    known = IdentityProvider(provider.issuer, client.id)
    assert known.claims(token, time.time() + 3500)
    with pytest.raises(DeniedError, match="expired"):
        known.claims(token, time.time() + 3700)


def test_a_provider_that_calls_itself_otherwise_is_not_believed(provider, client):
    """An issuer is compared letter by letter."""
    with pytest.raises(UnavailableError, match="another issuer"):
        IdentityProvider(provider.issuer + "/", client.id).claims("a.b.c", time.time())


@pytest.mark.parametrize("path", ["/userinfo", "/no-such-page"])
def test_what_is_no_answer_is_said_to_be_none(provider, path):
    """Another status than 200 is an error that names the address."""
    with pytest.raises(UnavailableError, match="expected an answer 200"):
        fetch(provider.issuer + path)


def test_nobody_there_is_an_outage_and_no_refusal():
    """Who cannot be asked refuses nobody: the error says that it may work later."""
    with pytest.raises(UnavailableError, match="no answer"):
        IdentityProvider("http://127.0.0.1:9", "pages").claims("a.b.c", 0)


def test_new_keys_are_asked_for_at_most_once_a_minute(provider, client):
    """A token by a key that is not known has the keys read again, a flood of such does not."""
    asked = []
    now = [0.0]

    def count(url):
        asked.append(url)
        content = fetch(url)
        if url.endswith("/jwks") and len(asked) == 2:
            keys = json.loads(content)["keys"]
            return json.dumps({"keys": [{**keys[0], "kid": "an older key"}, *_another_key()]}).encode()
        return content

    known = IdentityProvider(provider.issuer, client.id, count, lambda: now[0])
    token = provider.id_token(client, "u-1")
    for _ in range(3):
        with pytest.raises(DeniedError):
            known.claims(token, time.time())
    assert len(asked) == 2, "where the provider is, and its keys"
    now[0] = 61.0
    assert known.claims(token, time.time())["sub"] == "u-1"
    assert len(asked) == 4


def _another_key():
    return [RSAKey.generate_key(2048, {"kid": "another"}).as_dict(private=False)]


GROUPS = """\
version: 1
grants:
  - {group: g, role: auditor, tenants: [acme], until: '2999-12-31'}
  - {group: officers, role: compliance-officer}
"""


@pytest.fixture(scope="module")
def desk(provider, client, tmp_path_factory):
    """The desk of a lake with two tenants, at which people of that provider look."""
    folder = tmp_path_factory.mktemp("signed") / "lake"
    where = ("--lake", str(folder))
    init_lake(folder, "acme", "globex")
    (folder / "policies" / "access" / "groups.yaml").write_text(GROUPS)
    assert run(["policy", "apply", "access", "--yes", *where]) == 0
    sign_in = {"issuer": provider.issuer, "client_id": client.id, "client_secret_variable": "UNUSED"}
    with (folder / "muniment.yaml").open("a") as settings:
        settings.write(f"\ndashboards: {json.dumps({'sign_in': sign_in})}\n")
    return open_desk(folder)


def events(desk, viewer, name):
    """Who is named by events of a name in the lake's own log, with their outcomes."""
    found = desk.events(viewer, LAKE_TENANT, EventFilter(names=(name,))).to_pylist()
    return [(row["recorded_by"], row["outcome"]) for row in found]


def test_a_person_sees_the_tenants_of_their_role(desk, provider, client):
    """Rights come from the groups of the token, and the desk decides at every question: another tenant's records are not read."""
    viewer = desk.viewer(provider.id_token(client, "u-1"))
    assert (viewer.name, viewer.roles, viewer.tenants) == ("ada@example.org", ("auditor",), ("acme",))
    assert desk.overview(viewer, "acme")
    for ask in (
        lambda: desk.overview(viewer, "globex"),
        lambda: desk.events(viewer, "globex", EventFilter()),
        lambda: desk.recent_traces(viewer, "globex", 5),
        lambda: desk.trace(viewer, "globex", "0" * 32),
        lambda: desk.integrity(viewer, "globex"),
        lambda: desk.prove(viewer, "globex", "main", 0),
        lambda: desk.retention(viewer, "globex"),
        lambda: desk.objectives(viewer, "globex"),
        lambda: desk.incidents(viewer, "globex", closed=True),
        lambda: desk.agents(viewer, "globex", 7),
        lambda: desk.evidence.build_pack(viewer, "globex", "soc2", (0, 1)),
        lambda: desk.overview(viewer, LAKE_TENANT),
    ):
        with pytest.raises(DeniedError):
            ask()


def test_the_desk_believes_tickets_alone(desk, provider, client):
    """A viewer that a page made up reads nothing, whatever name, roles and tenants it says."""
    viewer = desk.viewer(provider.id_token(client, "u-1"))
    forged = Viewer(viewer.ticket, "root", ("operator",), ("acme", "globex"))
    with pytest.raises(DeniedError):
        desk.overview(forged, "globex")
    for ticket in ("", "u-1", viewer.ticket[:-1]):
        with pytest.raises(DeniedError, match="this session has ended"):
            desk.overview(dataclasses.replace(viewer, ticket=ticket), "acme")
    for nobody in (None, "", "a.b.c"):
        with pytest.raises(DeniedError):
            desk.viewer(nobody)


def test_who_has_no_role_is_told_so_and_recorded(desk, provider, client):
    """The provider vouches for anybody; the lake knows whom it gave a role."""
    token = provider.id_token(client, "u-2")
    for _ in range(2):
        with pytest.raises(DeniedError, match="expected a role for this user, got none"):
            desk.viewer(token)
    officer = desk.viewer(provider.id_token(client, "u-3"))
    assert events(desk, officer, "lake.signed_in").count(("oidc:u-2", "denied")) == 1
    assert ("oidc:u-3", "success") in events(desk, officer, "lake.signed_in")


def test_signing_out_is_recorded_and_ends_it_for_every_tab(desk, provider, client):
    """The token that signed out opens nothing any more; a new one does."""
    token = provider.id_token(client, "u-1")
    viewer, other_tab = desk.viewer(token), desk.viewer(token)
    assert viewer == other_tab
    desk.sign_out(viewer)
    desk.sign_out(viewer)
    with pytest.raises(DeniedError, match="this session has ended"):
        desk.overview(other_tab, "acme")
    with pytest.raises(DeniedError, match="signed out"):
        desk.viewer(token)
    officer = desk.viewer(provider.id_token(client, "u-3"))
    assert events(desk, officer, "lake.signed_out") == [("oidc:u-1", "success")]
    assert desk.viewer(provider.id_token(client, "u-1")).tenants == ("acme",)
