"""Derived tables: rows and state change together, a tenant at a time, and maintenance keeps them small."""

import datetime as dt
import threading

import pyarrow as pa
import pytest

from warehouse.clock import system_clock
from warehouse.delta import DeltaStore
from warehouse.derived import store as store_module
from warehouse.derived.store import DerivedStore
from warehouse.errors import CorruptionError, UnavailableError
from warehouse.lake import make_lake
from warehouse.maintenance import MaintenanceConfig, run_maintenance
from warehouse.tables.columns import DAY, INT, TEXT, Column, Table

FIRST, SECOND = dt.date(2026, 11, 20), dt.date(2026, 11, 21)
COUNTS = Table(
    name="counts",
    doc="for these tests",
    columns=(
        Column("tenant_id", TEXT, "tenant"),
        Column("day", DAY, "day"),
        Column("time_unix_nano", INT, "time"),
        Column("what", TEXT, "what was counted"),
        Column("n", INT, "how many"),
    ),
    ledgered=False,
    assigned=(),
    sort_by=("time_unix_nano",),
    bloom=(),
)


def rows(day, *counts, tenant="acme"):
    """Rows of one day."""
    made = [
        {"tenant_id": tenant, "day": day, "time_unix_nano": i, "what": f"w{i}", "n": n} for i, n in enumerate(counts)
    ]
    return pa.Table.from_pylist(made, schema=COUNTS.schema)


def counted(store, tenant="acme", **more):
    """(day, n) of every row."""
    return sorted((row["day"], row["n"]) for row in store.read(tenant, **more).to_pylist())


@pytest.fixture
def counts(tmp_path):
    """The store of a table that nothing was written to."""
    return DerivedStore(make_lake(tmp_path / "lake"), COUNTS)


def test_rows_and_state_change_together(counts):
    """A commit replaces the days it names, keeps others, and stores the state; another tenant has its own."""
    with counts.updating("acme") as update:
        assert update.state is None
        update.commit({FIRST: rows(FIRST, 1, 2), SECOND: rows(SECOND, 3)}, state=b"one")
        update.commit({FIRST: rows(FIRST, 5)}, state=b"two")
    with counts.updating("globex") as update:
        assert update.state is None
        update.commit({FIRST: rows(FIRST, 9, tenant="globex")}, state=b"theirs")
    with counts.updating("acme") as update:
        assert update.state == b"two"
        assert update.read([SECOND]).column("n").to_pylist() == [3]
    assert counted(counts) == [(FIRST, 5), (SECOND, 3)]
    assert counted(counts, days=[SECOND]) == [(SECOND, 3)]
    assert counted(counts, "globex") == [(FIRST, 9)]


def test_a_day_without_rows_goes_and_a_state_alone_is_kept(counts):
    """An empty table takes a day's rows away; a commit that names no day changes the state."""
    with counts.updating("acme") as update:
        update.commit({}, state=b"nothing yet")
        update.commit({FIRST: rows(FIRST, 1)}, state=b"one")
        update.commit({FIRST: rows(FIRST)}, state=b"gone")
    with counts.updating("acme") as update:
        assert update.state == b"gone"
    assert counted(counts) == []


def test_a_crash_before_the_commit_leaves_rows_and_state_as_they_were(counts, monkeypatch):
    """Whatever was written before the commit, the next update begins at the old rows and the old state."""
    with counts.updating("acme") as update:
        update.commit({FIRST: rows(FIRST, 1)}, state=b"one")

    def crash(*_, **__):
        raise UnavailableError("power failure")

    with monkeypatch.context() as patched, counts.updating("acme") as update:
        patched.setattr(DeltaStore, "rewrite", crash)
        with pytest.raises(UnavailableError, match="power failure"):
            update.commit({FIRST: rows(FIRST, 2)}, state=b"two")
    with counts.updating("acme") as update:
        assert update.state == b"one"
        assert counted(counts) == [(FIRST, 1)]
        update.commit({FIRST: rows(FIRST, 3)}, state=b"three")
    with counts.updating("acme") as update:
        assert update.state == b"three"
    assert counted(counts) == [(FIRST, 3)]


def test_a_lost_state_is_an_error_that_says_what_to_do(counts):
    """The log names a state whose file is gone: it is not taken for the beginning."""
    with counts.updating("acme") as update:
        update.commit({FIRST: rows(FIRST, 1)}, state=b"one")
    for file in (counts.folder / "_state").rglob("*.json"):
        file.unlink()
    with pytest.raises(CorruptionError, match="expected the state") as caught, counts.updating("acme"):
        pass
    assert "computed anew" in (caught.value.hint or "")


def test_two_updates_of_a_tenant_wait_for_each_other(counts):
    """Read, add, commit: done by two at once nothing is lost."""

    def add():
        for _ in range(5):
            with counts.updating("acme") as update:
                total = sum(update.read([FIRST]).column("n").to_pylist())
                update.commit({FIRST: rows(FIRST, total + 1)}, state=b"x")

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted(counts) == [(FIRST, 10)]


def test_maintenance_deletes_what_was_replaced_and_what_a_crash_left(counts, monkeypatch):
    """After its round one file a day lies on the disk, and the log is short."""
    for n in range(12):
        with counts.updating("acme") as update:
            update.commit({FIRST: rows(FIRST, n)}, state=str(n).encode())

    def crash(*_, **__):
        raise UnavailableError("power failure")

    with monkeypatch.context() as patched, counts.updating("acme") as update:
        patched.setattr(store_module.DeltaStore, "rewrite", crash)
        with pytest.raises(UnavailableError):
            update.commit({FIRST: rows(FIRST, 99)}, state=b"lost")
    config = MaintenanceConfig(removed_grace_seconds=0, checkpoint_entries=5)
    stores = {"counts": DeltaStore(COUNTS, counts.folder)}
    report = run_maintenance(counts.lake, stores, config=config, clock=system_clock)
    assert not report.failures
    assert report.tables[0].checkpoint is not None
    assert len(list(counts.folder.rglob("*.parquet"))) - len(list(counts.folder.rglob("*.checkpoint.parquet"))) == 1
    assert counted(counts) == [(FIRST, 11)]
    with counts.updating("acme") as update:
        assert update.state == b"11"
