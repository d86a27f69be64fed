"""Rules about credentials and where data goes."""

import pytest


@pytest.fixture
def b(build):
    return build


def used(b, at, credential="c1", address="10.0.0.1", **more):
    attributes = {"audit.credential.id": credential, "source.address": address}
    return b.event(at, "access.decided", attributes=attributes, **more)


def told(b, at, name, credential="c1", **more):
    more = {"resource_id": credential, "actor_type": "service"} | more
    return b.event(at, f"credential.{name}", attributes={"audit.credential.id": credential}, **more)


def test_a_credential_used_from_two_places(b, checked):
    """Rows from elsewhere, within the window; one network, a move, or two credentials are one place each."""
    bad = [used(b, 0), used(b, 2 * b.minute, address="198.51.100.7"), used(b, 4 * b.minute)]
    fine = [
        used(b, 0), used(b, b.minute, address="10.0.0.77"), used(b, b.hour, address="198.51.100.7"),
        used(b, 0, "c2", "192.0.2.1"), used(b, 0, "c3", "198.51.100.9"),
    ]  # fmt: skip
    found = checked("credential-used-from-two-places", bad, fine, 1)
    assert {row[2] for row in found} == {b.noon + 2 * b.minute}


def test_networks_of_ipv6_are_their_first_half(b, checked):
    """Addresses of one /64 are one place."""
    bad = [used(b, 0, address="2001:db8:1:1::1"), used(b, b.minute, address="2001:db8:1:2::1")]
    fine = [used(b, 0, address="2001:db8:1:1::1"), used(b, b.minute, address="2001:db8:1:1::9")]
    checked("credential-used-from-two-places", bad, fine, 1)


def test_a_credential_used_after_its_revocation(b, checked):
    """Later than the grace; before it, within the grace, or another credential is fine."""
    bad = [told(b, 0, "revoked"), used(b, b.hour), told(b, 0, "compromised", "c2"), used(b, b.hour, "c2")]
    fine = [used(b, -b.hour), told(b, 0, "revoked"), used(b, 30 * b.second), used(b, b.hour, "c3")]
    checked("credential-used-after-revocation", bad, fine, 2)


def test_an_api_key_let_in_after_its_revocation(b, checked):
    """What a receiver took with a key of this lake that was revoked before."""
    seen = b.Seen(facts=[{"fact": "key_revoked", "subject": "k1", "time_unix_nano": 1, "value": 1.0, "detail": ""}])
    checked("credential-used-after-revocation", [b.span(0)], [b.span(0, recorded_by="key:k2")], 1, seen)


def test_a_credential_used_by_another_agent(b, checked):
    """By who used it first, or by the registry; several of one agent are fine."""
    bad = [used(b, 0), used(b, b.hour, actor_id="other")]
    fine = [used(b, 0), used(b, b.hour), used(b, 0, "c2", actor_id="other"), used(b, b.hour, "c3", actor_id="x"),
            used(b, 2 * b.hour, "c3", actor_id="y")]  # fmt: skip
    both = [{"id": "x", "keys": ["c3"]}, {"id": "y", "keys": ["c3"]}]
    checked("credential-used-beyond-its-agent", bad, fine, 1, b.Seen(registry=both))


def test_a_key_of_the_lake_that_is_another_agents(b, checked):
    """Spans sent with a key that the registry gives to somebody else."""
    seen = b.Seen(registry=[{"id": "a", "keys": ["k1"]}])
    checked("credential-used-beyond-its-agent", [b.span(0, agent_id="thief")], [b.span(0)], 1, seen)


def test_a_credential_older_than_policy(b, checked):
    """Too old, or expired, when it is used; a rotated one is young again."""
    bad = [
        told(b, -100 * b.day, "issued"),
        used(b, 0),
        told(b, -b.day, "issued", "c2", expires_unix_nano=b.noon),
        used(b, 1, "c2"),
    ]
    fine = [told(b, -100 * b.day, "issued"), told(b, -b.day, "rotated"), used(b, 0)]
    checked("credential-older-than-policy", bad, fine, 2)


def test_an_api_key_older_than_policy(b, checked):
    """A key of this lake counts from when it was made."""
    old = {"fact": "key_age_seconds", "subject": "k1", "time_unix_nano": b.noon, "value": 91 * 86_400.0, "detail": ""}
    checked("credential-older-than-policy", [], [], 1, b.Seen(facts=[old]), b.Seen(facts=[old | {"value": 1.0}]))


def routed(b, at, region="us-east-1", data_class="health", **more):
    attributes = {
        "audit.region": region,
        "audit.data_class": data_class,
        "gen_ai.provider.name": more.pop("provider", "p"),
    }
    return b.event(at, "route.decided", attributes=attributes, resource_id="p/m", **more)


def test_health_data_outside_the_region(b, checked):
    """A region that the list does not allow; other classes, refused routes and allowed regions are fine."""
    fine = [routed(b, 0, "eu-central-1"), routed(b, 0, data_class="public"), routed(b, 0, outcome="denied")]
    checked("health-data-outside-region", [routed(b, 0), routed(b, 1, "eu")], fine, 2)
    assert b.rules["health-data-outside-region"]["parameters"]["allowed_regions"] == ["eu-*"]


def test_restricted_data_to_a_provider_that_is_not_allowed(b, checked):
    """By the agent's registration; what nobody says anything about is not judged."""
    seen = b.Seen(registry=[{"id": "a", "allowed_providers": ["mistral*"]}, {"id": "free"}])
    bad = [b.span(0, provider="openai", data_class="restricted"), routed(b, 1, provider="openai")]
    fine = [
        b.span(0, provider="mistral_ai", data_class="restricted"), b.span(0, provider="openai", data_class="internal"),
        b.span(0, provider="openai", data_class="restricted", agent_id="free"), routed(b, 0, provider="mistral_ai"),
    ]  # fmt: skip
    checked("restricted-data-to-other-provider", bad, fine, 2, seen)


def test_a_secret_in_what_was_sent(b, checked):
    """The category that redaction left, on a span or an event."""
    bad = [b.span(0, categories='["pii","secret"]'), b.event(0, "message.sent", categories='["secret"]')]
    checked("secret-in-contents", bad, [b.span(0, categories='["pii"]'), b.span(0)], 2)
