"""One table's Delta log: commits that are durable, happen once, and survive what a crash leaves."""

import json
import os
import stat

import pytest
from deltalake import DeltaTable

from warehouse.delta import DeltaStore, set_torn_entry_aside
from warehouse.errors import ConflictError, CorruptionError, UnavailableError
from warehouse.parquet import write_parts
from warehouse.sequence import sequence
from warehouse.tables import LOGS


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "logs"


@pytest.fixture
def store(folder):
    return DeltaStore(LOGS, folder)


@pytest.fixture
def parts(rows, folder):
    """Writes one file of logs and returns its add actions."""
    import pyarrow as pa

    def write(stem, tag="t", count=2):
        done = sequence(
            rows.records(logs=rows.ledgered("logs", count, tag)),
            shard="main-1a2b3c4d", segment=0, metric_row=0, next_index={}, random_bytes=bytes,
        )  # fmt: skip
        table = pa.Table.from_batches([done.tables["logs"]])
        return [part.add_action(0) for part in write_parts(LOGS, table, folder, stem=stem)]

    return write


def entry(store, version):
    return store.log / f"{version:020d}.json"


def actions(store, version):
    return [json.loads(line) for line in entry(store, version).read_text().splitlines()]


def test_a_new_table_has_the_schema_partitions_and_settings_it_was_declared_with(store):
    """Partitioned by tenant and day, every counter 64 bits wide, statistics on time and index columns alone."""
    table = DeltaTable(str(store.folder))
    assert table.metadata().partition_columns == ["tenant_id", "day"]
    assert table.metadata().configuration["delta.dataSkippingStatsColumns"] == "time_unix_nano,end_unix_nano,log_index"
    assert "delta.enableDeletionVectors" not in table.metadata().configuration
    fields = {field["name"]: field["type"] for field in json.loads(table.schema().to_json())["fields"]}
    assert list(fields) == LOGS.schema.names
    assert {name for name, kind in fields.items() if kind in ("integer", "short", "byte")} == set()


def test_a_transaction_is_committed_once(store, parts):
    """The same application and version is a replay; a lower version is one too; both change nothing."""
    assert store.append(parts("a"), [("main/logs", 3)])
    for version in (3, 2):
        assert not store.append(parts("b"), [("main/logs", version)])
    assert store.committed("main/logs") == 3
    assert store.committed("other/logs") == -1
    assert len(store.fresh().file_uris()) == 1


def test_two_stores_on_one_table_see_each_others_transactions(store, folder, parts):
    """Another committer's transaction counts, though this handle was opened before it."""
    other = DeltaStore(LOGS, folder)
    assert store.append(parts("a"), [("main/logs", 3)])
    assert not other.append(parts("a"), [("main/logs", 3)])
    assert other.append(parts("b"), [("other/logs", 0)])
    assert store.committed("other/logs") == 0


def test_further_transactions_are_in_the_same_entry_with_and_without_files(store, parts):
    """An import's progress stands in the log entry of its rows, or alone where there are no rows."""
    store.append(parts("a"), [("main/logs", 0), ("import/abc/logs", 7)])
    store.append([], [("main/logs", 1), ("import/abc/logs", 8)])
    found = [a["txn"]["appId"] for version in (1, 2) for a in actions(store, version) if "txn" in a]
    assert sorted(found) == ["import/abc/logs", "import/abc/logs", "main/logs", "main/logs"]
    assert store.committed("import/abc/logs") == 8


def test_log_and_entries_are_private(store, parts):
    """The log is as private as the rows: folder 0700, entries 0600."""
    store.append(parts("a"), [("main/logs", 0)])
    assert stat.S_IMODE(store.log.stat().st_mode) == 0o700
    assert {stat.S_IMODE(entry(store, version).stat().st_mode) for version in (0, 1)} == {0o600}


def test_an_entry_is_durable_before_the_commit_returns(store, parts, monkeypatch):
    """The entry and the log's folder are synced after the commit, inside the call."""
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda d: (synced.append(os.readlink(f"/proc/self/fd/{d}")), real(d))[1])  # noqa: PTH115 - as a Path it could not be compared
    files = parts("a")
    synced.clear()
    store.append(files, [("main/logs", 0)])
    assert synced == [str(entry(store, 1)), str(store.log)]


def test_an_entry_that_a_killed_committer_left_is_made_durable_before_the_next(store, folder, parts, monkeypatch):
    """Whoever commits next syncs what another one wrote and did not live to sync."""
    import warehouse.delta as module

    other = DeltaStore(LOGS, folder)
    monkeypatch.setattr(module, "sync_file", lambda file: None)
    store.append(parts("a"), [("main/logs", 0)])
    synced = []
    monkeypatch.setattr(module, "sync_file", synced.append)
    other.append(parts("b"), [("other/logs", 0)])
    assert synced == [entry(store, 1), entry(store, 2)]


def test_a_failed_sync_is_no_commit_until_it_works(store, parts, monkeypatch):
    """An entry whose sync failed is written anew and synced before the transaction counts as done."""
    import warehouse.delta as module

    def refuse(_file):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module, "sync_file", refuse)
    files = parts("a")
    with pytest.raises(UnavailableError, match=r"table logs: commit failed: .*Input/output error"):
        store.append(files, [("main/logs", 0)])
    before = entry(store, 1).stat().st_ino
    monkeypatch.setattr(module, "replace_file", lambda file, content: refuse(file))
    with pytest.raises(UnavailableError, match="fsync failed"):
        store.make_durable()
    monkeypatch.undo()
    store.make_durable()
    assert entry(store, 1).stat().st_ino != before
    assert not store.append(files, [("main/logs", 0)])
    assert len(store.fresh().file_uris()) == 1


def damaged(content, how):
    """Ways in which an entry is not what was written."""
    lines = content.split(b"\n")
    return {
        "empty": b"",
        "cut in a line": content[:-30],
        "cut between lines": b"\n".join(lines[:-1]),
        "cut after a line": b"\n".join(lines[:-1]) + b"\n",
        "zeros at the end": content[:100] + bytes(len(content) - 100),
        "zeros in the middle": content[:100] + bytes(50) + content[150:],
        "not an object": b"[]",
    }[how]


DAMAGE = [
    "empty", "cut in a line", "cut between lines", "cut after a line", "zeros at the end", "zeros in the middle",
    "not an object",
]  # fmt: skip


@pytest.mark.parametrize("how", DAMAGE)
def test_a_torn_newest_entry_is_set_aside_and_its_commit_can_be_made_again(store, folder, parts, how):
    """What a crash left of the newest entry is kept under another name; the same commit then takes its version."""
    store.append(parts("a"), [("main/logs", 0)])
    files = parts("b")
    store.append(files, [("main/logs", 1)])
    whole = entry(store, 2).read_bytes()
    entry(store, 2).write_bytes(damaged(whole, how))
    again = DeltaStore(LOGS, folder)
    (aside,) = store.log.glob("*.torn-*")
    assert aside.read_bytes() == damaged(whole, how)
    assert again.committed("main/logs") == 0
    assert again.append(files, [("main/logs", 1)])
    assert len(again.fresh().file_uris()) == 2
    assert actions(again, 2)[1:] == [json.loads(line) for line in whole.splitlines()][1:]


@pytest.mark.parametrize("how", [*DAMAGE, "missing"])
def test_damage_to_an_older_entry_stops_the_table_and_is_left_alone(store, folder, parts, how):
    """No crash tears an entry that another one followed: the message names it, and nothing is moved."""
    for version in range(3):
        store.append(parts(f"f{version}"), [("main/logs", version)])
    if how == "missing":
        entry(store, 2).unlink()
    else:
        entry(store, 2).write_bytes(damaged(entry(store, 2).read_bytes(), how))
    names = sorted(os.listdir(store.log))  # noqa: PTH208 - names are what is compared
    with pytest.raises(CorruptionError, match=r"0{19}2\.json is (torn|missing), though .*3\.json was written"):
        DeltaStore(LOGS, folder)
    assert sorted(os.listdir(store.log)) == names  # noqa: PTH208 - as above


def test_a_torn_first_entry_makes_the_table_anew(store, folder):
    """A crash while a table is made leaves it to be made."""
    entry(store, 0).write_bytes(b"")
    again = DeltaStore(LOGS, folder)
    assert again.fresh().version() == 0
    assert len(list(store.log.glob("*.torn-*"))) == 1


def test_entries_that_a_checkpoint_covers_may_be_gone(store, folder, parts):
    """After a checkpoint and the clean-up of older entries the table opens, and its transactions still count."""
    for version in range(3):
        store.append(parts(f"f{version}"), [("main/logs", version)])
    table = store.fresh()
    table.create_checkpoint()
    table.cleanup_metadata()
    assert store.committed("main/logs") == 2
    assert store.append(parts("f3"), [("main/logs", 3)])
    again = DeltaStore(LOGS, folder)
    assert again.committed("main/logs") == 3
    assert len(again.fresh().file_uris()) == 4


def test_a_log_that_is_not_there_has_nothing_torn(tmp_path):
    """A table that was never made has no entry to repair."""
    assert set_torn_entry_aside(tmp_path / "nothing") is None


def test_a_rewrite_refuses_when_a_file_it_removes_is_gone(store, parts):
    """The second of two rewrites of the same file is told to start again, so that no row comes back."""
    from deltalake.transaction import RemoveAction

    store.append(parts("a"), [("main/logs", 0)])
    first, second = store.fresh(), store.fresh()
    path = store.fresh().get_add_actions().column("path")[0].as_py()
    remove = RemoveAction(
        path=path, deletion_timestamp=0, data_change=False, partition_values={"tenant_id": "acme", "day": "2026-11-23"}
    )
    store.rewrite(first, [remove], parts("compact-1"))
    for handle in (second, store.fresh()):
        with pytest.raises(ConflictError, match="1 of 1 files to replace are gone"):
            store.rewrite(handle, [remove], parts("compact-2"))
    assert len(store.fresh().file_uris()) == 1


def test_a_table_that_cannot_be_read_is_unavailable_in_one_line(store, folder):
    """Low-level errors do not leak: the message names the table, without delta-rs's stack trace."""
    entry(store, 0).unlink()
    with pytest.raises(UnavailableError, match=r"table logs: expected a Delta log in .*, got none") as caught:
        store.fresh()
    assert "\n" not in str(caught.value)


def test_a_table_that_cannot_be_made_is_unavailable(tmp_path, monkeypatch):
    """Opening a table where nothing can be written says so as `UnavailableError`."""

    def refuse(*_arguments, **_keywords):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(UnavailableError, match=r"table logs: opening failed: .*Read-only file system"):
        DeltaStore(LOGS, tmp_path / "logs")
