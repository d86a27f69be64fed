"""The connection to the control database or to the vault: SQLite file or PostgreSQL server, every failure under one name.

Invariants:
- Whatever the database does wrong (gone, replaced, read-only, full, locked, stopped) surfaces as the error that its `Schema`
  names (`ControlUnavailableError`, `VaultUnavailableError`), and the next call tries afresh: nothing needs a restart.
- A SQLite file is never made by connecting to it. A file that was removed or replaced is noticed before each use, by its
  device and inode: an open connection would otherwise go on answering from the file that is gone.
- A write takes SQLite's write lock at its beginning (`BEGIN IMMEDIATE`): two writers wait for each other instead of one
  failing half-way, after it has read.
"""

import importlib.util
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, IntegrityError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, PoolProxiedConnection, QueuePool

from warehouse.control.schema import HEAD
from warehouse.errors import ConflictError, ControlUnavailableError, SettingsError, UnavailableError

WAIT_SECONDS = 5
"""How long to wait for a lock, a connection or a free place in the pool before calling the database unavailable."""

_POSTGRES_ARGS: dict[str, object] = {
    "connect_timeout": WAIT_SECONDS,
    "application_name": "muniment",
    # A server that vanished without a word (power, network) must fail a query, not hang it.
    "tcp_user_timeout": WAIT_SECONDS * 1000,
    "options": f"-c lock_timeout={WAIT_SECONDS}s -c statement_timeout={2 * WAIT_SECONDS}s",
}


@dataclass(frozen=True)
class Schema:
    """What a database holds, and under which names its messages and failures go.

    `versions_table` is Alembic's, one of its own for each schema, so that two may lie in one PostgreSQL database.
    """

    title: str
    head: str
    migrations: Path
    versions_table: str
    unavailable: type[UnavailableError]
    missing_hint: str


CONTROL = Schema(
    title="control database",
    head=HEAD,
    migrations=Path(__file__).with_name("migrations"),
    versions_table="alembic_version",
    unavailable=ControlUnavailableError,
    missing_hint="`muniment init` makes it; where the lake had one, put it back instead",
)


def parse_url(where: str | Path, title: str = CONTROL.title) -> URL:
    """Read where a database is: `sqlite:///PATH`, `postgresql://…`, or the path of a SQLite file.

    A path may hold any character; in a URL a question mark would begin its options, of which SQLite's has none here.

    Raises:
        SettingsError: another database, a SQLite database in memory, or PostgreSQL without its driver. The message never
            holds the URL's password.
    """
    if isinstance(where, Path):
        return URL.create("sqlite+pysqlite", database=str(where.absolute()))
    try:
        parsed = make_url(where)
    except (ArgumentError, ValueError) as exc:
        raise SettingsError(f"{title} URL: expected sqlite:///PATH or postgresql://…, got no URL") from exc
    backend = parsed.get_backend_name()
    if backend in {"postgresql", "postgres"}:
        if importlib.util.find_spec("psycopg") is None:
            raise SettingsError(
                f"{title}: postgresql:// needs psycopg 3, which is not installed",
                hint="pip install 'muniment[postgres]'",
            )
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise SettingsError(f"{title} URL: expected sqlite or postgresql, got {backend}")
    if parsed.database in {None, "", ":memory:"} or "?" in where:
        raise SettingsError(f"{title} URL: expected sqlite:///PATH, got {_shown(parsed)}")
    return parse_url(Path(str(parsed.database)), title)


class Database:
    """Transactions on one database. Safe to use from several threads; each transaction is one thread's."""

    def __init__(self, url: URL, *, schema: Schema = CONTROL, pooled: bool = True) -> None:
        self.where = _shown(url)
        self.schema = schema
        self.path = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
        self._engine = _sqlite_engine(self.path, pooled) if self.path is not None else _postgres_engine(url, pooled)
        self._writer = self._engine.execution_options(begin_with="BEGIN IMMEDIATE")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, on a database of the expected schema."""
        with self._transaction(self._engine) as connection:
            self._expect_head(connection)
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes: committed at the end of the block, rolled back when the block raises."""
        with self._transaction(self._writer) as connection:
            self._expect_head(connection)
            yield connection

    @contextmanager
    def write_locked(self, lock: str, *, wait_seconds: float) -> Iterator[Connection]:
        """A writing transaction that is alone, to its end, among all that name the same lock; waits `wait_seconds` for it.

        On SQLite the lock is the write lock of the file, so no other transaction writes meanwhile. It is the transaction's: it ends
        with the connection, so a process that dies lets go of it. What others committed before is seen.

        Raises:
            UnavailableError: of the schema's class: the lock was not free in time, or the database does not answer.
        """
        milliseconds = int(wait_seconds * 1000)
        with self._transaction(self._writer.execution_options(busy_milliseconds=milliseconds)) as connection:
            if self.path is None:
                # For this transaction only: whoever holds the lock works on files, and its connection is idle meanwhile.
                for name, value in (
                    ("lock_timeout", milliseconds), ("statement_timeout", milliseconds + 1000 * WAIT_SECONDS),
                    ("idle_in_transaction_session_timeout", 0),
                    # A host that lost power says no goodbye: the server asks, and ends the session within a minute.
                    ("tcp_keepalives_idle", 30), ("tcp_keepalives_interval", 10), ("tcp_keepalives_count", 3),
                ):  # fmt: skip
                    connection.execute(
                        text("select set_config(:name, :value, true)"), {"name": name, "value": str(value)}
                    )
                connection.execute(text("select pg_advisory_xact_lock(hashtext(:name))"), {"name": f"muniment {lock}"})
            self._expect_head(connection)
            yield connection

    @contextmanager
    def write_any_schema(self) -> Iterator[Connection]:
        """A writing transaction on whatever schema is there, alone among all that migrate; for migrations only."""
        with self._transaction(self._writer) as connection:
            if self.path is None:
                # Held to the end of the transaction; the number only has to differ from other users' of the database.
                connection.execute(
                    text("select pg_advisory_xact_lock(hashtext(:name))"), {"name": f"muniment {self.schema.title}"}
                )
            yield connection

    def expect_alive(self, connection: Connection) -> None:
        """See that a connection with an open transaction still has it, and with it its locks.

        Raises:
            UnavailableError: of the schema's class: the server does not answer, or the file was removed or replaced.
        """
        with self._failures_named():
            if self.path is not None and connection.info.get("file") != _file_identity(self.path):
                raise DisconnectionError(f"the file {self.path} was removed or replaced")
            connection.execute(text("select 1"))

    def revision(self) -> str | None:
        """The schema revision found in the database; None where there is none."""
        with self._transaction(self._engine) as connection:
            return self.revision_in(connection)

    def revision_in(self, connection: Connection) -> str | None:
        """The schema revision that a connection sees; None where there is none."""
        table = self.schema.versions_table
        if not inspect(connection).has_table(table):
            return None
        found = connection.execute(text(f"select version_num from {table}")).scalar_one_or_none()  # noqa: S608 - a constant
        return None if found is None else str(found)

    def rewrite_file(self) -> None:
        """Write a SQLite file anew from its live rows, so that no page keeps what was deleted; on a server do nothing.

        `secure_delete` overwrites a deleted cell where it lies, not copies that splitting and joining of pages left behind.
        """
        if self.path is None:
            return
        with self._failures_named():
            connection = self._engine.raw_connection()
            try:
                cursor = connection.cursor()
                # The copy in between must not lie in a temporary folder, which no one guards like this file.
                cursor.execute("pragma temp_store = memory")
                cursor.execute("vacuum")
                cursor.close()
            finally:
                connection.close()

    def close(self) -> None:
        """Close the pooled connections. The database may be used again afterwards."""
        self._engine.dispose()

    def _expect_head(self, connection: Connection) -> None:
        # Once a connection: a replaced file or a server restored from a backup comes with new connections.
        head, title = self.schema.head, self.schema.title
        if connection.info.get("revision") == head:
            return
        found = self.revision_in(connection)
        if found != head:
            raise self.schema.unavailable(
                f"{title} {self.where}: expected schema {head}, got {found or 'none'}",
                hint=f"put the lake's own {title} back, or restart to bring its schema up to date",
            )
        connection.info["revision"] = found

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        with self._failures_named(), engine.begin() as connection:
            yield connection

    @contextmanager
    def _failures_named(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as exc:
            raise ConflictError(f"{self.schema.title}: changed meanwhile, try again") from exc
        except (DBAPIError, sqlite3.Error, DisconnectionError, PoolTimeoutError, InvalidRequestError) as exc:
            raise self.schema.unavailable(
                f"{self.schema.title} {self.where} does not answer or cannot write: {_cause(exc)}",
                hint="see that the file or server is there and may be written; no restart is needed",
            ) from exc


def _shown(url: URL) -> str:
    """The URL for messages: without its password, which may also stand among libpq's options."""
    return url.set(query={}).render_as_string(hide_password=True)


def _cause(exc: Exception) -> str:
    """The driver's own words, on one line: neither the SQL nor its parameters."""
    cause = exc.orig if isinstance(exc, DBAPIError) and exc.orig is not None else exc
    return " ".join(str(cause).split()) or type(cause).__name__


def _postgres_engine(url: URL, pooled: bool) -> Engine:
    arguments = {name: value for name, value in _POSTGRES_ARGS.items() if name not in url.query}
    if not pooled:
        return create_engine(url, connect_args=arguments, poolclass=NullPool, hide_parameters=True)
    return create_engine(
        url,
        connect_args=arguments,
        pool_pre_ping=True,
        pool_timeout=WAIT_SECONDS,
        hide_parameters=True,
    )


def _sqlite_engine(path: Path, pooled: bool) -> Engine:
    def open_file() -> sqlite3.Connection:
        # mode=rw: a missing file is an error, not a new, empty database.
        address = f"file:{quote(str(path.absolute()))}?mode=rw"
        # No isolation level: the driver opens no transaction of its own, `begin` below does.
        connection = sqlite3.connect(
            address, uri=True, timeout=WAIT_SECONDS, check_same_thread=False, isolation_level=None
        )
        # A deleted label, agent name or subject key is overwritten, not merely unlinked; the rollback journal is SQLite's
        # default, so no `-wal` keeps old pages. `extra` also syncs the folder once the journal is unlinked: under `full` a
        # power cut may bring the journal back, and with it undo a revocation or a subject's key that was committed.
        for pragma in ("foreign_keys = on", "secure_delete = on", "synchronous = extra"):
            connection.execute(f"pragma {pragma}")
        return connection

    pool: dict[str, Any] = {"poolclass": NullPool}
    if pooled:
        pool = {"poolclass": QueuePool, "pool_timeout": WAIT_SECONDS}
    engine = create_engine("sqlite+pysqlite://", creator=open_file, hide_parameters=True, **pool)

    @event.listens_for(engine, "connect")
    def remember_file(_connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
        entry.info["file"] = _file_identity(path)

    @event.listens_for(engine, "checkout")
    def same_file(_c: sqlite3.Connection, entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        if entry.info["file"] != _file_identity(path):
            raise DisconnectionError(f"the file {path} was removed or replaced")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        wait = options.get("busy_milliseconds", 1000 * WAIT_SECONDS)
        if connection.info.get("busy_milliseconds", 1000 * WAIT_SECONDS) != wait:
            # Stays with the connection in the pool, so the next transaction sets it back.
            connection.exec_driver_sql(f"pragma busy_timeout = {wait}")
            connection.info["busy_milliseconds"] = wait
        connection.exec_driver_sql(options.get("begin_with", "BEGIN"))

    return engine


def _file_identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
