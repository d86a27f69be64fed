"""The states of a key over time, and what its record shows."""

import pytest

from warehouse.control import IssuedKey, KeyRecord, KeyState
from warehouse.principals import PrincipalKind

CASES = [
    # (expires, revoked, overlap ends, now, expected state)
    (None, None, None, 0, "active"),
    (10, None, None, 9, "active"),
    (10, None, None, 10, "expired"),
    (None, 10, None, 9, "active"),
    (None, 10, None, 10, "revoked"),
    (None, None, 10, 9, "rotating"),
    (None, None, 10, 10, "rotated"),
    (5, None, 10, 7, "expired"),
    (5, 6, None, 7, "revoked"),
    (None, 6, 5, 7, "revoked"),
]


@pytest.mark.parametrize(("expires", "revoked", "overlap", "now", "expected"), CASES)
def test_state_follows_the_first_end(expires, revoked, overlap, now, expected):
    """Each end takes effect exactly at its instant; a revocation outweighs an expiry, and that a rotation."""
    key = KeyRecord(
        "k1", "acme", 0, expires_unix_nano=expires, revoked_unix_nano=revoked, overlap_ends_unix_nano=overlap
    )
    state = key.state_at(now)
    assert state.value == expected
    assert state.works == (expected in {"active", "rotating"})
    ends = key.ends_unix_nano
    assert state.works == (ends is None or now < ends)


def test_every_state_is_covered():
    """The table above names every state."""
    assert {case[-1] for case in CASES} == {state.value for state in KeyState}


def test_principal_of_a_key_is_bound_to_its_tenant():
    """A key's principal is its id, in its tenant alone."""
    principal = KeyRecord("k1", "acme", 0).principal()
    assert (principal.kind, principal.id, principal.tenants) == (PrincipalKind.API_KEY, "k1", frozenset({"acme"}))


def test_issued_key_does_not_show_its_secret():
    """Neither repr nor str of an issued key holds the secret."""
    issued = IssuedKey("k1", "acme", "mun_k1_secret")
    assert "secret" not in repr(issued) + str(issued)
