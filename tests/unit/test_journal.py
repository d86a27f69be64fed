"""Segments: what is written can be read back, and what is damaged is told from what a crash tore."""

import json
import os
import stat
import struct

import google_crc32c
import pyarrow as pa
import pytest

from warehouse.errors import CorruptionError, LimitError, UnavailableError
from warehouse.journal import Frame, Position, SegmentWriter, read_position, read_segment, segment_file, write_position
from warehouse.tables import SPANS

SHARD = "main-1a2b3c4d"
NONCE = "00112233445566aa"
OPENING = Position(4, {"acme": 17, "_lake": 2})
PREFIX = 8


def frame(number, size=20):
    """A frame whose rows say which one it is."""
    schema = SPANS.schema
    columns = [
        pa.array([f"frame {number}" + "x" * size]) if field.name == "attributes" else pa.nulls(1, field.type)
        for field in schema
    ]
    batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    return Frame({"spans": batch}, ((f"{number:032x}", 1, 0, "ok"),), (("import/abc", number),))


def write_groups(folder, *groups, nonce=NONCE):
    """Write a segment of groups of frames, one sync each; returns the file and where each frame ends."""
    writer = SegmentWriter(folder, shard=SHARD, opening=OPENING, nonce=nonce)
    ends = [writer.synced_bytes]
    for group in groups:
        payloads = [writer.payload(item) for item in group]
        for payload in payloads:
            writer.write(payload)
            ends.append(ends[-1] + PREFIX + len(payload))
        writer.sync()
    writer.close()
    return writer.file, ends


def told(segment):
    """Which frames a segment has, by what their rows say."""
    return [int(item.tables["spans"].column("attributes")[0].as_py().split()[1].rstrip("x")) for item in segment.frames]


def test_a_segment_comes_back_as_it_was_written(tmp_path):
    """Rows, requests and transactions of every frame are read back, under the opening that they were written under."""
    file, ends = write_groups(tmp_path, [frame(1), frame(2)], [frame(3)])
    segment = read_segment(file, shard=SHARD)
    assert segment.opening == OPENING
    assert (segment.number, segment.valid_bytes, segment.size_bytes) == (4, ends[-1], ends[-1])
    assert told(segment) == [1, 2, 3]
    assert segment.frames[1] == frame(2)
    assert file == segment_file(tmp_path, 4)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_frame_is_its_length_its_crc32c_and_its_payload(tmp_path):
    """The bytes on disk are two little-endian 32-bit numbers and the payload (CRC-32C: RFC 3720 appendix B.4)."""
    assert google_crc32c.value(bytes(32)) == 0x8A9136AA
    file, ends = write_groups(tmp_path, [frame(1)])
    content = file.read_bytes()[ends[0] :]
    length, checksum = struct.unpack("<II", content[:PREFIX])
    assert length == len(content) - PREFIX
    assert checksum == google_crc32c.value(content[PREFIX:])
    header = json.loads(content[PREFIX + 4 : PREFIX + 4 + struct.unpack_from("<I", content, PREFIX)[0]])
    assert (header["durable"], header["nonce"]) == (ends[0], NONCE)


@pytest.mark.parametrize("damage", ["cut in the prefix", "cut in the payload", "last byte altered", "zeros", "rubbish"])
def test_a_torn_tail_ends_the_segment_before_it(tmp_path, damage):
    """Whatever a crash left behind the last synced frame, the frames before it are read and nothing vouches for more."""
    file, ends = write_groups(tmp_path, [frame(1)], [frame(2)])
    content = bytearray(file.read_bytes())
    last = ends[1]
    if damage == "cut in the prefix":
        del content[last + 5 :]
    elif damage == "cut in the payload":
        del content[last + 30 :]
    elif damage == "last byte altered":
        content[-1] ^= 1
    elif damage == "zeros":
        content[last:] = bytes(5000)
    else:
        content[last:] = os.urandom(3000)
    file.write_bytes(content)
    segment = read_segment(file, shard=SHARD)
    assert told(segment) == [1]
    assert (segment.valid_bytes, segment.size_bytes) == (last, len(content))
    assert segment.vouched_bytes <= segment.valid_bytes


def test_a_whole_frame_behind_a_damaged_one_vouches_for_it_when_it_came_later(tmp_path):
    """Frame 3 says that frame 2 was durable, so damage in frame 2 is no torn tail."""
    file, ends = write_groups(tmp_path, [frame(1)], [frame(2)], [frame(3)])
    content = bytearray(file.read_bytes())
    payload = ends[1] + 64
    for place in (*range(ends[1], payload), *range(payload, ends[2], 211)):  # in its length, its checksum, its payload
        altered = bytearray(content)
        altered[place] ^= 0x10
        file.write_bytes(altered)
        segment = read_segment(file, shard=SHARD)
        assert (told(segment), segment.valid_bytes, segment.vouched_bytes) == ([1], ends[1], ends[2])


def test_frames_of_one_group_do_not_vouch_for_each_other(tmp_path):
    """Frames that one flush was to make durable reach the disk in any order: a crash may leave the second alone."""
    file, ends = write_groups(tmp_path, [frame(1)], [frame(2), frame(3)])
    content = bytearray(file.read_bytes())
    content[ends[1] : ends[2]] = bytes(ends[2] - ends[1])
    file.write_bytes(content)
    segment = read_segment(file, shard=SHARD)
    assert (told(segment), segment.valid_bytes, segment.vouched_bytes) == ([1], ends[1], ends[1])


def test_a_forged_frame_inside_a_record_vouches_for_nothing(tmp_path):
    """A sender that puts a frame's bytes into a record does not know the segment's nonce."""
    forged, forged_ends = write_groups(tmp_path, [frame(1)], [frame(2)], nonce="ffffffffffffffff")
    inside = forged.read_bytes()[forged_ends[1] :]
    forged.unlink()
    file, ends = write_groups(tmp_path, [frame(1, size=4000)])
    content = bytearray(file.read_bytes()[:-1])
    content[-len(inside) - 20 : -20] = inside
    file.write_bytes(content)
    segment = read_segment(file, shard=SHARD)
    assert (told(segment), segment.valid_bytes) == ([], ends[0])
    assert segment.vouched_bytes == 0


@pytest.mark.parametrize("keep", [0, 3, 40])
def test_a_torn_opening_leaves_nothing_to_replay(tmp_path, keep):
    """Before the opening is durable nothing follows it: a segment torn there holds no acknowledged row."""
    file, _ = write_groups(tmp_path)
    os.truncate(file, keep)
    segment = read_segment(file, shard=SHARD)
    assert (segment.number, segment.opening, segment.frames, segment.valid_bytes) == (4, None, (), 0)
    assert segment.vouched_bytes == 0


def test_a_damaged_opening_with_frames_behind_it_is_no_torn_one(tmp_path):
    """Frames show that their opening was durable, even where its nonce can no longer be read."""
    file, ends = write_groups(tmp_path, [frame(1)])
    content = bytearray(file.read_bytes())
    content[20] ^= 1
    file.write_bytes(content)
    segment = read_segment(file, shard=SHARD)
    assert (segment.opening, segment.vouched_bytes) == (None, ends[0])


@pytest.mark.parametrize(
    ("shard", "name", "expected"),
    [
        ("main-ffffffff", "0000000004.seg", "expected segment 4 of shard main-ffffffff"),
        (SHARD, "0000000009.seg", "expected segment 9 of shard main-1a2b3c4d in format 1, got segment 4"),
    ],
)
def test_a_segment_from_elsewhere_is_named(tmp_path, shard, name, expected):
    """A segment of another shard, or under another number, is not replayed as this one."""
    file, _ = write_groups(tmp_path, [frame(1)])
    with pytest.raises(CorruptionError, match=expected):
        read_segment(file.rename(tmp_path / name), shard=shard)


@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_a_failed_write_or_sync_leaves_what_was_durable_before(tmp_path, monkeypatch, call):
    """After a failure the file ends where it was last synced, and takes frames again once that cut is durable."""
    writer = SegmentWriter(tmp_path, shard=SHARD, opening=OPENING, nonce=NONCE)
    writer.write(writer.payload(frame(1)))
    writer.sync()
    durable = writer.synced_bytes
    real = getattr(os, call)
    left = [1]

    def refuse_once(*arguments):
        if left:
            left.pop()
            if call == "write":
                real(arguments[0], bytes(arguments[1])[:9])  # a short write, then no more room
            raise OSError(28, "No space left on device")
        return real(*arguments)

    def group():
        writer.write(writer.payload(frame(2)))
        writer.sync()

    monkeypatch.setattr(os, call, refuse_once)
    with pytest.raises(UnavailableError, match="No space left on device"):
        group()
    assert (writer.usable, writer.synced_bytes, writer.file.stat().st_size) == (True, durable, durable)
    group()
    writer.close()
    assert told(read_segment(writer.file, shard=SHARD)) == [1, 2]


def test_nothing_is_written_or_synced_until_the_cut_is_durable(tmp_path, monkeypatch):
    """While the disk refuses the cut too, the segment takes nothing; afterwards it ends at the last sync."""
    writer = SegmentWriter(tmp_path, shard=SHARD, opening=OPENING, nonce=NONCE)
    durable = writer.synced_bytes
    writer.write(writer.payload(frame(1)))

    def refuse(*_arguments):
        raise OSError(5, "Input/output error")

    for name in ("fdatasync", "ftruncate"):
        monkeypatch.setattr(os, name, refuse)
    with pytest.raises(UnavailableError, match="fdatasync failed: Input/output error"):
        writer.sync()
    assert not writer.usable
    for attempt in (writer.sync, lambda: writer.write(writer.payload(frame(2)))):
        with pytest.raises(UnavailableError, match="not cut off yet"):
            attempt()
    monkeypatch.undo()
    assert writer.abandon()
    writer.write(writer.payload(frame(3)))
    writer.sync()
    writer.close()
    segment = read_segment(writer.file, shard=SHARD)
    assert told(segment) == [3]
    assert durable < segment.valid_bytes == segment.size_bytes


def test_a_frame_over_the_limit_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    """A length that does not fit its field never gets into the file."""
    monkeypatch.setattr("warehouse.journal.MAX_FRAME_BYTES", 100)
    with pytest.raises(LimitError, match=r"a frame of \d+ bytes is over the limit of 100"):
        SegmentWriter(tmp_path, shard=SHARD, opening=OPENING, nonce=NONCE)
    assert not list(tmp_path.iterdir())


def test_a_segment_that_cannot_be_opened_leaves_no_file(tmp_path, monkeypatch):
    """An opening that the disk refuses is gone again, so that the number is free for the next try."""

    def refuse(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", refuse)
    with pytest.raises(UnavailableError, match="No space left on device"):
        SegmentWriter(tmp_path, shard=SHARD, opening=OPENING, nonce=NONCE)
    assert not list(tmp_path.iterdir())


def test_the_head_comes_back_and_one_that_is_not_whole_stops_the_shard(tmp_path):
    """`head` is replaced whole; anything else in it is corruption and named."""
    file = tmp_path / "head"
    assert read_position(file) is None
    write_position(file, OPENING)
    assert read_position(file) == OPENING
    for content in (b"", b"{", b"[]", b'{"segment": 1}'):
        file.write_bytes(content)
        with pytest.raises(CorruptionError, match="head: expected a JSON object with segment and next_index"):
            read_position(file)
