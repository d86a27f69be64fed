"""Reading by SQL: sandboxed DuckDB sessions over the files that a principal's tenants own.

`warehouse.query.session` says what a session promises, `warehouse.query.guard` what a query may say.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from warehouse.query.settings import QuerySettings

if TYPE_CHECKING:
    from warehouse.query.describe import describe_query
    from warehouse.query.empty import open_empty_session
    from warehouse.query.guard import check_query
    from warehouse.query.read_point import ReadPoint
    from warehouse.query.session import QuerySession, open_session
    from warehouse.query.spill import sweep_spill

__all__ = [
    "QuerySession",
    "QuerySettings",
    "ReadPoint",
    "check_query",
    "describe_query",
    "open_empty_session",
    "open_session",
    "sweep_spill",
]

_HOMES = {
    "QuerySession": "session",
    "ReadPoint": "read_point",
    "check_query": "guard",
    "describe_query": "describe",
    "open_empty_session": "empty",
    "open_session": "session",
    "sweep_spill": "spill",
}


def __getattr__(name: str) -> Any:
    # The settings are read by processes that never query: DuckDB costs them 40 MB and 0.1 s, so it waits for its first use.
    if name in _HOMES:
        return getattr(import_module(f"warehouse.query.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
