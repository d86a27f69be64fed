"""Proofs of records of a real lake: found, made, and checked with the key alone."""

import re
from hashlib import sha256

import duckdb
import pytest

from muniment.cli.app import run
from muniment.proving import prove_one, public_keys
from warehouse.errors import InputError, NotFoundError
from warehouse.ledger.certificates import Deleted, PurgeCertificate, Run, sign_document
from warehouse.ledger.errors import BadSignatureError, NoteError, ProofError, RecordTextError, UnknownKeyError
from warehouse.ledger.note import Ed25519Signer
from warehouse.ledger.proof_report import check_proof
from warehouse.ledger.signing import read_signing_keys
from warehouse.ledger.tlog_proof import TlogProof
from warehouse.own_events import OwnEvent

FOREIGN_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"


def vkeys(context):
    return [key.vkey for key in public_keys(context)]


def check(context, content, **options):
    return check_proof(TlogProof.parse(content), vkeys=vkeys(context), **options)


@pytest.mark.parametrize("index", [0, 1, 255, 256, 299])
def test_a_record_is_proved_with_the_key_alone(context, index):
    """What was recorded at that index is what the proof shows."""
    report = check(context, prove_one(context, "acme", index, None).content)
    assert report.record.table == "audit_events"
    assert report.record.values["resource_id"] == str(index)
    assert report.record.values["log_index"] == str(index)
    assert report.signers == tuple(vkeys(context))


def test_a_proof_is_recorded_in_the_tenants_log(context):
    """The reading of a record is a record, and so is the decision to allow it: the second proof has two entries more under it."""
    sizes = [check(context, prove_one(context, "acme", 0, None).content).proved.checkpoint.size for _ in range(2)]
    assert sizes == [300, 302]


def test_the_lakes_own_log_is_proved_too(context):
    """Its first record says that a log was opened."""
    report = check(context, prove_one(context, "_lake", 0, None).content)
    assert report.record.values["event_name"] == "log.opened"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            ("acme", 300, None),
            InputError,
            r"index 300 .*expected an index below a log's size, got logs self-\w+ \(size 300\)",
        ),
        (("acme", 0, "main"), NotFoundError, r"shard main: expected a log of tenant acme, which has self-"),
        (("nobody", 0, None), NotFoundError, "tenant nobody: there is none"),
    ],
    ids=["not committed yet", "no such shard", "no such tenant"],
)
def test_what_cannot_be_proved_is_said(context, arguments, error, message):
    """Got and expected."""
    with pytest.raises(error, match=message):
        prove_one(context, *arguments)


def test_a_tenant_without_a_log_is_said(context):
    """It exists and sent nothing."""
    context.control.add_tenant("quiet", None)
    with pytest.raises(NotFoundError, match="tenant quiet: expected a log, got none"):
        prove_one(context, "quiet", 0, None)


def only_file(context, tenant):
    (file,) = (context.lake.path / "tables/audit_events").glob(f"tenant_id={tenant}/*/*.parquet")
    return file


def rewrite(file, sql):
    """Put other rows into a Parquet file, as somebody with the disk could."""
    duckdb.execute(f"copy (select {sql} from read_parquet('{file}')) to '{file}.new' (format parquet)")
    file.with_name(file.name + ".new").rename(file)


def test_an_altered_row_is_not_proved(context):
    """The one that was edited; its neighbour still is."""
    rewrite(only_file(context, "acme"), "* replace (if(log_index = 7, 'x', resource_id) as resource_id)")
    with pytest.raises(ProofError, match=r"index 7 of acme/self-.*the row was altered"):
        prove_one(context, "acme", 7, None)
    assert prove_one(context, "acme", 8, None).holds_record


def test_a_row_whose_salt_is_gone_is_not_proved(context):
    """Without its salt a commitment cannot be opened."""
    rewrite(only_file(context, "acme"), "* replace (null::blob as salt)")
    with pytest.raises(RecordTextError, match="salt: expected 16 bytes, got 0"):
        prove_one(context, "acme", 7, None)


def test_two_rows_at_one_index_are_refused(context):
    """Which of them was meant cannot be known."""
    rewrite(only_file(context, "acme"), "* replace (if(log_index = 8, 7, log_index) as log_index)")
    with pytest.raises(ProofError, match="expected one row, got 2"):
        prove_one(context, "acme", 7, None)


def test_of_a_row_that_is_gone_the_entry_is_proved(context):
    """A purged record leaves its commitment, and the proof says that this is all."""
    file = only_file(context, "acme")
    duckdb.execute(f"copy (from read_parquet('{file}') where log_index <> 7) to '{file}.new' (format parquet)")
    file.with_name(file.name + ".new").rename(file)
    made = prove_one(context, "acme", 7, None)
    assert not made.holds_record
    report = check(context, made.content)
    assert report.record is None
    assert report.proved.index == 7
    assert any("what the record said" in line for line in report.lines())


@pytest.fixture
def purged(context, log_folder):
    """Takes the row at index 7 away, with a certificate for it or without."""

    def purge(*, certified):
        file = only_file(context, "acme")
        if certified:
            run = Run("audit_events", "acme", log_folder("acme").name, 7, 7)
            certificate = PurgeCertificate(
                lake="tools", purge_id="p1", time_unix_nano="1", intent_sha256="0" * 64, plan_sha256="0" * 64,
                policy_sha256="0" * 64, ordered_by="user:officer", deleted=Deleted(runs=(run,)),
            )  # fmt: skip
            (key,) = read_signing_keys(context.lake.keys).keys
            content = sign_document(certificate, [Ed25519Signer("tools/certificates", key.private_key)])
            folder = context.lake.path / "certificates"
            folder.mkdir(exist_ok=True)
            digest = sha256(content).hexdigest()
            (folder / digest).write_bytes(content)
            event = OwnEvent("_lake", "retention.purged", "muniment:test", attributes={"certificate_sha256": digest})
            context.recorder.record([event])
        duckdb.execute(f"copy (from read_parquet('{file}') where log_index <> 7) to '{file}.new' (format parquet)")
        file.with_name(file.name + ".new").rename(file)

    return purge


@pytest.mark.parametrize(
    ("certified", "said"),
    [
        (True, "it was purged, and a certificate in this lake says so"),
        (False, "no certificate says that it was purged: it is missing"),
    ],
    ids=["purged", "missing"],
)
def test_the_command_says_whether_a_row_that_is_gone_was_purged(context, purged, capsys, tmp_path, certified, said):
    """Under a certificate it was purged, otherwise it is missing; either way the proof is of the entry alone (exit 4)."""
    purged(certified=certified)
    out, lake = tmp_path / "proof", str(context.lake.path)
    command = ["prove", "--tenant", "acme", "--index", "7", "--lake", lake, "--out", str(out)]
    assert run(command) == 4
    shown = " ".join(capsys.readouterr().err.split())
    assert "no table has a row at index 7 of tools/acme/self-" in shown
    assert said in shown
    assert "not what it said" in shown
    report = check(context, out.read_bytes())
    assert (report.record, report.proved.index) == (None, 7)


def tampered(content):
    """Ways to damage a proof, by name."""
    lines = content.split(b"\n")
    extra, index, first = lines[1], lines[2], lines[3]
    origin = next(line for line in lines if line.startswith(b"tools/"))
    at = lines.index(origin)
    return {
        "another record": (
            content.replace(extra, extra[:40] + (b"A" if extra[40:41] != b"A" else b"B") + extra[41:]),
            ProofError,
        ),
        "another index": (content.replace(index, b"index 43"), ProofError),
        "a hash left out": (content.replace(first + b"\n", b""), ProofError),
        "two hashes swapped": (
            content.replace(first + b"\n" + lines[4], lines[4] + b"\n" + first),
            ProofError,
        ),
        "another size": (content.replace(origin + b"\n300", origin + b"\n299"), BadSignatureError),
        "another origin": (content.replace(origin + b"\n", origin.replace(b"acme", b"beta") + b"\n", 1), NoteError),
        "no signature": (re.sub(rb"\xe2\x80\x94.*\n", b"", content), NoteError),
        "no record": (content.replace(extra + b"\n", b""), ProofError),
        "empty line gone": (content.replace(b"\n\n" + lines[at], b"\n" + lines[at]), ProofError),
    }


@pytest.mark.parametrize(
    "name",
    ["another record", "another index", "a hash left out", "two hashes swapped", "another size", "another origin",
     "no signature", "no record", "empty line gone"],
)  # fmt: skip
def test_a_damaged_proof_establishes_nothing(context, name):
    """Whatever part of it was changed."""
    content = prove_one(context, "acme", 42, None).content
    damaged, error = tampered(content)[name]
    assert damaged != content
    with pytest.raises(error):
        check(context, damaged)


def test_a_foreign_key_is_not_believed(context):
    """Neither one of another name, nor another key under the lake's name."""
    proof = TlogProof.parse(prove_one(context, "acme", 42, None).content)
    with pytest.raises(UnknownKeyError, match="expected a key named so or like its lake"):
        check_proof(proof, vkeys=[FOREIGN_KEY])


def test_a_key_under_the_logs_own_name_counts(context, log_folder):
    """As it stands in the log's folder; and the other tenant's does not count for this log."""
    proof = TlogProof.parse(prove_one(context, "acme", 42, None).content)
    assert check_proof(proof, vkeys=[(log_folder("acme") / "vkey").read_text().strip()]).record is not None
    with pytest.raises(UnknownKeyError):
        check_proof(proof, vkeys=[(log_folder("_lake") / "vkey").read_text().strip()])


def test_a_quorum_of_witnesses_that_nobody_gave_is_not_met(context):
    """What was asked for and is not there is no pass."""
    with pytest.raises(ProofError, match="expected 1 by known witnesses, got 0"):
        check(context, prove_one(context, "acme", 42, None).content, quorum=1)
