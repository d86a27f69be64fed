"""The staging folder of a restore: carried on from where it was left, and placed with the settings last."""

from pathlib import Path

import pytest

from warehouse.backup.staging import FOLDER, Staging, Step
from warehouse.errors import ConflictError

PARTS = ("control.db", "keys", "ledger", "muniment.yaml", "tables")


@pytest.fixture
def staging(tmp_path):
    staging = Staging(tmp_path / "lake", "a" * 64)
    assert staging.begin() is Step.COPYING
    for name in PARTS:
        (staging.lake.path / name).write_text(name)
    return staging


def placed(staging):
    return sorted(entry.name for entry in staging.to.iterdir())


def test_a_step_that_was_reached_is_where_the_next_run_goes_on(staging):
    """Each step is found again by another run of the same restore."""
    for step in (Step.COPIED, Step.RECORDED, Step.COPYING):
        staging.reach(step)
        assert Staging(staging.to, "a" * 64).begin() is step


@pytest.mark.parametrize("crash_at", range(len(PARTS)))
def test_placing_is_finished_after_a_crash_between_any_two_parts(staging, monkeypatch, crash_at):
    """Until the last part is in its place no lake is found; the repetition places the rest, and nothing of the staging stays."""
    rename, done = Path.rename, []

    def crash(self, target):
        if self.name in PARTS:
            if len(done) == crash_at:
                raise KeyboardInterrupt
            done.append(self.name)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", crash)
    with pytest.raises(KeyboardInterrupt):
        staging.place()
    monkeypatch.undo()
    assert "muniment.yaml" not in placed(staging)
    again = Staging(staging.to, "a" * 64)
    assert again.begin() is Step.PLACING
    again.place()
    assert placed(staging) == sorted(PARTS)


def test_a_restore_from_another_backup_is_not_carried_on(staging):
    """What was copied from one backup is not mixed with another's."""
    with pytest.raises(ConflictError, match="got a restore from another backup that was interrupted"):
        Staging(staging.to, "b" * 64).begin()


def test_a_folder_with_anything_else_is_refused(staging):
    """Somebody who put a file beside an unfinished restore keeps it."""
    (staging.to / "notes.txt").touch()
    with pytest.raises(ConflictError, match=r"got one with notes\.txt"):
        staging.begin()


def test_an_empty_disk_is_a_place_for_a_lake(tmp_path):
    """`lost+found`, which a new file system has, is nothing to write over."""
    (tmp_path / "lost+found").mkdir()
    staging = Staging(tmp_path, "a" * 64)
    assert staging.begin() is Step.COPYING
    assert (tmp_path / FOLDER).is_dir()
