"""Fixtures that several kinds of tests share: a real PostgreSQL server, the control database in both its forms, lakes."""

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from benchmarks.loopback import free_port
from warehouse.commit import open_stores
from warehouse.lake import make_lake
from warehouse.writer import WriterConfig, open_writer

MAIN = sys.modules["__main__"]
"""The main module that this process was started with."""

# How long an example takes says how busy the machine is. `make test` draws the same examples each time, so that a change is not
# held up by what it did not change; `make test-all`, which asks for the second profile by name, draws them anew.
for profile, examples in (("moderate", 40), ("thorough", 200)):
    settings.register_profile(
        profile, deadline=None, max_examples=examples, suppress_health_check=[HealthCheck.too_slow],
        derandomize=profile == "moderate",
    )  # fmt: skip
settings.load_profile("moderate")

START_SECONDS = 120
SERVER_SETTINGS = {
    # Nothing of a test outlives it: no need to survive a power cut.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
}


@dataclass
class PostgresServer:
    """A PostgreSQL server of the test session's own, on loopback, with a random password."""

    binaries: Path
    folder: Path
    user: str | None
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    port: int = 0
    process: subprocess.Popen | None = None

    def url(self, database="postgres"):
        """SQLAlchemy URL of one of the server's databases."""
        return f"postgresql://muniment:{self.password}@127.0.0.1:{self.port}/{database}"

    def make(self):
        """Make the data folder (initdb), owned by the server's user, passwords by SCRAM."""
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        if self.user is not None:
            shutil.chown(self.folder, self.user)
            shutil.chown(password_file, self.user)
        self._run(
            "initdb", "--auth=scram-sha-256", "--username=muniment", f"--pwfile={password_file}", "--no-sync",
            "--encoding=UTF8", "--locale=C", "--pgdata", str(self.folder / "data"),
        )  # fmt: skip
        self.port = free_port()

    def start(self):
        """Start the server in a process group of its own and wait until it answers."""
        settings = [f"-c{name}={value}" for name, value in SERVER_SETTINGS.items()]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.folder / "data", f"-p{self.port}", *settings],
                stdout=log, stderr=log, cwd=self.folder, start_new_session=True, **self._identity(),
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self):
        """Shut down at once, cutting open connections (SIGINT is PostgreSQL's fast shutdown)."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def execute(self, statement):
        """Run one statement outside of a transaction, as superuser."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)

    def _answers(self):
        import psycopg

        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program, *arguments):
        subprocess.run(
            [self.binaries / program, *arguments], check=True, capture_output=True, cwd=self.folder, **self._identity()
        )

    def _identity(self):
        # PostgreSQL refuses to run as root.
        return {} if self.user is None else {"user": self.user, "group": self.user, "extra_groups": []}


def postgres_binaries():
    """The folder of the newest PostgreSQL server installed here; None where there is none."""
    packaged = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parent.parent.name)
    )
    found = packaged[-1] if packaged else shutil.which("postgres")
    return None if found is None else Path(found).resolve().parent


@pytest.fixture(autouse=True)
def keep_main():
    """Put this process's main module back: Streamlit makes the script that it tests the main one, which spawned processes would run."""
    yield
    sys.modules["__main__"] = MAIN


@pytest.fixture(scope="session", autouse=True)
def _rooms():
    """Remove the lakes that others were copied from; workers of xdist end without `atexit`."""
    yield
    if "tests.template" in sys.modules:
        sys.modules["tests.template"].clear_rooms()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running PostgreSQL server; a test that stops it must start it again."""
    pytest.importorskip("psycopg", reason="PostgreSQL: psycopg is not installed; pip install 'muniment[postgres]'")
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL: no server is installed; `apt-get install postgresql` and run `make test` again")
    folder = Path(tempfile.mkdtemp(prefix="muniment-postgres-"))
    server = PostgresServer(binaries, folder, user="postgres" if os.geteuid() == 0 else None)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_url(postgres_server) -> str:
    """URL of the running server's `postgres` database, with a user who may make others."""
    return postgres_server.url()


@pytest.fixture
def postgres_database_url(postgres_server) -> Iterator[str]:
    """URL of an empty PostgreSQL database, dropped afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    postgres_server.execute(f"create database {name}")
    yield postgres_server.url(name)
    postgres_server.execute(f"drop database {name} with (force)")


@pytest.fixture
def sqlite_url(tmp_path) -> str:
    """URL of a SQLite control database that is not there yet."""
    return f"sqlite:///{tmp_path / 'control.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def control_url(request) -> str:
    """URL of an empty control database, SQLite and PostgreSQL in turn."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_database_url")


@pytest.fixture(scope="session")
def rows():
    """Builders of rows and readers of lakes: the module `tests/rows.py`, which processes of tests import by its name."""
    return load_module("rows")


@pytest.fixture(scope="session")
def redacting():
    """Policies, detectors, vaults and records for tests of redaction: the module `tests/redacting.py`."""
    return load_module("redacting")


@pytest.fixture(scope="session")
def slo_lakes():
    """Builders of lakes with SLOs (`tests/slo_lake.py`)."""
    return load_module("slo_lake")


@pytest.fixture(scope="session")
def logs():
    """Readers of logs that do not believe the product: the module `tests/logs.py`."""
    return load_module("logs")


@pytest.fixture(scope="session")
def alerting():
    """A receiver of alerts, and builders of alerts and targets: the module `tests/alerting.py`."""
    return load_module("alerting")


@pytest.fixture
def receiver(alerting):
    """A running receiver of alerts."""
    running = alerting.Receiver()
    yield running
    running.close()


def load_module(name):
    """Load a module beside this file."""
    specification = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def lake(tmp_path):
    """An empty lake: its folders and keys, no settings and no control database."""
    return make_lake(tmp_path / "lake")


class LakeWriters:
    """Opens writers on one lake, keeping claims and clock between them; stops what is left at the end."""

    def __init__(self, lake, claims, now):
        self.lake = lake
        self.claims = claims
        self.now = now
        self._opened = []

    def __call__(self, name="main", **settings):
        """Open a writer of the shard `name`; it commits only when told, unless settings say otherwise."""
        hour = {"commit_interval_seconds": 3600.0, "max_commit_interval_seconds": 3600.0}
        writer = open_writer(
            self.lake, name, self.claims, open_stores(self.lake),
            config=WriterConfig(**{**hour, **settings}), clock=lambda: self.now,
        )  # fmt: skip
        self._opened.append(writer)
        return writer

    def abandon(self, writer):
        """Let go of a shard as a killed process does: nothing is committed, the lock is free."""
        writer._committer.commit = _refuse_for_ever
        writer.stop()
        self._opened.remove(writer)

    def stop(self):
        """Stop every writer that is still open."""
        for writer in self._opened:
            writer.stop()


def _refuse_for_ever(segment):
    raise OSError("this writer was abandoned")


@pytest.fixture
def writers(lake, rows):
    """Opens writers on `lake`."""
    opener = LakeWriters(lake, rows.MemoryClaims(), rows.NOW)
    yield opener
    opener.stop()
