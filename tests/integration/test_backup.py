"""`muniment backup` on a real lake: what a generation holds, and what stays when a run is killed or refused."""

import json
import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from governance.controls.evaluating import evaluate
from governance.controls.framework import default_controls
from muniment.cli.app import run
from muniment.wiring import command_context
from tests.processes import run_code
from tests.rows import whole_batch
from tests.template import init_lake
from warehouse.backup.keys_file import read_keys_file
from warehouse.backup.making import make_backup
from warehouse.backup.manifest import MANIFEST_FILE, open_manifest
from warehouse.backup.snapshot import take_snapshot
from warehouse.commit import open_stores
from warehouse.errors import ConflictError, InputError, UnavailableError
from warehouse.ledger.signing import read_signing_keys
from warehouse.maintenance import MaintenanceConfig, run_maintenance
from warehouse.tables import TABLES

MERGE_ALL = MaintenanceConfig(merge_files=2, settled_merge_files=2, removed_grace_seconds=0, checkpoint_entries=1)


@pytest.fixture
def folder(tmp_path):
    return init_lake(tmp_path / "lake", "acme", "globex")


@pytest.fixture
def context(folder):
    return command_context(folder)


@pytest.fixture
def target(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    return target


def fill(context, *tags, tenant="acme"):
    """Write batches, each a segment of its own."""
    for tag in tags:
        writer = context.open_writer("w")
        writer.append(whole_batch(tag, tenant=tenant)).result(120)
        writer.stop()


def back_up(context, target):
    return make_backup(context.lake, target, lake_name="lake", control=context.lake.control_file, clock=context.clock)


def held(context, target):
    """The manifest, its signature checked, after each of its files was read: it has the size and hash that it names."""
    keys = read_signing_keys(context.lake.keys).verifiers("lake/backup")
    manifest = open_manifest((target / MANIFEST_FILE).read_bytes(), keys)
    for file in manifest.files:
        content = (target / file.path).read_bytes()
        assert (len(content), sha256(content).hexdigest()) == (file.size, file.sha256)
    return manifest


def on_disk(target):
    """Files of the target that belong to a generation."""
    folders = [target / "data", *target.glob("state-*")]
    return {file.relative_to(target).as_posix() for folder in folders for file in folder.rglob("*") if file.is_file()}


def test_a_generation_holds_what_the_manifest_names_and_nothing_else(context, target):
    """Each file has its size and hash; tables, logs, policies, settings and control database are there, keys and journals are not."""
    fill(context, "a", "b")
    back_up(context, target)
    manifest = held(context, target)
    paths = {file.lake_path for file in manifest.files}
    assert on_disk(target) == {file.path for file in manifest.files}
    assert {"muniment.yaml", "control.db"} <= paths
    assert any(path.startswith("tables/spans/tenant_id=acme/") for path in paths)
    assert any(path.startswith("policies/prices/") for path in paths)
    assert not any(path.startswith(("keys", "run", "spill")) or path.endswith(".seg") for path in paths)
    secrets = [(context.lake.keys / name).read_text() for name in ("lake.json", "ledger.json")]
    seed = json.loads(secrets[1])["keys"][0]["seed"]
    for path in on_disk(target):
        content = (target / path).read_bytes()
        assert json.loads(secrets[0])["secret"].encode() not in content
        assert seed.encode() not in content


def test_a_second_backup_copies_only_what_is_new(context, target):
    """Parquet files and full tiles that the target holds are not copied again; one generation is left."""
    fill(context, "a")
    first = back_up(context, target)
    fill(context, "b")
    second = back_up(context, target)
    old = {file.path for file in first.manifest.files if file.path.endswith(".parquet")}
    new = {file.path for file in second.manifest.files if file.path.endswith(".parquet")}
    assert old < new
    assert second.copied_files < second.files - len(old) + 1
    assert on_disk(target) == {file.path for file in held(context, target).files}
    assert not (target / "state-1").exists()


def test_replaced_files_leave_the_target(context, target):
    """A file that is not live any more, as after compaction or a purge, does not survive in the backup."""
    fill(context, "a", "b", "c")
    back_up(context, target)
    before = {path for path in on_disk(target) if "/spans/tenant_id=acme" in path and path.endswith(".parquet")}
    run_maintenance(context.lake, open_stores(context.lake), config=MERGE_ALL, clock=context.clock)
    back_up(context, target)
    after = {path for path in on_disk(target) if "/spans/tenant_id=acme" in path and path.endswith(".parquet")}
    assert len(before) == 3
    assert len(after) == 1
    assert not before & after


def test_a_lake_that_was_put_back_does_not_overwrite_its_backup(context, target, tmp_path):
    """A backup whose logs the lake does not continue is evidence of what was lost: it stays."""
    fill(context, "a")
    log = next((context.lake.path / "ledger" / "acme").iterdir())
    before = (log / "checkpoint").read_bytes()
    fill(context, "b")
    back_up(context, target)
    manifest = (target / MANIFEST_FILE).read_bytes()
    (log / "checkpoint").write_bytes(before)
    with pytest.raises(ConflictError, match=r"is not a beginning of the lake's.*put back or rewritten"):
        back_up(context, target)
    assert (target / MANIFEST_FILE).read_bytes() == manifest


def test_places_that_are_no_target_are_refused(context, target, tmp_path):
    """The lake itself, a folder of something else, one that is not there and another lake's are refused, untouched."""
    inside = context.lake.path / "backup"
    inside.mkdir()
    with pytest.raises(InputError, match="apart from the lake"):
        back_up(context, inside)
    (target / "holiday.jpg").touch()
    with pytest.raises(ConflictError, match=r"expected a backup or an empty folder, got holiday\.jpg"):
        back_up(context, target)
    assert [entry.name for entry in target.iterdir()] == ["holiday.jpg"]
    with pytest.raises(UnavailableError, match="expected a folder that is there"):
        back_up(context, tmp_path / "away")
    other = tmp_path / "other"
    assert run(["init", "--lake", str(other)]) == 0
    shared = tmp_path / "shared"
    shared.mkdir()
    back_up(command_context(other), shared)
    with pytest.raises((ConflictError, UnavailableError)):
        back_up(context, shared)


KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from pathlib import Path
from muniment.wiring import command_context
from warehouse.backup import making, target
from warehouse.backup.making import make_backup
step = {step!r}
owner = target.TargetWriter
original = getattr(owner, step)
def die(self, *arguments, **options):
    if step != "begin" and {late!r}:
        original(self, *arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, step, die)
context = command_context(Path({lake!r}))
make_backup(context.lake, Path({target!r}), lake_name="lake", control=context.lake.control_file, clock=context.clock)
"""


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("step", ["begin", "copy", "add", "put", "take", "finish", "_sweep"])
def test_killed_at_any_step_a_whole_generation_is_there(context, target, step, late):
    """After kill -9 before or after each step the manifest names a generation that is whole; the next run finishes the work."""
    fill(context, "a")
    back_up(context, target)
    fill(context, "b")
    code = KILLED.format(path=sys.path, step=step, late=late, lake=str(context.lake.path), target=str(target))
    assert run_code(code) == -signal.SIGKILL
    switched = step == "_sweep" or (step == "finish" and late)
    assert held(context, target).generation == (2 if switched else 1)
    made = back_up(context, target)
    assert held(context, target).generation == made.manifest.generation
    assert on_disk(target) == {file.path for file in made.manifest.files}


def test_beside_a_writer_and_compaction_every_generation_is_cut_at_its_checkpoints(context, target):
    """Rows above the signed sizes are in no generation, and each row below them is, whatever was committed meanwhile."""
    code = f"""
import sys, time
sys.path[:0] = {[*sys.path, str(Path(__file__).parents[2])]!r}
from pathlib import Path
from tests.rows import whole_batch
import msgspec
from muniment.wiring import command_context
from warehouse.commit import open_stores
from warehouse.maintenance import MaintenanceConfig, run_maintenance
from warehouse.tables import TABLES
from warehouse.writer import open_writer
context = command_context(Path({str(context.lake.path)!r}))
stores = open_stores(context.lake)
config = msgspec.structs.replace(context.settings.writer, commit_interval_seconds=0.05)
writer = open_writer(context.lake, "w", context.claims, stores, config=config, clock=context.clock, lake_name="lake", redactor=context.redactor)
number = 0
while True:
    writer.append(whole_batch(f"t{{number}}", tenant=("acme", "globex")[number % 2])).result(120)
    number += 1
    if number % 20 == 0:
        run_maintenance(context.lake, stores, config=MaintenanceConfig(merge_files=2, settled_merge_files=2, removed_grace_seconds=0), clock=context.clock)
"""
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not list((context.lake.path / "ledger" / "globex").glob("*/checkpoint")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        for _ in range(4):
            back_up(context, target)
            assert_cut(context, target)
        assert process.poll() is None
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_lake_rewritten_faster_than_it_is_copied_is_copied(context, target, monkeypatch):
    """After two attempts that lost their files to compaction, clean-up waits for the backup."""
    looks = []

    def overtaken(lake, *, clock):
        snapshot = take_snapshot(lake, clock=clock)
        fill(context, f"new{len(looks)}", f"newer{len(looks)}")
        reports = run_maintenance(lake, open_stores(lake), config=MERGE_ALL, clock=clock).tables
        looks.append({report.table for report in reports if report.cleanup_skipped})
        return snapshot

    monkeypatch.setattr("warehouse.backup.making.take_snapshot", overtaken)
    fill(context, "one", "two")
    back_up(context, target)
    assert_cut(context, target)
    assert looks == [set(), set(), set(TABLES)]


def assert_cut(context, target):
    import pyarrow.parquet as pq
    from deltalake import DeltaTable

    manifest = held(context, target)
    sizes = {tuple(log.origin.split("/")[1:]): log.size for log in manifest.logs}
    found = {name: [] for name in sizes}
    for table in ("spans", "audit_events", "logs"):
        entry = next(file for file in manifest.files if file.lake_path.startswith(f"tables/{table}/_delta_log"))
        live = DeltaTable(str((target / entry.path).parents[1])).get_add_actions().column("path").to_pylist()
        paths = {file.lake_path for file in manifest.files if file.path.endswith(".parquet")}
        assert {f"tables/{table}/{path}" for path in live} == {p for p in paths if p.startswith(f"tables/{table}/")}
        for path in live:
            tenant = path.split("/")[0].removeprefix("tenant_id=")
            rows = pq.ParquetFile(target / "data" / "tables" / table / path).read(columns=["shard", "log_index"])
            for shard, index in zip(rows["shard"].to_pylist(), rows["log_index"].to_pylist(), strict=True):
                found[tenant, shard].append(index)
    assert {name: sorted(indices) for name, indices in found.items()} == {
        name: list(range(size)) for name, size in sizes.items()
    }


def test_keys_go_into_a_file_of_their_own(folder, context, tmp_path, capfd):
    """Secret, signing keys and vault are in one encrypted file, mode 0600; nothing of them can be read without the passphrase."""
    token = context.vault.tokens("acme", ["ada@example.org"])[0]
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery\n")
    file = tmp_path / "acme.keys"
    command = ["backup", "--keys", str(file), "--passphrase-file", str(passphrase), "--lake", str(folder)]
    assert run(command) == 0
    assert run(command) == 0, capfd.readouterr().err
    assert file.stat().st_mode & 0o777 == 0o600
    bundle = read_keys_file(file, "correct horse battery")
    assert bundle.secret == (context.lake.keys / "lake.json").read_bytes()
    assert bundle.signing == (context.lake.keys / "ledger.json").read_bytes()
    assert bundle.vault is not None
    assert token.encode() in bundle.vault
    assert token.encode() not in file.read_bytes()
    with pytest.raises(InputError, match="expected the passphrase that it was written with"):
        read_keys_file(file, "correct horse batter")
    altered = bytearray(file.read_bytes())
    altered[-1] ^= 1
    file.write_bytes(altered)
    with pytest.raises(InputError, match="one that does not open it"):
        read_keys_file(file, "correct horse battery")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param(["--keys", "{lake}/x"], "expected a file apart from", id="in the lake"),
        pytest.param(["--keys", "{tmp}/no/x"], "expected a folder that is there", id="no folder"),
        pytest.param(
            ["--keys", "{tmp}/passphrase"], "expected a file that `muniment backup --keys` wrote", id="another file"
        ),
        pytest.param(["--keys", "{tmp}/k", "{tmp}"], "expected a folder or --keys, got both", id="both"),
        pytest.param([], "expected a folder or the setting backup.targets", id="neither"),
    ],
)
def test_what_a_backup_refuses(folder, tmp_path, capfd, arguments, error):
    """Usage that would put keys beside the records, over another file, or nowhere, is named (exit 2)."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery\n")
    given = [each.format(lake=folder, tmp=tmp_path) for each in arguments]
    assert run(["backup", *given, "--passphrase-file", str(passphrase), "--lake", str(folder)]) == 2
    assert error in " ".join(capfd.readouterr().err.split())


def test_it_is_recorded_before_and_after(folder, target, capfd):
    """The export stands in the lake's log before anything is read, and so in the backup itself; the whole backup afterwards."""
    assert run(["backup", str(target), "--lake", str(folder), "--json"]) == 0
    (report,) = json.loads(capfd.readouterr().out)
    query = "select event_name, action, attributes from audit_events where event_name in ('data.exported', 'lake.backed_up') order by log_index"
    assert run(["sql", query, "--tenant", "_lake", "--format", "json", "--lake", str(folder)]) == 0
    events = [each for each in json.loads(capfd.readouterr().out) if each["action"] == "backup"]
    assert [event["event_name"] for event in events] == ["data.exported", "lake.backed_up"]
    told = json.loads(events[1]["attributes"])
    assert told["muniment.backup.manifest"] == report["manifest_sha256"]
    assert sha256((target / MANIFEST_FILE).read_bytes()).hexdigest() == report["manifest_sha256"]


def test_each_tenant_is_told_what_of_its_own_the_backup_holds(context, folder, target, capfd):
    """How many records of each of its logs, as the manifest has them, and neither the folder nor other tenants; a control reads that."""
    fill(context, "one")
    assert run(["backup", str(target), "--lake", str(folder)]) == 0
    capfd.readouterr()
    query = "select attributes from audit_events where event_name = 'lake.backed_up'"
    assert run(["sql", query, "--tenant", "acme", "--format", "json", "--lake", str(folder)]) == 0
    (event,) = json.loads(capfd.readouterr().out)
    told = json.loads(event["attributes"])
    manifest = open_manifest(
        (target / MANIFEST_FILE).read_bytes(), read_signing_keys(context.lake.keys).verifiers("lake/backup")
    )
    sizes = {log.origin: log.size for log in manifest.logs if log.origin.startswith("lake/acme/")}
    assert {f"lake/acme/{shard}": size for shard, size in told.pop("muniment.backup.records").items()} == sizes
    assert sizes
    assert set(told) == {"muniment.backup.manifest", "muniment.backup.time_unix_nano"}
    control = next(each for each in default_controls().frameworks["pci-dss"].controls if each.id == "10.3.3")
    with context.session(["acme"]) as session:
        outcome = evaluate(session, control, from_unix_nano=0, to_unix_nano=context.clock())
    # the records of this test are from long before: that they are in a backup follows from the shards and sizes told
    assert set(outcome.population["exception"].to_pylist()) == {"backed up more than a day later"}
