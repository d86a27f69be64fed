"""The control database itself: made once by many, never invented, found again after a failure, and free of secrets."""

import collections
import logging
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from warehouse.clock import system_clock
from warehouse.control import ControlStore, KeyCache
from warehouse.control.database import CONTROL, Database, parse_url
from warehouse.control.schema import HEAD, METADATA
from warehouse.errors import ControlUnavailableError, SettingsError, Transient

OPEN_AND_CLAIM = """
import sys
from warehouse.clock import system_clock
from warehouse.control import ControlStore
sys.stdin.readline()
with ControlStore.open(sys.argv[1], clock=system_clock) as store:
    print(store.claim_shard("main", host="h", pid=1))
"""


def open_store(url, **options):
    """A store on the system's clock."""
    return ControlStore.open(url, clock=system_clock, **options)


def test_processes_that_open_at_once_share_one_database(control_url):
    """Several processes that all find no tables make them once, and each then writes to the same database."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", OPEN_AND_CLAIM, control_url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=240) for process in processes]
    assert [errors for _, errors in answers] == [""] * 4
    with open_store(control_url, create=False) as store:
        assert {shard.identity for shard in store.list_shards()} == {identity.strip() for identity, _ in answers}


def test_threads_that_open_at_once_share_one_database(control_url):
    """Several threads of one process that all find no tables make them once."""
    barrier = threading.Barrier(6)

    def work(number):
        barrier.wait(timeout=120)
        with open_store(control_url) as store:
            return store.add_tenant(f"t{number}").id

    with ThreadPoolExecutor(6) as pool:
        added = set(pool.map(work, range(6)))
    with open_store(control_url, create=False) as store:
        assert {tenant.id for tenant in store.list_tenants()} == added


def test_migrations_make_the_schema_in_use(control_url):
    """What the migrations make and what the code uses are the same, and HEAD is the newest migration."""
    open_store(control_url).close()
    config = Config()
    config.set_main_option("script_location", str(CONTROL.migrations))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]
    with Database(parse_url(control_url), pooled=False).read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_missing_database_is_not_made_unasked(control_url, tmp_path):
    """Without `create`, a database without control data is unavailable and stays as it is."""
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ControlUnavailableError, match="expected one, found none") as missing:
        open_store(control_url, create=False)
    assert isinstance(missing.value, Transient)
    assert "muniment init" in missing.value.hint
    assert sorted(tmp_path.iterdir()) == before


def test_newer_schema_is_refused_and_left_alone(control_url):
    """A database whose schema this version does not know is refused, both when opening and in use."""
    with open_store(control_url) as store:
        with Database(parse_url(control_url), pooled=False).write() as connection:
            connection.execute(text("update alembic_version set version_num = 'r9999'"))
        with pytest.raises(ControlUnavailableError, match="r9999"):
            open_store(control_url)
        store.close()  # pooled connections have seen the schema already; new ones look
        with pytest.raises(ControlUnavailableError, match="got r9999"):
            store.list_tenants()


def test_failed_migration_leaves_nothing(control_url, monkeypatch):
    """When a migration fails half-way nothing of it stays, and the next opening starts from the beginning."""
    from alembic import op

    make_index, failures = op.create_index, iter([True])

    def fail_once(*arguments, **options):
        if next(failures, False):
            op.execute("select * from no_such_table")
        return make_index(*arguments, **options)

    monkeypatch.setattr(op, "create_index", fail_once)
    with pytest.raises(ControlUnavailableError, match="no_such_table"):
        open_store(control_url)
    with pytest.raises(ControlUnavailableError, match="found none"):
        open_store(control_url, create=False)
    with open_store(control_url) as store:
        assert store.list_tenants() == []


def test_sqlite_file_is_private_and_alone(sqlite_url, tmp_path):
    """The SQLite file has mode 0600 whatever the umask, and nothing is left beside it."""
    umask = os.umask(0)
    try:
        with open_store(sqlite_url) as store:
            store.add_tenant("acme")
    finally:
        os.umask(umask)
    assert [path.name for path in tmp_path.iterdir()] == ["control.db"]
    assert stat.S_IMODE((tmp_path / "control.db").stat().st_mode) == 0o600


def test_removed_sqlite_file_is_noticed_and_welcomed_back(sqlite_url, tmp_path):
    """With its file gone a store is unavailable and makes none; with the file back it works without a restart."""
    path = tmp_path / "control.db"
    with open_store(sqlite_url) as store:
        issued = store.add_tenant("acme") and store.issue_key("acme")
        path.rename(tmp_path / "away")
        for use in (store.list_tenants, lambda: store.add_tenant("x"), lambda: store.authenticate(issued.secret_text)):
            with pytest.raises(ControlUnavailableError, match=re.escape(str(path))):
                use()
        assert not path.exists()
        (tmp_path / "away").rename(path)
        assert store.authenticate(issued.secret_text).tenant_id == "acme"
        path.unlink()
        with pytest.raises(ControlUnavailableError):
            store.authenticate(issued.secret_text)


def test_replaced_sqlite_file_is_the_one_that_counts(sqlite_url, tmp_path):
    """A file put in the place of the old one is read from then on; an empty one is refused, not filled."""
    path = tmp_path / "control.db"
    with open_store(sqlite_url) as store:
        store.add_tenant("acme")
        shutil.copy(path, tmp_path / "backup")
        store.add_tenant("after-backup")
        (tmp_path / "backup").replace(path)
        assert [tenant.id for tenant in store.list_tenants()] == ["acme"]
        (tmp_path / "empty").touch(0o600)
        (tmp_path / "empty").replace(path)
        with pytest.raises(ControlUnavailableError, match="got none"):
            store.list_tenants()
        assert path.stat().st_size == 0
        (tmp_path / "other").write_bytes(b"this is no database" * 100)
        (tmp_path / "other").replace(path)
        with pytest.raises(ControlUnavailableError, match="not a database"):
            store.list_tenants()


def test_locked_sqlite_file_is_unavailable_until_free(sqlite_url, tmp_path, monkeypatch):
    """While another process holds the write lock, writes are unavailable and reads work; afterwards both work."""
    monkeypatch.setattr("warehouse.control.database.WAIT_SECONDS", 0.05)
    with open_store(sqlite_url) as store:
        holder = sqlite3.connect(tmp_path / "control.db", isolation_level=None)
        holder.execute("begin immediate")
        with pytest.raises(ControlUnavailableError, match="locked"):
            store.add_tenant("acme")
        assert store.list_tenants() == []
        holder.execute("rollback")
        holder.close()
        assert store.add_tenant("acme").id == "acme"


def test_full_sqlite_database_is_unavailable_and_unharmed(sqlite_url):
    """A write that finds no room is refused whole; what was there is still read."""
    with open_store(sqlite_url) as store:
        store.add_tenant("acme")
        with store._database.read() as connection:
            pages = connection.execute(text("pragma page_count")).scalar_one()
            connection.execute(text(f"pragma max_page_count = {pages}"))
        with pytest.raises(ControlUnavailableError, match="full"):
            collections.deque((store.add_tenant(f"t{number}", "x" * 200) for number in range(1000)), maxlen=0)
        assert store.tenant("acme").id == "acme"
        store.close()
        assert store.add_tenant("room-again").id == "room-again"


def test_read_only_postgres_is_unavailable_for_writes(postgres_database_url, postgres_server):
    """A PostgreSQL that takes no writes (a standby, say) still answers reads and refuses changes as unavailable."""
    name = postgres_database_url.rpartition("/")[2]
    with open_store(postgres_database_url) as store:
        store.add_tenant("acme")
        postgres_server.execute(f"alter database {name} set default_transaction_read_only = on")
        store.close()
        assert store.tenant("acme").id == "acme"
        with pytest.raises(ControlUnavailableError, match="read-only"):
            store.add_tenant("globex")
        postgres_server.execute(f"alter database {name} set default_transaction_read_only = off")
        store.close()
        assert store.add_tenant("globex").id == "globex"


def test_stopped_postgres_is_unavailable_until_it_is_back(postgres_database_url, postgres_server):
    """With the server stopped every use is unavailable, cached keys excepted; with the server back all works again."""
    with open_store(postgres_database_url) as store:
        store.add_tenant("acme")
        issued = store.issue_key("acme")
        clock = [system_clock()]
        cache = KeyCache(store, clock=lambda: clock[0], ttl_seconds=5)
        cache.resolve(issued.secret_text)
        postgres_server.stop()
        try:
            with pytest.raises(ControlUnavailableError) as gone:
                store.list_tenants()
            assert postgres_server.password not in str(gone.value)
            assert cache.resolve(issued.secret_text).key_id == issued.id
            clock[0] += 5_000_000_000
            with pytest.raises(ControlUnavailableError):
                cache.resolve(issued.secret_text)
        finally:
            postgres_server.start()
        assert cache.resolve(issued.secret_text).key_id == issued.id
        assert store.add_tenant("globex").id == "globex"


def test_cut_postgres_connections_are_replaced(postgres_database_url, postgres_server):
    """Connections that the server cut are noticed before use, so that not one call fails."""
    with open_store(postgres_database_url) as store:
        store.add_tenant("acme")
        postgres_server.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'muniment'"
        )
        assert store.tenant("acme").id == "acme"


def test_secrets_stay_out_of_database_repr_and_logs(control_url, tmp_path, postgres_server, caplog):
    """After issuing, rotating and authenticating, no secret is in the database, a repr, a log or an error."""
    caplog.set_level(logging.DEBUG)
    with open_store(control_url) as store:
        store.add_tenant("acme")
        issued = store.issue_key("acme")
        rotated = store.rotate_key(issued.id, 60)
        cache = KeyCache(store, clock=system_clock)
        shown = [repr(issued), repr(rotated), repr(cache.resolve(rotated.secret_text)), repr(store.list_keys())]
        shown += [str(vars(cache)), caplog.text]
    if control_url.startswith("sqlite"):
        content = (tmp_path / "control.db").read_bytes().decode("latin-1")
    else:
        dump = [postgres_server.binaries / "pg_dump", "--inserts", "--dbname", control_url]
        content = subprocess.run(dump, check=True, capture_output=True, text=True).stdout
    assert issued.id in content
    for key in (issued, rotated):
        secret = key.secret_text.split("_")[2]
        assert not any(secret in text for text in (*shown, content))
        assert secret.encode().hex() not in content


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://user:hunter2@host/db", "expected sqlite or postgresql, got mysql"),
        ("control.db", "expected sqlite:///PATH or postgresql://…"),
        ("", "expected sqlite:///PATH or postgresql://…"),
        ("sqlite://", "expected sqlite:///PATH"),
        ("sqlite:///:memory:", "expected sqlite:///PATH"),
        ("sqlite:////somewhere/control.db?mode=ro", "expected sqlite:///PATH"),
        ("postgresql://user:hunter2@host:port/db", "expected sqlite:///PATH or postgresql://…"),
    ],
)
def test_unusable_url_is_a_settings_error(url, message):
    """A URL of another database, or of none, is refused without showing its password."""
    with pytest.raises(SettingsError, match=re.escape(message)) as refused:
        open_store(url)
    assert "hunter2" not in str(refused.value)


def test_path_with_odd_characters_is_used_as_it_is(tmp_path):
    """A folder whose name holds percent signs, question marks, hashes and blanks is no obstacle where a path is given."""
    folder = tmp_path / "100% of? #it"
    folder.mkdir()
    with open_store(folder / "control.db") as store:
        store.add_tenant("acme")
    assert [path.name for path in folder.iterdir()] == ["control.db"]


def test_folder_that_is_not_there_is_unavailable(tmp_path):
    """A SQLite file in a missing folder can't be made, and the error names the path."""
    with pytest.raises(ControlUnavailableError, match=r"missing/control\.db"):
        open_store(f"sqlite:///{tmp_path}/missing/control.db")
