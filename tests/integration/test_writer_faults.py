"""What faults do to the writer: crashes between any two steps, kill -9 under load, disks that refuse."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from warehouse.commit import open_stores
from warehouse.errors import UnavailableError
from warehouse.journal import list_segments, read_segment
from warehouse.marks import read_marks

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 120
LEDGERED = ("spans", "audit_events", "logs")
BATCH_ROWS = 3
MORE_ROUNDS = 20


def start(*arguments):
    """Start a process of `tests/writer_process.py` in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, ROOT / "tests" / "writer_process.py", *map(str, arguments)],
        stdout=subprocess.PIPE, text=True, start_new_session=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def append(writer, *batches):
    for future in [writer.append(batch) for batch in batches]:
        future.result(WAIT_SECONDS)


def wait_until(done):
    deadline = time.monotonic() + WAIT_SECONDS
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# -- crashes


def died_at_steps(folder, *arguments):
    """What was wrong after a death at each step, by step; the last step is one that was not reached."""
    with start("steps", folder, *arguments) as process:
        answers = [json.loads(line) for line in process.stdout]
    assert process.returncode == 0
    assert len(answers) > 3, "the writer was killed at too few steps to say anything"
    return {answer["step"]: answer["problems"] for answer in answers if answer["problems"]}


def test_a_crash_between_two_steps_loses_nothing_that_was_acknowledged(tmp_path):
    """At every 61st step that changes a disk: rows once, indices gapless, nothing seen in part, the same bytes, one log."""
    assert died_at_steps(tmp_path, "--first", 3, "--stride", 61) == {}


def test_a_crash_while_taking_over_from_a_crash_loses_nothing_either(tmp_path):
    """The takeover may die too: the next one begins again from what is on the disk."""
    assert died_at_steps(tmp_path, "--first", 5, "--stride", 71, "--rewind", 160) == {}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("arguments", [(), ("--rewind", 160)], ids=["crash", "crash and crash again"])
def test_a_crash_between_any_two_steps_loses_nothing(tmp_path, arguments):
    """As above at each single step, from opening the shard to giving it back: no log is forked, rewound or cut."""
    assert died_at_steps(tmp_path, *arguments) == {}


@pytest.mark.parametrize("rounds", [2, pytest.param(25, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_kill_9_under_load_keeps_every_acknowledged_batch_once(lake, rows, logs, rounds):
    """Killed at random moments under load: acknowledged batches are there once, no reader sees part of one, logs go on."""
    acknowledged, checkpoints = [], []
    moments = random.Random(7)
    open_stores(lake)
    with start("read", lake.path) as reader:
        number = 0
        while (
            number < rounds or len(acknowledged) <= rounds
        ):  # more of them where a busy machine lets little happen in one
            assert number < rounds + MORE_ROUNDS
            acknowledged += write_and_kill(lake, f"round{number}", moments.uniform(0.0, 0.7))
            number += 1
            checkpoints += logs.checkpoints_on_disk(lake)
        with start("take", lake.path) as last:  # takes over from the one killed before
            assert last.wait(WAIT_SECONDS) == 0
        (lake.path / "stop").touch()
        *seen_in_part, looked = reader.stdout.read().splitlines()
    assert seen_in_part == []
    assert int(looked.split()[1]) > rounds
    kept = rows.batches_of(rows.read_table(lake, "spans"))
    for table in LEDGERED:
        assert rows.batches_of(rows.read_table(lake, table)) == kept
    assert set(kept.values()) == {BATCH_ROWS}
    assert [tag for tag in acknowledged if tag not in kept] == []
    for numbers in rows.indices(lake).values():
        assert numbers == list(range(len(numbers)))
    tables = {table: rows.read_table(lake, table) for table in LEDGERED}
    assert logs.problems_of_logs(lake, "test", tables, checkpoints) == []


def write_and_kill(lake, prefix, seconds):
    """Let a writer work for a while, kill it and return the batches that it acknowledged."""
    with start("write", lake.path, "--prefix", prefix) as writer:
        assert writer.stdout.readline() == "ready\n"
        timer = threading.Timer(seconds, os.killpg, (writer.pid, signal.SIGKILL))
        timer.start()
        told = writer.stdout.read()
        timer.join()
    return told.split("\n")[:-1]


# -- disks that refuse


@contextlib.contextmanager
def mounted(*arguments):
    """A mount for the duration of the block; the test is skipped where mounting is not allowed."""
    target = arguments[-1]
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mount: not allowed here ({done.stderr.strip()}); run as root with CAP_SYS_ADMIN")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(target)], check=True)


def fill(file):
    """Write until the disk is full."""
    with file.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(bytes(65536))


def test_a_full_disk_under_the_journal_acknowledges_nothing_until_there_is_room(lake, writers, rows):
    """ENOSPC on a real file system: refused with the reason, then taken without a restart, indices without a gap."""
    with mounted("-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", lake.journal):
        writer = writers()
        append(writer, rows.whole_batch("before"))
        filler = lake.journal / "filler"
        fill(filler)
        for _ in range(3):
            with pytest.raises(UnavailableError, match=r"journal: .*No space left on device"):
                append(writer, rows.whole_batch("refused", rows=200))
        assert "No space left" in writer.state().problem
        filler.unlink()
        append(writer, rows.whole_batch("after"))
        assert writer.state().problem == ""
        writer.flush()
        expected = {"before": 3, "after": 3}
        assert rows.batches_of(rows.read_table(lake, "spans")) == expected
        assert rows.indices(lake) == {("acme", writer.shard): list(range(18))}
        writer.stop()


def failing(real, error, times):
    """`real`, failing the first `times` calls."""
    left = [times]

    def call(*arguments, **keywords):
        if left[0] > 0:
            left[0] -= 1
            raise OSError(error, os.strerror(error))
        return real(*arguments, **keywords)

    return call


@pytest.mark.parametrize("error", [28, 5], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_a_journal_that_refuses_acknowledges_nothing_and_gives_no_index_twice(
    lake, writers, rows, monkeypatch, call, error
):
    """After a failed write or sync: 503 with the reason, then success, and on disk no index stands twice."""
    writer = writers()
    append(writer, rows.whole_batch("before"))
    monkeypatch.setattr(os, call, failing(getattr(os, call), error, 1))
    with pytest.raises(UnavailableError, match=f"journal: .* failed: {os.strerror(error)}"):
        append(writer, rows.whole_batch("refused"))
    append(writer, rows.whole_batch("after"))
    on_disk = [
        index
        for _, file in list_segments(lake.journal / writer.shard)
        for frame in read_segment(file, shard=writer.shard).frames
        for table in LEDGERED
        for index in frame.tables[table].column("log_index").to_pylist()
    ]
    assert len(on_disk) == len(set(on_disk))
    writers.abandon(writer)
    again = writers()
    assert rows.batches_of(rows.read_table(lake, "spans")) == {"before": 3, "after": 3}
    assert rows.indices(lake) == {("acme", again.shard): list(range(18))}


def test_a_group_that_fails_halfway_leaves_none_of_its_frames(lake, writers, rows, monkeypatch):
    """A frame that cannot be written takes those before it along: they were not acknowledged, and their indices are free."""
    writer = writers()
    append(writer, rows.whole_batch("before"))
    go = threading.Event()
    real = writer._tail.write
    writer._tail.write = lambda group: (go.wait(WAIT_SECONDS), real(group))[1]
    writer.append(rows.treated())  # holds the sequencer, so that the next two are one group
    wait_until(writer._queue.empty)
    group = [writer.append(rows.whole_batch(tag, count)) for tag, count in (("small", 1), ("large", 900))]
    monkeypatch.setattr("warehouse.journal.MAX_FRAME_BYTES", 300_000)
    go.set()
    for future in group:
        with pytest.raises(UnavailableError, match=r"journal: a frame of \d+ bytes is over the limit of 300000"):
            future.result(WAIT_SECONDS)
    append(writer, rows.whole_batch("after"))
    writer.flush()
    assert rows.batches_of(rows.read_table(lake, "spans")) == {"before": 3, "after": 3}
    assert rows.indices(lake) == {("acme", writer.shard): list(range(18))}


def test_after_a_failure_the_segment_takes_no_more_frames(lake, writers, rows, monkeypatch):
    """What was acknowledged before the failure is committed, and the next batch begins a segment of its own."""
    writer = writers()
    append(writer, rows.whole_batch("before"))
    monkeypatch.setattr(os, "fdatasync", failing(os.fdatasync, 5, 1))
    with pytest.raises(UnavailableError):
        append(writer, rows.whole_batch("refused"))
    wait_until(lambda: read_marks(lake).get(writer.shard) == 0)
    append(writer, rows.whole_batch("after"))
    writer.flush()
    assert read_marks(lake) == {writer.shard: 1}


def test_while_the_cut_is_not_durable_nothing_is_taken_and_afterwards_all_is(lake, writers, rows, monkeypatch):
    """A disk that refuses even the cut gets 503s; once it works again the writer goes on without a restart."""
    writer = writers()
    append(writer, rows.whole_batch("before"))
    for name in ("fdatasync", "ftruncate"):
        monkeypatch.setattr(os, name, failing(getattr(os, name), 5, 10**9))
    for _ in range(3):
        with pytest.raises(UnavailableError, match="Input/output error"):
            append(writer, rows.whole_batch("refused"))
    monkeypatch.undo()
    append(writer, rows.whole_batch("after"))
    writer.flush()
    assert rows.batches_of(rows.read_table(lake, "spans")) == {"before": 3, "after": 3}
    assert rows.indices(lake) == {("acme", writer.shard): list(range(18))}


def test_a_segment_that_cannot_be_opened_is_opened_later(lake, writers, rows, monkeypatch):
    """The first write of a segment may fail as well: nothing is left that the next one trips over."""
    writer = writers()
    monkeypatch.setattr(os, "fdatasync", failing(os.fdatasync, 28, 1))
    with pytest.raises(UnavailableError, match="No space left on device"):
        append(writer, rows.whole_batch("refused"))
    append(writer, rows.whole_batch("after"))
    writer.flush()
    assert rows.indices(lake) == {("acme", writer.shard): list(range(9))}


COMMIT_STEPS = {
    "make a folder": ("warehouse.parquet.make_folder", 1),
    "write a file": ("warehouse.parquet.write_file", 2),
    "sync files": ("warehouse.durable.sync_file", 3),
    "sync folders": ("warehouse.parquet.sync_folders", 1),
    "read a log": ("warehouse.delta.DeltaStore._refresh", 1),
    "sync a log entry": ("warehouse.delta.sync_file", 2),
    "save requests": ("warehouse.recent.replace_file", 1),
    "move the mark": ("warehouse.commit.write_mark", 1),
    "move the head": ("warehouse.commit.write_position", 1),
    "sync the journal": ("warehouse.commit.sync_folder", 1),
}


@pytest.mark.parametrize("step", COMMIT_STEPS)
def test_a_commit_that_fails_at_any_step_is_tried_again_until_it_works(lake, writers, rows, monkeypatch, step):
    """While tables cannot be written appends are refused with the reason; then everything is there once."""
    target, times = COMMIT_STEPS[step]
    monkeypatch.setattr("warehouse.writer._RETRY_SECONDS", 0.02)
    writer = writers()
    append(writer, rows.whole_batch("a"))
    module, _, name = target.rpartition(".")
    monkeypatch.setattr(target, failing(resolve(module, name), 30, times))
    writer.flush(WAIT_SECONDS)
    append(writer, rows.whole_batch("b"))
    writer.flush(WAIT_SECONDS)
    for table in LEDGERED:
        assert rows.batches_of(rows.read_table(lake, table)) == {"a": 3, "b": 3}
    assert rows.indices(lake) == {("acme", writer.shard): list(range(18))}


def test_a_commit_counts_as_done_only_once_its_log_entry_is_durable(lake, writers, rows, monkeypatch):
    """An entry whose fsync failed is made durable before the mark moves, though its transaction is in the log already."""
    monkeypatch.setattr("warehouse.writer._RETRY_SECONDS", 0.02)
    writer = writers()
    append(writer, rows.whole_batch("a"))
    monkeypatch.setattr("warehouse.delta.sync_file", failing(resolve("warehouse.delta", "sync_file"), 5, 1))
    renamed = []
    real = os.rename
    monkeypatch.setattr(os, "rename", lambda old, new: (renamed.append(Path(new).name), real(old, new))[1])
    writer.flush(WAIT_SECONDS)
    assert renamed == [f"{1:020d}.json", "0.json", "committed", "head"]


def resolve(path, name):
    """The attribute `name` of a module or of a class in one."""
    import importlib

    try:
        owner = importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, cls = path.rpartition(".")
        owner = getattr(importlib.import_module(module), cls)
    return getattr(owner, name)


def test_tables_on_a_read_only_disk_refuse_appends_until_they_can_be_written(lake, writers, rows, monkeypatch):
    """EROFS on a real mount: the failed commit is named to every sender, and the writer recovers by itself."""
    monkeypatch.setattr("warehouse.writer._RETRY_SECONDS", 0.02)
    writer = writers()
    append(writer, rows.whole_batch("before"))
    writer.flush()
    with mounted("--bind", lake.tables, lake.tables):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(lake.tables)], check=True)
        append(writer, rows.whole_batch("waiting"))
        with pytest.raises(
            UnavailableError, match=r"not committed within 0\.3 s: tables cannot be written: .*Read-only"
        ):
            writer.flush(0.3)
        with pytest.raises(UnavailableError, match=r"tables cannot be written: .*Read-only file system"):
            writer.append(rows.whole_batch("refused"))
        subprocess.run(["mount", "-o", "remount,rw,bind", str(lake.tables)], check=True)
        writer.flush(WAIT_SECONDS)
        assert writer.state().problem == ""
        append(writer, rows.whole_batch("after"))
        writer.flush()
    expected = {"before": 3, "waiting": 3, "after": 3}
    assert rows.batches_of(rows.read_table(lake, "spans")) == expected
    assert rows.indices(lake) == {("acme", writer.shard): list(range(27))}


def test_a_writer_stops_though_its_tables_cannot_be_written(lake, writers, rows, monkeypatch):
    """What cannot be committed stays in the journal, whole, for the next start."""
    writer = writers()
    append(writer, rows.whole_batch("a"))
    with monkeypatch.context() as patch:
        patch.setattr("warehouse.commit.write_parts", failing(None, 30, 10**9))
        writer.stop()
    assert rows.read_table(lake, "spans").num_rows == 0
    again = writers()
    assert rows.batches_of(rows.read_table(lake, "spans")) == {"a": 3}
    assert again.shard == writer.shard


def test_a_start_that_cannot_commit_its_journal_gives_the_shard_back(lake, writers, rows, monkeypatch):
    """A replay that fails is an error of the start; nothing is lost, and the next start makes it good."""
    writer = writers()
    append(writer, rows.whole_batch("a"))
    writers.abandon(writer)
    with monkeypatch.context() as patch:
        patch.setattr("warehouse.commit.write_parts", failing(None, 30, 10**9))
        with pytest.raises(UnavailableError, match="commit of segment 0 failed: Read-only file system"):
            writers()
    writers()
    assert rows.batches_of(rows.read_table(lake, "spans")) == {"a": 3}
