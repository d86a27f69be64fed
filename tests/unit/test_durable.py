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


def test_many_files_are_replaced_at_once_and_every_name_is_durable(tmp_path, monkeypatch):
    """Each file's bytes are synced before its name points to them; then each folder is, and those asked for beside them."""
    files = [tmp_path / name / "file" for name in "ab"]
    for file in files:
        file.parent.mkdir()
        file.write_bytes(b"old and longer")
    steps = []
    renames, syncs = os.rename, os.fsync
    monkeypatch.setattr(os, "rename", lambda old, new: (steps.append(("rename", new)), renames(old, new))[1])
    monkeypatch.setattr(
        os, "fsync", lambda d: (steps.append(("sync", Path(f"/proc/self/fd/{d}").readlink())), syncs(d))[1]
    )
    durable.replace_files([(file, b"new " + file.parent.name.encode()) for file in files], folders=[tmp_path])
    assert [file.read_bytes() for file in files] == [b"new a", b"new b"]
    assert [mode(file) for file in files] == [0o600, 0o600]
    assert steps[:4] == [
        *(("sync", file.with_name(".file.tmp")) for file in files), *(("rename", file) for file in files),
    ]  # fmt: skip
    assert sorted(steps[4:]) == [("sync", folder) for folder in (tmp_path, tmp_path / "a", tmp_path / "b")]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "file", "file"]


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_failed_replacement_of_many_leaves_each_old_or_new_and_can_be_repeated(tmp_path, monkeypatch, step):
    """Wherever the disk refuses, no file is cut and no temporary one stays; the same call then replaces all."""
    files = [(tmp_path / name, name.encode() * 9) for name in "abc"]
    for file, _ in files:
        file.write_bytes(b"old")
    calls, real = [], getattr(os, step)

    def refuse_second(*arguments):
        calls.append(step)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(os, step, refuse_second)
    with pytest.raises(OSError, match="No space"):
        durable.replace_files(files)
    monkeypatch.undo()
    found = [file.read_bytes() for file, _ in files]
    assert found == [files[0][1] if step == "rename" else b"old", b"old", b"old"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]
    durable.replace_files(files)
    assert [file.read_bytes() for file, _ in files] == [content for _, content in files]


def test_what_a_crash_left_of_replacing_a_file_is_taken_over(tmp_path):
    """The temporary file of a process that died is written over by the next one, and gone afterwards."""
    (tmp_path / ".checkpoint.tmp").write_bytes(b"half of something longer")
    durable.replace_files([(tmp_path / "checkpoint", b"whole")])
    assert (tmp_path / "checkpoint").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


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
