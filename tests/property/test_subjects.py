"""Tokens hold what they promise for any values: stable, one's own in each tenant, unlinkable once destroyed."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.keys import LakeKeys
from warehouse.subjects import SubjectVault, is_token, normal_form

KEYS = LakeKeys("0123456789abcdef", b"p" * 32)
MAILS = st.builds(
    "{}@{}".format, st.text("aZ\u00df\u0130.e\u0301", min_size=1, max_size=8), st.sampled_from(["B.org", "x.\u0399"])
)
TEXTS = st.text(max_size=60) | MAILS | st.sampled_from(["Ada@Example.org", " ada@example.org", "\ud800"])
VALUES = st.lists(TEXTS, max_size=8)


@pytest.fixture(scope="module")
def vault():
    """One vault for all examples: what earlier ones left in it must make no difference."""
    with (
        tempfile.TemporaryDirectory() as folder,
        SubjectVault.open(Path(folder) / "s.db", KEYS, clock=lambda: 1) as vault,
    ):
        yield vault


@given(TEXTS)
def test_a_normal_form_is_its_own(value):
    """Taking the form twice changes nothing, and blanks around a value never make another one."""
    form = normal_form(value)
    assert normal_form(form) == form
    assert normal_form(f"\t{value} \n") == form


@given(values=VALUES)
def test_tokens_are_stable_and_tell_people_apart(vault, values):
    """Equal forms have equal tokens, others have others; asked again, or by a vault that remembers nothing, the same come."""
    tokens = vault.tokens("acme", values)
    assert all(map(is_token, tokens))
    assert vault.tokens("acme", values) == tokens
    with SubjectVault.open(vault._database.path, KEYS, clock=lambda: 2) as other:
        assert other.tokens("acme", values[::-1]) == tokens[::-1]
    assert len(set(tokens)) == len({normal_form(value) for value in values})
    assert [vault.reveal("acme", token) for token in tokens] == [normal_form(value) for value in values]


@settings(deadline=None, max_examples=40)
@given(values=VALUES)
def test_tenants_share_no_token(vault, values):
    """The same values have other tokens in another tenant, and neither knows the other's."""
    ours, theirs = vault.tokens("acme", values), vault.tokens("globex", values)
    assert not set(ours) & set(theirs)
    assert vault.known("acme", [*ours, *theirs, *values]) == set(ours) | vault.known("acme", values)


@settings(deadline=None, max_examples=25)
@given(value=TEXTS)
def test_a_destroyed_subject_is_unlinkable(vault, value):
    """After destruction the same value has a token, a key id and a sealed text that nothing joins with the ones before."""
    (before,) = vault.tokens("acme", [value])
    destroyed = vault.destroy("acme", before)
    (after,) = vault.tokens("acme", [value])
    key = vault.subject_key("acme", after)
    assert before != after
    assert destroyed.key_id != key.key_id
    assert vault.known("acme", [before, after]) == {after}
    assert before.encode() not in vault._database.path.read_bytes()


def test_nothing_but_randomness_decides_a_token(tmp_path):
    """Two vaults of one lake's secret give the same value different tokens: the secret alone leads to none."""
    tokens = set()
    for number in range(8):
        with SubjectVault.open(tmp_path / f"{number}.db", KEYS, clock=lambda: 1, random_bytes=os.urandom) as vault:
            tokens.update(vault.tokens("acme", ["ada"]))
    assert len(tokens) == 8
