"""`muniment restore`: what comes back, what must not, what is lost, and what is refused."""

import json
import shutil
import signal
import sys
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from muniment import subjects
from muniment.cli.app import run
from muniment.restoring import RestoreOptions, restore
from muniment.wiring import command_context
from tests.processes import run_code
from tests.rows import batches_of, metrics, read_table, treated, whole_batch
from tests.template import init_lake
from warehouse.backup.documents import FOLDER, KIND, LIST_FILE, mirror_documents, open_list
from warehouse.backup.keys_file import read_bundle
from warehouse.backup.making import make_backup
from warehouse.backup.manifest import MANIFEST_FILE, read_unverified, sign_manifest
from warehouse.clock import system_clock
from warehouse.commit import open_stores
from warehouse.errors import ConflictError, CorruptionError, InputError
from warehouse.ledger.certificates import (
    ContentParts,
    Deleted,
    MetricPoints,
    PurgeCertificate,
    PurgeIntent,
    Run,
    sign_document,
)
from warehouse.ledger.note import Ed25519Verifier, sign_note
from warehouse.ledger.signing import read_signing_keys
from warehouse.ledger.verify import VerifyOptions, verify_lake
from warehouse.ledger.verify.seen import Seen, SeenLog
from warehouse.maintenance import MaintenanceConfig, run_maintenance

MERGE_ALL = MaintenanceConfig(merge_files=2, settled_merge_files=2, removed_grace_seconds=0, checkpoint_entries=1)


def fill(context, *tags, tenant="acme"):
    """Write batches, each a segment of its own: spans 0 to 2 of it, audit events, logs, contents and metrics."""
    for tag in tags:
        writer = context.open_writer("w")
        writer.append(whole_batch(tag, tenant=tenant)).result(120)
        writer.append(treated(metrics=metrics(2, tag, tenant=tenant))).result(120)
        writer.stop()
    return writer.shard


def back_up(context, target):
    target.mkdir(exist_ok=True)
    return make_backup(context.lake, target, lake_name="lake", control=context.lake.control_file, clock=context.clock)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A lake and its backup, made once: five segments, the first three of which are compacted into one file."""
    base = tmp_path_factory.mktemp("restore")
    context = command_context(init_lake(base / "lake", "acme"))
    fill(context, "a", "b", "c")
    run_maintenance(context.lake, open_stores(context.lake), config=MERGE_ALL, clock=context.clock)
    shard = fill(context, "d", "e")
    back_up(context, base / "target")
    return base, shard


@pytest.fixture
def base(made, tmp_path):
    """A copy of lake and target of this test's own."""
    for name in ("lake", "target"):
        shutil.copytree(made[0] / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def context(base):
    return command_context(base / "lake")


@pytest.fixture
def shard(made):
    """The shard of the five segments. Each has 9 indices: audit events, logs and spans of a batch in the order of its frames."""
    return made[1]


def vkeys(context):
    return read_signing_keys(context.lake.keys).verifiers("lake")


def restored(base, context, *, options=None, to="new"):
    options = options or RestoreOptions(vkeys=vkeys(context))
    done = restore(base / "target", base / to, options, clock=system_clock)
    return done, command_context(base / to)


def verified(context, *, old, seen=None):
    """The verification with the old and the new public keys."""
    keys = [*vkeys(context), *old]
    return verify_lake(context.lake, lake_name="lake", options=VerifyOptions(vkeys=keys, seen=seen))


def logs_of(report, tenant="acme"):
    return {log.shard: log for log in report.logs if log.tenant == tenant}


def events(context, name, tenant="_lake"):
    rows = read_table(context.lake, "audit_events").to_pylist()
    return [row for row in rows if row["event_name"] == name and row["tenant_id"] == tenant]


def purge(context, target, *, shard, **deleted):
    """Certify a deletion and mirror the certificate, as a purge does before it reports success."""
    document = PurgeCertificate(
        lake="lake", purge_id="p1", time_unix_nano="1", intent_sha256="0" * 64, plan_sha256="0" * 64,
        policy_sha256="0" * 64, ordered_by="user:alice", deleted=Deleted(**deleted),
    )  # fmt: skip
    return put(context, target, document)


def put(context, target, document):
    keys = read_signing_keys(context.lake.keys).signers("lake/certificates", 1)
    content = sign_document(document, keys)
    context.lake.certificates.mkdir(exist_ok=True)
    file = context.lake.certificates / sha256(content).hexdigest()
    file.write_bytes(content)
    mirror_documents([target], [file], lake=context.lake, lake_name="lake", clock=context.clock)
    return file.name


def test_everything_comes_back_and_verifies(base, context, made):
    """All rows of all tables are as they were, the logs end at the backup's sizes, and nothing is found wrong."""
    _, new = restored(base, context)
    for table in ("spans", "logs", "contents", "metrics", "audit_events"):
        before = read_table(context.lake, table).to_pylist()
        after = read_table(new.lake, table).to_pylist()
        mine = [row for row in after if row["shard"] == made[1]]
        assert sorted(mine, key=str) == sorted([row for row in before if row["shard"] == made[1]], key=str)
    report = verified(new, old=vkeys(context))
    assert [log.findings for log in report.logs if log.findings] == []
    assert all(log.signer_established for log in report.logs)
    assert not (new.lake.path / ".restoring").exists()


def test_it_takes_records_at_once_and_continues_no_log(base, context, shard):
    """The same shard name gets a new identity and a new log; the old log stays as it is, signed by the old key."""
    _, new = restored(base, context)
    before = (new.lake.path / "ledger" / "acme" / shard / "checkpoint").read_bytes()
    again = fill(new, "after")
    assert again != shard
    assert (new.lake.path / "ledger" / "acme" / shard / "checkpoint").read_bytes() == before
    assert batches_of(read_table(new.lake, "logs"))["after"] == 3
    report = verified(new, old=vkeys(context))
    assert [log.findings for log in report.logs if log.findings] == []
    assert set(logs_of(report)) >= {shard, again}
    assert {each.public_key for each in vkeys(new)}.isdisjoint(each.public_key for each in vkeys(context))


def test_what_was_erased_after_the_backup_does_not_come_back(base, context, shard):
    """Rows, contents and metrics that a newer certificate names are on no disk of the restored lake, and excused for `verify`."""
    spans = {row["attributes"]: row["log_index"] for row in read_table(context.lake, "spans").to_pylist()}
    first, last = (spans[json.dumps({"batch": tag, "n": 1})] for tag in ("b", "e"))
    owner = spans[json.dumps({"batch": "d", "n": 0})]
    live = open_stores(context.lake)["metrics"].fresh().get_add_actions().column("path").to_pylist()
    named = next(path for path in live if "compact" not in path)
    runs = tuple(Run("spans", "acme", shard, index, index) for index in sorted((first, last)))
    name = purge(
        context, base / "target", shard=shard, runs=runs,
        contents=(ContentParts("acme", shard, owner, ("prompt",)),), metrics=(MetricPoints("acme", named, 2),),
    )  # fmt: skip
    done, new = restored(base, context)
    assert done.reapplied.rows == {"contents": 3, "spans": 2, "metrics": 2}
    left = read_table(new.lake, "spans").to_pylist()
    assert {row["log_index"] for row in left if row["shard"] == shard}.isdisjoint({first, last})
    assert {"b|1|prompt", "e|1|prompt", "d|0|prompt"}.isdisjoint(
        row["body"] for row in read_table(new.lake, "contents").to_pylist()
    )
    live = {
        path
        for store in open_stores(new.lake).values()
        for path in store.fresh().get_add_actions().column("path").to_pylist()
    }
    on_disk = {file.name for file in new.lake.tables.rglob("tenant_id=*/*/*.parquet")}
    assert on_disk == {Path(path).name for path in live}
    assert not (new.lake.table("metrics") / named).exists()
    report = verified(new, old=vkeys(context))
    assert [log.findings for log in report.logs if log.findings] == []
    assert logs_of(report)[shard].purged == 2
    assert logs_of(report)[shard].contents.certified == 1
    (told,) = events(new, "retention.purged", "acme")
    assert (told["recorded_by"], json.loads(told["attributes"])) == ("muniment:restore", {"muniment.certificate": name})


def test_metrics_that_were_compacted_since_go_with_their_day(base, context, shard):
    """Where the backup holds a file's points in others, nobody can tell them apart: the tenant's day goes whole."""
    partition = "tenant_id=acme/day=2026-11-23"
    purge(context, base / "target", shard=shard, metrics=(MetricPoints("acme", f"{partition}/compact-x.parquet", 1),))
    done, new = restored(base, context)
    assert read_table(new.lake, "metrics").num_rows == 0
    assert done.reapplied.metrics_beyond == 9


def test_certificates_that_the_backup_follows_already_excuse_as_before(base, context, shard):
    """A certificate from before the backup comes along; nothing is deleted for it and nothing told again."""
    purge(context, base / "target", shard=shard, runs=())
    back_up(context, base / "target2")
    done = restore(base / "target2", base / "new", RestoreOptions(vkeys=vkeys(context)), clock=system_clock)
    assert done.certificates == {}
    assert [file.name for file in (base / "new" / "certificates").iterdir()] == list(done.opened.manifest.documents)


def test_a_purge_that_was_begun_is_named(base, context, shard):
    """An intent without a certificate deletes nothing here; the report names it, and the document comes along."""
    intent = PurgeIntent(
        lake="lake", purge_id="p2", time_unix_nano="1", plan_sha256="0" * 64, policy_sha256="0" * 64,
        ordered_by="user:alice", deleted=Deleted(runs=(Run("spans", "acme", shard, 3, 3),)),
    )  # fmt: skip
    name = put(context, base / "target", intent)
    done, new = restored(base, context)
    assert done.open_intents == [name]
    assert (new.lake.certificates / name).is_file()
    assert done.reapplied.rows == {}


def test_a_destroyed_key_does_not_come_back_through_the_keys_file(base, context):
    """A keys file from before the destruction opens, and the key is destroyed again; the others are there."""
    gone, kept = context.vault.tokens("acme", ["ada@example.org", "bob@example.org"])
    bundle = read_bundle(context.lake, context.lake.vault_file, lake_name="lake")
    key = context.vault.subject_key("acme", gone)
    shredded = subjects.shred_subject(
        context, tenant="acme", token=gone, reason="request 12", announce_nonce=lambda _nonce: None
    )
    file = context.lake.certificates / shredded.certificate_sha256
    mirror_documents([base / "target"], [file], lake=context.lake, lake_name="lake", clock=context.clock)
    done, new = restored(base, context, options=RestoreOptions(keys=bundle))
    assert done.subject_keys == 1
    assert new.vault.known("acme", [gone, kept]) == {kept}
    assert new.vault.reveal("acme", kept) == "bob@example.org"
    assert gone.encode() not in new.lake.vault_file.read_bytes()
    assert key is not None
    (told,) = [row for row in events(new, "erasure.completed", "acme") if row["recorded_by"] == "muniment:restore"]
    assert json.loads(told["attributes"]) == {"muniment.certificate": shredded.certificate_sha256}
    keys = read_signing_keys(new.lake.keys).keys
    assert [each.ends_unix_nano is None for each in keys] == [True, False]


def test_what_is_lost_is_told_and_never_passed(base, context, shard):
    """A verifier who saw more finds it lost in restore, in old logs and in those that began after the backup; nothing else."""
    again = fill(context, "lost")  # of a copied journal: another identity, and so another log
    seen = Seen({
        log.origin: SeenLog(log.head.checkpoint, log.head.note.decode(), log.signing_keys, 1)
        for log in verify_lake(context.lake, lake_name="lake", options=VerifyOptions(vkeys=vkeys(context))).logs
    })  # fmt: skip
    mirror_documents([base / "target"], [], lake=context.lake, lake_name="lake", clock=context.clock)
    done, new = restored(base, context)
    assert done.lost.known_sizes[f"lake/acme/{again}"] == 9
    assert (f"lake/acme/{shard}", 45, (1 << 53) - 1) in done.lost.ranges
    report = verified(new, old=vkeys(context), seen=seen)
    assert set(report.kinds) == {"lost-in-restore"}
    (finding,) = logs_of(report)[again].findings
    assert (finding.index, finding.last) == (0, 8)
    assert logs_of(report)[shard].findings == []
    (event,) = events(new, "lake.restored")
    told = json.loads(event["attributes"])
    assert [f"lake/acme/{shard}", 45, (1 << 53) - 1] in told["muniment.restore.lost"]
    assert told["muniment.restore.manifest"] == done.opened.manifest_sha256
    assert shard in told["muniment.restore.closed"] or context.control.shard(shard).closed_unix_nano


def test_the_old_key_lengthens_no_log_after_a_restore(base, context, shard):
    """The key that signed the backup ends at its sizes, by a `key.rotated` event, whoever has its seed."""
    _, new = restored(base, context)
    told = [json.loads(row["attributes"]) for row in events(new, "key.rotated")]
    assert [each["muniment.log.sizes"][f"acme/{shard}"] for each in told] == [45]


def altered(file, old=None, new=None):
    """Change one byte in the middle, or a text into another of its length."""
    content = bytearray(file.read_bytes())
    if old is None:
        content[len(content) // 2] ^= 1
    else:
        content = content.replace(old, new)
    file.write_bytes(content)


def data_file(target):
    return next(iter(sorted((target / "data").rglob("*.parquet"))))


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        pytest.param(lambda t: altered(t / MANIFEST_FILE, b'"size":', b'"sizf":'), "does not fit|sizf", id="manifest altered"),
        pytest.param(
            lambda t: altered(t / MANIFEST_FILE, b'"generation":1', b'"generation":2'), "does not fit", id="generation altered"
        ),
        pytest.param(lambda t: altered(data_file(t)), "with SHA-256", id="file altered"),
        pytest.param(lambda t: data_file(t).unlink(), "expected a file of the backup, got none", id="file missing"),
        pytest.param(lambda t: (t / LIST_FILE).unlink(), "expected the signed list of certificates", id="no list"),
        pytest.param(lambda t: altered(t / LIST_FILE, b'"count":1', b'"count":0'), "altered", id="list altered"),
        pytest.param(lambda t: shutil.rmtree(t / FOLDER), "expected a signed document, got: it is not there", id="documents gone"),
        pytest.param(
            lambda t: altered(next(f for f in (t / FOLDER).iterdir() if len(f.name) == 64)), "other bytes", id="document altered"
        ),
    ],
)  # fmt: skip
def test_a_damaged_backup_is_refused(base, context, shard, damage, error):
    """Every kind of damage is named, and no lake can be opened where the restore worked."""
    purge(context, base / "target", shard=shard, runs=(Run("spans", "acme", shard, 3, 3),))
    damage(base / "target")
    with pytest.raises((CorruptionError, InputError), match=error):
        restored(base, context)
    assert not (base / "new" / "muniment.yaml").exists()


def test_a_list_older_than_the_backup_is_refused(base, context, shard):
    """A list that was put back to one from before the backup does not name all that the backup follows."""
    before = (base / "target" / LIST_FILE).read_bytes()
    purge(context, base / "target", shard=shard, runs=())
    target = base / "target2"
    back_up(context, target)
    (target / LIST_FILE).write_bytes(before)
    with pytest.raises(CorruptionError, match="it is older than the backup"):
        restore(target, base / "new", RestoreOptions(vkeys=vkeys(context)), clock=system_clock)


def test_a_document_of_an_unknown_kind_is_refused(base, context):
    """What this version cannot apply again may be what says that somebody was erased."""
    signers = read_signing_keys(context.lake.keys).signers("lake/certificates", 1)
    content = sign_note("muniment/another@v9\n{}\n", signers)
    context.lake.certificates.mkdir(exist_ok=True)
    file = context.lake.certificates / sha256(content).hexdigest()
    file.write_bytes(content)
    mirror_documents([base / "target"], [file], lake=context.lake, lake_name="lake", clock=context.clock)
    with pytest.raises(CorruptionError, match="muniment/another@v9', which this version cannot re-apply"):
        restored(base, context)


def test_going_on_without_the_list_is_recorded_and_applies_what_is_sound(base, context, shard):
    """With a reason the restore goes on: certificates that are there and signed count, the reason stands in the event."""
    purge(context, base / "target", shard=shard, runs=(Run("spans", "acme", shard, 6, 6),))
    (base / "target" / LIST_FILE).unlink()
    options = RestoreOptions(vkeys=vkeys(context), without_certificates="list lost with the disk")
    done, new = restored(base, context, options=options)
    assert sum(done.reapplied.rows.values()) >= 1
    (event,) = events(new, "lake.restored")
    assert event["reason"] == "list lost with the disk"
    assert "expected the signed list" in json.loads(event["attributes"])["muniment.restore.without"][0]


def test_signers(base, context, tmp_path):
    """Without keys the signer is not established; another lake's key is refused, and so is one that did not sign."""
    done, _ = restored(base, context, options=RestoreOptions())
    assert not done.opened.established
    assert run(["init", "--lake", str(tmp_path / "other")]) == 0
    other = vkeys(command_context(tmp_path / "other"))
    with pytest.raises(CorruptionError, match="expected a signature by a known key"):
        restored(base, context, options=RestoreOptions(vkeys=other), to="x")
    elsewhere = [Ed25519Verifier("elsewhere", key.public_key) for key in other]
    with pytest.raises(InputError, match="expected a key of lake lake, got only keys of others"):
        restored(base, context, options=RestoreOptions(vkeys=elsewhere), to="x")


def test_a_restore_never_writes_over_a_lake(base, context):
    """A folder with anything in it is refused and left as it is."""
    (base / "new").mkdir()
    (base / "new" / "muniment.yaml").write_text("lake: other\n")
    with pytest.raises(ConflictError, match=r"expected an empty folder or none, got one with muniment\.yaml"):
        restored(base, context)
    assert [entry.name for entry in (base / "new").iterdir()] == ["muniment.yaml"]


def test_a_control_database_on_a_server_has_to_be_restored_first(base, context):
    """A practice run must not close the shards of the lake that goes on."""
    file = base / "target" / MANIFEST_FILE
    manifest = msgspec.structs.replace(read_unverified(file.read_bytes()), control="server")
    file.write_bytes(sign_manifest(manifest, read_signing_keys(context.lake.keys).signers("lake/backup", 1)))
    with pytest.raises(ConflictError, match="control database is on a server"):
        restored(base, context)


KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from pathlib import Path
from muniment import restoring
from muniment.restoring import RestoreOptions, restore
from warehouse.backup.staging import Staging
from warehouse.clock import system_clock
owner, name = {where}
original = getattr(owner, name)
def die(*arguments, **options):
    if {late!r}:
        original(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, die)
restore(Path({source!r}), Path({to!r}), RestoreOptions(), clock=system_clock)
"""


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "where",
    [
        "(restoring, 'copy_generation')",
        "(restoring, '_make_keys')",
        "(restoring, 'reapply_certificates')",
        "(restoring, 'restore_events')",
        "(Staging, 'place')",
        "(Path, 'rename')",
    ],
)
def test_killed_at_any_step_the_same_command_carries_on(base, context, shard, where, late):
    """After kill -9 no lake can be opened; the repetition makes it, with one `lake.restored`, nothing erased and all the rest."""
    purge(context, base / "target", shard=shard, runs=(Run("spans", "acme", shard, 6, 6),))
    code = KILLED.format(path=sys.path, where=where, late=late, source=str(base / "target"), to=str(base / "new"))
    assert run_code(code) == -signal.SIGKILL
    if "place" not in where or not late:
        assert not (base / "new" / "muniment.yaml").exists()
        restored(base, context)
    new = command_context(base / "new")
    assert len(events(new, "lake.restored")) == 1
    report = verified(new, old=vkeys(context))
    assert [log.findings for log in report.logs if log.findings] == []
    assert logs_of(report)[shard].purged == 1
    assert logs_of(report)[shard].present == 44


def test_the_next_backup_goes_on_in_the_same_target(base, context):
    """With the keys file the restored lake is the same lake: its next backup is the target's next generation."""
    bundle = read_bundle(context.lake, context.lake.vault_file, lake_name="lake")
    _, new = restored(base, context, options=RestoreOptions(keys=bundle))
    fill(new, "after")
    made = back_up(new, base / "target")
    assert made.manifest.generation == 2
    assert open_list(
        (base / "target" / LIST_FILE).read_bytes(), read_signing_keys(new.lake.keys).verifiers("lake/backup")
    )
    assert KIND in (base / "target" / LIST_FILE).read_text()
