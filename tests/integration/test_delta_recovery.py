"""Log entries that a power cut left: what is torn at the end is replayed from the journal, anything else stops the lake."""

import os

import pytest

from warehouse.commit import open_stores
from warehouse.errors import CorruptionError

WAIT_SECONDS = 120
LEDGERED = ("spans", "audit_events", "logs")


def append(writer, *batches):
    for future in [writer.append(batch) for batch in batches]:
        future.result(WAIT_SECONDS)


def cut_off(writers, writer, lake, keep):
    """Commit one more segment but keep its journal, as when the power goes before the commit is durable everywhere.

    `keep` says what is left of each table's newest log entry.
    """
    folder = lake.journal / writer.shard
    saved = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    writer.flush()
    writers.abandon(writer)
    for name in ("committed", "head"):
        (folder / name).unlink(missing_ok=True)
    for name, content in saved.items():
        if name != "identity":  # its inode is what binds the folder
            (folder / name).write_bytes(content)
    for table, size in keep.items():
        entry = newest_entry(lake, table)
        os.truncate(entry, entry.stat().st_size if size is None else size)


def newest_entry(lake, table):
    return max((lake.table(table) / "_delta_log").glob("*.json"))


@pytest.mark.parametrize(
    ("keep", "torn"),
    [
        ({"spans": 0}, {"spans"}),
        ({"spans": 120, "audit_events": 0}, {"spans", "audit_events"}),
        ({"spans": 0, "audit_events": 90, "logs": 0, "contents": 300}, {"spans", "audit_events", "logs", "contents"}),
    ],
    ids=["last table", "two tables", "all tables"],
)
def test_torn_newest_entries_are_set_aside_and_replayed_from_the_journal(lake, writers, rows, keep, torn):
    """Whichever tables lost their last entry, every acknowledged row is there once after the start, in the same bytes."""
    writer = writers()
    append(writer, rows.whole_batch("a"))
    writer.flush()
    append(writer, rows.whole_batch("b"), rows.whole_batch("c"))
    cut_off(writers, writer, lake, keep)
    before = rows.hashes(lake)
    again = writers()
    assert again.shard == writer.shard
    assert {t for t in (*LEDGERED, "contents") if list((lake.table(t) / "_delta_log").glob("*.torn-*"))} == torn
    for table in LEDGERED:
        assert rows.batches_of(rows.read_table(lake, table)) == {"a": 3, "b": 3, "c": 3}
    assert rows.read_table(lake, "contents").num_rows == 9
    assert rows.hashes(lake) == before
    append(again, rows.whole_batch("d"))
    again.flush()
    assert rows.indices(lake) == {("acme", writer.shard): list(range(36))}


def test_an_entry_torn_before_the_newest_stops_the_lake(lake, writers, rows):
    """The message names the entry; nothing is written until somebody has restored it."""
    writer = writers()
    for tag in ("a", "b"):
        append(writer, rows.whole_batch(tag))
        writer.flush()
    writer.stop()
    entry = lake.table("audit_events") / "_delta_log" / f"{1:020d}.json"
    whole = entry.read_bytes()
    entry.write_bytes(b"")
    with pytest.raises(
        CorruptionError, match=rf"{entry.name} is torn, though 0+2\.json was written after it"
    ) as caught:
        writers()
    assert "restore this log entry from a backup" in caught.value.hint
    entry.write_bytes(whole)
    again = writers()
    assert again.shard == writer.shard
    assert rows.batches_of(rows.read_table(lake, "audit_events")) == {"a": 3, "b": 3}


def test_a_torn_entry_of_another_shard_waits_for_that_shards_replay(lake, writers, rows):
    """One collector's start sets the torn entry aside; the other one's replay brings its rows back, once."""
    one, two = writers("one"), writers("two")
    append(one, rows.whole_batch("one"))
    one.flush()
    one.stop()
    append(two, rows.whole_batch("two"))
    cut_off(writers, two, lake, {"spans": 40})
    one = writers("one")
    append(one, rows.whole_batch("more"))
    one.flush()
    assert rows.batches_of(rows.read_table(lake, "spans")) == {"one": 3, "more": 3}
    writers("two")
    for table in LEDGERED:
        assert rows.batches_of(rows.read_table(lake, table)) == {"one": 3, "two": 3, "more": 3}


def test_a_torn_creation_is_repeated(lake, writers, rows):
    """A lake that lost power while its tables were made can be opened."""
    open_stores(lake)
    for table in ("spans", "metrics"):
        os.truncate(newest_entry(lake, table), 200)
    writer = writers()
    append(writer, rows.whole_batch("a"))
    writer.flush()
    assert rows.batches_of(rows.read_table(lake, "spans")) == {"a": 3}
