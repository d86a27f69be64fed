"""Intents and certificates in their folder: which count, which wait, and who may be told apart by them."""

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from retention.documents import Documents
from retention.doomed import minus
from warehouse.errors import CorruptionError, NotFoundError
from warehouse.ledger.certificates import (
    ContentParts,
    Deleted,
    MetricPoints,
    PurgeCertificate,
    PurgeIntent,
    Run,
    sign_document,
)
from warehouse.ledger.errors import CertificateError
from warehouse.ledger.note import Ed25519Signer
from warehouse.ledger.signing import make_keys

NOW = 1_795_392_000_000_000_000
COMMON = {"lake": "test", "plan_sha256": "0" * 64, "policy_sha256": "0" * 64, "ordered_by": "user:officer"}


def intent(number, *, lake="test", tenant="acme"):
    return PurgeIntent(
        **COMMON | {"lake": lake}, purge_id=f"p{number}", time_unix_nano=str(number), deleted=Deleted(),
        details={"tenant": tenant},
    )  # fmt: skip


def certificate(number, of):
    return PurgeCertificate(
        **COMMON, purge_id=f"p{number}", time_unix_nano=str(number), intent_sha256=of, deleted=Deleted(),
        details={"tenant": "acme"},
    )  # fmt: skip


@pytest.fixture
def documents(lake):
    make_keys(lake.keys, now_unix_nano=NOW)
    lake.certificates.mkdir(exist_ok=True)
    return Documents(lake, "test")


def test_an_intent_is_open_until_a_certificate_names_it(documents):
    """Those of other tenants, and those that ended, are told apart; the oldest comes first."""
    second, first = (documents.write(intent(number), NOW) for number in (2, 1))
    documents.write(intent(3, tenant="beta"), NOW)
    assert [each.sha256 for each in documents.begun("acme")["acme"].unfinished] == [first.sha256, second.sha256]
    assert set(documents.begun()) == {"acme", "beta"}
    documents.write(certificate(4, first.sha256), NOW)
    begun = documents.begun("acme")["acme"]
    assert [each.sha256 for each in begun.unfinished] == [second.sha256]
    assert [each.sha256 for each in begun.intended] == [first.sha256, second.sha256]


def test_a_certificate_waits_until_it_is_recorded(documents):
    """It is among the unrecorded ones from the moment that it is written until an event names it."""
    stored = documents.write(certificate(4, "1" * 64), NOW)
    assert [each.sha256 for each in documents.begun()["acme"].unrecorded] == [stored.sha256]
    documents.note_recorded(stored)
    documents.note_recorded(stored)
    assert documents.begun()["acme"].unrecorded == []
    assert documents.find(stored.sha256[:10])[0].document == stored.document


def forged(documents, document, key=None):
    content = sign_document(document, [Ed25519Signer("test/certificates", key or Ed25519PrivateKey.generate())])
    digest = sha256(content).hexdigest()
    (documents.lake.certificates / digest).write_bytes(content)
    return digest


def by_a_stranger(documents):
    return forged(documents, intent(9))


def altered(documents):
    stored = documents.write(intent(9), NOW)
    content = stored.file.read_bytes().replace(b'"p9"', b'"p8"')
    stored.file.unlink()
    digest = sha256(content).hexdigest()
    (documents.lake.certificates / digest).write_bytes(content)
    return digest


def unsigned(documents):
    stored = documents.write(intent(9), NOW)
    content = stored.file.read_bytes().partition(b"\n\n")[0] + b"\n"
    stored.file.unlink()
    digest = sha256(content).hexdigest()
    (documents.lake.certificates / digest).write_bytes(content)
    return digest


@pytest.mark.parametrize("forgery", [by_a_stranger, altered, unsigned], ids=lambda case: case.__name__)
def test_what_this_lake_did_not_sign_begins_nothing(documents, forgery):
    """A file of another key, with another text or without a signature is passed over, and refused where it is asked for."""
    digest = forgery(documents)
    assert documents.begun() == {}
    with pytest.raises(CorruptionError, match="certificates/"):
        documents.find(digest)


def under_another_name(documents):
    stored = documents.write(intent(9), NOW)
    stored.file.rename(stored.file.with_name("0" * 64))


def of_another_lake(documents):
    Documents(documents.lake, "test").write(intent(9, lake="other"), NOW)


@pytest.mark.parametrize("forgery", [under_another_name, of_another_lake], ids=lambda case: case.__name__)
def test_what_does_not_belong_here_begins_nothing(documents, forgery):
    """A file that is not called by its content, or that speaks of another lake, is passed over."""
    forgery(documents)
    assert documents.begun() == {}


def test_certificates_are_found_by_the_beginning_of_their_name(documents):
    """One that fits is found, none and several are said."""
    documents.write(intent(1), NOW)
    documents.write(intent(2), NOW)
    for name, count in (("", 2), ("zz", 0), ("unrecorded", 0)):
        with pytest.raises(NotFoundError, match=f"got {count}"):
            documents.find(name)


def test_floats_are_not_signed(documents):
    """A document with a number that readers read differently is refused before it is signed."""
    with pytest.raises(CertificateError, match=r"expected texts and integers that JSON can hold, got 0\.5"):
        documents.write(
            PurgeIntent(**COMMON, purge_id="p", time_unix_nano="1", deleted=Deleted(), details={"a": 0.5}), NOW
        )


def test_what_was_kept_is_taken_from_what_was_intended():
    """Runs are divided, contents lose their parts and metrics their points; nothing else changes."""
    of = Deleted(
        (Run("spans", "acme", "main", 0, 9), Run("logs", "acme", "main", 10, 11)),
        (ContentParts("acme", "main", 1, ("a", "b")), ContentParts("acme", "main", 2, ("a",))),
        (MetricPoints("acme", "f", 5), MetricPoints("acme", "g", 2)),
    )
    kept = Deleted(
        (Run("spans", "acme", "main", 3, 4), Run("logs", "acme", "main", 10, 11)),
        (ContentParts("acme", "main", 1, ("b",)), ContentParts("acme", "main", 2, ("a",))),
        (MetricPoints("acme", "f", 1), MetricPoints("acme", "g", 2)),
    )
    assert minus(of, kept) == Deleted(
        (Run("spans", "acme", "main", 0, 2), Run("spans", "acme", "main", 5, 9)),
        (ContentParts("acme", "main", 1, ("a",)),),
        (MetricPoints("acme", "f", 4),),
    )
    assert minus(of, Deleted()) == of
