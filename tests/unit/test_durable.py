"""Files that survive power loss."""

import os
import stat
from pathlib import Path

import pytest

from warehouse import durable
from warehouse.birth import birth_unix_nano


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_replaced_file_is_private_whole_and_leaves_nothing_beside_it(tmp_path):
    """`replace_file` leaves the new bytes under the name, mode 0600, and no temporary file."""
    file = tmp_path / "head"
    file.write_bytes(b"old")
    durable.replace_file(file, b"new")
    assert file.read_bytes() == b"new"
    assert mode(file) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["head"]


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_failed_replacement_keeps_the_old_bytes(tmp_path, monkeypatch, step):
    """A replacement that fails at any step leaves the old file and no temporary one."""
    file = tmp_path / "head"
    durable.replace_file(file, b"old")

    def refuse(*_arguments, **_keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(OSError, match="No space"):
        durable.replace_file(file, b"new")
    monkeypatch.undo()
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["head"]


def test_rename_comes_between_the_sync_of_the_bytes_and_the_sync_of_the_folder(tmp_path, monkeypatch):
    """The bytes are durable before the name points to them, and the name before the call returns."""
    steps = []
    for name in ("fsync", "rename"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, real=real, name=name, **k: (steps.append(name), real(*a, **k))[1])
    durable.replace_file(tmp_path / "head", b"new")
    assert steps == ["fsync", "rename", "fsync"]


def test_folders_are_private_and_each_is_synced_into_its_parent(tmp_path, monkeypatch):
    """Missing parents are made too, mode 0700, and each new entry is made durable where it stands."""
    synced = []
    monkeypatch.setattr(durable, "sync_folder", synced.append)
    durable.make_folder(tmp_path / "a" / "b")
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o700, 0o700)
    assert synced == [tmp_path, tmp_path / "a"]
    durable.make_folder(tmp_path / "a" / "b")
    assert len(synced) == 2


@pytest.mark.parametrize("count", [1, 3, 40])
def test_every_file_of_many_is_synced_once(tmp_path, monkeypatch, count):
    """`sync_many` reaches each file once, whether it takes several threads or not."""
    files = [tmp_path / str(number) for number in range(count)]
    for file in files:
        file.write_bytes(b"x")
    reached = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda d: (reached.append(str(Path(f"/proc/self/fd/{d}").readlink())), real(d))[1])
    durable.sync_many(files)
    assert sorted(reached) == sorted(map(str, files))


def test_failed_sync_of_one_among_many_is_reported(tmp_path):
    """A file that cannot be synced fails the whole call, from a thread too."""
    files = [tmp_path / str(number) for number in range(30)]
    for file in files[:-1]:
        file.write_bytes(b"x")
    with pytest.raises(FileNotFoundError):
        durable.sync_many(files)


def test_birth_time_survives_changes_of_owner_and_mode_but_not_a_copy(tmp_path):
    """The birth time stays with the file through chmod and touch; the same bytes written anew have a later one."""
    file = tmp_path / "identity"
    file.write_bytes(b"x")
    born = birth_unix_nano(file)
    if born is None:
        pytest.skip("birth time: this file system keeps none")
    file.chmod(0o640)
    os.utime(file, (1, 1))
    assert birth_unix_nano(file) == born
    file.rename(tmp_path / "old")
    file.write_bytes(b"x")
    os.utime(file, (1, 1))
    assert birth_unix_nano(file) > born


def test_birth_time_of_nothing_is_an_error(tmp_path):
    """A file that is not there has no birth time, and saying None would pass for a file system without."""
    with pytest.raises(FileNotFoundError):
        birth_unix_nano(tmp_path / "nothing")
