"""Makes a backup: one view of the lake, copied into a target beside running collectors, queries and compaction.

In it: tables (live files and a log of one entry), logs with their tiles, certificates, control database where it is a file, settings,
policies in their files, quarantine, evidence packs, the shards' marks. Not in it: signing keys, the lake's secret, the vault of subjects
(`keys_file`), journals, sockets, spill. What was acknowledged and stands only in a journal yet is in the next backup.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from warehouse.backup.delta_log import ENTRY
from warehouse.backup.documents import backup_origin, mirror_documents
from warehouse.backup.manifest import MANIFEST_FILE, Manifest, StoredLog, open_manifest, sign_manifest
from warehouse.backup.snapshot import LogView, Snapshot, take_snapshot
from warehouse.backup.target import LOCK_FILE, SourceGoneError, TargetWriter, check_target
from warehouse.clock import Clock
from warehouse.durable import PRIVATE_FILE, sync_file, sync_folder
from warehouse.errors import ConflictError, ControlUnavailableError, InputError, UnavailableError
from warehouse.keys import read_keys
from warehouse.lake import Lake
from warehouse.ledger.checkpoint import read_unverified
from warehouse.ledger.errors import NoteError
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.signing import SigningKeys, read_signing_keys
from warehouse.ledger.tiles import TILE_LEVELS, TILE_WIDTH, TilePlace, content_bytes
from warehouse.locks import locked
from warehouse.maintenance.partition import cleanup_lock_in_time
from warehouse.marks import MARK_FILE, mark_text
from warehouse.packs import FOLDER, PACK_DIGITS, pack_files
from warehouse.tables import TABLES

CONTROL_FILE = "control.db"
IN_FILE, ON_SERVER = "file", "server"
_ATTEMPTS, _FREE_ATTEMPTS = 5, 2
_CLEANUP_SECONDS = 60.0
_BUSY_SECONDS = 10.0

Progress = Callable[[str, int, int], None]
"""Called with (what, bytes done, bytes of all)."""


@dataclass(frozen=True)
class Made:
    """What a backup did. `files` and `size_bytes` are of the whole generation, `copied_…` of what was new in it."""

    target: Path
    manifest: Manifest
    manifest_sha256: str
    files: int
    size_bytes: int
    copied_files: int
    copied_bytes: int
    removed_files: int


def make_backup(
    lake: Lake,
    target: Path,
    *,
    lake_name: str,
    control: Path | None,
    clock: Clock,
    progress: Progress = lambda _what, _done, _of_all: None,
) -> Made:
    """Make the next generation in `target`, a folder that is there; the one before stays whole until this one is.

    `control` is the control database's file, None where it is on a server. Safe to repeat, and to kill.

    Raises:
        InputError: target and lake lie in one another.
        ConflictError: the target is something else's or another lake's, or holds logs that this lake does not continue.
        UnavailableError: the lake cannot be read, the target cannot be written, or another backup writes it.
        CorruptionError: a file of the lake is not what was committed; the generation that is there stays.
    """
    _check_place(lake, target)
    check_target(target)
    keys = read_signing_keys(lake.keys)
    try:
        with locked(target / LOCK_FILE, holder=f"pid {os.getpid()}", timeout_seconds=1.0):
            before = _read_before(lake, target, lake_name, keys)
            mirror_documents([target], [], lake=lake, lake_name=lake_name, clock=clock)
            for attempt in range(_ATTEMPTS):
                with _files_kept(lake) if attempt >= _FREE_ATTEMPTS else nullcontext():
                    snapshot = take_snapshot(lake, clock=clock)
                    _check_continues(lake, target, before, snapshot)
                    try:
                        return _Run(lake, TargetWriter(target, before), snapshot, progress).make(
                            lake_name, control, keys, clock
                        )
                    except SourceGoneError:
                        continue  # compacted, or purged, while it was being copied: look again
    except OSError as exc:
        raise UnavailableError(
            f"backup {target}: {exc.filename or 'a file'}: {exc.strerror or exc}",
            hint="see that the target has room and may be written; the generation that is there is whole",
        ) from exc
    raise UnavailableError(
        f"backup {target}: files were replaced while they were being copied, {_ATTEMPTS} times",
        hint="try again: what was copied is kept",
    )


@contextmanager
def _files_kept(lake: Lake) -> Iterator[None]:
    """Keep replaced files where they are over the block, so that a lake rewritten faster than it can be copied is copied too.

    Attempts before went without: a purge waits for this, and by now most files are in the target, so it is not for long.
    """
    with ExitStack() as locks:
        for name in TABLES:
            locks.enter_context(cleanup_lock_in_time(lake, name, timeout_seconds=_CLEANUP_SECONDS))
        yield


def _check_place(lake: Lake, target: Path) -> None:
    if not target.is_dir():
        raise UnavailableError(
            f"backup target {target}: expected a folder that is there, got none",
            hint="mount it, or make the folder once by hand: a missing one is not made, it may be a disk that is away",
        )
    one, other = lake.path.resolve(), target.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise InputError(
            f"backup target {target}: expected a folder apart from the lake, got one that lies in the other",
            hint="a copy on another disk, best in another place, is what helps when this one is gone",
        )


def _read_before(lake: Lake, target: Path, lake_name: str, keys: SigningKeys) -> Manifest | None:
    """The manifest of the generation that is there.

    Raises:
        ConflictError: it is another lake's, or none of this lake's keys signed it.
    """
    file = target / MANIFEST_FILE
    if not file.exists():
        return None
    hint = "name another folder: a target is one lake's alone"
    try:
        manifest = open_manifest(file.read_bytes(), keys.verifiers(backup_origin(lake_name)))
    except (NoteError, InputError) as exc:
        raise ConflictError(f"{file}: expected a manifest signed by lake {lake_name}: {exc}", hint=hint) from exc
    if manifest.lake_id != read_keys(lake).lake_id:
        raise ConflictError(
            f"{file}: expected the backup of this lake, got that of another lake {lake_name}", hint=hint
        )
    return manifest


def _check_continues(lake: Lake, target: Path, before: Manifest | None, snapshot: Snapshot) -> None:
    """Refuse to overwrite a backup that knows more: it is what shows that a log was put back or rewritten."""
    now = {log.checkpoint.origin: log for log in snapshot.logs}
    for stored in before.logs if before else ():
        held, log = read_unverified(stored.checkpoint.encode()), now.get(stored.origin)
        size = log.checkpoint.size if log else 0
        if log is not None and held.size <= size and _tiles(lake, log).root(held.size) == held.root:
            continue
        raise ConflictError(
            f"{target}: its log {stored.origin} of size {held.size} is not a beginning of the lake's, now of size {size}: "
            "the lake was put back or rewritten",
            hint="keep this backup: it may hold what the lake lost. Run `muniment verify`, or name another folder",
        )


def _tiles(lake: Lake, log: LogView) -> LogTiles:
    return LogTiles(lake.path / "ledger" / log.tenant / log.shard)


@dataclass(frozen=True)
class _Run:
    """One attempt at a generation."""

    lake: Lake
    writer: TargetWriter
    snapshot: Snapshot
    progress: Progress

    def make(self, lake_name: str, control: Path | None, keys: SigningKeys, clock: Clock) -> Made:
        writer, snapshot = self.writer, self.snapshot
        writer.begin()
        files = [
            (self.lake.table(table.name) / path, f"tables/{table.name}/{path}", size)
            for table in snapshot.tables
            for path, size in table.files
        ]
        writer.copy(files, done=self._counting("tables", sum(size for _, _, size in files)))
        packs = list(_packs(self.lake))
        writer.copy(packs, done=self._counting("packs", sum(size for _, _, size in packs)))
        for log in snapshot.logs:
            writer.add(_log_tiles(_tiles(self.lake, log), log), done=self._counting("logs", 0))
        writer.put(_state(self.lake, snapshot))
        if control is not None:
            _copy_control(control, writer.target / writer.state / CONTROL_FILE)
            writer.take(CONTROL_FILE)
        manifest = Manifest(
            lake=lake_name,
            lake_id=read_keys(self.lake).lake_id,
            generation=writer.generation,
            time_unix_nano=str(snapshot.time_unix_nano),
            control=ON_SERVER if control is None else IN_FILE,
            vkeys=tuple(verifier.vkey for verifier in keys.verifiers(lake_name)),
            logs=tuple(
                StoredLog(log.checkpoint.origin, log.checkpoint.size, log.note.decode()) for log in snapshot.logs
            ),
            documents=snapshot.documents,
            files=tuple(sorted(writer.files, key=lambda file: file.path)),
        )
        note = sign_manifest(manifest, keys.signers(backup_origin(lake_name), clock()))
        removed = writer.finish(note)
        return Made(
            writer.target, manifest, sha256(note).hexdigest(), len(manifest.files), manifest.size_bytes,
            writer.copied_files, writer.copied_bytes, removed,
        )  # fmt: skip

    def _counting(self, what: str, of_all: int) -> Callable[[int], None]:
        done = 0

        def count(size: int) -> None:
            nonlocal done
            done += size
            self.progress(what, done, of_all)

        return count


def _packs(lake: Lake) -> Iterator[tuple[Path, str, int]]:
    """The evidence packs, under names that hold a digest: one that was built anew is another file, however large it is."""
    for folder in sorted((lake.path / FOLDER).glob("*")):
        for file in pack_files(lake, folder.name):
            try:
                content = file.read_bytes()
            except FileNotFoundError as exc:  # deleted meanwhile, by age or by an erasure
                raise SourceGoneError(str(file)) from exc
            yield file, f"{FOLDER}/{folder.name}/{sha256(content).hexdigest()[:PACK_DIGITS]}.{file.name}", len(content)


def _log_tiles(tiles: LogTiles, log: LogView) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    """Every tile and bundle of entries that a tree of the checkpoint's size has."""
    size, base = log.checkpoint.size, f"ledger/{log.tenant}/{log.shard}"
    levels: list[int | None] = [None]
    while size >> (TILE_LEVELS * (len(levels) - 1)):
        levels.append(len(levels) - 1)
    for level in levels:
        held = size >> (TILE_LEVELS * (level or 0))
        for index in range(-(-held // TILE_WIDTH)):
            place = TilePlace(level, index)
            width = place.width(size)

            def read(place: TilePlace = place, width: int = width) -> bytes:
                return tiles.read(place, width)

            yield f"{base}/{place.path(width)}", content_bytes(place, width), read


def _state(lake: Lake, snapshot: Snapshot) -> Iterator[tuple[str, bytes]]:
    """What changes from one generation to the next."""
    yield lake.settings_file.name, lake.settings_file.read_bytes()
    for folder in (lake.policies, lake.quarantine):
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not file.name.startswith("."):
                content = file.read_bytes()
                if folder == lake.quarantine:
                    content = content[: content.rfind(b"\n") + 1]  # the last line may be under way
                yield file.relative_to(lake.path).as_posix(), content
    for table in snapshot.tables:
        yield f"tables/{table.name}/{ENTRY}", table.entry
    for log in snapshot.logs:
        for path, content in sorted(log.files.items()):
            yield f"ledger/{log.tenant}/{log.shard}/{path}", content
    for shard, segment in sorted(snapshot.marks.items()):
        yield f"journal/{shard}/{MARK_FILE}", mark_text(segment)


def _copy_control(source: Path, target: Path) -> None:
    """Copy the control database by SQLite's own means, as one transaction sees it.

    Raises:
        ControlUnavailableError: it does not answer.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE_FILE))
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as one,
            closing(sqlite3.connect(target)) as other,
        ):
            one.backup(other)
    except sqlite3.Error as exc:
        raise ControlUnavailableError(
            f"control database {source}: cannot be copied: {exc}", hint="see that the file is there and may be read"
        ) from exc
    sync_file(target)
    sync_folder(target.parent)
