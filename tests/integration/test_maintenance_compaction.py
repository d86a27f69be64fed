"""Compaction beside writers, readers, purges and crashes."""

import datetime as dt
import os
import signal
import textwrap
import threading
import time
from collections import Counter
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.transaction import RemoveAction
from msgspec import structs

from tests.processes import run_code
from tests.rows import MemoryClaims
from warehouse.clock import system_clock
from warehouse.commit import open_stores
from warehouse.delta import _HOOKS, DeltaStore
from warehouse.errors import ConflictError, UnavailableError
from warehouse.lake import make_lake
from warehouse.locks import FileLock
from warehouse.maintenance import Compacted, MaintenanceConfig, Partition, compaction, maintenance_state, partition_lock
from warehouse.maintenance.compaction import Compactor
from warehouse.maintenance.orphans import sweep_orphans
from warehouse.maintenance.run import run_maintenance
from warehouse.marks import write_mark
from warehouse.own_events import OwnEvent, own_event_records
from warehouse.parquet import write_parts
from warehouse.tables import SPANS
from warehouse.treated import UnsafeKeepAll
from warehouse.writer import WriterConfig, open_writer

SHARD = "main-1a2b3c4d"
DAY = dt.date(2024, 1, 5)
FOLDER = "tenant_id=acme/day=2024-01-05"
PARTITION = Partition("spans", "acme", "2024-01-05")
CONFIG = MaintenanceConfig(merge_files=4, settled_merge_files=4, checkpoint_entries=1)
ONE_BY_ONE = structs.replace(CONFIG, commit_merges=1)
ROOT = Path(__file__).parents[2]


class Lakeful:
    """A lake whose table `spans` is written a segment at a time, as the writer does it."""

    def __init__(self, folder):
        self.lake = make_lake(folder)
        self.store = DeltaStore(SPANS, self.lake.table("spans"))
        self.next_segment = 0

    def write(self, segments, *, tenant="acme", mark=True, commit=True, rows=7):
        """Write, commit and mark that many segments of `rows` rows each."""
        for _ in range(segments):
            segment = self.next_segment
            self.next_segment += 1
            parts = write_parts(
                SPANS, span_rows(tenant, segment * rows, rows), self.store.folder, stem=f"{SHARD}-{segment:010d}"
            )
            if commit:
                self.store.append([part.add_action(segment) for part in parts], [(f"{SHARD}/spans", segment)])
            if mark:
                self.mark(segment)

    def mark(self, segment):
        (self.lake.journal / SHARD).mkdir(exist_ok=True)
        write_mark(self.lake.journal / SHARD, segment)

    def compactor(self, store=None, config=CONFIG, name=lambda: os.urandom(16).hex()):
        return Compactor(self.lake, store or self.store, config, system_clock, name)

    def compact(self, **given):
        return list(self.compactor(**given).run(done=lambda _done, _all: None, stop=lambda: False))

    def paths(self):
        return sorted(self.store.fresh().get_add_actions().column("path").to_pylist())

    def on_disk(self):
        return sorted(
            file.relative_to(self.store.folder).as_posix() for file in self.store.folder.glob("*/*/*.parquet")
        )

    def rows(self):
        """Multiset of (tenant, shard, log_index, a hash of each column), read by DuckDB."""
        files = [str(self.store.folder / path) for path in self.paths()]
        if not files:
            return Counter()
        rows = duckdb.connect().read_parquet(files, hive_partitioning=True)
        return Counter(rows.query("r", "select tenant_id, shard, log_index, hash(columns(*)) from r").fetchall())


def span_rows(tenant, first, rows):
    values = {
        "tenant_id": [tenant] * rows,
        "day": [DAY] * rows,
        "shard": [SHARD] * rows,
        "log_index": range(first, first + rows),
        "salt": [os.urandom(16) for _ in range(rows)],
        "trace_id": [os.urandom(16).hex() for _ in range(rows)],
        "time_unix_nano": range(rows),
        "attributes": ['{"a":"ä"}'] * rows,
        "subjects": [["t1", "t2"]] * rows,
    }
    arrays = [pa.array(values.get(field.name, [None] * rows), field.type) for field in SPANS.schema]
    return pa.table(arrays, schema=SPANS.schema)


@pytest.fixture
def lakeful(tmp_path):
    return Lakeful(tmp_path / "lake")


def test_the_same_rows_lie_in_one_sorted_file_afterwards(lakeful):
    """Compaction changes files, and not one value of one row."""
    lakeful.write(6)
    lakeful.write(5, tenant="globex")
    before = lakeful.rows()
    results = lakeful.compact()
    assert [(r.partition.tenant_id, r.files_before, r.files_after, r.rows) for r in results] == [
        ("acme", 6, 1, 42),
        ("globex", 5, 1, 35),
    ]
    assert lakeful.rows() == before
    paths = lakeful.paths()
    assert [path.rpartition("/")[0] for path in paths] == [FOLDER, "tenant_id=globex/day=2024-01-05"]
    traces = pq.read_table(lakeful.store.folder / paths[0], partitioning=None).column("trace_id").to_pylist()
    assert traces == sorted(traces)
    assert lakeful.compact() == []


def test_files_above_the_mark_are_never_compacted(lakeful):
    """A file whose segment is not committed in every table yet stays as it is."""
    lakeful.write(4)
    lakeful.write(4, mark=False)
    above = [f"{FOLDER}/{SHARD}-{segment:010d}-spans.parquet" for segment in range(4, 8)]
    lakeful.compact()
    assert set(above) < set(lakeful.paths())
    assert len(lakeful.paths()) == 5
    lakeful.mark(7)
    lakeful.compact()
    assert not set(above) & set(lakeful.paths())


def test_appends_landing_meanwhile_survive(lakeful, monkeypatch):
    """A commit into the same partition between planning and committing is kept."""
    lakeful.write(4)
    real = compaction.merge_files

    def merge_and_append(*args, **given):
        lakeful.write(1)
        real(*args, **given)

    monkeypatch.setattr(compaction, "merge_files", merge_and_append)
    (result,) = lakeful.compact()
    assert (result.files_before, result.failure, result.conflicts) == (4, "", 0)
    assert len(lakeful.paths()) == 2
    assert sorted(row[2] for row in lakeful.rows()) == list(range(35))


def test_no_lock_of_the_writer_is_held_while_files_are_read_or_written(lakeful, monkeypatch):
    """The table's commit lock is free during the merge and the fsync, so that a writer waits for a commit at most."""
    lakeful.write(4)
    seen = []
    for name in ("merge_files", "describe_file"):
        real = getattr(compaction, name)

        def watched(*args, _real=real, _name=name, **given):
            free = FileLock(lakeful.store.folder / "_commit.lock")
            seen.append((_name, free.acquire(holder="test"), lakeful.store._thread_lock.locked()))
            free.release()
            return _real(*args, **given)

        monkeypatch.setattr(compaction, name, watched)
    lakeful.compact()
    assert seen == [("merge_files", True, False), ("describe_file", True, False)]


def replace_half(store, *, handle=None):
    """Another rewrite: a purge that drops one live file."""
    handle = handle or store.fresh()
    gone = min(handle.get_add_actions().column("path").to_pylist())
    store.rewrite(handle, [remove_action(gone)], [])
    return gone


def remove_action(path):
    return RemoveAction(
        path,
        data_change=True,
        deletion_timestamp=1,
        size=1,
        partition_values={"tenant_id": "acme", "day": "2024-01-05"},
    )


@pytest.mark.parametrize("refreshed", [False, True], ids=["stale handle", "refreshed handle"])
def test_a_purged_file_does_not_come_back(lakeful, refreshed):
    """A rewrite planned before a purge is refused, whether its handle is stale or was wrongly refreshed."""
    lakeful.write(4)
    compactor = lakeful.compactor()
    handle, groups = compactor.plan()
    gone = replace_half(lakeful.store)
    if refreshed:
        handle.update_incremental()
    with pytest.raises(ConflictError, match="1 of 4 files to replace are gone"):
        compactor._rewrite(handle, groups, {PARTITION: Compacted(PARTITION)})
    assert gone not in lakeful.paths()
    assert len(lakeful.rows()) == 21
    assert not list(lakeful.store.folder.glob("*/*/compact-*"))


def test_delta_alone_would_bring_purged_rows_back(lakeful):
    """The check is needed: on a refreshed handle Delta accepts the removal of a dead file, and its rows return."""
    lakeful.write(4)
    compactor = lakeful.compactor()
    handle, (group,) = compactor.plan()
    output = lakeful.store.folder / FOLDER / f"compact-{'0' * 32}.parquet"
    inputs = [lakeful.store.folder / file.path for file in group.files]
    compaction.merge_files(SPANS, inputs, output, rows=28, spill=lakeful.lake.spill, sort_bytes=1 << 20)
    part = compaction.describe_file(SPANS, lakeful.store.folder, output, tenant_id="acme", day="2024-01-05")
    replace_half(lakeful.store)
    assert len(lakeful.rows()) == 21
    handle.update_incremental()
    handle.create_write_transaction(
        [*(remove_action(file.path) for file in group.files), part.add_action(1)],
        "append", handle.schema(), partition_by=["tenant_id", "day"], post_commithook_properties=_HOOKS,
    )  # fmt: skip
    assert len(lakeful.rows()) == 28


def test_a_conflict_is_answered_by_starting_again_from_reading(lakeful, monkeypatch):
    """After a conflict the partition is planned afresh, and what is left is compacted."""
    lakeful.write(5)
    real, calls = compaction.merge_files, []

    def merge_and_purge(*args, **given):
        real(*args, **given)
        calls.append(1)
        if len(calls) == 1:
            replace_half(lakeful.store)

    monkeypatch.setattr(compaction, "merge_files", merge_and_purge)
    (result,) = lakeful.compact()
    assert (result.conflicts, result.files_before, result.rows, result.failure) == (1, 4, 28, "")
    assert len(lakeful.on_disk()) == 6  # five segments' files and one output; the first output is deleted


def test_conflicts_without_end_are_reported(lakeful, monkeypatch):
    """The attempts are bounded, and the report says why nothing was done."""
    lakeful.write(4)
    before = lakeful.paths()

    def refuse(*_args, **_given):
        raise ConflictError("changed again")

    monkeypatch.setattr(DeltaStore, "rewrite", refuse)
    (result,) = lakeful.compact(config=MaintenanceConfig(merge_files=4, attempts=3))
    assert (result.conflicts, result.failure, result.files_after) == (3, "changed again", 0)
    assert lakeful.on_disk() == before


def test_an_output_that_became_live_is_kept_when_the_commit_reports_an_error(lakeful, monkeypatch):
    """An fsync that fails after the commit must not cost the file that the log names."""
    lakeful.write(4)
    before = lakeful.rows()
    real = DeltaStore.rewrite

    def commit_and_fail(self, *args):
        real(self, *args)
        raise UnavailableError("fsync failed")

    monkeypatch.setattr(DeltaStore, "rewrite", commit_and_fail)
    (result,) = lakeful.compact()
    assert result.failure == "fsync failed"
    assert lakeful.rows() == before


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_error_leaves_no_output(lakeful, monkeypatch, error):
    """Whatever ends a merge, its output is deleted and the table is as before."""
    lakeful.write(4)
    before = lakeful.paths()

    def fail(*_args, **_given):
        raise error

    monkeypatch.setattr(compaction, "describe_file", fail)
    if isinstance(error, OSError):
        assert "No space left" in lakeful.compact()[0].failure
    else:
        with pytest.raises(KeyboardInterrupt):
            lakeful.compact()
    assert lakeful.on_disk() == lakeful.paths() == before


def test_a_kill_before_the_commit_leaves_an_orphan_that_the_sweep_removes(lakeful):
    """Kill -9 between output and commit loses nothing and leaves one file, which the next sweep deletes."""
    lakeful.write(4)
    before = lakeful.rows()
    script = f"""
        import os, signal
        from pathlib import Path
        from warehouse.clock import system_clock
        from warehouse.delta import DeltaStore
        from warehouse.lake import Lake
        from warehouse.maintenance import MaintenanceConfig, run_maintenance
        from warehouse.tables import SPANS
        lake = Lake(Path({str(lakeful.lake.path)!r}))
        DeltaStore.rewrite = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
        stores = {{"spans": DeltaStore(SPANS, lake.table("spans"))}}
        run_maintenance(lake, stores, config=MaintenanceConfig(merge_files=4), clock=system_clock)
    """
    killed = run_code(textwrap.dedent(script))
    assert killed == -signal.SIGKILL
    (orphan,) = set(lakeful.on_disk()) - set(lakeful.paths())
    assert lakeful.rows() == before
    with partition_lock(lakeful.lake, PARTITION) as held:  # free again: the kernel released it
        assert held
        assert sweep_orphans(lakeful.lake, lakeful.store).deleted == ()  # but not while somebody rewrites
    assert sweep_orphans(lakeful.lake, lakeful.store).deleted == (orphan,)
    assert lakeful.rows() == before
    assert lakeful.compact()[0].files_before == 4


def test_the_second_of_two_compactors_skips_the_partition(lakeful, monkeypatch):
    """A partition is rewritten by one process at a time; the other goes on with what is free."""
    lakeful.write(4)
    lakeful.write(4, tenant="globex")
    real, seen = compaction.merge_files, []

    def merge_beside_another(*args, **given):
        if not seen:
            seen.append("started")
            other = DeltaStore(SPANS, lakeful.store.folder)
            results = lakeful.compact(store=other, config=ONE_BY_ONE)
            seen.append([(r.partition.tenant_id, r.skipped, r.files_after) for r in results])
        real(*args, **given)

    monkeypatch.setattr(compaction, "merge_files", merge_beside_another)
    results = lakeful.compact(config=ONE_BY_ONE)
    assert seen[1] == [("acme", True, 0), ("globex", False, 1)]
    assert results[0].files_after == 1
    # what the other did meanwhile is found out, not done again
    assert (results[1].files_after, results[1].failure, results[1].conflicts) == (0, "", 1)
    assert len(lakeful.rows()) == 56


def test_a_held_partition_is_left_alone(lakeful):
    """The lock that a purge holds keeps compaction out, and no lock file outlives its use."""
    lakeful.write(4)
    with partition_lock(lakeful.lake, PARTITION) as held:
        assert held
        (result,) = lakeful.compact()
        assert result.skipped
    assert len(lakeful.paths()) == 4
    assert not list((lakeful.lake.run / "maintenance").iterdir())


def test_a_conflict_in_one_partition_costs_the_others_nothing(lakeful, monkeypatch):
    """Partitions share a commit; when one changed meanwhile all are planned afresh, and each is compacted once."""
    for tenant in ("acme", "globex", "initech"):
        lakeful.write(5, tenant=tenant)
    real, calls = compaction.merge_files, []

    def merge_and_purge(*args, **given):
        real(*args, **given)
        calls.append(1)
        if len(calls) == 2:
            replace_half(lakeful.store)

    monkeypatch.setattr(compaction, "merge_files", merge_and_purge)
    versions = lakeful.store.fresh().version()
    results = lakeful.compact()
    assert [(r.partition.tenant_id, r.rows, r.conflicts, r.failure) for r in results] == [
        ("acme", 28, 1, ""),
        ("globex", 35, 1, ""),
        ("initech", 35, 1, ""),
    ]
    assert lakeful.store.fresh().version() == versions + 2  # the purge, and one commit for all
    assert len(lakeful.rows()) == 98
    assert len(lakeful.on_disk()) == 15 + 3


def test_big_files_are_not_rewritten_with_every_round(lakeful):
    """A merged file waits for others of its size: rounds add small files, not work on old rows."""
    config = MaintenanceConfig(merge_files=4, settled_merge_files=4, target_bytes=2_000_000)
    rewritten = 0
    for _ in range(3):
        lakeful.write(4)
        rewritten += sum(result.rows for result in lakeful.compact(config=config))
    assert rewritten == 84


def test_a_stop_is_obeyed_between_partitions(lakeful):
    """A round ends early, after a commit, where it is told to; what is done stays done."""
    for tenant in ("a", "b", "c"):
        lakeful.write(4, tenant=tenant)
    asked = []
    report = run_maintenance(
        lakeful.lake, {"spans": lakeful.store}, config=ONE_BY_ONE, clock=system_clock,
        stop=lambda: len(asked) > 1, progress=lambda *_: asked.append(1),
    )  # fmt: skip
    assert report.stopped
    assert [r.partition.tenant_id for r in report.tables[0].compacted] == ["a", "b"]
    assert len(lakeful.rows()) == 84


def test_a_running_writer_loses_nothing(tmp_path):
    """While a writer appends, rounds of maintenance with no grace at all lose, double and block nothing."""
    lake, stores = make_lake(tmp_path / "lake"), None
    stores = open_stores(lake)
    claims = MemoryClaims()
    writer = open_writer(
        lake, "main", claims, stores, config=WriterConfig(commit_interval_seconds=0.02), clock=system_clock
    )
    keep, sent, rounds, ended = UnsafeKeepAll(), [], [], threading.Event()

    def send():
        for number in range(60):
            events = [OwnEvent("acme", "data.exported", "user:a", {"reason": f"{number}-{n}"}) for n in range(3)]
            batch = keep.treat(own_event_records(events, now_unix_nano=system_clock()))
            writer.append(batch).result(timeout=120)
            sent.extend(event.fields["reason"] for event in events)
            writer.flush()
            if number % 15 == 14:  # however slow the rounds are, one of them begins with what was written since
                wait_for_rounds(rounds, len(rounds) + 2)
        ended.set()

    sender = threading.Thread(target=send)
    sender.start()
    config = MaintenanceConfig(merge_files=3, settled_merge_files=3, removed_grace_seconds=0, checkpoint_entries=2)
    other_stores, merged = open_stores(lake), 0
    while sender.is_alive() or len(rounds) < 3:
        report = run_maintenance(lake, other_stores, config=config, clock=system_clock)
        assert report.failures == ()
        merged += sum(part.files_after for table in report.tables for part in table.compacted)
        rounds.append(report)
    sender.join()
    writer.stop()
    assert ended.is_set()
    assert merged > 3
    table = DeltaTable(str(lake.table("audit_events")))
    rows = duckdb.connect().read_parquet(table.file_uris())
    found = rows.query("r", "select reason, log_index from r").fetchall()
    assert Counter(reason for reason, _ in found) == Counter(sent)
    assert sorted(index for _, index in found) == list(range(180))
    again = open_writer(lake, "main", claims, open_stores(lake), config=WriterConfig(), clock=system_clock)
    assert again.shard == writer.shard
    again.stop()


def wait_for_rounds(rounds, count):
    deadline = time.monotonic() + 120
    while len(rounds) < count:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_torn_newest_entry_is_set_aside_and_compaction_goes_on(lakeful):
    """A log entry torn by a crash is nobody's commit: the store opened afterwards ignores it and compacts."""
    lakeful.write(4)
    before = lakeful.rows()
    (lakeful.store.log / f"{5:020d}.json").write_bytes(b'{"add":{"path":"tenant')
    (result,) = lakeful.compact(store=DeltaStore(SPANS, lakeful.store.folder))
    assert (result.files_after, len(list(lakeful.store.log.glob("*.torn-*")))) == (1, 1)
    assert lakeful.rows() == before


def test_a_file_with_other_rows_than_committed_is_reported_and_left(lakeful):
    """A partition whose files are not what the log says is not rewritten; the others are."""
    lakeful.write(4)
    lakeful.write(4, tenant="globex")
    other = write_parts(SPANS, span_rows("acme", 900, 3), lakeful.lake.spill / "x", stem="forged")
    forged = lakeful.store.folder / FOLDER / f"{SHARD}-{2:010d}-spans.parquet"
    forged.write_bytes((lakeful.lake.spill / "x" / other[0].path).read_bytes())
    bad, good = lakeful.compact()
    assert "expected 28 rows as the Delta log says, got 24" in bad.failure
    assert (good.files_after, len(lakeful.paths())) == (1, 5)


def test_state_tells_what_a_round_would_do(lakeful):
    """`maintenance_state` counts files, what is to merge, and replaced files in their grace."""
    lakeful.write(5)
    (state,) = maintenance_state(lakeful.lake, {"spans": lakeful.store}, config=CONFIG, clock=system_clock)
    assert (state.files, state.rows, state.partitions, state.fullest_partition_files) == (5, 35, 1, 5)
    assert (state.files_to_merge, state.partitions_to_merge, state.removed_files) == (5, 1, 0)
    lakeful.compact()
    (state,) = maintenance_state(lakeful.lake, {"spans": lakeful.store}, config=CONFIG, clock=system_clock)
    assert (state.files, state.files_to_merge, state.removed_files, state.log_entries) == (1, 0, 5, 7)
