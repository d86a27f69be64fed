"""Which events made an SLO's figure worse: those that were not good, each with its record number and its run.

The same query that counts is asked for its rows. Invariant: nothing is in the answer that the figure would not count as bad.
"""

from typing import Any

import pyarrow as pa

from pipelines.slo.counting import event_sql, read_parameters
from pipelines.slo.definitions import Series
from warehouse.query import QuerySession

_WORST = """
with bad as (
    select time_unix_nano, cast(shard as varchar) as shard, cast(log_index as bigint) as log_index, {measured} as measured
    from ({events}) as event
    where good is false and time_unix_nano >= $begin and time_unix_nano < $end
    order by {order} time_unix_nano desc, shard, log_index
    limit $most
)
select
    make_timestamp(bad.time_unix_nano // 1000) as time, coalesce(spans.agent_name, spans.agent_id) as agent, spans.name,
    bad.measured, spans.trace_id, bad.shard, bad.log_index
from bad left join spans on spans.shard = bad.shard and spans.log_index = bad.log_index
order by {order} bad.time_unix_nano desc, bad.shard, bad.log_index
"""


def worst_events(session: QuerySession, series: Series, *, bounds: tuple[int, int], most: int) -> pa.Table:
    """At most `most` bad events in `bounds` (nanoseconds since 1970): the farthest from a series' bound first, else the newest.

    Columns: time, agent, name, measured (NULL where the indicator has no value), trace_id, shard, log_index. `session` shows every
    record under `spans` and under `all_spans`. None where the indicator counts totals and good apart, so that no row is bad.

    Raises:
        QueryError: the indicator's SQL may not run or fails.
    """
    said = event_sql(series)
    if said is None:
        return pa.table({name: pa.array([], pa.string()) for name in _COLUMNS})
    events, parameters = said
    order = "" if series.operator is None else f"measured {'desc' if series.operator in {'lt', 'lte'} else 'asc'},"
    sql = _WORST.format(events=events, measured="null::double" if series.operator is None else "value", order=order)
    values: dict[str, Any] = {**parameters, "begin": bounds[0], "end": bounds[1], "most": most}
    return session.query(sql, {**values, **read_parameters(session, sql)})


_COLUMNS = ("time", "agent", "name", "measured", "trace_id", "shard", "log_index")
