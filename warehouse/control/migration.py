"""Bringing a control database to the newest schema, with Alembic, from inside the process.

Safe when several processes do it at once: on PostgreSQL and on an existing SQLite file they queue for the write lock and
look again once they hold it. A new SQLite file is made whole beside its place and then linked into it, so that nobody
ever sees one without tables, and the loser of a race takes the winner's.
"""

import os
import threading
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from warehouse.control.database import Database, revision_in
from warehouse.control.schema import HEAD
from warehouse.control.secret import RandomBytes
from warehouse.errors import ControlUnavailableError

MIGRATIONS = Path(__file__).with_name("migrations")

# Alembic hands its context to env.py through a module global: two threads would see each other's.
_ALEMBIC = threading.Lock()


def open_migrated(url: URL, *, create: bool, random_bytes: RandomBytes) -> Database:
    """Connect to the control database at `url`, made where it is missing if `create` says so, and bring it to HEAD.

    Raises:
        ControlUnavailableError: it is missing and `create` is False; it does not answer; its schema is unknown here.
    """
    database = Database(url)
    try:
        _bring_to_head(database, url, create=create, random_bytes=random_bytes)
    except BaseException:
        database.close()
        raise
    return database


def _bring_to_head(database: Database, url: URL, *, create: bool, random_bytes: RandomBytes) -> None:
    if database.path is not None and not database.path.exists():
        if not create:
            raise _missing(database)
        _create_file(url, database.path, random_bytes)
    found = database.revision()
    if found is None and not create:
        raise _missing(database)
    if found != HEAD:
        _upgrade(database)


def _missing(database: Database) -> ControlUnavailableError:
    return ControlUnavailableError(
        f"control database {database.where}: expected one, found none",
        hint="`muniment init` makes it; where the lake had one, put it back instead",
    )


def _upgrade(database: Database) -> None:
    with database.write_any_schema() as connection:
        if revision_in(connection) != HEAD:
            _run_alembic(connection, database.where)


def _run_alembic(connection: Connection, where: str) -> None:
    # Imported here: it costs 0.1 s, and a command on a current database has no use for it.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        with _ALEMBIC:
            command.upgrade(config, "head")
    except CommandError as exc:
        raise ControlUnavailableError(
            f"control database {where}: expected a schema up to {HEAD}, got a revision that is unknown here ({exc})",
            hint="a newer Muniment has opened this lake: use that version or a later one",
        ) from exc


def _create_file(url: URL, path: Path, random_bytes: RandomBytes) -> None:
    draft = path.with_name(f".{path.name}.{random_bytes(8).hex()}")
    try:
        # Made before SQLite opens it, so that it is never readable by others, whatever the umask.
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        drafted = Database(url.set(database=str(draft)), pooled=False)
        _upgrade(drafted)
        drafted.close()
        _link(draft, path)
    except OSError as exc:
        raise ControlUnavailableError(
            f"control database {path}: cannot be made: {exc.strerror or exc}",
            hint="see that the lake's folder is there, may be written and has room",
        ) from exc
    finally:
        draft.unlink(missing_ok=True)


def _link(draft: Path, path: Path) -> None:
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return  # another process was first, and its file is as whole as this one
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
