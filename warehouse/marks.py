"""Commit marks: up to which segment a shard's files may be read.

A segment's rows go into several tables, one commit each. The shard's mark (`LAKE/journal/<shard>/committed`) is moved
once all of them stand, so a reader that reads the marks first and skips files above them never sees part of a request.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from warehouse.durable import replace_file
from warehouse.errors import CorruptionError
from warehouse.lake import Lake

MARK_FILE = "committed"
_FILE_NAME = re.compile(r"(?P<shard>[a-z0-9-]+-[0-9a-f]{8})-(?P<segment>\d{10})-[^/]*\.parquet")


def read_marks(lake: Lake) -> dict[str, int]:
    """Highest committed segment of each shard."""
    return {file.parent.name: _read_mark(file) for file in lake.journal.glob(f"*/{MARK_FILE}")}


def write_mark(folder: Path, segment: int) -> None:
    """Move the mark of the shard in `folder`, durably."""
    replace_file(folder / MARK_FILE, mark_text(segment))


def mark_text(segment: int) -> bytes:
    """Bytes of a mark's file."""
    return json.dumps({"segment": segment}).encode()


def read_mark(folder: Path) -> int:
    """Return the mark of the shard in `folder`; -1 when nothing was committed yet."""
    file = folder / MARK_FILE
    return _read_mark(file) if file.exists() else -1


def segment_of(path: str) -> tuple[str, int] | None:
    """Shard and segment that wrote a file, None for one that a rewrite made."""
    match = _FILE_NAME.fullmatch(path.rsplit("/", 1)[-1])
    return None if match is None else (match["shard"], int(match["segment"]))


def is_readable(path: str, marks: Mapping[str, int]) -> bool:
    """Whether a live file's rows may be shown: its segment is at or below its shard's mark, or a rewrite made it."""
    place = segment_of(path)
    return place is None or place[1] <= marks.get(place[0], -1)


def _read_mark(file: Path) -> int:
    try:
        return int(json.loads(file.read_bytes())["segment"])
    except (ValueError, KeyError, TypeError) as exc:
        raise CorruptionError(f"{file}: expected a JSON object with a segment number, got {exc}") from exc
