"""A proof file with any byte changed, cut or put in is refused with an error of the ledger's: it proves nothing."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from warehouse.ledger.checkpoint import Checkpoint, sign_checkpoint
from warehouse.ledger.columns import LEDGER_COLUMNS
from warehouse.ledger.cosignature import WitnessSigner
from warehouse.ledger.errors import LedgerError
from warehouse.ledger.note import Ed25519Signer, add_signatures
from warehouse.ledger.proof_report import check_proof
from warehouse.ledger.record import commitment
from warehouse.ledger.tlog_proof import TlogProof
from warehouse.ledger.tree import leaf_hash, node_hash

ORIGIN = "fuzz/acme/main-0a1b2c3d"
SIGNER = Ed25519Signer("fuzz", Ed25519PrivateKey.from_private_bytes(bytes(32)))
WITNESS = WitnessSigner("witness", Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))
INDEX = 2


def record_text():
    """A row of `audit_events` as its log has it, written by the rule in docs/design/ledger.md."""
    (version,) = {version for table, version in LEDGER_COLUMNS if table == "audit_events"}
    said = {"tenant_id": "acme", "shard": "main-0a1b2c3d", "log_index": str(INDEX), "event_name": "approval.granted"}
    values = ["audit_events", str(version)]
    values += [said.get(column.name) for column in LEDGER_COLUMNS["audit_events", version]]
    return "".join("-" if value is None else f"{len(value)}:{value}" for value in values).encode()


def proof_file():
    """A proof of leaf 2 of 4, cosigned."""
    salt, text = bytes(range(16)), record_text()
    leaves = [leaf_hash(bytes([n]) * 32) for n in range(3)]
    leaves.insert(INDEX, leaf_hash(commitment(salt, text)))
    left, right = node_hash(leaves[0], leaves[1]), node_hash(leaves[2], leaves[3])
    head = Checkpoint(ORIGIN, 4, node_hash(left, right))
    note = sign_checkpoint(head, [Ed25519Signer(ORIGIN, SIGNER.private_key)])
    note = add_signatures(note, [WITNESS.cosign(head.text, time_seconds=1_700_000_000)])
    return TlogProof.of_record(index=INDEX, hashes=[leaves[3], left], checkpoint=note, salt=salt, text=text).encode()


PROOF = proof_file()


def check(content):
    """Check it as somebody who has the lake's key and requires the witness."""
    return check_proof(
        TlogProof.parse(content), vkeys=[SIGNER.verifier.vkey], witnesses=[WITNESS.verifier.vkey], quorum=1
    )


def test_the_proof_itself_holds():
    """Nothing was changed: the record is shown."""
    report = check(PROOF)
    assert report.record.values["event_name"] == "approval.granted"
    assert report.proved.index == INDEX
    assert [cosigned.witness for cosigned in report.proved.cosignatures] == ["witness"]


@pytest.mark.parametrize("flipped", [0x01, 0x04, 0x20, 0x80], ids=hex)
def test_each_byte_flipped_is_refused(flipped):
    """One bit of each byte of the file in turn."""
    for place in range(len(PROOF)):
        changed = bytes((*PROOF[:place], PROOF[place] ^ flipped, *PROOF[place + 1 :]))
        with pytest.raises(LedgerError):
            check(changed)


PLACES = st.integers(0, len(PROOF) - 1)


@given(PLACES, st.integers(0, 255))
def test_any_other_byte_is_refused(place, value):
    """Every byte counts, and has one value."""
    changed = PROOF[:place] + bytes([value]) + PROOF[place + 1 :]
    if changed == PROOF:
        assert check(changed).proved.index == INDEX
        return
    with pytest.raises(LedgerError):
        check(changed)


@given(PLACES, st.integers(1, 80))
def test_what_is_cut_out_is_missed(place, length):
    """Some bytes left out anywhere, or the end."""
    changed = PROOF[:place] + PROOF[place + length :]
    with pytest.raises(LedgerError):
        check(changed)


@given(st.integers(0, len(PROOF)), st.binary(min_size=1, max_size=40))
def test_what_is_put_in_is_refused(place, more):
    """Bytes put in anywhere, or at the end."""
    with pytest.raises(LedgerError):
        check(PROOF[:place] + more + PROOF[place:])


@given(PLACES, PLACES)
def test_two_bytes_exchanged_are_refused(one, other):
    """The same bytes in another order."""
    changed = bytearray(PROOF)
    changed[one], changed[other] = changed[other], changed[one]
    if changed == PROOF:
        return
    with pytest.raises(LedgerError):
        check(bytes(changed))
