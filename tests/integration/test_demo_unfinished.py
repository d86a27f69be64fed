"""A demo that was interrupted: recognised by its marker, removed, and never taken for a lake of somebody's own."""

import pytest

from muniment.cli.app import run
from muniment.demo import tenant_names
from muniment.demo_lake import UNFINISHED_FILE, remove_unfinished
from tests.template import init_lake
from warehouse.errors import ConflictError
from warehouse.locks import FileLock


@pytest.fixture
def lake(tmp_path):
    """A lake with the first tenant of the demo, and the marker."""
    folder = init_lake(tmp_path / "lake", tenant_names()[0])
    (folder / UNFINISHED_FILE).touch()
    return folder


def test_an_unfinished_demo_is_removed(lake):
    """With its marker a lake of the demo's tenants is removed whole; there is nothing to remove afterwards."""
    assert remove_unfinished(lake)
    assert list(lake.iterdir()) == []
    assert not remove_unfinished(lake)


def test_a_lake_of_others_stays(lake):
    """A tenant that is none of the demo's keeps the lake, marker or not; so does the lack of a marker."""
    assert run(["tenant", "add", "acme", "--lake", str(lake)]) == 0
    with pytest.raises(ConflictError, match="got a lake with tenants: acme"):
        remove_unfinished(lake)
    (lake / UNFINISHED_FILE).unlink()
    assert not remove_unfinished(lake)
    assert (lake / "control.db").exists()


def test_a_demo_in_the_making_stays(lake):
    """A demo that another process makes just now is not removed under it."""
    marker = FileLock(lake / UNFINISHED_FILE)
    assert marker.acquire(holder="pid 1")
    with pytest.raises(ConflictError, match="makes this demo: pid 1"):
        remove_unfinished(lake)
    marker.release()
    assert (lake / "control.db").exists()


def test_ctrl_c_says_what_the_next_run_does(tmp_path, monkeypatch, capfd):
    """An interrupted demo says that its folder holds a part of one, and the next run makes it anew."""
    folder = tmp_path / "lake"

    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("muniment.demo_lake._receivers", interrupted)
    assert run(["demo", "--lake", str(folder)]) == 130
    assert f"interrupted: {folder} holds an unfinished demo; the next run makes it anew" in capfd.readouterr().err
    assert run(["demo", "--lake", str(folder)]) == 130
    assert f"{folder} held an unfinished demo; it is made anew" in capfd.readouterr().err
