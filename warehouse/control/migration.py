"""Bringing a control database or a vault to the newest schema, with Alembic, from inside the process.

Safe when several processes do it at once: on PostgreSQL and on an existing SQLite file they queue for the write lock and
look again once they hold it. A new SQLite file is made whole beside its place and then linked into it, so that nobody
ever sees one without tables, and the loser of a race takes the winner's.
"""

import os
import threading
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from warehouse.control.database import CONTROL, Database, Schema
from warehouse.control.secret import RandomBytes
from warehouse.errors import UnavailableError

# Alembic hands its context to env.py through a module global: two threads would see each other's.
_ALEMBIC = threading.Lock()


def open_migrated(url: URL, *, create: bool, random_bytes: RandomBytes, schema: Schema = CONTROL) -> Database:
    """Connect to the database at `url`, made where it is missing if `create` says so, and bring it to the schema's head.

    Raises:
        UnavailableError: of the schema's class: it is missing and `create` is False; it does not answer; its schema is unknown here.
    """
    database = Database(url, schema=schema)
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
        _create_file(database, url, database.path, random_bytes)
    found = database.revision()
    if found is None and not create:
        raise _missing(database)
    if found != database.schema.head:
        _upgrade(database)


def _missing(database: Database) -> UnavailableError:
    return database.schema.unavailable(
        f"{database.schema.title} {database.where}: expected one, found none",
        hint=database.schema.missing_hint,
    )


def _upgrade(database: Database) -> None:
    with database.write_any_schema() as connection:
        if database.revision_in(connection) != database.schema.head:
            _run_alembic(connection, database.where, database.schema)


def _run_alembic(connection: Connection, where: str, schema: Schema) -> None:
    # Imported here: it costs 0.1 s, and a command on a current database has no use for it.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(attributes={"connection": connection, "versions_table": schema.versions_table})
    config.set_main_option("script_location", str(schema.migrations).replace("%", "%%"))
    try:
        with _ALEMBIC:
            command.upgrade(config, "head")
    except CommandError as exc:
        raise schema.unavailable(
            f"{schema.title} {where}: expected a schema up to {schema.head}, got a revision that is unknown here ({exc})",
            hint="a newer Muniment has opened this lake: use that version or a later one",
        ) from exc


def _create_file(database: Database, url: URL, path: Path, random_bytes: RandomBytes) -> None:
    draft = path.with_name(f".{path.name}.{random_bytes(8).hex()}")
    try:
        # Made before SQLite opens it, so that it is never readable by others, whatever the umask.
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        drafted = Database(url.set(database=str(draft)), schema=database.schema, pooled=False)
        _upgrade(drafted)
        drafted.close()
        _link(draft, path)
    except OSError as exc:
        raise database.schema.unavailable(
            f"{database.schema.title} {path}: cannot be made: {exc.strerror or exc}",
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
