"""Absences: what a certificate excuses, what an intent alone does not, and what nobody but Muniment can excuse."""

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from warehouse.ledger.certificates import ContentParts, Deleted, PurgeCertificate, PurgeIntent, Run, sign_document
from warehouse.ledger.note import Ed25519Signer
from warehouse.ledger.signing import read_signing_keys
from warehouse.ledger.verify import Result
from warehouse.ledger.verify.excuses import LOST

LOG = "acme/main"
GONE = (3, 4, 5)


def deleted(lake, first=3, last=5):
    """Three spans."""
    return Deleted(runs=(Run("spans", "acme", lake.shard, first, last),))


def sign(lake, document, key=None):
    """Put a signed document into the lake; returns the SHA-256 of its bytes."""
    key = key or read_signing_keys(lake.lake.keys).keys[0].private_key
    content = sign_document(document, [Ed25519Signer("test/certificates", key)])
    folder = lake.lake.path / "certificates"
    folder.mkdir(exist_ok=True)
    digest = sha256(content).hexdigest()
    (folder / digest).write_bytes(content)
    return digest


def certificate(made_in, **more):
    """A certificate for what `deleted` names."""
    return PurgeCertificate(
        **{
            "lake": "test", "purge_id": "p1", "time_unix_nano": "1", "intent_sha256": "0" * 64, "plan_sha256": "0" * 64,
            "policy_sha256": "0" * 64, "ordered_by": "user:officer", "deleted": deleted(made_in), **more,
        }
    )  # fmt: skip


def intent(lake):
    """An intent for the same."""
    return PurgeIntent("test", "p1", "1", "0" * 64, "0" * 64, "user:officer", deleted(lake))


def take_away(lake, *, contents=True):
    """Delete the rows, and the contents that they own."""
    lake.delete_rows(*GONE)
    if contents:
        lake.rewrite(lake.files("contents")[0], lambda rows: [row for row in rows if row["owner_index"] not in GONE])


def test_a_certificate_accounts_for_what_is_gone(growing, findings):
    """Rows that a signed certificate names, whose hash a ledgered event of Muniment's own holds, are purged: no finding."""
    digest = sign(growing, certificate(growing))
    growing.record("retention.purged", tenant="acme", attributes={"certificate_sha256": digest})
    take_away(growing)
    report = growing.verify(vkey=growing.vkey)
    assert findings(report) == []
    log = next(log for log in report.logs if log.tenant == "acme")
    assert (log.size, log.present, log.purged, log.missing) == (721, 718, 3, 0)


def test_an_intent_alone_is_unfinished(growing, findings):
    """Rows that only an intent names are neither purged nor missing: the purge is unfinished."""
    digest = sign(growing, intent(growing))
    growing.record("retention.intended", attributes={"intent_sha256": digest})
    take_away(growing)
    assert findings(growing.verify(vkey=growing.vkey)) == [(LOG, "purge-unfinished", 3, 5)]


def test_rows_that_a_certificate_calls_gone_and_are_there(growing, findings):
    """A certificate for rows that stand there still."""
    digest = sign(growing, certificate(growing))
    growing.record("retention.purged", attributes={"certificate_sha256": digest})
    assert findings(growing.verify(vkey=growing.vkey)) == [(LOG, "purge-unfinished", 3, 5)]


def by_an_agents_key(lake):
    """The event was posted by an agent's key."""
    digest = sign(lake, certificate(lake))
    lake.record("retention.purged", tenant="acme", recorded_by="key:k1", attributes={"certificate_sha256": digest})


def by_a_user(lake):
    """The event was recorded by a person, not by the job that purges."""
    digest = sign(lake, certificate(lake))
    lake.record("retention.purged", recorded_by="user:mallory", attributes={"certificate_sha256": digest})


def without_event(lake):
    """No event names the certificate."""
    sign(lake, certificate(lake))


def signed_by_a_stranger(lake):
    """The certificate is signed by a key that the verifier does not know."""
    digest = sign(lake, certificate(lake), Ed25519PrivateKey.generate())
    lake.record("retention.purged", attributes={"certificate_sha256": digest})


def changed_afterwards(lake):
    """The certificate's file is another than the event named."""
    lake.record("retention.purged", attributes={"certificate_sha256": sign(lake, certificate(lake, purge_id="p2"))})
    sign(lake, certificate(lake))
    for file in (lake.lake.path / "certificates").iterdir():
        if b'"p2"' in file.read_bytes():
            file.unlink()


def of_another_lake(lake):
    """The certificate is of another lake."""
    digest = sign(lake, certificate(lake, lake="other"))
    lake.record("retention.purged", attributes={"certificate_sha256": digest})


def with_a_forged_event(lake):
    """The event's row was put into the table and never logged."""
    digest = sign(lake, certificate(lake))
    file = lake.files("audit_events")[0]
    forged = {
        "event_name": "retention.purged", "recorded_by": "muniment:retention",
        "attributes": f'{{"certificate_sha256":"{digest}"}}',
    }  # fmt: skip
    lake.rewrite(file, lambda rows: [rows[0] | forged, *rows[1:]])
    return {"altered"}


@pytest.mark.parametrize(
    "forgery",
    [
        by_an_agents_key,
        by_a_user,
        without_event,
        signed_by_a_stranger,
        changed_afterwards,
        of_another_lake,
        with_a_forged_event,
    ],
    ids=lambda case: case.__name__,
)
def test_a_forged_certificate_excuses_nothing(growing, findings, forgery):
    """Signature, event, recorder and log must all fit: otherwise what is gone is missing."""
    more = forgery(growing) or set()
    take_away(growing)
    found = findings(growing.verify(vkey=growing.vkey))
    assert (LOG, "missing", 3, 5) in found
    assert {kind for _, kind, _, _ in found} == {"missing", *more}


def test_what_a_restore_lost_is_said(growing, findings):
    """Indices that `lake.restored` names as lost are neither missing nor passed."""
    origin = f"test/acme/{growing.shard}"
    growing.record("lake.restored", recorded_by="user:operator", attributes={LOST: [[origin, 3, 5]]})
    take_away(growing)
    assert findings(growing.verify(vkey=growing.vkey)) == [(LOG, "lost-in-restore", 3, 5)]


def test_contents_that_expired_are_counted(lake, findings):
    """A content that is not there any more is no finding; it is told apart from one that was altered."""
    lake.rewrite(lake.files("contents")[0], lambda rows: [row for row in rows if row["owner_index"] not in GONE])
    report = lake.verify(vkey=lake.vkey)
    contents = next(log.contents for log in report.logs if log.tenant == "acme")
    assert findings(report) == []
    assert (contents.matching, contents.expired, contents.certified) == (237, 3, 0)


def test_contents_under_a_certificate_are_told_apart(growing):
    """Of the contents that are gone, those that a certificate names are counted."""
    parts = (ContentParts("acme", growing.shard, 3, ("prompt",)),)
    digest = sign(growing, certificate(growing, deleted=Deleted(contents=parts)))
    growing.record("retention.purged", attributes={"certificate_sha256": digest})
    growing.rewrite(growing.files("contents")[0], lambda rows: [row for row in rows if row["owner_index"] not in GONE])
    contents = next(log.contents for log in growing.verify(vkey=growing.vkey).logs if log.tenant == "acme")
    assert (contents.expired, contents.certified) == (3, 1)


def test_contents_that_went_without_a_certificate_keep_a_lake_from_being_proved(lake, memory):
    """What is gone with nobody's word for it is not established: consistent, though signers and freshness are."""
    proved = lake.verify(vkey=lake.vkey, seen=memory)
    assert proved.result is Result.PROVED
    lake.rewrite(lake.files("contents")[0], lambda rows: [row for row in rows if row["owner_index"] not in GONE])
    report = lake.verify(vkey=lake.vkey, seen=memory)
    assert report.result is Result.CONSISTENT
    assert sum(log.contents.unexplained for log in report.logs) == 3


def test_contents_that_a_certificate_calls_gone_and_are_there(growing, findings):
    """A certified part that stands there, left behind or put back, is an unfinished purge."""
    parts = (ContentParts("acme", growing.shard, 3, ("prompt",)), ContentParts("acme", growing.shard, 4, ("other",)))
    digest = sign(growing, certificate(growing, deleted=Deleted(contents=parts)))
    growing.record("retention.purged", attributes={"certificate_sha256": digest})
    assert findings(growing.verify(vkey=growing.vkey)) == [(LOG, "purge-unfinished", 3, 3)]


def test_a_contents_file_that_is_gone_is_unreadable(lake, findings):
    """A file that the table's log names and that nobody can read is a finding, not contents that went."""
    lake.files("contents")[0].unlink()
    kinds = {kind for _, kind, _, _ in findings(lake.verify(vkey=lake.vkey))}
    assert kinds == {"unreadable-file"}
