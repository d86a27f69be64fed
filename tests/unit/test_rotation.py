"""Which signatures count after a rotation of the key, and how a key file goes through one."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from warehouse.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from warehouse.ledger.errors import NoteError
from warehouse.ledger.note import Ed25519Signer, Ed25519Verifier
from warehouse.ledger.rotation import Rotation, is_acceptable, objection, read_rotations, stolen_sizes
from warehouse.ledger.signing import SigningKey, SigningKeys, make_keys, read_signing_keys, write_keys

ORIGIN = "lake/acme/main-0000000a"
KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(1, 4)]
PUBLIC = [key.public_key().public_bytes_raw() for key in KEYS]
DAY = 86_400_000_000_000


def signed(size, *numbers, origin=ORIGIN):
    """A checkpoint and its signatures by the keys of these numbers, as a verifier finds them."""
    note = sign_checkpoint(Checkpoint(origin, size, bytes(32)), [Ed25519Signer(origin, KEYS[n]) for n in numbers])
    known = [Ed25519Verifier(origin, key) for key in PUBLIC]
    opened = open_checkpoint(note, origin=origin, verifiers=known)
    return opened.checkpoint, opened.verified


def rotation(old, new, size, *, compromised=False, log="acme/main-0000000a"):
    return Rotation(PUBLIC[old], PUBLIC[new], {log: size}, overlap_ends_unix_nano=30 * DAY, compromised=compromised)


ONCE = [rotation(0, 1, 10)]
TWICE = [*ONCE, rotation(1, 2, 20)]
CASES = {
    "no rotation": ([], 5, (0,), True),
    "old key alone at its end": (ONCE, 10, (0,), True),
    "old key alone above its end": (ONCE, 11, (0,), False),
    "both keys above the end": (ONCE, 11, (1, 0), True),
    "new key alone above the end": (ONCE, 11, (1,), True),
    "new key alone below the end": (ONCE, 3, (1,), True),
    "first of three keys above its end, below the second's": (TWICE, 15, (0,), False),
    "first and second key at the second's end": (TWICE, 20, (1, 0), True),
    "first and second key above the second's end": (TWICE, 21, (1, 0), False),
    "third key": (TWICE, 21, (2,), True),
    "told again after an interruption: the last sizes count": ([*ONCE, rotation(0, 1, 14)], 14, (0,), True),
    "a log that the rotation does not list": ([rotation(0, 1, 10, log="acme/other-0000000b")], 1, (0,), False),
    "empty log that it does not list": ([rotation(0, 1, 10, log="acme/other-0000000b")], 0, (0,), True),
}


@pytest.mark.parametrize(("rotations", "size", "keys", "expected"), CASES.values(), ids=CASES.keys())
def test_above_the_size_at_its_end_an_old_key_alone_signs_nothing(rotations, size, keys, expected):
    """The key in force must have signed what lies above the old key's end."""
    checkpoint, signatures = signed(size, *keys)
    assert is_acceptable(checkpoint, signatures, rotations) is expected


def test_an_objection_names_log_and_sizes():
    """Whoever reads it knows where the old key ended and where it was used."""
    text = objection(*signed(11, 0), ONCE)
    assert ORIGIN in text
    assert "above size 10" in text
    assert "at size 11" in text


@pytest.mark.parametrize(
    ("size", "keys", "compromised", "expected"),
    [
        (10, (0,), True, True),
        (10, (1,), True, True),
        (11, (1,), True, False),
        (11, (0,), True, True),
        (10, (0,), False, False),
    ],
    ids=["below its end", "signed again", "after its end", "by the thief", "not stolen"],
)
def test_what_a_stolen_key_vouched_for_is_told_apart(size, keys, compromised, expected):
    """Up to its end nothing rests on a stolen key alone, whoever signed the same size again."""
    checkpoint, signatures = signed(size, *keys)
    stolen = stolen_sizes(checkpoint, signatures, [rotation(0, 1, 10, compromised=compromised)])
    assert any(size == checkpoint.size for _, size in stolen) is expected


def test_a_rotation_reads_back_from_its_event():
    """What the event's attributes say is the rotation; events about API keys are passed over."""
    made = rotation(0, 1, 10, compromised=True)
    texts = [json.dumps({"muniment.other": 1}), json.dumps(made.to_attributes())]
    assert read_rotations(texts) == [made]


@pytest.mark.parametrize(
    "change",
    [
        {"muniment.key.old": 5},
        {"muniment.log.sizes": None},
        {"muniment.log.sizes": {"a": "x"}},
        {"muniment.key.new": "?"},
    ],
)
def test_an_event_that_is_not_in_its_format_is_an_error(change):
    """A rotation that cannot be read is not passed over."""
    with pytest.raises(NoteError, match="expected keys, sizes and overlap"):
        read_rotations([json.dumps({**rotation(0, 1, 10).to_attributes(), **change})])


def test_during_a_rotation_both_keys_sign():
    """Between begin and finish two keys are in force, so that no checkpoint lacks either signature."""
    keys = SigningKeys((SigningKey(KEYS[0], 1),)).begin_rotation(now_unix_nano=5)
    assert keys.rotating
    assert len(keys.signers(ORIGIN, 99 * DAY)) == 2


def test_a_begun_rotation_goes_on_with_its_key():
    """Beginning again makes no third key."""
    keys = SigningKeys((SigningKey(KEYS[0], 1),)).begin_rotation(now_unix_nano=5)
    assert keys.begin_rotation(now_unix_nano=6) is keys


@pytest.mark.parametrize(("compromised", "at", "signers"), [(False, 29, 2), (False, 30, 1), (True, 0, 1)])
def test_the_old_key_signs_until_the_overlap_ends(compromised, at, signers):
    """A replaced key signs beside its successor for the overlap; a compromised one stops at once."""
    begun = SigningKeys((SigningKey(KEYS[0], 1),)).begin_rotation(now_unix_nano=0)
    keys = begun.finish_rotation(now_unix_nano=0, overlap_nanos=30 * DAY, compromised=compromised)
    assert not keys.rotating
    assert len(keys.signers(ORIGIN, at * DAY)) == signers


def test_a_second_rotation_ends_the_first_ones_overlap():
    """At most two keys sign at a time."""
    keys = SigningKeys((SigningKey(KEYS[0], 1),))
    for day in (0, 1):
        keys = keys.begin_rotation(now_unix_nano=day * DAY)
        keys = keys.finish_rotation(now_unix_nano=day * DAY, overlap_nanos=30 * DAY, compromised=False)
    assert len(keys.signers(ORIGIN, 2 * DAY)) == 2


def test_a_key_file_keeps_a_rotation_under_way(tmp_path):
    """A crash between the steps leaves a file from which the next rotation goes on."""
    begun = make_keys(tmp_path, now_unix_nano=1).begin_rotation(now_unix_nano=2)
    write_keys(tmp_path, begun)
    read = read_signing_keys(tmp_path)
    assert read.rotating
    assert [v.vkey for v in read.verifiers("lake")] == [v.vkey for v in begun.verifiers("lake")]
