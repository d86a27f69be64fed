"""Asks a database without rows whether every indicator's SQL could run, and has the columns that are counted."""

from collections.abc import Iterable

from pipelines.slo.counting import count_events
from pipelines.slo.definitions import Series
from warehouse.errors import QueryError
from warehouse.principals import Principal
from warehouse.query import QuerySettings, open_empty_session


def find_unbound(series: Iterable[Series], *, principal: Principal, settings: QuerySettings) -> dict[str, str]:
    """Series whose query cannot run, by name, with why."""
    problems = {}
    with open_empty_session(principal=principal, settings=settings) as session:
        for each in series:
            try:
                count_events(session, each)
            except QueryError as exc:
                problems[each.name] = str(exc)
    return problems
