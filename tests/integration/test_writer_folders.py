"""Journal folders that were restored, copied or lost: a log is never continued from a copy, and stays readable."""

import shutil
import tarfile

import pytest

from warehouse.lake import Lake

WAIT_SECONDS = 120
LEDGERED = ("spans", "audit_events", "logs")


def append(writer, batch):
    writer.append(batch).result(WAIT_SECONDS)


def pack(folder, archive):
    with tarfile.open(archive, "w") as stream:
        stream.add(folder, arcname=folder.name)


def unpack(folder, archive):
    shutil.rmtree(folder)
    with tarfile.open(archive) as stream:
        stream.extractall(folder.parent, filter="tar")


@pytest.mark.parametrize("moment", ["before any commit", "between commits", "just now"])
def test_a_restored_journal_folder_is_not_continued(lake, writers, rows, tmp_path, moment):
    """An archive of the folder put back under its name: a new identity, the old log closed, nothing used again."""
    writer = writers()
    folder, archive = lake.journal / writer.shard, tmp_path / "backup.tar"
    for number, tag in enumerate(("a", "b", "c")):
        if (moment, number) in {("before any commit", 0), ("between commits", 1)}:
            pack(folder, archive)
        append(writer, rows.whole_batch(tag))
        writer.flush()
    writer.stop()
    if moment == "just now":
        pack(folder, archive)
    unpack(folder, archive)
    again = writers()
    assert again.shard != writer.shard
    assert writers.claims.closed == {writer.shard: "journal folder copied or restored"}
    assert again.closed_logs == ((writer.shard, "journal folder copied or restored"),)
    append(again, rows.whole_batch("d"))
    again.flush()
    assert rows.batches_of(rows.read_table(lake, "spans")) == {"a": 3, "b": 3, "c": 3, "d": 3}
    assert rows.indices(lake) == {
        ("acme", writer.shard): list(range(27)),
        ("acme", again.shard): list(range(9)),
    }


def test_a_lost_journal_folder_leaves_its_committed_rows_readable(lake, writers, rows):
    """Without its folder a log is closed at what was committed; a segment that only some tables hold is never shown."""
    writer = writers()
    append(writer, rows.whole_batch("whole"))
    writer.flush()
    append(writer, rows.whole_batch("half"))
    stores = writer._committer._stores

    def refuse(*_arguments):
        raise OSError(5, "Input/output error")

    stores["spans"].append = refuse
    writer.stop()
    assert rows.batches_of(rows.read_table(lake, "logs", marks=False)) == {"whole": 3, "half": 3}
    shutil.rmtree(lake.journal / writer.shard)
    again = writers()
    assert writers.claims.closed == {writer.shard: "journal folder lost"}
    append(again, rows.whole_batch("new"))
    again.flush()
    for table in LEDGERED:
        assert rows.batches_of(rows.read_table(lake, table)) == {"whole": 3, "new": 3}


def test_a_copied_lake_and_its_original_give_no_index_twice_under_one_name(lake, writers, rows, tmp_path):
    """A clone of a running lake, opened elsewhere, writes under an identity of its own."""
    writer = writers()
    append(writer, rows.whole_batch("a"))
    writer.flush()
    shutil.copytree(lake.path, tmp_path / "clone")
    clone = type(writers)(Lake(tmp_path / "clone"), rows.MemoryClaims(), rows.NOW)
    clone.claims.opened.append(writer.shard)  # its control database is a copy too
    other = clone()
    try:
        assert other.shard != writer.shard
        assert clone.claims.closed == {writer.shard: "journal folder copied or restored"}
        assert rows.batches_of(rows.read_table(clone.lake, "spans")) == {"a": 3}
    finally:
        clone.stop()
