"""The times when nobody listened, as the collectors' own events tell: quick to ask, and no more than they say.

`muniment verify` asks the same after it has proved these events; here they are taken as they stand.
"""

import json
import math

from warehouse.ledger.listening import (
    DEFAULT_INTERVAL_SECONDS,
    HEARTBEAT,
    INTERVAL_ATTRIBUTE,
    STARTED,
    STOPPED,
    CollectorEvent,
    Gap,
    gaps,
)
from warehouse.query import QuerySession

_SQL = """
select time_unix_nano, event_name, resource_id, attributes from audit_events
where event_name in (?, ?, ?) and starts_with(recorded_by, 'muniment:') and resource_id is not null
"""


def silences(session: QuerySession) -> list[Gap]:
    """Times when no collector listened, in order; `session` is over the lake's own events."""
    rows = session.run_trusted(_SQL, [STARTED, HEARTBEAT, STOPPED]).to_pylist()
    return gaps(
        [
            CollectorEvent(row["time_unix_nano"], row["event_name"], row["resource_id"], _interval(row["attributes"]))
            for row in rows
        ]
    )


def heard(session: QuerySession) -> tuple[int, int] | None:
    """When a collector said first that it listens, and when one was heard last, nanoseconds since 1970; None where none ever was."""
    sql = (
        "select min(time_unix_nano) as first, max(time_unix_nano) as last from audit_events "
        "where event_name in (?, ?, ?) and starts_with(recorded_by, 'muniment:') and resource_id is not null"
    )
    (row,) = session.run_trusted(sql, [STARTED, HEARTBEAT, STOPPED]).to_pylist()
    return None if row["first"] is None else (int(row["first"]), int(row["last"]))


def _interval(attributes: str | None) -> float:
    stated = json.loads(attributes or "{}").get(INTERVAL_ATTRIBUTE)
    return stated if isinstance(stated, int | float) and 0 < stated < math.inf else DEFAULT_INTERVAL_SECONDS
