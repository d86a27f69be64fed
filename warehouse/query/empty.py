"""A session over nothing: the views of every table without a row, for asking whether a query could run."""

import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warehouse.principals import Principal
from warehouse.query.read_point import ReadPoint
from warehouse.query.session import QuerySession, connect, lock
from warehouse.query.settings import QuerySettings
from warehouse.query.views import ALL_PREFIX, READ_TABLES, create_new_views
from warehouse.tables import TABLES


@contextmanager
def open_empty_session(*, principal: Principal, settings: QuerySettings) -> Iterator[QuerySession]:
    """Open a session as one with `since` is, with the same views and walls, and no file."""
    with (
        tempfile.TemporaryDirectory(prefix="muniment-") as spill,
        contextlib.closing(connect(settings, Path(spill))) as connection,
    ):
        create_new_views(connection, {name: [] for name in READ_TABLES}, ReadPoint(), ReadPoint(), limits=None)
        lock(connection, [])
        yield QuerySession(
            connection,
            tables=frozenset(READ_TABLES) | {f"{ALL_PREFIX}{name}" for name in TABLES},
            tenants=(),
            principal=principal,
            timeout_seconds=settings.timeout_seconds,
            read_point=ReadPoint(),
        )
