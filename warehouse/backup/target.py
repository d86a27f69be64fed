"""A backup target: a folder that holds one generation of one lake, and turns into the next at one instant.

    manifest.note              signed; names every file of the generation
    data/tables/…  data/ledger/…   files that never change under their name: Parquet files and tiles, kept from one generation to the next
    state-<n>/…                everything else of generation n: control database, policies, settings, Delta logs, checkpoints, quarantine
    certificates/  certificates.note   the mirror, which only grows

Invariant: the files that the manifest names are whole and durable before the manifest is, and stay until another manifest is. A run
that was killed leaves files that no manifest names; the next run takes those over that are whole, and removes the others.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TypeVar

from warehouse.backup.documents import FOLDER, LIST_FILE
from warehouse.backup.manifest import MANIFEST_FILE, Manifest, StoredFile
from warehouse.durable import PRIVATE_FILE, make_folder, replace_file, replace_files, sync_folders
from warehouse.errors import ConflictError, CorruptionError

DATA = "data"
STATE = "state-"
LOCK_FILE = ".lock"
_BEFORE_THE_FIRST = frozenset({FOLDER, LIST_FILE, "lost+found"})
_CHUNK_BYTES = 1 << 20
_THREADS = 4
_FILES_AT_ONCE = 64
_CONTENTS_AT_ONCE = 256

Item = TypeVar("Item")


class SourceGoneError(Exception):
    """A file that the view of the lake names is not there any more: the view is too old."""


@dataclass
class TargetWriter:
    """Writes one generation into `target`. `before` is the manifest of the generation that is there, None without one."""

    target: Path
    before: Manifest | None
    files: list[StoredFile] = field(default_factory=list)
    copied_files: int = 0
    copied_bytes: int = 0

    def __post_init__(self) -> None:
        self.generation = 1 if self.before is None else self.before.generation + 1
        self.state = f"{STATE}{self.generation}"
        self._known = {} if self.before is None else self.before.by_path

    def begin(self) -> None:
        """Make the folders, and remove what a killed run left of a generation's state."""
        for folder in self.target.glob(f"{STATE}*"):
            if self.before is None or folder.name != f"{STATE}{self.before.generation}":
                shutil.rmtree(folder)
        make_folder(self.target / DATA)
        make_folder(self.target / self.state)

    def copy(self, files: Sequence[tuple[Path, str, int]], *, done: Callable[[int], None]) -> None:
        """Copy files that never change under their name: (source, path below `data`, size in bytes).

        One that the target holds with this size is not copied again. `done` hears of bytes, copied or not.

        Raises:
            SourceGoneError: a source is not there any more.
            CorruptionError: a source has another size.
        """
        with ThreadPoolExecutor(_THREADS) as pool:
            for start in range(0, len(files), _FILES_AT_ONCE):
                part = files[start : start + _FILES_AT_ONCE]
                stored = list(pool.map(lambda each: self._copy_one(*each), part))
                fresh = [place for place, (_, is_new) in enumerate(stored) if is_new]
                for place in fresh:
                    path = self.target / stored[place][0].path
                    temporary_name(path).rename(path)
                sync_folders({(self.target / stored[place][0].path).parent for place in fresh})
                self.files += [file for file, _ in stored]
                self.copied_files += len(fresh)
                self.copied_bytes += sum(stored[place][0].size for place in fresh)
                done(sum(file.size for file, _ in stored))

    def add(self, contents: Iterable[tuple[str, int, Callable[[], bytes]]], *, done: Callable[[int], None]) -> None:
        """Add small files that never change under their name: (path below `data`, size, how to read it); read only where missing."""
        for part in _parts(contents, _CONTENTS_AT_ONCE):
            missing: list[tuple[Path, bytes]] = []
            for path, size, read in part:
                known = self._held(f"{DATA}/{path}", size)
                if known is None:
                    content = read()
                    known = _describe(f"{DATA}/{path}", content)
                    missing.append((self.target / known.path, content))
                self.files.append(known)
            for folder in {file.parent for file, _ in missing}:
                make_folder(folder)
            replace_files(missing)
            self.copied_files += len(missing)
            self.copied_bytes += sum(len(content) for _, content in missing)
            done(sum(size for _, size, _ in part))

    def put(self, contents: Iterable[tuple[str, bytes]]) -> None:
        """Write files of this generation alone: (path below its folder, content)."""
        for part in _parts(contents, _CONTENTS_AT_ONCE):
            pending = [(self.target / self.state / path, content) for path, content in part]
            for folder in {file.parent for file, _ in pending}:
                make_folder(folder)
            replace_files(pending)
            self.files += [_describe(f"{self.state}/{path}", content) for path, content in part]
            self.copied_files += len(pending)
            self.copied_bytes += sum(len(content) for _, content in pending)

    def take(self, path: str) -> None:
        """Add a file of this generation that stands in its folder already, durably."""
        file = self.target / self.state / path
        stored = describe_file(file, f"{self.state}/{path}")
        self.files.append(stored)
        self.copied_files += 1
        self.copied_bytes += stored.size

    def finish(self, manifest: bytes) -> int:
        """Put the manifest in force; then remove what it does not name. Returns how many files were removed."""
        make_folder(self.target / self.state)
        replace_file(self.target / MANIFEST_FILE, manifest)
        return self._sweep()

    def _sweep(self) -> int:
        named = {file.path for file in self.files}
        removed, emptied = 0, set()
        for folder in (self.target / DATA, *self.target.glob(f"{STATE}*")):
            if folder.name not in {DATA, self.state}:
                removed += sum(file.is_file() for file in folder.rglob("*"))
                shutil.rmtree(folder)
                emptied.add(self.target)
                continue
            for file in [each for each in folder.rglob("*") if not each.is_dir()]:
                if file.relative_to(self.target).as_posix() not in named:
                    file.unlink()
                    removed += 1
                    emptied.add(file.parent)
        sync_folders(emptied)
        for place in sorted(emptied, key=lambda each: len(each.parts), reverse=True):
            _remove_empty(place, self.target)
        return removed

    def _copy_one(self, source: Path, path: str, size: int) -> tuple[StoredFile, bool]:
        stored_path = f"{DATA}/{path}"
        if (held := self._held(stored_path, size)) is not None:
            return held, False
        file = self.target / stored_path
        make_folder(file.parent)
        try:
            digest, copied = copy_durably(source, temporary_name(file))
        except FileNotFoundError as exc:
            if source.exists():
                raise
            raise SourceGoneError(str(source)) from exc
        if copied != size:
            temporary_name(file).unlink()
            raise CorruptionError(
                f"{source}: expected {size} bytes as the Delta log says, got {copied}",
                hint="run `muniment verify`: the file is not the one that was committed. The backup that is there stays",
            )
        return StoredFile(stored_path, size, digest), True

    def _held(self, path: str, size: int) -> StoredFile | None:
        """What the target holds under this name; None unless it is whole. One that no manifest names is read to know."""
        file = self.target / path
        try:
            if file.stat().st_size != size:
                return None
        except FileNotFoundError:
            return None
        known = self._known.get(path)
        return known if known is not None and known.size == size else describe_file(file, path)


def check_target(target: Path) -> None:
    """See that a folder is a backup target, or is empty and may become one: what it does not know a backup must not sweep.

    Raises:
        ConflictError: it holds something else.
    """
    names = {entry.name for entry in target.iterdir()}
    if {MANIFEST_FILE, LOCK_FILE} & names:
        return
    if foreign := sorted(names - _BEFORE_THE_FIRST):
        raise ConflictError(
            f"{target}: expected a backup or an empty folder, got {', '.join(foreign[:3])}",
            hint="name a folder of the backup's own",
        )


def _parts(items: Iterable[Item], count: int) -> Iterator[list[Item]]:
    part: list[Item] = []
    for item in items:
        part.append(item)
        if len(part) == count:
            yield part
            part = []
    if part:
        yield part


def copy_durably(source: Path, temporary: Path) -> tuple[str, int]:
    """Copy a file durably under a temporary name; its SHA-256 and size."""
    hasher, size, buffer = sha256(), 0, memoryview(bytearray(_CHUNK_BYTES))
    with source.open("rb", buffering=0) as stream:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE_FILE)
        with os.fdopen(descriptor, "wb", buffering=0) as sink:
            while count := stream.readinto(buffer):
                part = buffer[:count]
                hasher.update(part)
                size += count
                while part:
                    part = part[sink.write(part) :]
            os.fsync(sink.fileno())
    return hasher.hexdigest(), size


def _describe(path: str, content: bytes) -> StoredFile:
    return StoredFile(path, len(content), sha256(content).hexdigest())


def describe_file(file: Path, path: str) -> StoredFile:
    """What a manifest says of a file: it is read."""
    with file.open("rb") as stream:
        digest = file_digest(stream, "sha256").hexdigest()
    return StoredFile(path, file.stat().st_size, digest)


def temporary_name(file: Path) -> Path:
    """Where a file stands until it is whole."""
    return file.with_name(f".{file.name}.tmp")


def _remove_empty(folder: Path, stop: Path) -> None:
    """Remove a folder, and those above it up to `stop`, while they are empty."""
    while folder != stop and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
