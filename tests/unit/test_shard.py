"""A shard's folder: who may write it, what it is continued from, and what stops it."""

import json
import os
import shutil
import stat

import pytest

from warehouse.durable import replace_file
from warehouse.errors import CorruptionError, NameRuleError, ShardHeldError, UnavailableError
from warehouse.journal import Frame, Position, SegmentWriter, list_segments, write_position
from warehouse.marks import read_mark, read_marks, write_mark
from warehouse.sequence import sequence
from warehouse.shard import CommittedSegments, closing_position, open_shard


@pytest.fixture
def claims(rows):
    return rows.MemoryClaims()


@pytest.fixture
def take(lake, claims, rows):
    """Opens the shard `main` as a process does; `tables` says what the tables hold: (in any, in all)."""
    opened = []

    def open_it(name="main", tables=(-1, -1)):
        committed = CommittedSegments(lambda _: tables[0], lambda _: tables[1])
        opened.append(open_shard(lake, name, claims, committed=committed, clock=lambda: rows.NOW))
        return opened[-1]

    yield open_it
    for shard in opened:
        shard.release()


@pytest.fixture
def write(rows):
    """Writes a segment of groups of rows into a shard's folder and returns its file."""

    def write_segment(shard, opening, *groups):
        writer = SegmentWriter(shard.folder, shard=shard.identity, opening=opening, nonce="ab" * 8)
        index = dict(opening.next_index)
        for group in groups:
            for tenant in group:
                done = sequence(
                    rows.records(logs=rows.ledgered("logs", 1, "t", tenant=tenant)),
                    shard=shard.identity, segment=opening.segment, metric_row=0, next_index=index, random_bytes=bytes,
                )  # fmt: skip
                index = done.next_index
                writer.write(writer.payload(Frame(done.tables)))
            writer.sync()
        writer.close()
        return writer.file

    return write_segment


def test_a_new_shard_has_an_identity_of_its_own_and_starts_at_zero(take, claims):
    """The identity is name and eight hex digits, claimed in the control database; folder 0700, files 0600."""
    shard = take()
    assert claims.opened == [shard.identity]
    assert shard.identity.startswith("main-")
    assert (shard.head, shard.waiting, shard.closed) == (Position(0, {}), [], [])
    assert stat.S_IMODE(shard.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in shard.folder.iterdir()} == {0o600}


def test_the_same_folder_is_continued(take, write):
    """After a restart the identity is the same, and what was not committed waits."""
    first = take()
    write(first, first.head, ["acme", "acme"], ["globex"])
    first.release()
    again = take()
    assert again.identity == first.identity
    assert again.closed == []
    (waiting,) = again.waiting
    assert closing_position(waiting) == Position(1, {"acme": 2, "globex": 1})


def test_one_process_at_a_time_writes_a_shard(take):
    """The second is refused, and its message says who holds the shard: process, host and since when."""
    first = take()
    expected = rf"shard main is held by pid {os.getpid()} on {os.uname().nodename} since 2026-11-23T00:00:00Z"
    with pytest.raises(ShardHeldError, match=expected):
        take()
    first.release()
    assert take().identity == first.identity


def test_shards_of_other_names_are_left_alone(take, claims):
    """`main` and `main-2` are two shards, though the one's folder begins with the other's name."""
    two, one = take("main-2"), take("main")
    assert two.identity != one.identity
    assert claims.closed == {}
    two.release()
    assert take("main-2").identity == two.identity


def test_a_name_outside_the_rule_is_refused(take):
    """A shard's name becomes a path: only the rule's characters may be in it."""
    with pytest.raises(NameRuleError, match="shard name"):
        take("../main")


def copy_over(folder, lake):
    """Put an older copy of the folder back under its name."""
    aside = lake.path / "backup"
    shutil.copytree(folder, aside)
    shutil.rmtree(folder)
    shutil.copytree(aside, folder)


def rename_copy(folder, lake):
    """Copy the folder under another identity's name."""
    shutil.move(folder, folder.with_name("main-0badc0de"))


REPLACED = {
    "restored copy": (copy_over, "journal folder copied or restored"),
    "copy under another name": (rename_copy, "journal folder lost"),
    "lost folder": (lambda folder, _: shutil.rmtree(folder), "journal folder lost"),
    "lost head": (lambda folder, _: (folder / "head").unlink(), "head lost"),
    "lost identity": (lambda folder, _: (folder / "identity").unlink(), "identity file lost"),
    "torn identity": (lambda folder, _: (folder / "identity").write_bytes(b"{"), "identity file not whole"),
    "foreign identity": (
        lambda folder, _: (folder / "identity").write_text(json.dumps({"identity": "main-ffffffff"})),
        "journal folder is a copy of main-ffffffff",
    ),
    "identity written anew": (
        lambda folder, _: replace_file(folder / "identity", (folder / "identity").read_bytes()),
        "journal folder copied or restored",
    ),
}


@pytest.mark.parametrize("how", REPLACED)
def test_a_folder_that_is_not_the_one_that_was_made_is_not_continued(take, write, claims, lake, how):
    """A copy, a restored backup or a lost folder: a new identity, the old log closed with the reason, its mark kept."""
    damage, reason = REPLACED[how]
    old = take()
    write(old, old.head, ["acme"])
    write_mark(old.folder, 4)
    old.release()
    damage(old.folder, lake)
    new = take(tables=(5, 5))
    assert new.identity != old.identity
    assert (new.head, new.waiting) == (Position(0, {}), [])
    assert claims.closed == {old.identity: reason}
    assert (old.identity, reason) in new.closed
    assert read_marks(lake)[old.identity] == 5
    assert not list_segments(old.folder)
    assert [file.name for file in old.folder.iterdir()] == ["committed"]
    new.release()
    assert take().closed == []


def test_what_is_set_aside_is_all_there(take, write, lake):
    """The folder that may not be continued keeps its segments, under a name that nothing opens."""
    old = take()
    file = write(old, old.head, ["acme"])
    content = file.read_bytes()
    old.release()
    copy_over(old.folder, lake)
    take()
    aside = lake.journal / f"{old.identity}.aside-1"
    assert sorted(path.name for path in aside.iterdir()) == ["0000000000.seg", "head", "identity"]
    assert (aside / "0000000000.seg").read_bytes() == content


@pytest.mark.parametrize(
    ("head", "tables", "mark", "continued"),
    [
        (Position(3, {}), (2, 2), 2, True),
        (Position(3, {}), (3, 3), 2, False),
        (Position(3, {}), (2, 2), 3, False),
        (Position(3, {}), (-1, -1), -1, True),
    ],
)
def test_a_head_behind_the_tables_is_a_restored_one(take, claims, head, tables, mark, continued):
    """A folder written back in place keeps its inode, but the tables and the mark know of later segments."""
    old = take()
    write_position(old.folder / "head", head)
    if mark >= 0:
        write_mark(old.folder, mark)
    old.release()
    again = take(tables=tables)
    assert (again.identity == old.identity) is continued
    expected = {} if continued else {old.identity: "journal folder older than what was committed from it"}
    assert claims.closed == expected


def test_only_what_all_tables_hold_becomes_readable_when_a_journal_is_lost(take, lake):
    """Of a segment whose commit was interrupted a part may stand in the tables: readers never see it."""
    old = take()
    old.release()
    shutil.rmtree(old.folder)
    take(tables=(8, 7))
    assert read_marks(lake) == {old.identity: 7}


def test_a_claim_whose_folder_was_never_finished_is_closed(take, claims, lake):
    """A crash between claim and folder leaves an identity that nobody ever wrote under."""
    orphan = claims.claim_shard("main")
    (lake.journal / orphan).mkdir()
    shard = take()
    assert claims.closed == {orphan: "journal folder lost"}
    assert shard.identity != orphan


def test_an_interrupted_closing_is_finished_by_the_next_opening(take, claims, lake, monkeypatch):
    """A log closed in the control database whose folder still stands is set aside, never continued."""
    old = take()
    old.release()
    copy_over(old.folder, lake)
    from pathlib import Path

    def refuse(*_arguments):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(UnavailableError, match="Input/output error"):
        take()
    monkeypatch.undo()
    assert claims.closed == {old.identity: "journal folder copied or restored"}
    new = take()
    assert new.identity != old.identity
    assert not (old.folder / "identity").exists()


def test_a_committed_segment_that_was_not_deleted_is_deleted(take, write):
    """A crash between head and unlink leaves a segment that is in the tables: it is not replayed."""
    old = take()
    write(old, old.head, ["acme"])
    write_position(old.folder / "head", Position(1, {"acme": 1}))
    (old.folder / ".head.123.tmp").write_bytes(b"half")
    old.release()
    again = take(tables=(0, 0))
    assert (again.head, again.waiting) == (Position(1, {"acme": 1}), [])
    assert sorted(file.name for file in again.folder.iterdir()) == ["committed", "head", "identity"]


def test_a_lost_mark_is_written_again_from_the_head(take):
    """The head moves after the mark: everything below it stands in all tables, and stays readable."""
    old = take()
    write_position(old.folder / "head", Position(6, {"acme": 1}))
    old.release()
    assert read_mark(take().folder) == 5


def test_a_torn_tail_of_the_newest_segment_is_cut_off(take, write):
    """What a crash left unsynced goes; the frames before it wait for their commit."""
    old = take()
    file = write(old, old.head, ["acme"], ["acme"])
    size = file.stat().st_size
    old.release()
    os.truncate(file, size - 7)
    (waiting,) = take().waiting
    assert len(waiting.frames) == 1
    assert file.stat().st_size == waiting.valid_bytes < size - 7


@pytest.mark.parametrize("keep", [0, 11])
def test_a_newest_segment_whose_opening_is_torn_goes_whole(take, write, keep):
    """It holds nothing that was acknowledged; the segment before it waits, and the number is free again."""
    old = take()
    write(old, old.head, ["acme"])
    torn = write(old, Position(1, {"acme": 1}))
    old.release()
    os.truncate(torn, keep)
    again = take()
    assert [segment.number for segment in again.waiting] == [0]
    assert not torn.exists()


def test_damage_to_acknowledged_frames_of_the_newest_segment_stops_the_shard(take, write):
    """An invalid frame with later ones behind it was acknowledged: the message names file and offset, nothing is cut."""
    shard = take()
    file = write(shard, shard.head, ["acme"], ["acme"], ["acme"])
    shard.release()
    content = bytearray(file.read_bytes())
    frame = (len(content) - content.find(b'{"durable"')) // 3
    content[len(content) - frame - frame // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(
        CorruptionError, match=rf"{file.name}: invalid frame at byte \d+ of {len(content)}, though a frame"
    ):
        take()
    assert file.read_bytes() == content


@pytest.mark.parametrize("how", ["cut", "altered", "emptied", "missing", "from elsewhere"])
def test_damage_to_an_older_segment_stops_the_shard(take, write, how):
    """Where a later segment exists nothing of an older one may be missing; files stay as they were found."""
    shard = take()
    old = write(shard, shard.head, ["acme"], ["acme"])
    new = write(shard, Position(1, {"acme": 2}), ["acme"])
    shard.release()
    content = old.read_bytes()
    if how == "cut":
        os.truncate(old, len(content) - 5)
    elif how == "altered":
        old.write_bytes(content[:-9] + b"?" + content[-8:])
    elif how == "emptied":
        old.write_bytes(b"")
    elif how == "missing":
        old.unlink()
    else:
        new.unlink()
        write(shard, Position(1, {"acme": 99}), ["acme"])
    os.truncate(new, new.stat().st_size - 3)  # and a torn tail besides: it is not cut while the shard cannot open
    before = {file.name: file.read_bytes() for file in shard.folder.glob("*.seg")}
    expected = {
        "missing": "0000000001.seg: expected it to open at segment 0 after 0 records of 0 tenants, got segment 1 after 2",
        "from elsewhere": "0000000001.seg: expected it to open at segment 1 after 2 records of 1 tenants, got .* after 99",
    }.get(how, r"0000000000.seg: invalid frame at byte \d+ of \d+, though a later segment exists")
    with pytest.raises(CorruptionError, match=expected):
        take()
    assert {file.name: file.read_bytes() for file in shard.folder.glob("*.seg")} == before
    assert shard.lock.acquire(holder="test"), "a refused opening gives the lock back"


def test_a_journal_that_cannot_be_written_is_unavailable(take, monkeypatch):
    """Low-level errors do not leak, and the lock is given back."""

    def refuse(*_arguments, **_keywords):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(UnavailableError, match=r"shard main: cannot open .*: Read-only file system"):
        take()
    monkeypatch.undo()
    take()
