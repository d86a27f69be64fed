"""The writer on real files and real Delta tables: acknowledged rows are durable, committed once, and can be read whole."""

import json
import stat
import threading
import time
from concurrent.futures import Future

import pytest
from deltalake import DeltaTable

from warehouse.commit import ClosedSegment, open_stores
from warehouse.errors import ShardHeldError, UnavailableError
from warehouse.journal import list_segments, read_position
from warehouse.marks import read_marks
from warehouse.treated import RecordSet, Redactor, TreatedBatch

DAY = 86_400_000_000_000
LEDGERED = ("spans", "audit_events", "logs")
WAIT_SECONDS = 120


def append(writer, *batches):
    """Append batches and wait until all are acknowledged."""
    for future in [writer.append(batch) for batch in batches]:
        future.result(WAIT_SECONDS)


def folder_of(writer):
    return writer._folder.folder


def test_rows_are_readable_once_flushed_with_their_contents(writers, lake, rows):
    """Every table has what was appended; contents point at their owners' log index."""
    writer = writers()
    batch = rows.treated(
        spans=rows.ledgered("spans", 3, "a"),
        audit_events=rows.ledgered("audit_events", 2, "a"),
        logs=rows.ledgered("logs", 1, "a"),
        metrics=rows.metrics(4, "a"),
        contents=rows.contents(
            [0, 2, 1, 0], ["prompt", "prompt", "reason", "body"], tag="a",
            owner_table=["spans", "spans", "audit_events", "logs"],
        ),
    )  # fmt: skip
    append(writer, batch)
    writer.flush()
    assert {t: rows.read_table(lake, t).num_rows for t in ("spans", "audit_events", "logs", "metrics", "contents")} == {
        "spans": 3, "audit_events": 2, "logs": 1, "metrics": 4, "contents": 4,
    }  # fmt: skip
    assert rows.indices(lake) == {("acme", writer.shard): [0, 1, 2, 3, 4, 5]}
    owners = {(t, row["log_index"]): row for t in LEDGERED for row in rows.read_table(lake, t).to_pylist()}
    for part in rows.read_table(lake, "contents").to_pylist():
        owner = owners[part["owner_table"], part["owner_index"]]
        assert json.loads(owner["attributes"])["n"] == int(part["body"].split("|")[1])
        assert part["part"] in [name for name, _ in json.loads(owner["content_digests"])]


def test_nothing_is_readable_before_its_commit_and_all_of_it_after(writers, lake, rows):
    """An acknowledged batch waits in the journal; the mark then shows it in all tables at once."""
    writer = writers()
    append(writer, rows.whole_batch("a"))
    assert rows.read_table(lake, "spans").num_rows == 0
    writer.flush()
    assert read_marks(lake) == {writer.shard: 0}
    assert [rows.read_table(lake, table).num_rows for table in (*LEDGERED, "contents")] == [3, 3, 3, 3]
    assert list_segments(folder_of(writer)) == []
    assert read_position(folder_of(writer) / "head").segment == 1


def test_each_tenant_and_day_gets_one_file_a_segment(writers, lake, rows):
    """However many batches a segment holds, a partition gets one file of it."""
    writer = writers()
    for number in range(6):
        tenant, time_ = ("acme", "globex")[number % 2], rows.NOW + (number // 2 % 2) * DAY
        append(writer, rows.whole_batch(f"b{number}", tenant=tenant, time=time_))
    writer.flush()
    stem = f"{writer.shard}-0000000000-spans.parquet"
    assert rows.live_files(lake, "spans") == [
        f"tenant_id={tenant}/day={day}/{stem}" for tenant in ("acme", "globex") for day in ("2026-11-23", "2026-11-24")
    ]
    assert rows.indices(lake) == {(t, writer.shard): list(range(27)) for t in ("acme", "globex")}


def test_the_delta_log_holds_no_value_of_a_payload(writers, lake, rows):
    """Neither rows nor contents leave a trace in the log; statistics name times and indices alone."""
    canary = "canary-7f3a9c"
    writer = writers()
    text = dict.fromkeys(("name", "user_id", "trace_id", "resource", "attributes", "agent_id"), canary)
    append(writer, rows.treated(
        spans=rows.ledgered("spans", 2, canary, **text),
        audit_events=rows.ledgered("audit_events", 2, canary, actor_id=canary, body=canary),
        metrics=rows.metrics(1, canary),
        contents=rows.contents([0], [canary], tag=canary),
    ))  # fmt: skip
    writer.flush()
    assert canary in str(rows.read_table(lake, "contents").to_pylist())
    for folder in lake.tables.iterdir():
        DeltaTable(str(folder)).create_checkpoint()
    logs = [file for file in lake.tables.rglob("_delta_log/*") if file.is_file()]
    assert len(logs) > 10
    assert [file for file in logs if canary.encode() in file.read_bytes()] == []
    columns = set()
    for file in lake.tables.rglob("_delta_log/*.json"):
        for line in file.read_text().splitlines():
            if "add" in (action := json.loads(line)):
                statistics = json.loads(action["add"]["stats"])
                columns |= {*statistics["minValues"], *statistics["maxValues"], *statistics["nullCount"]}
    assert columns == {"time_unix_nano", "end_unix_nano", "log_index"}


def test_files_and_folders_of_a_lake_are_private(writers, lake, rows):
    """Whatever the writer makes is 0600, and every folder 0700."""
    writer = writers()
    append(writer, rows.whole_batch("a"))
    writer.flush()
    append(writer, rows.whole_batch("b"))
    open_to_others = [
        str(path.relative_to(lake.path))
        for path in lake.path.rglob("*")
        if stat.S_IMODE(path.stat().st_mode) != (0o700 if path.is_dir() else 0o600)
    ]
    assert open_to_others == []


def test_import_progress_is_committed_with_its_rows_or_alone(writers, lake, rows):
    """A batch's further transactions stand in the log of each table of its segment, and of spans in any case."""
    writer = writers()
    append(writer, rows.treated(logs=rows.ledgered("logs", 1, "a"), transactions=[("import/abc", 3)]))
    append(writer, rows.treated(logs=rows.ledgered("logs", 1, "b"), transactions=[("import/abc", 4)]))
    writer.flush()
    append(writer, rows.treated(transactions=[("import/abc", 5)]))
    writers.abandon(writer)
    assert {t: DeltaTable(str(lake.table(t))).transaction_version(f"import/abc/{t}") for t in ("logs", "spans", "metrics")} == {
        "logs": 4, "spans": 4, "metrics": None,
    }  # fmt: skip
    writers()  # replays
    assert DeltaTable(str(lake.table("spans"))).transaction_version("import/abc/spans") == 5


def test_segments_close_at_their_size_and_by_their_interval(writers, lake, rows):
    """Without a flush, a segment is committed once it is large enough or old enough."""
    small = writers(segment_bytes=1)
    append(small, rows.whole_batch("a"))
    append(small, rows.whole_batch("b"))
    wait_until(lambda: read_marks(lake).get(small.shard) == 1)
    quick = writers("quick", commit_interval_seconds=0.05)
    append(quick, rows.whole_batch("c"))
    wait_until(lambda: read_marks(lake).get(quick.shard) == 0)
    assert rows.batches_of(rows.read_table(lake, "spans")) == {"a": 3, "b": 3, "c": 3}


def wait_until(done):
    deadline = time.monotonic() + WAIT_SECONDS
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_flush_waits_for_what_was_appended_before_it_though_more_comes(writers, rows, lake):
    """Under a steady stream of batches a flush still ends, with its own batches committed."""
    writer = writers()
    stop = threading.Event()
    stream = []

    def keep_sending():
        while not stop.is_set():
            stream.append(writer.append(rows.treated(logs=rows.ledgered("logs", 1, "stream"))))
            time.sleep(0.002)

    sender = threading.Thread(target=keep_sending)
    sender.start()
    try:
        for number in range(3):
            append(writer, rows.whole_batch(f"mine {number}"))
            writer.flush(WAIT_SECONDS)
            assert rows.batches_of(rows.read_table(lake, "spans"))[f"mine {number}"] == 3
    finally:
        stop.set()
        sender.join()
    for future in stream:
        future.result(WAIT_SECONDS)


def test_stop_commits_what_was_accepted(writers, rows, lake):
    """What was appended before `stop` is acknowledged and committed by it; nothing is taken afterwards."""
    writer = writers()
    futures = [writer.append(rows.whole_batch(f"b{number}")) for number in range(20)]
    writer.stop()
    assert all(future.done() and future.exception() is None for future in futures)
    assert rows.batches_of(rows.read_table(lake, "logs")) == {f"b{number}": 3 for number in range(20)}
    with pytest.raises(UnavailableError, match="the writer is stopping"):
        writer.append(rows.whole_batch("late"))
    writer.stop()


def test_an_append_that_races_with_stop_is_answered_either_way(writers, rows, lake):
    """Each append of many threads at the moment of stopping is refused, or its future resolves: none is left open."""
    for _ in range(3):
        writer = writers()
        accepted, refused = [], []
        begin = threading.Barrier(5)

        def send(writer=writer, begin=begin, accepted=accepted, refused=refused):
            begin.wait()
            for _ in range(30):
                try:
                    accepted.append(writer.append(rows.treated(logs=rows.ledgered("logs", 1, writer.shard))))
                except UnavailableError as exc:
                    refused.append(exc)

        senders = [threading.Thread(target=send) for _ in range(4)]
        for sender in senders:
            sender.start()
        begin.wait()
        writer.stop()
        for sender in senders:
            sender.join()
        assert len(accepted) + len(refused) == 120
        assert all(future.result(0) is None for future in accepted)
        writers._opened.remove(writer)
        rows_before = rows.read_table(lake, "logs").num_rows
        assert rows_before >= len(accepted)


def test_only_a_redactor_makes_what_the_writer_takes(writers, rows):
    """A record set, a look-alike and a home-made batch are refused: no way leads around the redactor."""
    records = rows.records(logs=rows.ledgered("logs", 1, "a"))
    with pytest.raises(TypeError, match=r"made by Redactor\.treat only"):
        TreatedBatch(records, seal=object())

    class LooksTreated(TreatedBatch):
        def __init__(self, records):
            self.records = records

    writer = writers()
    for forged in (records, LooksTreated(records), None):
        with pytest.raises(TypeError, match=r"append takes a TreatedBatch made by Redactor\.treat, got"):
            writer.append(forged)

    class Redacts(Redactor):
        def redact(self, records):
            return RecordSet({}, requests=records.requests)

        def redact_text(self, tenant_id, text):
            return ""

        def redact_record(self, tenant_id, text):
            return ""

    append(writer, Redacts().treat(records))


def test_a_batch_that_cannot_be_sequenced_fails_alone(writers, rows, lake):
    """One sender's impossible rows are refused; the batches that waited with it are kept."""
    writer = writers()
    bad = rows.treated(spans=rows.ledgered("spans", 1, "bad"), contents=rows.contents([7], ["prompt"]))
    futures = [writer.append(batch) for batch in (rows.whole_batch("a"), bad, rows.whole_batch("b"))]
    with pytest.raises(UnavailableError, match="cannot sequence: contents: expected owners among 1 spans"):
        futures[1].result(WAIT_SECONDS)
    for future in (futures[0], futures[2]):
        future.result(WAIT_SECONDS)
    writer.flush()
    assert rows.batches_of(rows.read_table(lake, "spans")) == {"a": 3, "b": 3}
    assert rows.indices(lake) == {("acme", writer.shard): list(range(18))}


def test_a_future_that_nobody_waits_for_cannot_stop_the_writer(writers, rows, lake):
    """A caller that gives up cannot cancel what is under way, nor break the thread that answers it."""
    writer = writers()
    future = writer.append(rows.whole_batch("a"))
    assert not future.cancel()
    future.add_done_callback(lambda _: None)
    append(writer, rows.whole_batch("b"))
    writer.flush()
    assert rows.batches_of(rows.read_table(lake, "logs")) == {"a": 3, "b": 3}


def test_a_request_is_recognised_again_in_its_window_across_restarts(writers, rows):
    """The same digest is known while the segment is open, after its replay, and after its commit; then forgotten."""
    digest = rows.request("b").digest
    writer = writers()
    assert writer.recent.find(digest) is None
    append(writer, rows.whole_batch("b"))
    assert writer.recent.find(digest) == rows.request("b", 9)
    writers.abandon(writer)
    replayed = writers()
    assert replayed.recent.find(digest) == rows.request("b", 9)
    replayed.stop()
    writers.now += 599_000_000_000
    committed = writers()
    assert committed.recent.find(digest) == rows.request("b", 9)
    writers.now += 2_000_000_000
    assert committed.recent.find(digest) is None
    append(committed, rows.whole_batch("c"))
    committed.stop()
    writers.now += 601_000_000_000
    assert writers().recent.find(rows.request("c").digest) is None


def test_a_second_writer_of_a_shard_is_refused_and_another_shard_is_not(writers, rows, lake):
    """One writer a shard; two shards write side by side, each with its own log, and no row is lost or doubled."""
    one = writers()
    with pytest.raises(ShardHeldError, match=r"shard main is held by pid \d+ on "):
        writers()
    two = writers("eu")
    futures = []
    for number in range(12):
        futures += [writer.append(rows.whole_batch(f"{writer.shard}/{number}")) for writer in (one, two)]
        if number % 4 == 3:
            (one if number % 8 == 3 else two).flush()
    for future in futures:
        future.result(WAIT_SECONDS)
    one.flush()
    two.flush()
    expected = {f"{writer.shard}/{number}": 3 for writer in (one, two) for number in range(12)}
    for table in LEDGERED:
        assert rows.batches_of(rows.read_table(lake, table)) == expected
    assert rows.indices(lake) == {("acme", writer.shard): list(range(108)) for writer in (one, two)}


def test_a_replay_commits_what_was_acknowledged_once(writers, rows, lake):
    """Segments that an earlier process left are committed at the next opening, and log indices go on from there."""
    writer = writers()
    append(writer, rows.whole_batch("a"))
    writer.flush()
    append(writer, rows.whole_batch("b"), rows.whole_batch("c"))
    writers.abandon(writer)
    assert rows.batches_of(rows.read_table(lake, "spans")) == {"a": 3}
    again = writers()
    assert again.shard == writer.shard
    assert rows.batches_of(rows.read_table(lake, "spans")) == {"a": 3, "b": 3, "c": 3}
    append(again, rows.whole_batch("d"))
    again.flush()
    assert rows.indices(lake) == {("acme", writer.shard): list(range(36))}


def test_metric_rows_are_numbered_within_their_segment(writers, rows, lake):
    """Each point of a segment has a row number of its own, counted over all its groups."""
    writer = writers()
    append(writer, rows.treated(metrics=rows.metrics(2, "a")))
    append(writer, rows.treated(metrics=rows.metrics(3, "b")))
    writer.flush()
    append(writer, rows.treated(metrics=rows.metrics(2, "c")))
    writer.flush()
    table = rows.read_table(lake, "metrics")
    found = sorted(zip(table.column("segment").to_pylist(), table.column("row").to_pylist(), strict=True))
    assert found == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 1)]


def test_a_commit_can_be_repeated_without_effect(writers, rows, lake):
    """The same segment committed again, as after a crash before its deletion, changes no row and no file."""
    writer = writers()
    kept = []
    real = writer._committer.commit
    writer._committer.commit = lambda segment: (kept.append(segment), real(segment))[1]
    append(writer, rows.whole_batch("a"))
    writer.flush()
    before = rows.hashes(lake)
    report = real(ClosedSegment(kept[0].number, kept[0].frames, kept[0].closing))
    assert (report.files, report.rows["spans"]) == (0, 3)
    assert rows.hashes(lake) == before
    assert rows.batches_of(rows.read_table(lake, "spans")) == {"a": 3}


def test_stores_can_be_opened_twice_without_effect(lake):
    """Opening a lake's tables makes them once."""
    first = {name: store.fresh().version() for name, store in open_stores(lake).items()}
    assert {name: store.fresh().version() for name, store in open_stores(lake).items()} == first


def test_a_future_of_a_group_resolves_only_after_its_sync(writers, rows, monkeypatch):
    """No batch is acknowledged while its bytes are on their way to the disk."""
    import os

    writer = writers()
    append(writer, rows.whole_batch("first"))
    entered, go = threading.Event(), threading.Event()
    real = os.fdatasync

    def slow(descriptor):
        entered.set()
        go.wait(WAIT_SECONDS)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)
    future: Future[None] = writer.append(rows.whole_batch("a"))
    assert entered.wait(WAIT_SECONDS)
    assert not future.done()
    go.set()
    future.result(WAIT_SECONDS)
