"""When nobody listened: the times between a shard's collector events that no heartbeat covers."""

from collections.abc import Iterable
from itertools import pairwise

from warehouse.clock import NANOS_PER_SECOND
from warehouse.ledger.verify.events import OwnRow
from warehouse.ledger.verify.report import Gap

HEARTBEAT_SECONDS = 300
_SILENCE_NANOS = 2 * HEARTBEAT_SECONDS * NANOS_PER_SECOND
"""One heartbeat may be late; two in a row are silence."""

_PREFIX = "collector."
_STOPPED = "collector.stopped"


def find_gaps(rows: Iterable[OwnRow]) -> list[Gap]:
    """Gaps between the first and the last event of each shard: after a stop until the next event, and silences without one."""
    events: dict[str, dict[int, str]] = {}
    for row in rows:
        if row.name.startswith(_PREFIX) and row.resource_id and row.by_muniment:
            events.setdefault(row.resource_id, {})[row.time_unix_nano] = row.name
    gaps = []
    for shard, named in sorted(events.items()):
        times = sorted(named)
        for earlier, later in pairwise(times):
            stopped = named[earlier] == _STOPPED
            if (stopped and named[later] != _STOPPED) or later - earlier > _SILENCE_NANOS:
                gaps.append(Gap(shard, earlier, later, stopped=stopped))
    return gaps
