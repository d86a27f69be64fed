"""Opening a Delta log beside clean-up, which deletes entries behind a reader that has listed them."""

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from warehouse.delta import DeltaStore
from warehouse.delta_reading import open_table, updated
from warehouse.errors import UnavailableError
from warehouse.tables import LOGS


@pytest.fixture
def store(tmp_path):
    """A table with three commits."""
    store = DeltaStore(LOGS, tmp_path / "logs")
    for version in range(3):
        assert store.append([], [("main/logs", version)])
    return store


def shorten(store):
    """What clean-up does: a checkpoint, then the entries before it go."""
    before = set(store.log.iterdir())
    handle = DeltaTable(str(store.folder))
    handle.create_checkpoint()
    handle.cleanup_metadata()
    assert before - set(store.log.iterdir())


class Overtaken:
    """`DeltaTable` whose opening finds an entry gone, as often as the log is shortened between its listing and its reading."""

    is_deltatable = staticmethod(DeltaTable.is_deltatable)

    def __init__(self, store, times):
        self.store, self.left, self.opened = store, times, 0

    def __call__(self, folder):
        self.opened += 1
        if not self.left:
            return DeltaTable(folder)
        self.left -= 1
        self.store.append([], [("main/logs", 10 + self.opened)])
        shorten(self.store)
        raise DeltaError(f"Kernel error: File not found: {folder}/_delta_log/00000000000000000000.json\n0: trace")


@pytest.mark.parametrize("times", [1, 9])
def test_a_log_shortened_while_it_is_opened_is_opened_again(store, monkeypatch, times):
    """The next opening finds the checkpoint, and with it everything that was committed."""
    overtaken = Overtaken(store, times)
    monkeypatch.setattr("warehouse.delta_reading.DeltaTable", overtaken)
    handle = open_table(store.folder)
    assert overtaken.opened == times + 1
    assert handle.transaction_version("main/logs") == 10 + times


def test_a_log_shortened_again_and_again_is_unavailable(store, monkeypatch):
    """Ten openings, then one line that says what could not be read."""
    monkeypatch.setattr("warehouse.delta_reading.DeltaTable", Overtaken(store, 10))
    with pytest.raises(UnavailableError, match=r"table logs: its Delta log cannot be read: .*File not found") as caught:
        open_table(store.folder)
    assert "\n" not in str(caught.value)


def test_a_damaged_log_is_refused_at_once(store, monkeypatch):
    """An entry that is missing while nothing changes is damage, not clean-up: no second opening hides it."""
    opened = []

    class Counted(DeltaTable):
        def __init__(self, folder):
            opened.append(folder)
            super().__init__(folder)

    monkeypatch.setattr("warehouse.delta_reading.DeltaTable", Counted)
    (store.log / f"{1:020d}.json").unlink()
    with pytest.raises(UnavailableError, match="table logs: its Delta log cannot be read"):
        open_table(store.folder)
    assert len(opened) == 1


def test_a_table_that_was_never_made_is_none(tmp_path):
    """No folder, an empty folder and a log without an entry are no table."""
    assert open_table(tmp_path / "nothing") is None
    (tmp_path / "empty" / "_delta_log").mkdir(parents=True)
    assert open_table(tmp_path / "empty") is None


def test_a_handle_is_brought_up_to_date_past_a_gap(store):
    """Where the entries behind a handle's version are gone, the newest version comes from the checkpoint."""
    handle = DeltaTable(str(store.folder))
    assert updated(handle, store.folder) is handle
    for version in range(3, 6):
        store.append([], [("main/logs", version)])
    shorten(store)
    newest = updated(handle, store.folder)
    assert newest.transaction_version("main/logs") == 5
