"""A shard's folder: identity, lock, head, and what must be replayed.

A shard's identity is `<name>-<8 hex>`. It is bound to the folder by inode and birth time of the identity file, which no
copy or restore can give back: a copied or restored folder gets a new identity and the old log is closed, because a log
continued from a copy forks. The mark stays where it is in any case, so that what was committed remains readable.
"""

import json
import os
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from warehouse.birth import birth_unix_nano
from warehouse.clock import Clock, utc_text
from warehouse.durable import PRIVATE_FILE, make_folder, sync_folder
from warehouse.errors import CorruptionError, ShardHeldError, UnavailableError
from warehouse.journal import Position, Segment, list_segments, read_position, read_segment, write_position
from warehouse.lake import Lake
from warehouse.locks import FileLock
from warehouse.marks import MARK_FILE, read_mark, write_mark
from warehouse.names import check_name

_IDENTITY_FILE = "identity"
_HEAD_FILE = "head"


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


@dataclass(frozen=True)
class CommittedSegments:
    """What the tables know of a shard: its highest segment in any table, and in all of its tables; -1 for none.

    The two differ where a commit was interrupted: the one tells that a journal is older than the tables, the other up to
    where rows may be shown.
    """

    in_any_table: Callable[[str], int]
    in_all_tables: Callable[[str], int]


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


def is_identity(text: str, name: str) -> bool:
    """Whether `text` is an identity of the shard called `name`: its name, a hyphen, 8 hex digits."""
    return re.fullmatch(re.escape(name) + "-[0-9a-f]{8}", text) is not None


def open_shard(
    lake: Lake, name: str, claims: ShardClaims, *, committed: CommittedSegments, clock: Clock
) -> ShardFolder:
    """Take the shard called `name`, making or replacing its identity where it must be.

    Raises:
        ShardHeldError: another process holds it; the message says which.
        CorruptionError: a frame is invalid where no crash leaves one, or the head is not whole.
        UnavailableError: the journal's folder cannot be read or written.
    """
    check_name(name, "shard")
    lock = FileLock(lake.journal / f".{name}.lock")
    try:
        _take_lock(lock, name, clock)
        return _open_locked(lake, name, claims, lock, committed)
    except OSError as exc:
        lock.release()
        raise UnavailableError(f"shard {name}: cannot open {exc.filename or lake.journal}: {exc.strerror}") from exc
    except BaseException:
        lock.release()
        raise


def _take_lock(lock: FileLock, name: str, clock: Clock) -> None:
    if not lock.acquire(holder=f"pid {os.getpid()} on {socket.gethostname()} since {utc_text(clock())}"):
        raise ShardHeldError(
            f"shard {name} is held by {lock.holder() or 'another process'}",
            hint="give this collector another shard name (--shard), or stop the other one",
        )


def _open_locked(
    lake: Lake, name: str, claims: ShardClaims, lock: FileLock, committed: CommittedSegments
) -> ShardFolder:
    known = set(claims.open_shards(name))
    closed: list[tuple[str, str]] = []
    mine: str | None = None
    for folder in sorted(lake.journal.iterdir()):
        if not is_identity(folder.name, name) or not _has_journal(folder):
            continue
        reason = _why_not_ours(folder, known, committed)
        if reason is None and mine is None:
            mine = folder.name
            continue
        reason = reason or f"{mine} is open under the same name"
        closed.append((folder.name, reason))
        _close(folder, reason, claims if folder.name in known else None, committed)
    for identity in sorted(known - {mine} - {identity for identity, _ in closed}):
        closed.append((identity, "journal folder lost"))
        _close(lake.journal / identity, "journal folder lost", claims, committed)
    if mine is None:
        mine = claims.claim_shard(name)
        _make_folder(lake, mine)
    folder = lake.journal / mine
    head, waiting = _read_waiting(folder, mine)
    if read_mark(folder) < head.segment - 1:  # the head moves last: what is below it stands in all tables
        write_mark(folder, head.segment - 1)
    return ShardFolder(mine, folder, lock, head, waiting, closed)


def _make_folder(lake: Lake, identity: str) -> None:
    folder = lake.journal / identity
    make_folder(folder)
    file = folder / _IDENTITY_FILE
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(json.dumps({"identity": identity, **_binding(file)}).encode())
        stream.flush()
        os.fsync(stream.fileno())
    write_position(folder / _HEAD_FILE, Position(0, {}))


def _binding(file: Path) -> dict[str, int | None]:
    """What the kernel alone gives to a file: the same bytes put back under the same path have another."""
    return {"inode": file.stat().st_ino, "birth_unix_nano": birth_unix_nano(file)}


def _has_journal(folder: Path) -> bool:
    """Whether there is more than the mark of a log that was closed."""
    return folder.is_dir() and any(file.name != MARK_FILE for file in folder.iterdir())


def _why_not_ours(folder: Path, known: set[str], committed: CommittedSegments) -> str | None:
    """Why the folder may not be continued; None when it may."""
    if (forged := _identity_problem(folder)) is not None:
        return forged
    if folder.name not in known:
        return "not open in the control database"
    head = read_position(folder / _HEAD_FILE)
    if head is None:
        return "head lost"
    newest = max([head.segment - 1, *(number for number, _ in list_segments(folder))])
    if max(read_mark(folder), committed.in_any_table(folder.name)) > newest:
        return "journal folder older than what was committed from it"
    return None


def _identity_problem(folder: Path) -> str | None:
    file = folder / _IDENTITY_FILE
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        return "identity file lost"
    except ValueError:
        return "identity file not whole"
    if content.get("identity") != folder.name:
        return f"journal folder is a copy of {content.get('identity')}"
    if {name: content.get(name) for name in ("inode", "birth_unix_nano")} != _binding(file):
        return "journal folder copied or restored"
    return None


def _close(folder: Path, reason: str, claims: ShardClaims | None, committed: CommittedSegments) -> None:
    """Close a log for good: leave its mark where readers look, record the end, and keep the rest aside.

    In this order, each step safe to repeat: until the identity file is moved, the last, the next opening begins again.
    """
    mark = committed.in_all_tables(folder.name)
    if mark > read_mark(folder):
        make_folder(folder)
        write_mark(folder, mark)
    if claims is not None:
        claims.close_shard(folder.name, reason)
    if folder.is_dir():
        _set_aside(folder)


def _set_aside(folder: Path) -> None:
    """Move everything but the mark into a folder that nothing opens."""
    files = [file for file in folder.iterdir() if file.name != MARK_FILE]
    if not files:
        return
    number = 1
    while (aside := folder.with_name(f"{folder.name}.aside-{number}")).exists():
        number += 1
    make_folder(aside)
    for file in sorted(files, key=lambda file: file.name == _IDENTITY_FILE):
        file.rename(aside / file.name)
    sync_folder(aside)
    sync_folder(folder)


def _read_waiting(folder: Path, identity: str) -> tuple[Position, list[Segment]]:
    """Read the head and the segments that are not committed, cutting a torn tail off the newest.

    Everything is checked before anything is changed: a folder that cannot be opened stays as it was found.
    """
    head = read_position(folder / _HEAD_FILE)
    if head is None:
        raise CorruptionError(
            f"{folder / _HEAD_FILE} is missing", hint="restore it from a backup of the journal folder"
        )
    files = list_segments(folder)
    done = [file for number, file in files if number < head.segment]
    open_files = [file for number, file in files if number >= head.segment]
    waiting = []
    expected = head
    torn: tuple[Path, int] | None = None
    for file in open_files:
        segment = read_segment(file, shard=identity)
        if segment.valid_bytes < segment.size_bytes or segment.opening is None:
            _require_torn_tail(file, segment, newest=file == open_files[-1])
            torn = (file, segment.valid_bytes)
        if segment.opening is None:
            continue
        if segment.opening != expected:
            raise CorruptionError(
                f"{file}: expected it to open at {_describe(expected)}, got {_describe(segment.opening)}",
                hint="a segment is missing or from elsewhere: restore the journal folder from a backup",
            )
        waiting.append(segment)
        expected = closing_position(segment)
    if torn is not None:
        _cut(*torn)
    for file in done:
        file.unlink()
    for file in folder.glob(".*.tmp"):
        file.unlink()
    return head, waiting


def _require_torn_tail(file: Path, segment: Segment, *, newest: bool) -> None:
    """Accept an invalid frame only where a crash leaves it: in what was not yet synced of the newest segment."""
    found = f"{file}: invalid frame at byte {segment.valid_bytes} of {segment.size_bytes}"
    if not newest:
        raise CorruptionError(
            f"{found}, though a later segment exists: a crash tears only the newest",
            hint="restore the segment from a backup; its frames were acknowledged",
        )
    if segment.vouched_bytes > segment.valid_bytes:
        raise CorruptionError(
            f"{found}, though a frame behind it shows that the first {segment.vouched_bytes} bytes were durable: "
            "a crash tears only what was not",
            hint="restore the segment from a backup; its frames were acknowledged",
        )


def _describe(position: Position) -> str:
    indices = sum(position.next_index.values())
    return f"segment {position.segment} after {indices} records of {len(position.next_index)} tenants"


def closing_position(segment: Segment) -> Position:
    """Where the shard stands after a segment's last frame."""
    after = dict(segment.opening.next_index) if segment.opening else {}
    for frame in segment.frames:
        for name in ("spans", "audit_events", "logs"):
            batch = frame.tables.get(name)
            if batch is None:
                continue
            for entry in batch.column("tenant_id").value_counts().to_pylist():
                after[entry["values"]] = after.get(entry["values"], 0) + entry["counts"]
    return Position(segment.number + 1, after)


def _cut(file: Path, valid_bytes: int) -> None:
    """Cut a torn tail off; a file whose opening is torn goes whole."""
    if not valid_bytes:
        file.unlink()
        sync_folder(file.parent)
        return
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        os.ftruncate(descriptor, valid_bytes)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
