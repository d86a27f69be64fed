"""Which files of a table may be read."""

import json

import pytest

from warehouse.errors import CorruptionError
from warehouse.marks import is_readable, read_mark, read_marks, write_mark

SHARD = "main-1a2b3c4d"
FOLDER = "tenant_id=acme/day=2026-11-23"


@pytest.mark.parametrize(
    ("name", "marks", "expected"),
    [
        (f"{SHARD}-0000000007-spans.parquet", {SHARD: 7}, True),
        (f"{SHARD}-0000000008-spans.parquet", {SHARD: 7}, False),
        (f"{SHARD}-0000000000-spans.parquet", {}, False),
        (f"{SHARD}-0000000000-spans.parquet", {"main-ffffffff": 9}, False),
        (f"eu-west-2-{SHARD}-0000000003-audit_events.parquet", {f"eu-west-2-{SHARD}": 3}, True),
        (f"eu-west-2-{SHARD}-0000000003-audit_events.parquet", {SHARD: 3}, False),
        ("compact-0123456789abcdef0123456789abcdef.parquet", {}, True),
    ],
)
def test_a_file_is_readable_up_to_its_own_shards_mark(name, marks, expected):
    """A shard's file is readable when its segment is at or below that shard's mark; a rewrite's file always."""
    assert is_readable(f"{FOLDER}/{name}", marks) is expected


def test_marks_of_all_shards_are_read_and_folders_without_are_not_there(lake):
    """Every shard's mark is found; a shard that committed nothing has none, which means nothing of it is readable."""
    for shard, segment in (("main-00000001", 4), ("main-00000002", None)):
        (lake.journal / shard).mkdir()
        if segment is not None:
            write_mark(lake.journal / shard, segment)
    assert read_marks(lake) == {"main-00000001": 4}
    assert read_mark(lake.journal / "main-00000002") == -1
    assert json.loads((lake.journal / "main-00000001" / "committed").read_text()) == {"segment": 4}


@pytest.mark.parametrize("content", [b"", b"{}", b'{"segment": null}', b"[4]", b"\0\0\0"])
def test_a_mark_that_is_not_whole_stops_the_reader(lake, content):
    """A reader never guesses a mark: what a rename cannot have left is corruption, and names the file."""
    folder = lake.journal / SHARD
    folder.mkdir()
    (folder / "committed").write_bytes(content)
    with pytest.raises(CorruptionError, match=f"{SHARD}/committed: expected a JSON object with a segment number"):
        read_marks(lake)
