"""Files that survive power loss: write, fsync, rename, fsync the folder.

`rename` is atomic and `fsync` of a folder makes its entries durable (POSIX rename(2), fsync(2)); without the second a
file can be whole and yet absent after a crash.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
_SYNC_THREADS = 8


def sync_folder(folder: Path) -> None:
    """Make the entries of `folder` durable."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def sync_file(file: Path) -> None:
    """Make the bytes of `file` durable."""
    _sync(file, os.O_RDONLY)


def sync_many(files: Iterable[Path]) -> None:
    """Make many files durable, several at a time: a disk takes parallel flushes far faster than one after another."""
    _each(sync_file, list(files))


def sync_folders(folders: Iterable[Path]) -> None:
    """Make the entries of many folders durable, several at a time."""
    _each(sync_folder, list(folders))


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _each(sync: Callable[[Path], None], paths: list[Path]) -> None:
    if len(paths) <= _SYNC_THREADS:
        for path in paths:
            sync(path)
        return

    def sync_all(mine: list[Path]) -> None:
        for path in mine:
            sync(path)

    # one task a thread, not one a file: with hundreds of files the tasks would cost more than the flushes
    with ThreadPoolExecutor(_SYNC_THREADS) as pool:
        list(pool.map(sync_all, [paths[place::_SYNC_THREADS] for place in range(_SYNC_THREADS)]))


def replace_file(file: Path, content: bytes) -> None:
    """Write `file` whole, mode 0600, so that a crash leaves the old bytes or the new ones and nothing between."""
    with staged_file(file, content):
        pass


@contextmanager
def staged_file(file: Path, content: bytes) -> Iterator[None]:
    """As `replace_file`, with the bytes durable beside it while the block runs: they take its place when it ends, and go if it raises.

    For what must be on record before a file is there, and must not be on record where the disk refuses it.

    Raises:
        OSError: the disk refused; nothing is in the file's place that was not before.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        yield
        temporary.rename(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


def replace_files(files: Iterable[tuple[Path, bytes]], *, folders: Iterable[Path] = ()) -> None:
    """Write many files whole, mode 0600, with their flushes side by side; a crash leaves each as it was or new.

    Their folders are synced, and further `folders`: those above new ones. What a crash leaves beside a file is taken over when
    that file is written again, so one process at a time may replace it.

    Raises:
        OSError: the disk refused; some files may be new. The same call may be made again.
    """
    pending = [(file.with_name(f".{file.name}.tmp"), file, content) for file, content in files]
    try:
        for temporary, _, content in pending:
            write_new(temporary, content)
        sync_many(temporary for temporary, _, _ in pending)
        for temporary, file, _ in pending:
            temporary.rename(file)
    except BaseException:
        for temporary, _, _ in pending:
            temporary.unlink(missing_ok=True)
        raise
    sync_folders({*folders, *(file.parent for _, file, _ in pending)})


def write_new(file: Path, content: bytes | memoryview) -> None:
    """Write `file` from its beginning, mode 0600; not durable before `sync_file`."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create `folder` and its missing parents, mode 0700, each durable in its parent."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    sync_folder(folder.parent)
