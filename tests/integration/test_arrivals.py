"""Where records came, read off the Delta logs: exactly there, and nothing before it can be read."""

import datetime as dt

import pyarrow as pa
import pytest
from deltalake.transaction import RemoveAction

from warehouse.arrivals import last_changes, read_arrivals
from warehouse.delta import DeltaStore
from warehouse.lake import make_lake
from warehouse.marks import write_mark
from warehouse.parquet import write_parts
from warehouse.tables import SPANS

SHARD = "main-1a2b3c4d"
FIRST, SECOND = dt.date(2024, 1, 5), dt.date(2024, 1, 6)
SECONDS = 1_000_000_000


class Written:
    """A lake whose table `spans` is committed a segment at a time; times of commits are the segments' numbers, in thousands of seconds."""

    def __init__(self, folder):
        self.lake = make_lake(folder)
        self.store = DeltaStore(SPANS, self.lake.table("spans"))
        (self.lake.journal / SHARD).mkdir()
        self.segment = 0

    def write(self, tenant, day):
        self.segment += 1
        parts = write_parts(SPANS, rows(tenant, day), self.store.folder, stem=f"{SHARD}-{self.segment:010d}")
        self.store.append([part.add_action(self.millis) for part in parts], [(f"{SHARD}/spans", self.segment)])

    def mark(self):
        write_mark(self.lake.journal / SHARD, self.segment)

    def rewrite(self, tenant, day):
        """Replace every file by one of one day, as compaction and purge do."""
        handle = self.store.fresh()
        old = pa.table(handle.get_add_actions()).column("path").to_pylist()
        remove = [RemoveAction(path=path, data_change=True, deletion_timestamp=0) for path in old]
        parts = write_parts(SPANS, rows(tenant, day), self.store.folder, stem=f"rewrite-{self.segment}")
        self.store.rewrite(handle, remove, [part.add_action(self.millis) for part in parts])

    @property
    def millis(self):
        return self.segment * 1_000_000

    def since(self, versions, seconds=0):
        return read_arrivals(self.lake, ["spans"], versions, since_unix_nano=seconds * SECONDS)


def rows(tenant, day):
    given = {"tenant_id": tenant, "day": day, "shard": SHARD, "log_index": 0, "time_unix_nano": 0}
    return pa.Table.from_pylist([given], schema=SPANS.schema)


@pytest.fixture
def written(tmp_path):
    made = Written(tmp_path / "lake")
    made.write("acme", FIRST)
    made.mark()
    return made


def test_what_came_is_named_once(written):
    """Tenant and day of each file that came after a version; at that version nothing."""
    first = written.since({})
    assert first.places == {("acme", FIRST)}
    written.write("acme", SECOND)
    written.write("beta", FIRST)
    written.mark()
    found = written.since(first.versions)
    assert found.places == {("acme", SECOND), ("beta", FIRST)}
    assert written.since(found.versions).places == frozenset()


def test_what_cannot_be_read_yet_waits(written):
    """A commit above its shard's mark is not named, nor passed over: it is named once the mark has moved."""
    first = written.since({})
    written.write("acme", SECOND)
    found = written.since(first.versions)
    assert found.places == frozenset()
    assert found.versions == first.versions
    written.mark()
    assert written.since(found.versions).places == {("acme", SECOND)}


def test_a_rewrite_brings_no_records(written):
    """Files that replace others are passed over, and what comes after them is named."""
    first = written.since({})
    written.rewrite("acme", FIRST)
    written.write("beta", SECOND)
    written.mark()
    assert written.since(first.versions).places == {("beta", SECOND)}


def test_entries_that_are_gone_are_made_up_for_by_live_files(written):
    """Those committed since the instant, a minute before it included."""
    first = written.since({})
    written.write("acme", SECOND)
    written.write("beta", SECOND)
    written.mark()
    written.store.fresh().create_checkpoint()
    (written.store.log / f"{first.versions['spans'] + 1:020d}.json").unlink()
    assert written.since(first.versions, seconds=2060).places == {("acme", SECOND), ("beta", SECOND)}
    assert written.since(first.versions, seconds=2061).places == {("beta", SECOND)}


def test_the_last_change_of_each_partition(written):
    """The newest commit of a live file."""
    written.write("acme", FIRST)
    written.write("beta", SECOND)
    assert last_changes(written.lake, ["spans", "logs"]) == {
        ("acme", FIRST): 2000 * SECONDS,
        ("beta", SECOND): 3000 * SECONDS,
    }
