"""Clean-up: what is deleted, what survives, and in which order."""

import dataclasses
import datetime as dt
import json
import threading
import time

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from warehouse.clock import NANOS_PER_SECOND, system_clock
from warehouse.delta import DeltaStore
from warehouse.errors import CorruptionError, InputError, UnavailableError
from warehouse.lake import make_lake
from warehouse.maintenance import MaintenanceConfig, cleanup, orphans, run_maintenance
from warehouse.maintenance.log import application_ids, log_entries
from warehouse.maintenance.orphans import sweep_leftovers, sweep_orphans
from warehouse.maintenance.partition import cleanup_lock
from warehouse.marks import write_mark
from warehouse.parquet import write_parts
from warehouse.tables import LOGS

SHARD = "main-1a2b3c4d"
FOLDER = "tenant_id=acme/day=2024-01-05"
CONFIG = MaintenanceConfig(merge_files=4, settled_merge_files=4, checkpoint_entries=1)
HOUR = 3600 * NANOS_PER_SECOND


class Lakeful:
    """A lake with a table `logs`, written a segment at a time, each with transactions of shard and import."""

    def __init__(self, folder):
        self.lake = make_lake(folder)
        self.store = DeltaStore(LOGS, self.lake.table("logs"))
        self.next_segment = 0

    def write(self, segments, *, commit=True, mark=True):
        for _ in range(segments):
            segment = self.next_segment
            self.next_segment += 1
            parts = write_parts(LOGS, log_rows(segment * 5, 5), self.store.folder, stem=f"{SHARD}-{segment:010d}")
            if commit:
                self.store.append(
                    [part.add_action(segment) for part in parts],
                    [(f"{SHARD}/logs", segment), (f"import/{'f' * 64}/logs", segment // 2)],
                )
            if mark:
                (self.lake.journal / SHARD).mkdir(exist_ok=True)
                write_mark(self.lake.journal / SHARD, segment)

    def run(self, *, config=CONFIG, clock=system_clock, **given):
        (report,) = run_maintenance(self.lake, {"logs": self.store}, config=config, clock=clock, **given).tables
        assert report.failures == ()
        return report

    def on_disk(self):
        return {file.relative_to(self.store.folder).as_posix() for file in self.store.folder.glob("*/*/*.parquet")}

    def live(self):
        return set(self.store.fresh().get_add_actions().column("path").to_pylist())

    def indices(self):
        rows = duckdb.connect().read_parquet([str(self.store.folder / path) for path in self.live()])
        return sorted(index for (index,) in rows.query("r", "select log_index from r").fetchall())


def log_rows(first, rows):
    values = {
        "tenant_id": ["acme"] * rows,
        "day": [dt.date(2024, 1, 5)] * rows,
        "shard": [SHARD] * rows,
        "log_index": range(first, first + rows),
        "time_unix_nano": range(rows),
        "body": ["text"] * rows,
    }
    arrays = [pa.array(values.get(field.name, [None] * rows), field.type) for field in LOGS.schema]
    return pa.table(arrays, schema=LOGS.schema)


@pytest.fixture
def lakeful(tmp_path):
    return Lakeful(tmp_path / "lake")


def test_replaced_files_outlive_their_grace_and_no_longer(lakeful):
    """A query that opened before a rewrite keeps its files for the grace; afterwards they go."""
    lakeful.write(4)
    opened = [str(lakeful.store.folder / path) for path in lakeful.live()]
    assert lakeful.run().removed_files_deleted == 0
    assert lakeful.run().removed_files_deleted == 0
    assert duckdb.connect().read_parquet(opened).count("*").fetchall() == [(20,)]
    # the rewrite was made an hour ago by the clock that stamped it
    lakeful.write(4)
    lakeful.run(clock=lambda: system_clock() - HOUR)
    assert lakeful.on_disk() - lakeful.live() == {
        f"{FOLDER}/{SHARD}-{segment:010d}-logs.parquet" for segment in range(4)
    }
    assert lakeful.indices() == list(range(40))


def test_a_grace_set_later_counts(lakeful):
    """Without grace, replaced files go in the same round."""
    lakeful.write(4)
    config = MaintenanceConfig(merge_files=4, settled_merge_files=4, removed_grace_seconds=0, checkpoint_entries=1)
    assert lakeful.run(config=config).removed_files_deleted == 4
    assert lakeful.on_disk() == lakeful.live()
    assert lakeful.store.fresh().metadata().configuration["delta.deletedFileRetentionDuration"] == "interval 0 seconds"
    version = lakeful.store.fresh().version()
    lakeful.run(config=config)
    assert lakeful.store.fresh().version() == version


def test_clean_up_adds_no_commit_and_keeps_uncommitted_files(lakeful):
    """Vacuum is lite: a file that a writer is about to commit stays, and the log gets no entry from cleaning."""
    lakeful.write(4)
    lakeful.write(1, commit=False, mark=False)
    (pending,) = lakeful.on_disk() - lakeful.live()
    lakeful.run()
    version = lakeful.store.fresh().version()
    report = lakeful.run(config=MaintenanceConfig(checkpoint_entries=1))
    assert lakeful.store.fresh().version() == version
    assert pending in lakeful.on_disk()
    assert (report.swept.deleted, report.swept.pending) == ((), 1)


def test_transactions_survive_checkpoint_and_log_clean_up(lakeful):
    """Which segments and import chunks are in the table is known after every older log entry has gone."""
    for _ in range(3):
        lakeful.write(4)
        report = lakeful.run()
        assert report.checkpoint is not None
        assert report.checkpoint.transactions == 2
        assert [version for version, _ in log_entries(lakeful.store.log)] == [report.checkpoint.version]
    again = DeltaStore(LOGS, lakeful.store.folder)
    assert again.committed(f"{SHARD}/logs") == 11
    assert again.committed(f"import/{'f' * 64}/logs") == 5
    assert again.committed("import/other/logs") == -1
    assert lakeful.indices() == list(range(60))
    # a replay of an old segment is still recognised, by the store that lived through it and by a new one
    for store in (lakeful.store, again):
        assert not store.append([], [(f"{SHARD}/logs", 7)])


def test_a_writer_far_behind_commits_after_the_clean_up(lakeful):
    """A store whose handle is older than every log entry left sees the newest version and goes on."""
    lakeful.write(2)
    behind = DeltaStore(LOGS, lakeful.store.folder)
    lakeful.write(6)
    lakeful.run()
    parts = write_parts(LOGS, log_rows(900, 5), behind.folder, stem=f"late-1a2b3c4d-{0:010d}")
    assert behind.committed(f"{SHARD}/logs") == 7
    assert behind.append([part.add_action(1) for part in parts], [("late-1a2b3c4d/logs", 0)])
    assert len(lakeful.indices()) == 45
    assert lakeful.store.committed("late-1a2b3c4d/logs") == 0


def test_entries_committed_after_the_checkpoint_stay(lakeful, monkeypatch):
    """Log clean-up removes entries up to the checkpoint, and none that a writer added meanwhile."""
    lakeful.write(3)
    real = cleanup._read_back

    def read_back_and_write(*args):
        real(*args)
        lakeful.write(2)

    monkeypatch.setattr(cleanup, "_read_back", read_back_and_write)
    done = cleanup.checkpoint(lakeful.store)
    assert [version for version, _ in log_entries(lakeful.store.log)] == [
        done.version,
        done.version + 1,
        done.version + 2,
    ]
    assert lakeful.indices() == list(range(25))
    assert DeltaStore(LOGS, lakeful.store.folder).committed(f"{SHARD}/logs") == 4


@pytest.mark.parametrize("damage", ["transactions", "files"])
def test_a_checkpoint_that_is_not_the_table_is_taken_away(lakeful, tmp_path, monkeypatch, damage):
    """Where the table read back differs, no log entry goes and the checkpoint does not stay."""
    lakeful.write(4)
    before, rows = log_entries(lakeful.store.log), lakeful.indices()
    if damage == "transactions":
        monkeypatch.setattr(cleanup, "_versions", lambda handle, _ids: {"x": id(handle)})
    else:
        other = Lakeful(tmp_path / "other")
        other.write(3)
        monkeypatch.setattr(cleanup, "DeltaTable", lambda _folder: other.store.fresh())
    with pytest.raises(CorruptionError, match=f"expected what the log says, got other .*{damage}"):
        cleanup.checkpoint(lakeful.store)
    assert log_entries(lakeful.store.log) == before
    assert not list(lakeful.store.log.glob("*checkpoint*"))
    assert not list(lakeful.store.folder.glob("_readback-*"))
    assert lakeful.indices() == rows


def test_a_failed_later_checkpoint_leaves_the_earlier_one(lakeful, monkeypatch):
    """Taking a bad checkpoint away puts `_last_checkpoint` back to the one before."""
    lakeful.write(4)
    first = cleanup.checkpoint(lakeful.store).version
    lakeful.write(2)
    monkeypatch.setattr(cleanup, "_versions", lambda handle, _ids: {"x": id(handle)})
    with pytest.raises(CorruptionError):
        cleanup.checkpoint(lakeful.store)
    assert json.loads((lakeful.store.log / "_last_checkpoint").read_bytes())["version"] == first
    assert lakeful.indices() == list(range(30))
    assert application_ids(lakeful.store.log, first + 2) == {f"{SHARD}/logs", f"import/{'f' * 64}/logs"}


def test_a_log_that_names_a_file_as_live_and_removed_stops_the_clean_up(lakeful, monkeypatch):
    """Nothing is deleted by a list that contradicts the live files."""
    lakeful.write(2)
    live = lakeful.live()
    monkeypatch.setattr(DeltaTable, "vacuum", lambda self, **_given: sorted(live))
    with pytest.raises(CorruptionError, match="as live and as removed"):
        cleanup.delete_removed(lakeful.store)
    assert lakeful.on_disk() == live


def test_a_disk_that_refuses_is_reported(lakeful):
    """A round goes on with what it can and says what it could not do."""
    lakeful.write(4)
    (lakeful.store.log / "_last_checkpoint").mkdir()
    report = run_maintenance(lakeful.lake, {"logs": lakeful.store}, config=CONFIG, clock=system_clock)
    assert len(report.failures) == 1
    assert "table logs: checkpoint failed" in report.failures[0]
    assert lakeful.indices() == list(range(20))


@pytest.mark.parametrize(
    ("name", "committed_mark", "deleted"),
    [
        (f"{SHARD}-0000000003-logs.parquet", 3, True),
        (f"{SHARD}-0000000004-logs.parquet", 3, False),
        ("main-99999999-0000000000-logs.parquet", 3, False),
        (f"compact-{'a' * 32}.parquet", 3, True),
        (f"compact-{'a' * 31}.parquet", 3, False),
        ("somebody-elses.parquet", 3, False),
    ],
)
def test_a_file_unknown_to_the_log_goes_only_by_its_name(lakeful, name, committed_mark, deleted):
    """At or below the shard's mark, or of a rewrite that nobody is making; any other name stays."""
    lakeful.write(1)
    write_mark(lakeful.lake.journal / SHARD, committed_mark)
    file = lakeful.store.folder / FOLDER / name
    file.write_bytes(b"PAR1")
    swept = sweep_orphans(lakeful.lake, lakeful.store)
    assert swept.deleted == ((f"{FOLDER}/{name}",) if deleted else ())
    assert file.exists() is not deleted
    assert lakeful.indices() == list(range(5))


def test_the_sweep_spares_replaced_files_whatever_their_time(lakeful):
    """A file in its grace is no orphan, even where the clock that stamped its removal runs ahead."""
    lakeful.write(4)
    lakeful.run(clock=lambda: system_clock() + HOUR)
    assert len(lakeful.on_disk() - lakeful.live()) == 4
    assert sweep_orphans(lakeful.lake, lakeful.store).deleted == ()


def test_the_sweep_looks_again_under_the_lock(lakeful, monkeypatch):
    """A rewrite that commits between the sweep's first look and its lock does not lose its file."""
    lakeful.write(1)
    (part,) = write_parts(LOGS, log_rows(100, 5), lakeful.store.folder, stem="x")
    path = f"{FOLDER}/compact-{'b' * 32}.parquet"
    (lakeful.store.folder / part.path).rename(lakeful.store.folder / path)
    real = orphans.partition_lock

    def commit_first(*args):
        lakeful.store.append([dataclasses.replace(part, path=path).add_action(1)], [("other/logs", 0)])
        return real(*args)

    monkeypatch.setattr(orphans, "partition_lock", commit_first)
    assert sweep_orphans(lakeful.lake, lakeful.store).deleted == ()
    assert lakeful.indices() == [0, 1, 2, 3, 4, 100, 101, 102, 103, 104]


def test_leftovers_of_killed_processes_go_when_they_are_old(lakeful):
    """Temporary files and folders go after their age; young ones may be in use."""
    lakeful.write(1)
    (lakeful.store.log / "_commit_0b8f.json.tmp").write_bytes(b"{}")
    (lakeful.store.folder / ".x.parquet.77.tmp").write_bytes(b"")
    (lakeful.lake.spill / "compact-00").mkdir()
    (lakeful.store.folder / "_readback-77").mkdir()
    young = sweep_leftovers(lakeful.lake, lakeful.store, age_seconds=3600, clock=system_clock)
    assert young == 1  # the folder of a read-back, which only the holder of the clean-up lock makes
    later = sweep_leftovers(lakeful.lake, lakeful.store, age_seconds=3600, clock=lambda: system_clock() + 2 * HOUR)
    assert later == 3
    assert lakeful.indices() == list(range(5))


def test_a_table_that_another_cleans_is_left_for_the_next_round(lakeful):
    """Two rounds at once do not write checkpoints over each other."""
    lakeful.write(4)
    with cleanup_lock(lakeful.lake, "logs") as held:
        assert held
        report = lakeful.run()
    assert report.cleanup_skipped
    assert report.checkpoint is None
    assert not list(lakeful.store.log.glob("*checkpoint*"))


def test_an_unknown_table_is_refused(lakeful):
    """The message names the tables there are."""
    with pytest.raises(InputError, match="expected some of logs, got nope"):
        run_maintenance(lakeful.lake, {"logs": lakeful.store}, config=CONFIG, clock=system_clock, tables=["nope"])


def test_readers_opening_during_clean_up_see_every_row(lakeful):
    """A table opened anew again and again while rounds run is whole each time, or says that it cannot be read."""
    lakeful.write(8)
    seen, ended = [], threading.Event()

    def read():
        while not ended.is_set():
            try:
                actions = pa.table(lakeful.store.fresh().get_add_actions())
                seen.append(sum(actions.column("num_records").to_pylist()))
            except UnavailableError:
                seen.append(None)
            time.sleep(0.001)

    reader = threading.Thread(target=read)
    reader.start()
    expected = {40}
    try:
        for _ in range(8):
            lakeful.run()
            lakeful.write(1)
            expected.add(lakeful.next_segment * 5)
    finally:
        ended.set()
        reader.join()
    assert set(seen) - {None} <= expected
    assert set(seen) & expected
