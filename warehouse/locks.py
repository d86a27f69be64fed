"""Operating-system locks between processes (flock(2)): released by the kernel when their holder dies."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warehouse.durable import PRIVATE_FILE
from warehouse.errors import UnavailableError

_POLL_SECONDS = 0.005


class FileLock:
    """An exclusive lock on a file, held until `release` or the end of the process.

    The file's text says who holds it, for the message that the second one gets; the lock itself is the kernel's.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._descriptor: int | None = None

    def acquire(self, *, holder: str) -> bool:
        """Take the lock without waiting; False when another holds it."""
        descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        # the kernel has the lock already; a full disk must not turn the note about its holder into a lock for ever
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, holder.encode(), 0)
        return True

    def is_current(self) -> bool:
        """Whether this lock is held and its file still stands under its name: the holder before may have removed it."""
        try:
            return self._descriptor is not None and os.fstat(self._descriptor).st_ino == self.file.stat().st_ino
        except FileNotFoundError:
            return False

    def holder(self) -> str:
        """What the holder wrote about itself; empty when unknown."""
        try:
            return self.file.read_text(encoding="utf8")
        except OSError:
            return ""

    def release(self) -> None:
        """Give the lock back; safe to repeat."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def locked(file: Path, *, holder: str, timeout_seconds: float) -> Iterator[None]:
    """Hold the lock on `file` for the duration of the block.

    Raises:
        UnavailableError: another process kept it for `timeout_seconds`; the message says which.
    """
    lock = FileLock(file)
    deadline = time.monotonic() + timeout_seconds
    while not lock.acquire(holder=holder):
        if time.monotonic() >= deadline:
            raise UnavailableError(
                f"{file.name}: not free within {timeout_seconds:g} s, held by {lock.holder() or 'an unknown process'}"
            )
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()
