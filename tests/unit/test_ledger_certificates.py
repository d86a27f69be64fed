"""Purge intents and certificates: their files, who may sign them, and exactly which absences they account for."""

import hashlib
import json

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from warehouse.ledger.certificates import (
    CERTIFICATE,
    INTENT,
    ContentParts,
    Deleted,
    MetricPoints,
    PurgeCertificate,
    PurgedIndices,
    PurgeIntent,
    Run,
    open_document,
    ordered_runs,
    read_unverified,
    runs_of,
    sign_document,
)
from warehouse.ledger.errors import BadSignatureError, CertificateError, NoteError, UnknownKeyError
from warehouse.ledger.note import Ed25519Signer, sign_note

SIGNER = Ed25519Signer("lab/certificates", Ed25519PrivateKey.from_private_bytes(bytes(32)))
SHARD = "main-1a2b3c4d"
DELETED = Deleted(
    runs=(
        Run("spans", "acme", SHARD, 3, 3),
        Run("logs", "acme", SHARD, 7, 20),
        Run("spans", "acme", "main-00000000", 0, 9),
    ),
    contents=(ContentParts("acme", SHARD, 5, ("gen_ai.input.messages", "äöü")),),
    metrics=(MetricPoints("acme", "tables/metrics/tenant_id=acme/day=2026-11-23/x.parquet", 12),),
)
COMMON = {
    "lake": "lab",
    "purge_id": "p1",
    "time_unix_nano": "1795392000000000000",
    "plan_sha256": "aa" * 32,
    "policy_sha256": "bb" * 32,
    "ordered_by": "muniment:retention",
    "deleted": DELETED,
}
INTENT_1 = PurgeIntent(**COMMON)
CERTIFICATE_1 = PurgeCertificate(**COMMON, intent_sha256="cc" * 32, details={"files": 2, "subject_ref": "dd"})


@pytest.mark.parametrize("document", [INTENT_1, CERTIFICATE_1], ids=["intent", "certificate"])
def test_round_trip(document):
    """A document reads back as it was, under the SHA-256 of its file, and has one spelling."""
    content = sign_document(document, [SIGNER])
    opened = open_document(content, [SIGNER.verifier])
    assert opened.document == document
    assert [signature.name for signature in opened.verified] == ["lab/certificates"]
    assert opened.file_sha256 == hashlib.sha256(content).hexdigest()
    assert sign_document(document, [SIGNER]) == content
    assert read_unverified(content).document == document
    assert read_unverified(content).verified == ()


def test_file_is_a_signed_note_of_canonical_json():
    """The first line says the kind, the second is JSON with sorted names and no spaces."""
    kind, line, empty, signature, end = sign_document(INTENT_1, [SIGNER]).decode().split("\n")
    assert (kind, empty, end) == ("muniment/purge-intent@v1", "", "")
    assert signature.startswith("— lab/certificates ")
    content = json.loads(line)
    assert line == json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert content["deleted"]["runs"][0] == {
        "table": "spans", "tenant": "acme", "shard": SHARD, "first": 3, "last": 3,
    }  # fmt: skip
    assert sign_document(CERTIFICATE_1, [SIGNER]).startswith(b"muniment/purge-certificate@v1\n")


def test_keys_that_are_not_known_excuse_nothing():
    """A certificate counts only under a certificate key that the verifier knows, unchanged."""
    content = sign_document(CERTIFICATE_1, [SIGNER])
    other = Ed25519Signer("lab/certificates", Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))
    renamed = Ed25519Signer("lab/acme/agent", SIGNER.private_key)
    for key in (other, renamed):
        with pytest.raises(UnknownKeyError):
            open_document(content, [key.verifier])
    with pytest.raises(BadSignatureError):
        open_document(content.replace(b'"first":3', b'"first":2'), [SIGNER.verifier])


def noted(text):
    return sign_note(text, [SIGNER])


def spelt(change, kind=CERTIFICATE, document=CERTIFICATE_1):
    """A signed file whose JSON was changed."""
    line = sign_document(document, [SIGNER]).decode().split("\n")[1]
    content = json.loads(line)
    change(content)
    return noted(f"{kind}\n{json.dumps(content, sort_keys=True, separators=(',', ':'), ensure_ascii=False)}\n")


LINE = sign_document(CERTIFICATE_1, [SIGNER]).decode().split("\n")[1]
TWICE = LINE.replace("{", '{"lake":"x",', 1)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a checkpoint", noted("lab/acme/x\n1\nAAAA\n"), "in the first line, got 'lab/acme/x'"),
        ("unknown version", noted(f"muniment/purge-certificate@v2\n{LINE}\n"), "in the first line"),
        ("an intent's kind", noted(f"{INTENT}\n{LINE}\n"), "unknown field"),
        ("not JSON", noted(f"{CERTIFICATE}\nhello\n"), "malformed"),
        ("no JSON", noted(f"{CERTIFICATE}\n"), "truncated"),
        ("two lines", noted(f"{CERTIFICATE}\n{LINE}\n{LINE}\n"), "trailing characters"),
        ("spaces", noted(f"{CERTIFICATE}\n{LINE.replace(':', ': ', 1)}\n"), "canonical JSON"),
        ("name twice", noted(f"{CERTIFICATE}\n{TWICE}\n"), "canonical JSON"),
        ("unknown field", spelt(lambda c: c.update(excuse="all")), "unknown field"),
        ("field missing", spelt(lambda c: c.pop("intent_sha256")), "missing required field"),
        ("unledgered table", spelt(lambda c: c["deleted"]["runs"][0].update(table="metrics")), "Invalid enum value"),
        ("index as text", spelt(lambda c: c["deleted"]["runs"][0].update(first="3")), "Expected `int`"),
        ("negative index", spelt(lambda c: c["deleted"]["runs"][0].update(first=-1)), "got -1 to 3"),
        ("run backwards", spelt(lambda c: c["deleted"]["runs"][0].update(first=4)), "got 4 to 3"),
        ("runs overlap", spelt(lambda c: c["deleted"]["runs"][0].update(last=7)), "indices above 7"),
        ("runs unordered", spelt(lambda c: c["deleted"]["runs"].reverse()), "in ascending order"),
        ("beyond 2^53", spelt(lambda c: c["deleted"]["runs"][2].update(last=2**53)), "RFC 8785|exceeds|ascending"),
        ("no parts", spelt(lambda c: c["deleted"]["contents"][0].update(parts=[])), "expected an owner's index"),
        ("no points", spelt(lambda c: c["deleted"]["metrics"][0].update(count=0)), "count above 0"),
        ("kept overlap", spelt(lambda c: c["kept"].update(runs=[c["deleted"]["runs"][0]] * 2)), "indices above 3"),
    ],
)
def test_refused_files(name, content, expected):
    """A file that says anything in another way than the format is refused, signed or not."""
    with pytest.raises(CertificateError, match=expected):
        open_document(content, [SIGNER.verifier])
    with pytest.raises(CertificateError, match=expected):
        read_unverified(content)


def test_what_would_be_refused_is_not_signed():
    """Signing holds a document to the rules that reading does."""
    with pytest.raises(CertificateError):
        sign_document(PurgeIntent(**COMMON | {"deleted": Deleted(runs=DELETED.runs[1::-1])}), [SIGNER])
    with pytest.raises(NoteError):
        open_document(b"nothing", [SIGNER.verifier])
    with pytest.raises(CertificateError):
        read_unverified(b"nothing")


def test_runs_are_exact():
    """Runs hold the indices given and no other."""
    assert runs_of("spans", "acme", SHARD, np.array([5, 3, 4, 9, 11, 10, 9])) == (
        Run("spans", "acme", SHARD, 3, 5),
        Run("spans", "acme", SHARD, 9, 11),
    )
    assert runs_of("spans", "acme", SHARD, np.array([], np.int64)) == ()
    assert ordered_runs(reversed(DELETED.runs)) == (DELETED.runs[2], DELETED.runs[0], DELETED.runs[1])


def test_covered_indices():
    """Only the indices of a log's own runs are covered; a gap between two runs is not."""
    later = PurgeCertificate(
        **COMMON | {"deleted": Deleted(runs=(Run("logs", "acme", SHARD, 18, 25),))}, intent_sha256=""
    )
    purged = PurgedIndices.of_log([CERTIFICATE_1, INTENT_1, later], tenant="acme", shard=SHARD)
    covered = np.flatnonzero(purged.covers(np.arange(40))).tolist()
    assert covered == [3, *range(7, 26)]
    assert purged.count == len(covered)
    assert [purged.table_of(index) for index in (2, 3, 6, 7, 25, 26)] == [None, "spans", None, "logs", "logs", None]
    other = PurgedIndices.of_log([CERTIFICATE_1], tenant="bolt", shard=SHARD)
    assert other.count == 0
    assert not other.covers(np.arange(40)).any()
    assert other.table_of(3) is None


def test_an_index_has_one_table():
    """Two documents that name one index as rows of two tables contradict each other."""
    contrary = PurgeCertificate(
        **COMMON | {"deleted": Deleted(runs=(Run("spans", "acme", SHARD, 8, 8),))}, intent_sha256=""
    )
    with pytest.raises(CertificateError, match="one table an index, got logs and spans for index 8"):
        PurgedIndices.of_log([CERTIFICATE_1, contrary], tenant="acme", shard=SHARD)


def test_large_documents():
    """A certificate over rows scattered one by one may be larger than other notes."""
    runs = tuple(Run("spans", "acme", SHARD, index, index) for index in range(0, 40_000, 2))
    content = sign_document(PurgeIntent(**COMMON | {"deleted": Deleted(runs=runs)}), [SIGNER])
    assert len(content) > 1_000_000
    assert open_document(content, [SIGNER.verifier]).document.deleted.runs == runs
