"""Locks between processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from warehouse.errors import UnavailableError
from warehouse.locks import FileLock, locked

HOLD = """
import sys
from pathlib import Path
from pathlib import Path
from warehouse.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
print(lock.acquire(holder="pid of the other"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_holder(tmp_path):
    """Another process that holds the lock on `tmp_path/lock`."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def test_second_process_does_not_get_the_lock_and_learns_who_has_it(tmp_path, other_holder):
    """While one process holds the lock another is refused at once and can read the holder's note."""
    lock = FileLock(tmp_path / "lock")
    assert not lock.acquire(holder="me")
    assert lock.holder() == "pid of the other"


def test_lock_of_a_killed_process_is_free(tmp_path, other_holder):
    """The kernel gives a lock back when its holder dies, kill -9 included."""
    other_holder.kill()
    other_holder.wait()
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire(holder="me")
    assert lock.holder() == "me"
    lock.release()


def test_waiting_for_a_lock_ends_with_the_holder_named(tmp_path, other_holder):
    """`locked` gives up after its timeout, and the message says who kept the lock."""
    with pytest.raises(UnavailableError, match=r"not free within 0\.05 s, held by pid of the other"):
        locked(tmp_path / "lock", holder="me", timeout_seconds=0.05).__enter__()


def test_two_locks_of_one_process_exclude_each_other_too(tmp_path):
    """A lock is a holder's, not a process's: a second object on the same file is refused."""
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire(holder="first")
    assert not second.acquire(holder="second")
    first.release()
    first.release()
    assert second.acquire(holder="second")
    second.release()


def test_full_disk_neither_keeps_nor_loses_the_lock(tmp_path, monkeypatch):
    """The note about the holder may fail to be written: the lock is taken all the same, and given back."""

    def refuse(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "ftruncate", refuse)
    with locked(tmp_path / "lock", holder="first", timeout_seconds=0):
        assert not FileLock(tmp_path / "lock").acquire(holder="second")
    with locked(tmp_path / "lock", holder="third", timeout_seconds=0):
        pass
