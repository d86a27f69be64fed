"""Purges whose disk, journal or neighbours are not as they should be: said, nothing half told, and finished by the next one."""

import functools
import json
import threading
import time
from collections import Counter

import pytest

from muniment import draining
from muniment.draining import drain_journals
from muniment.purging import apply_plan, purge_due
from muniment.retaining import make_plan
from tests.grids import strided
from warehouse.delta import DeltaStore
from warehouse.errors import ConflictError, UnavailableError
from warehouse.maintenance import MaintenanceConfig, run_maintenance

EAGER = MaintenanceConfig(merge_files=2, settled_merge_files=2)


@pytest.mark.parametrize("table", strided(("contents", "logs", "spans"), "spans"))
def test_a_table_that_cannot_be_written_is_said_and_finished_later(purging, open_copy, monkeypatch, table):
    """The first, a middle or the last commit fails: which table is said, no certificate is made, the next apply ends what is left."""
    context = open_copy()
    before = purging.keys(context.lake, tenant="acme")
    expected = purging.staying(context.lake, context.clock()) & before
    real = DeltaStore.rewrite

    def refuse(store, *arguments):
        if store.table.name == table:
            raise UnavailableError(f"table {table}: rewrite failed: Read-only file system")
        real(store, *arguments)

    with monkeypatch.context() as broken:
        broken.setattr(DeltaStore, "rewrite", refuse)
        with pytest.raises(UnavailableError, match=f"table {table}: rewrite failed: Read-only file system"):
            purge_due(context, "acme")
    intents, certificates = purging.certificates(context, "acme")
    assert (len(intents), certificates) == (1, [])
    kinds = {finding[2] for finding in purging.findings(purging.verify(context.lake))}
    assert kinds <= {"purge-unfinished"}
    (done,) = purge_due(context, "acme")
    assert done.resumed
    assert purging.keys(context.lake, tenant="acme") == expected
    assert not (before - expected) & purging.keys_on_disk(context.lake).keys()
    assert sum(done.rows.values()) == len(before - expected)
    assert purging.findings(purging.verify(context.lake)) == []


def test_a_disk_that_keeps_its_files_is_said_and_finished_later(purging, open_copy, monkeypatch):
    """Committed, and the replaced files cannot be deleted: no certificate before they are."""
    context = open_copy()
    expected = purging.staying(context.lake, context.clock()) & purging.keys(context.lake, tenant="acme")

    def refuse(folder, paths):
        raise UnavailableError("x: cannot be deleted: Operation not permitted")

    with monkeypatch.context() as broken:
        broken.setattr("retention.rewriting.delete_files", refuse)
        with pytest.raises(UnavailableError, match="cannot be deleted"):
            purge_due(context, "acme")
    assert purging.certificates(context, "acme")[1] == []
    (done,) = purge_due(context, "acme")
    assert done.resumed
    assert purging.keys(context.lake, tenant="acme") == expected
    gone = {each for each in purging.keys_on_disk(context.lake) if each[1] == "acme"}
    assert {each for each in gone if not each[0].startswith("audit")} <= expected


def test_a_plan_is_stale_by_its_policy_and_its_files_alone(purging, open_copy):
    """Another policy and a compaction of its files make it stale; new records and compaction elsewhere do not."""
    context = open_copy()
    found, before = make_plan(context, "acme"), purging.keys(context.lake)
    purging.put_in_force(context, purging.POLICY.replace("keep: 40", "keep: 41"))
    with pytest.raises(ConflictError, match="another retention policy is in force"):
        apply_plan(context, found)
    purging.put_in_force(context)
    purging.write(context, purging.batch(50, purging.rows.NOW - 5 * purging.DAY), shard="new")
    purging.write(context, purging.batch(51, purging.rows.NOW - 5 * purging.DAY, tenant="beta"), shard="new")
    run_maintenance(context.lake, purging.open_stores(context.lake), config=EAGER, clock=context.clock, tenants=["beta"])  # fmt: skip
    assert before < purging.keys(context.lake)
    (done,) = apply_plan(context, found)
    assert sum(done.rows.values()) == sum(
        file.rows_due for part in found.partitions for file in (*part.drop, *part.rewrite)
    )
    assert purging.findings(purging.verify(context.lake)) == []


def test_a_plan_whose_files_were_compacted_is_refused(purging, open_copy):
    """Nothing goes by a plan that names files which are not live any more."""
    context = open_copy()
    purging.write(context, purging.batch(60, purging.rows.NOW - 5 * purging.DAY), shard="new")
    found = make_plan(context, "acme")
    run_maintenance(context.lake, purging.open_stores(context.lake), config=EAGER, clock=context.clock)  # fmt: skip
    before = purging.keys(context.lake)
    with pytest.raises(ConflictError, match=r"\d+ of \d+ files are not live any more"):
        apply_plan(context, found)
    assert purging.keys(context.lake) == before


def test_a_journal_that_nobody_commits_is_replayed_first(purging, open_copy):
    """What a killed writer left in its journal stands in the tables before anything is chosen, and goes with the rest."""
    context = open_copy()
    writer = purging.open_shard(context, "dead")
    writer.append(purging.batch(70, purging.rows.NOW - 20 * purging.DAY)).result(120)
    real = writer._committer.commit
    writer._committer.commit = _refuse
    writer.stop()
    assert real
    assert not any("dead" in str(each) for each in purging.keys(context.lake))
    purge_due(context, "acme")
    expected = purging.staying(context.lake, context.clock())
    left = purging.keys(context.lake, tenant="acme")
    assert left <= expected
    assert any(each[2].startswith("dead-") for each in left if each[0] in purging.rows.LEDGERED)
    assert purging.findings(purging.verify(context.lake)) == []


def _refuse(_segment):
    raise OSError("this writer was abandoned")


def test_a_shard_that_is_held_and_never_commits_stops_the_purge(purging, open_copy, monkeypatch):
    """Somebody holds a shard and does not commit: said which, and nothing is deleted."""
    context = open_copy()
    before = purging.keys(context.lake)
    writer = purging.open_shard(context, "stuck")
    try:
        writer.append(purging.batch(71, purging.rows.NOW - 20 * purging.DAY)).result(120)
        monkeypatch.setattr("muniment.purging.drain_journals", lambda held: drain_journals(held, timeout_seconds=1.0))
        with pytest.raises(UnavailableError, match="shard stuck: 1 journal segments were not committed within 1 s"):
            purge_due(context)
        assert purging.keys(context.lake) == before
        assert purging.certificates(context, "acme") == ([], [])
    finally:
        writer.stop()
    assert draining.DRAIN_SECONDS == 60.0


def test_two_applies_at_once_certify_once(purging, open_copy):
    """Two that begin together share the work: each row goes once, each intent has one certificate."""
    first, second = open_copy(), open_copy()
    before = purging.keys(first.lake)
    expected = purging.staying(first.lake, first.clock()) & before
    done, problems = [], []

    def run(context):
        try:
            done.extend(purge_due(context))
        except Exception as exc:  # noqa: BLE001 - whatever it is, the test fails by it
            problems.append(exc)

    threads = [threading.Thread(target=run, args=(context,)) for context in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    assert problems == []
    assert purging.keys(first.lake) == expected
    assert sum(sum(each.rows.values()) for each in done) == len(before - expected)
    for tenant in purging.TENANTS:
        intents, certificates = purging.certificates(first, tenant)
        assert sorted(each.document.intent_sha256 for each in certificates) == sorted(each.sha256 for each in intents)
    assert purging.findings(purging.verify(first.lake)) == []


class Busy:
    """Threads that repeat an action until told to end, and what went wrong in them."""

    def __init__(self):
        self._end, self._threads, self.problems = threading.Event(), [], []

    def start(self, action):
        thread = threading.Thread(target=self._run, args=(action,))
        self._threads.append(thread)
        thread.start()

    def _run(self, action):
        while not self._end.is_set():
            try:
                action()
            except Exception as exc:  # noqa: BLE001 - whatever it is, the test fails by it
                self.problems.append(exc)
                return

    def end(self):
        self._end.set()
        for thread in self._threads:
            thread.join(120)


@pytest.mark.slow
def test_writers_compaction_and_purges_at_once(purging, open_copy):
    """Two writers, a compactor and a purge that runs again and again: no new record is lost, nothing purged comes back."""
    context, purger = open_copy(), open_copy()
    lake = context.lake
    due = purging.keys(lake) - purging.staying(lake, context.clock())
    busy, written, seeds = Busy(), [], iter(range(1000, 100_000))
    writers = [
        purging.open_shard(context, f"busy{number}", commit_interval_seconds=0.2, max_commit_interval_seconds=0.2)
        for number in range(2)
    ]

    def write(writer):
        seed = next(seeds)
        writer.append(purging.batch(seed, purging.rows.NOW + 29 * purging.DAY - seed % 3 * purging.HOUR)).result(60)
        written.append(f"b{seed}")
        time.sleep(0.05)

    def compact():
        run_maintenance(lake, purging.open_stores(lake), config=EAGER, clock=context.clock)

    try:
        for writer in writers:
            busy.start(functools.partial(write, writer))
        busy.start(compact)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not busy.problems:
            purge_due(purger)
    finally:
        busy.end()
        for writer in writers:
            writer.stop()
    assert busy.problems == []
    purge_due(purger)
    assert not due & purging.keys(lake)
    assert not due & purging.keys_on_disk(lake).keys()
    for table in ("spans", "audit_events"):
        there = Counter(
            json.loads(row["attributes"]).get("batch")
            for row in purging.rows.read_table(lake, table).to_pylist()
            if not purging.is_own(row)
        )
        assert {tag: there[tag] for tag in written} == dict.fromkeys(written, 5), table
    assert purging.findings(purging.verify(lake)) == []
