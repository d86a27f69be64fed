"""A shard's folder: identity, lock, head, and what must be replayed.

A shard's identity is `<name>-<8 hex>`. It is bound to the folder by the identity file's inode: a copied or restored
folder has another inode, gets a new identity, and the old log is closed, because a log continued from a copy forks.
"""

import json
import os
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from warehouse.clock import Clock, utc_text
from warehouse.durable import make_folder, sync_folder
from warehouse.errors import CorruptionError, ShardHeldError
from warehouse.journal import Position, Segment, list_segments, read_position, read_segment, write_position
from warehouse.lake import Lake
from warehouse.locks import FileLock
from warehouse.marks import MARK_FILE, read_mark, write_mark
from warehouse.names import check_name

CommittedSegment = Callable[[str], int]
"""Highest segment of a shard identity that any table holds, -1 for none."""


class ShardClaims(Protocol):
    """Where identities are claimed: the control database.

    `claim_shard` MUST return an identity never returned before. `close_shard` MAY be called for one already closed.
    """

    def claim_shard(self, name: str) -> str:
        """Make a new identity for the shard called `name` and return it."""
        ...

    def close_shard(self, identity: str, reason: str) -> None:
        """Record that nobody will ever write this shard again."""
        ...

    def open_shards(self, name: str) -> Sequence[str]:
        """Identities called `name` that are not closed."""
        ...


@dataclass
class ShardFolder:
    """An opened and locked shard: where it stands and which segments wait to be committed.

    `closed` lists (identity, reason) of logs that this opening closed. Use `release` at the end.
    """

    identity: str
    folder: Path
    lock: FileLock
    head: Position
    waiting: list[Segment]
    closed: list[tuple[str, str]]

    def release(self) -> None:
        """Let another process take the shard."""
        self.lock.release()


def open_shard(lake: Lake, name: str, claims: ShardClaims, *, committed: CommittedSegment, clock: Clock) -> ShardFolder:
    """Take the shard called `name`, making or replacing its identity where it must be.

    `committed` tells the highest segment of an identity that any table holds: a head behind it was restored.

    Raises:
        ShardHeldError: another process holds it; the message says which.
        CorruptionError: a frame is invalid where no crash leaves one, or the head is not whole.
    """
    check_name(name, "shard")
    lock = FileLock(lake.journal / f".{name}.lock")
    if not lock.acquire(holder=f"pid {os.getpid()} on {socket.gethostname()} since {utc_text(clock())}"):
        raise ShardHeldError(
            f"shard {name} is held by {lock.holder() or 'another process'}",
            hint="give this collector another shard name (--shard), or stop the other one",
        )
    try:
        return _open_locked(lake, name, claims, lock, committed)
    except BaseException:
        lock.release()
        raise


def _open_locked(
    lake: Lake, name: str, claims: ShardClaims, lock: FileLock, committed: CommittedSegment
) -> ShardFolder:
    known = set(claims.open_shards(name))
    closed: list[tuple[str, str]] = []
    mine: str | None = None
    identities = re.compile(re.escape(name) + "-[0-9a-f]{8}")
    for folder in sorted(lake.journal.iterdir()):
        if not identities.fullmatch(folder.name) or not (folder / "identity").exists():
            continue
        reason = _why_not_ours(folder, known, committed)
        if reason is None:
            mine = folder.name
            continue
        if folder.name in known:
            closed.append((folder.name, reason))
        _set_aside(folder)
    lost = sorted(known - {mine} - {identity for identity, _ in closed})
    closed += [(identity, "journal folder lost") for identity in lost]
    for identity, reason in closed:
        _leave_mark(lake.journal / identity, committed(identity))
        claims.close_shard(identity, reason)
    if mine is None:
        mine = claims.claim_shard(name)
        _make_folder(lake, mine)
    folder = lake.journal / mine
    head, waiting = _read_waiting(folder, mine)
    return ShardFolder(mine, folder, lock, head, waiting, closed)


def _make_folder(lake: Lake, identity: str) -> None:
    folder = lake.journal / identity
    make_folder(folder)
    file = folder / "identity"
    with file.open("w", encoding="utf8") as stream:
        json.dump({"identity": identity, "inode": os.fstat(stream.fileno()).st_ino}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    write_position(folder / "head", Position(0, {}))
    sync_folder(folder)


def _why_not_ours(folder: Path, known: set[str], committed: CommittedSegment) -> str | None:
    """Why the folder may not be continued; None when it may."""
    if (forged := _identity_problem(folder)) is not None:
        return forged
    if folder.name not in known:
        return "not claimed in the control database"
    head = read_position(folder / "head")
    if head is None:
        return "head lost"
    newest = max([head.segment - 1, *(number for number, _ in list_segments(folder))])
    if max(read_mark(folder), committed(folder.name)) > newest:
        return "journal folder older than what was committed from it"
    return None


def _identity_problem(folder: Path) -> str | None:
    file = folder / "identity"
    try:
        content = json.loads(file.read_bytes())
    except ValueError:
        return "identity file not whole"
    if content.get("identity") != folder.name:
        return f"journal folder is a copy of {content.get('identity')}"
    if content.get("inode") != file.stat().st_ino:
        return "journal folder copied or restored"
    return None


def _set_aside(folder: Path) -> None:
    """Keep a folder that may not be continued, under a name that nothing opens."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}.aside-{number}")).exists():
        number += 1
    folder.rename(aside)
    sync_folder(folder.parent)
    if (aside / MARK_FILE).exists():
        _leave_mark(folder, read_mark(aside))


def _leave_mark(folder: Path, segment: int) -> None:
    """Keep readable what was committed under an identity whose journal is gone."""
    if segment > read_mark(folder):
        make_folder(folder)
        write_mark(folder, segment)


def _read_waiting(folder: Path, identity: str) -> tuple[Position, list[Segment]]:
    """Read the head and the segments that are not committed, cutting a torn tail off the newest."""
    head = read_position(folder / "head")
    if head is None:
        raise CorruptionError(f"{folder / 'head'} is missing", hint="restore it from a backup of the journal folder")
    files = [(number, file) for number, file in list_segments(folder) if number >= head.segment]
    for number, file in list_segments(folder):
        if number < head.segment:
            file.unlink()
    waiting = []
    expected = head
    for place, (_, file) in enumerate(files):
        segment = read_segment(file, shard=identity)
        newest = place == len(files) - 1
        if segment.valid_bytes < segment.size_bytes and not newest:
            raise CorruptionError(
                f"{file}: invalid frame at byte {segment.valid_bytes} of {segment.size_bytes}, "
                "though a later segment exists: a crash cuts only the newest",
                hint="restore the segment from a backup; its later frames were acknowledged",
            )
        if newest and segment.valid_bytes < segment.size_bytes:
            _cut(file, segment.valid_bytes)
        if segment.valid_bytes == 0:
            file.unlink()
            continue
        if segment.opening != expected:
            raise CorruptionError(f"{file}: opens at {segment.opening}, expected {expected}")
        waiting.append(segment)
        expected = closing_position(segment)
    return head, waiting


def closing_position(segment: Segment) -> Position:
    """Where the shard stands after a segment's last frame."""
    after = dict(segment.opening.next_index)
    for frame in segment.frames:
        for name in ("spans", "audit_events", "logs"):
            batch = frame.tables.get(name)
            if batch is None:
                continue
            for entry in batch.column("tenant_id").value_counts().to_pylist():
                after[entry["values"]] = after.get(entry["values"], 0) + entry["counts"]
    return Position(segment.opening.segment + 1, after)


def _cut(file: Path, valid_bytes: int) -> None:
    descriptor = os.open(file, os.O_WRONLY)
    try:
        os.ftruncate(descriptor, valid_bytes)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
