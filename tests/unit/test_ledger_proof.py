"""Proof files: what they look like, what they establish, and what is refused."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from warehouse.ledger.checkpoint import Checkpoint, sign_checkpoint
from warehouse.ledger.cosignature import WitnessSigner
from warehouse.ledger.errors import BadSignatureError, NoteError, ProofError, RecordTextError, UnknownKeyError
from warehouse.ledger.note import Ed25519Signer, add_signatures
from warehouse.ledger.record import commitment, parse_record_text
from warehouse.ledger.tlog_proof import TlogProof, record_of, verify_entry_proof, verify_record_proof

ORIGIN = "lab/acme/main-1a2b3c4d"
SIGNER = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
WITNESS = WitnessSigner("witness.example", Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))
SALT, TEXT = bytes(range(16)), b"4:logs1:14:acme" + b"-" * 28


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# a tree of three leaves, hashed by hand: the record is leaf 1
ENTRY = sha256(SALT, TEXT)
LEAVES = [sha256(b"\x00", bytes(32)), sha256(b"\x00", ENTRY), sha256(b"\x00", bytes([2] * 32))]
ROOT = sha256(b"\x01", sha256(b"\x01", LEAVES[0], LEAVES[1]), LEAVES[2])
HEAD = Checkpoint(ORIGIN, 3, ROOT)
NOTE = sign_checkpoint(HEAD, [SIGNER])
PROOF = TlogProof.of_record(index=1, hashes=[LEAVES[0], LEAVES[2]], checkpoint=NOTE, salt=SALT, text=TEXT)


def b64(value):
    return base64.b64encode(value).decode()


def test_file_format():
    """A proof is header, extra, index, hashes, an empty line and the checkpoint, one a line."""
    expected = f"c2sp.org/tlog-proof@v1\nextra {b64(SALT + TEXT)}\nindex 1\n{b64(LEAVES[0])}\n{b64(LEAVES[2])}\n\n"
    assert PROOF.encode() == expected.encode() + NOTE
    assert TlogProof.parse(PROOF.encode()) == PROOF


def test_proof_without_extra_and_hashes():
    """The only leaf of a tree has no path; a proof without its record reads too."""
    proof = TlogProof(0, (), NOTE)
    assert proof.encode() == b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + NOTE
    assert TlogProof.parse(proof.encode()) == proof
    with pytest.raises(ProofError, match="expected salt and text"):
        record_of(proof)


def test_record_is_proved():
    """A proof with its record establishes index, entry, head and who signed it."""
    proved = verify_record_proof(PROOF, origin=ORIGIN, log_keys=[SIGNER.verifier])
    assert (proved.index, proved.entry, proved.checkpoint) == (1, ENTRY, HEAD)
    assert [signature.name for signature in proved.signatures] == [ORIGIN]
    assert proved.cosignatures == ()
    assert verify_entry_proof(PROOF, ENTRY, origin=ORIGIN, log_keys=[SIGNER.verifier]) == proved
    assert parse_record_text(record_of(PROOF)[1]).values["tenant_id"] == "acme"


def test_witnesses_that_are_asked_for():
    """A quorum is made of witnesses whom the verifier knows."""
    witnessed = TlogProof(
        1, PROOF.hashes, add_signatures(NOTE, [WITNESS.cosign(HEAD.text, time_seconds=7)]), PROOF.extra
    )
    keys = {"origin": ORIGIN, "log_keys": [SIGNER.verifier]}
    proved = verify_record_proof(witnessed, **keys, witnesses=[WITNESS.verifier], quorum=1)
    assert [(c.witness, c.time_seconds) for c in proved.cosignatures] == [("witness.example", 7)]
    for proof, witnesses in ((PROOF, [WITNESS.verifier]), (witnessed, [])):
        with pytest.raises(ProofError, match="expected 1 by known witnesses, got 0"):
            verify_record_proof(proof, **keys, witnesses=witnesses, quorum=1)


def altered(**changes):
    values = {"index": 1, "hashes": PROOF.hashes, "checkpoint": NOTE, "extra": PROOF.extra} | changes
    return TlogProof(**values)


OTHER = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32))


@pytest.mark.parametrize(
    ("name", "proof", "error", "expected"),
    [
        ("another text", altered(extra=SALT + TEXT.replace(b"acme", b"bolt")), ProofError, "root: expected"),
        ("another salt", altered(extra=bytes(16) + TEXT), ProofError, "root: expected"),
        ("no text", altered(extra=SALT), ProofError, "expected salt and text"),
        ("another index", altered(index=0), ProofError, "root: expected"),
        ("index beyond the tree", altered(index=3), ProofError, "expected 0 to 2"),
        ("hash missing", altered(hashes=PROOF.hashes[:1]), ProofError, "expected more hashes"),
        ("hash too many", altered(hashes=(*PROOF.hashes, ROOT)), ProofError, "expected fewer hashes"),
        ("hashes swapped", altered(hashes=PROOF.hashes[::-1]), ProofError, "root: expected"),
        (
            "root of another tree",
            altered(checkpoint=sign_checkpoint(Checkpoint(ORIGIN, 3, bytes(32)), [SIGNER])),
            ProofError,
            "root: expected",
        ),
        ("another signer", altered(checkpoint=sign_checkpoint(HEAD, [OTHER])), UnknownKeyError, "known key"),
        ("size changed", altered(checkpoint=NOTE.replace(b"\n3\n", b"\n4\n")), BadSignatureError, "does not fit"),
        (
            "another log",
            altered(checkpoint=sign_checkpoint(Checkpoint("lab/bolt/main-1a2b3c4d", 3, ROOT), [SIGNER])),
            NoteError,
            "expected origin",
        ),
    ],
)
def test_what_proves_nothing(name, proof, error, expected):
    """Whatever is changed in a proof, it proves nothing any more."""
    with pytest.raises(error, match=expected):
        verify_record_proof(proof, origin=ORIGIN, log_keys=[SIGNER.verifier])


LINES = PROOF.encode().decode().split("\n")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("empty", b"", "in the first line"),
        ("another version", PROOF.encode().replace(b"@v1", b"@v2"), "in the first line"),
        ("no index", PROOF.encode().replace(b"index 1\n", b""), "index line"),
        ("leading zero", PROOF.encode().replace(b"index 1", b"index 01"), "leading zeros"),
        ("negative index", PROOF.encode().replace(b"index 1", b"index -1"), "decimal number"),
        ("extra after index", "\n".join([LINES[0], LINES[2], LINES[1], *LINES[3:]]).encode(), "expected base64"),
        ("two extras", "\n".join([LINES[0], LINES[1], *LINES[1:]]).encode(), "index line"),
        ("short hash", PROOF.encode().replace(b64(LEAVES[0]).encode(), b64(bytes(31)).encode()), "expected 32 bytes"),
        ("no checkpoint", PROOF.encode().split(b"\n\n")[0] + b"\n", "expected an empty line"),
        ("64 hashes", TlogProof(1, (ROOT,) * 64, NOTE).encode(), "at most 63 hashes"),
        ("not ASCII", "c2sp.org/tlog-proof@v1\nindex \N{FULLWIDTH DIGIT ONE}\n\n".encode(), "expected ASCII"),
    ],
)
def test_refused_files(name, content, expected):
    """What is not a proof is refused, with what was expected."""
    with pytest.raises(ProofError, match=expected):
        TlogProof.parse(content)


def test_salt_has_one_size():
    """Salt and text could be cut in several places were the salt's size open."""
    with pytest.raises(RecordTextError, match="expected 16 bytes, got 15"):
        commitment(SALT[:15], TEXT)
