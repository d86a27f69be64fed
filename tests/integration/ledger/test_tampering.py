"""The tampering matrix: a real lake is damaged on disk in one way, and the verification names that way, and nothing else."""

import shutil

import pytest

from warehouse.ledger.signing import read_signing_keys

SIZE = 720  # entries of acme's log: three batches of three tables with 80 rows
LOG = "acme/main"


def edit_value(lake):
    """One value of one row."""
    lake.change_row(50, name="forged")
    return {(LOG, "altered", 50, 50)}


def edit_salt(lake):
    """The salt of one row."""
    lake.change_row(300, salt=bytes(16))
    return {(LOG, "altered", 300, 300)}


def unknown_schema_version(lake):
    """A schema version that no ledger columns are known of."""
    lake.change_row(5, schema_version=99)
    return {(LOG, "altered", 5, 5)}


def delete_row(lake):
    """A row in the middle."""
    lake.delete_rows(400)
    return {(LOG, "missing", 400, 400)}


def delete_first_and_last_row(lake):
    """Both ends of the log."""
    lake.delete_rows(0, SIZE - 1)
    return {(LOG, "missing", 0, 0), (LOG, "missing", SIZE - 1, SIZE - 1)}


def delete_last_file(lake):
    """The newest file of a table, with the action that added it."""
    indices = lake.indices("spans", -1)
    lake.drop_add("spans", lake.files("spans")[-1])
    return {(LOG, "missing", indices[0], indices[-1])}


def delete_file_alone(lake):
    """A file that the Delta log still names."""
    indices = lake.indices("logs", 0)
    lake.files("logs")[0].unlink()
    return {(LOG, "missing", indices[0], indices[-1]), (LOG, "unreadable-file", None, None)}


def cut_file_short(lake):
    """A file cut off in its middle."""
    file = lake.files("logs")[0]
    indices = lake.indices("logs", 0)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return {(LOG, "missing", indices[0], indices[-1]), (LOG, "unreadable-file", None, None)}


def swap_rows(lake):
    """Two rows take each other's place; everything else about them stays."""
    _, file = lake.find(10)
    places = {10: 20, 20: 10}
    lake.rewrite(
        file, lambda rows: [row | {"log_index": places.get(row["log_index"], row["log_index"])} for row in rows]
    )
    return {(LOG, "reordered", 10, 10), (LOG, "reordered", 20, 20)}


def duplicate_row(lake):
    """The same row twice."""
    _, file = lake.find(33)
    lake.rewrite(file, lambda rows: [*rows, *(row for row in rows if row["log_index"] == 33)])
    return {(LOG, "duplicate-index", 33, 33)}


def second_row_at_an_index(lake):
    """Another row under an index that is taken, in a file of its own table."""
    _, file = lake.find(33)
    lake.rewrite(file, lambda rows: [*rows, *(row | {"name": "forged"} for row in rows if row["log_index"] == 33)])
    return {(LOG, "altered", 33, 33), (LOG, "duplicate-index", 33, 33)}


def row_above_the_size(lake):
    """A row that was never logged, under an index that the log has not reached."""
    _, file = lake.find(33)
    lake.rewrite(file, lambda rows: [*rows, *(row | {"log_index": 5000} for row in rows if row["log_index"] == 33)])
    return {(LOG, "not-in-log", 5000, 5000)}


def row_of_another_shard(lake):
    """A row that claims to be of a shard which has no log."""
    _, file = lake.find(33)
    lake.rewrite(
        file,
        lambda rows: [
            *rows,
            *(row | {"shard": "ghost-00000000", "log_index": 0} for row in rows if row["log_index"] == 33),
        ],
    )
    return {("acme/ghost", "not-in-log", 0, 0)}


def flip_tile_byte(lake):
    """A byte of a tile of leaf hashes."""
    flip(lake.log() / "tile/0/001", 32 * 7)
    return {(LOG, "altered-tile", 256 + 7, 256 + 7)}


def flip_entry_byte(lake):
    """A byte of an entry in a full bundle: the tile of its hashes tells."""
    flip(lake.log() / "tile/entries/000", 34 * 9 + 2)
    return {(LOG, "altered-tile", 9, 9)}


def flip_last_entry_byte(lake):
    """A byte of an entry in the incomplete bundle: the root tells."""
    flip(lake.log() / "tile/entries/002.p/208", 34 * 9 + 2)
    return {(LOG, "altered-tile", 512 + 9, 512 + 9)}


def flip_upper_tile_byte(lake):
    """A byte of a tile above the leaves."""
    flip(lake.log() / "tile/1/000.p/2", 32)
    return {(LOG, "altered-tile", 256, 256)}


def cut_tile_short(lake):
    """A tile that is too short."""
    file = lake.log() / "tile/0/000"
    file.write_bytes(file.read_bytes()[:-1])
    return {(LOG, "altered-tile", 0, 0)}


def delete_tile(lake):
    """A tile of leaf hashes."""
    (lake.log() / "tile/0/001").unlink()
    return {(LOG, "missing-tile", 256, 256)}


def delete_upper_tile(lake):
    """A tile above the leaves."""
    (lake.log() / "tile/1/000.p/2").unlink()
    return {(LOG, "missing-tile", 0, 0)}


def delete_bundle(lake):
    """A bundle of entries: rows are still checked by the hashes of their entries."""
    (lake.log() / "tile/entries/001").unlink()
    lake.change_row(300, peer="forged")
    return {(LOG, "missing-tile", 256, 256), (LOG, "altered", 300, 300)}


def delete_bundle_and_tile(lake):
    """Entries and their hashes: the tree above still stands, so nothing else is told."""
    (lake.log() / "tile/entries/001").unlink()
    (lake.log() / "tile/0/001").unlink()
    return {(LOG, "missing-tile", 256, 256)}


def rewrite_entry_and_row(lake):
    """A row with its entry and leaf hash, all consistent, by somebody without the signing key."""
    from hashlib import sha256

    import pyarrow as pa
    import pyarrow.parquet as pq

    from warehouse.ledger.commitments import commit_rows
    from warehouse.ledger.verify.files import live_files
    from warehouse.ledger.verify.scan import read_batches

    lake.change_row(600, attributes='{"forged":1}')
    table, path = lake.find(600)
    file = next(file for file in live_files(lake.lake) if file.path == path)
    rows = pa.Table.from_batches(read_batches(file)).filter(pa.compute.field("log_index") == 600)
    entry = commit_rows(table, rows.to_batches()[0]).hashes
    put(lake.log() / "tile/entries/002.p/208", 34 * (600 - 512) + 2, entry)
    put(lake.log() / "tile/0/002.p/208", 32 * (600 - 512), sha256(b"\x00" + entry).digest())
    del pq
    return {(LOG, "altered-tile", None, None)}


def flip_signature(lake):
    """A byte of the signature."""
    note = (lake.log() / "checkpoint").read_text()
    head, _, encoded = note.rstrip("\n").rpartition(" ")
    changed = encoded[:-6] + ("A" if encoded[-6] != "A" else "B") + encoded[-5:]
    (lake.log() / "checkpoint").write_text(f"{head} {changed}\n")
    return {(LOG, "bad-signature", None, None)}


def not_a_checkpoint(lake):
    """A checkpoint that is none."""
    (lake.log() / "checkpoint").write_text("nothing\n")
    return {(LOG, "bad-signature", None, None)}


def checkpoint_of_another_log(lake):
    """Another log's checkpoint, soundly signed."""
    shutil.copy(lake.log("beta") / "checkpoint", lake.log() / "checkpoint")
    return {(LOG, "bad-signature", None, None)}


def remove_log(lake):
    """The whole folder of a log; its rows stay."""
    shutil.rmtree(lake.log("beta"))
    return {("beta/main", "vanished-log", None, None)}


def change_content(lake):
    """The text of a content part."""
    file = lake.files("contents")[0]
    lake.rewrite(file, lambda rows: [row | {"body": "forged"} if row["owner_index"] == 3 else row for row in rows])
    return {(LOG, "content-altered", 3, 3)}


def content_nobody_lists(lake):
    """A content part that no record lists."""
    file = lake.files("contents")[0]
    lake.rewrite(file, lambda rows: [*rows, rows[0] | {"part": "invented", "owner_index": 3}])
    return {(LOG, "content-not-listed", 3, 3)}


def content_twice(lake):
    """A content part that stands there twice."""
    file = lake.files("contents")[0]
    lake.rewrite(file, lambda rows: [*rows, *(row for row in rows if row["owner_index"] == 3)])
    return {(LOG, "content-not-listed", 3, 3)}


def content_above_the_size(lake):
    """A content part of a record that the log does not have."""
    file = lake.files("contents")[0]
    lake.rewrite(file, lambda rows: [*rows, rows[0] | {"owner_index": 9000}])
    return {(LOG, "content-not-listed", 9000, 9000)}


def cut_tables_and_checkpoint(lake):
    """The log put back to its first segment: tables and journal tell that it was longer."""
    restore_log(lake, 240)
    return {(LOG, "tail-cut", 240, SIZE - 1)}


CASES = [
    edit_value, edit_salt, unknown_schema_version, delete_row, delete_first_and_last_row, delete_last_file,
    delete_file_alone, cut_file_short, swap_rows, duplicate_row, second_row_at_an_index, row_above_the_size,
    row_of_another_shard, flip_tile_byte, flip_entry_byte, flip_last_entry_byte, flip_upper_tile_byte, cut_tile_short,
    delete_tile, delete_upper_tile, delete_bundle, delete_bundle_and_tile, rewrite_entry_and_row, flip_signature,
    not_a_checkpoint, checkpoint_of_another_log, remove_log, change_content, content_nobody_lists,
    content_twice, content_above_the_size, cut_tables_and_checkpoint,
]  # fmt: skip


def flip(file, at):
    """Flip one bit of one byte."""
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def put(file, at, value):
    """Overwrite bytes."""
    content = bytearray(file.read_bytes())
    content[at : at + len(value)] = value
    file.write_bytes(content)


def restore_log(lake, size):
    """Put a log's folder back to what it was at an earlier size, as a copy taken then would."""
    from warehouse.ledger.checkpoint import Checkpoint, sign_checkpoint
    from warehouse.ledger.log_tiles import LogTiles
    from warehouse.ledger.tiles import TilePlace

    log = LogTiles(lake.log())
    entries = log.entries(0, size)
    origin = f"test/acme/{lake.shard}"
    checkpoint = Checkpoint(origin, size, log.root(size))
    note = sign_checkpoint(checkpoint, read_signing_keys(lake.lake.keys).signers(origin, lake.rows.NOW))
    del TilePlace
    shutil.rmtree(lake.log() / "tile")
    LogTiles(lake.log()).append(0, entries)
    (lake.log() / "checkpoint").write_bytes(note)


@pytest.mark.parametrize("damage", CASES, ids=lambda case: case.__name__)
def test_damage_is_named(lake, findings, damage):
    """One kind of damage gives exactly its findings, with their indices, and the result `broken`."""
    expected = damage(lake)
    report = lake.verify(vkey=lake.vkey)
    assert set(findings(report)) == expected
    assert report.result.value == "broken"


def test_undamaged_lake_is_consistent(pristine, findings):
    """Without damage there are no findings: consistent, since nothing establishes that this is the latest state."""
    report = pristine.verify(vkey=pristine.vkey)
    assert findings(report) == []
    assert report.result.value == "consistent"
    assert {log.signer_established for log in report.logs} == {True}
    assert {log.freshness.value for log in report.logs} == {"not established"}
    assert sum(log.present for log in report.logs) == SIZE + 45 + 1
