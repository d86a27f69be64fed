"""Segments under any cut and any single damage: no acknowledged frame is lost in silence, no other one is invented."""

import os
import tempfile
from pathlib import Path

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from warehouse.journal import Frame, Position, SegmentWriter, read_segment
from warehouse.tables import LOGS

SHARD = "main-1a2b3c4d"
PREFIX = 8
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
GROUPS = st.lists(st.lists(TEXTS, min_size=1, max_size=3), max_size=4)


def write(folder, groups):
    """Write groups of one-row frames; returns the file, and (text, start, end, durable when it was written) of each."""
    writer = SegmentWriter(folder, shard=SHARD, opening=Position(0, {}), nonce=os.urandom(8).hex())
    frames, end = [], writer.synced_bytes
    for group in groups:
        for text in group:
            columns = [
                pa.array([text], pa.string()) if field.name == "body" else pa.nulls(1, field.type)
                for field in LOGS.schema
            ]
            batch = pa.RecordBatch.from_arrays(columns, schema=LOGS.schema)
            payload = writer.payload(Frame({"logs": batch}))
            writer.write(payload)
            frames.append((text, end, end + PREFIX + len(payload), writer.synced_bytes))
            end = frames[-1][2]
        writer.sync()
    writer.close()
    return writer.file, frames


def texts(segment):
    """What the frames of a segment say."""
    return [frame.tables["logs"].column("body")[0].as_py() for frame in segment.frames]


@given(groups=GROUPS, data=st.data())
def test_a_segment_cut_anywhere_replays_exactly_the_frames_that_end_before_the_cut(groups, data):
    """A crash that cuts the file at any byte costs the frames that end behind that byte, and no other."""
    with tempfile.TemporaryDirectory() as folder:
        file, frames = write(Path(folder), groups)
        opening = frames[0][1] if frames else file.stat().st_size
        size = data.draw(st.integers(0, file.stat().st_size))
        os.truncate(file, size)
        segment = read_segment(file, shard=SHARD)
        assert texts(segment) == [text for text, _, end, _ in frames if end <= size]
        assert (segment.opening is None) == (size < opening)
        assert segment.vouched_bytes <= segment.valid_bytes <= size


@given(groups=GROUPS, data=st.data())
def test_damage_is_refused_exactly_where_a_later_frame_shows_that_it_was_durable(groups, data):
    """One altered byte costs its frame and those behind it; it is called damage when any of those came after its sync."""
    with tempfile.TemporaryDirectory() as folder:
        file, frames = write(Path(folder), groups)
        content = bytearray(file.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= 1 << data.draw(st.integers(0, 7))
        file.write_bytes(content)
        segment = read_segment(file, shard=SHARD)
        before = [text for text, _, end, _ in frames if end <= place]
        assert texts(segment) == before
        behind = [durable for _, start, _, durable in frames if start > place]
        assert (segment.vouched_bytes > segment.valid_bytes) == any(durable > place for durable in behind)


@given(groups=GROUPS, rubbish=st.binary(max_size=200))
def test_rubbish_behind_a_segment_is_not_taken_for_a_frame(groups, rubbish):
    """Bytes that no writer wrote end the segment and vouch for nothing."""
    with tempfile.TemporaryDirectory() as folder:
        file, frames = write(Path(folder), groups)
        size = file.stat().st_size
        file.write_bytes(file.read_bytes() + rubbish)
        segment = read_segment(file, shard=SHARD)
        assert texts(segment) == [text for text, *_ in frames]
        assert (segment.valid_bytes, segment.vouched_bytes) == (size, 0)
