"""`alert.fired` and `alert.resolved`: each beginning and each end of an alert, recorded once in the log of its tenant.

An event is recorded after the alert's row says that it is to be, and the row is marked afterwards. What is not marked when a round
begins may or may not have been recorded, because a process died or an answer was lost: then the lake itself is asked, once every
journal stands in the tables, and until it can tell, nothing is recorded twice on the chance that it was not.
An alert is sent whether or not it could be recorded: a full disk must not keep its own alarm in.
"""

import contextlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from muniment.wiring import CommandContext
from pipelines.alerts.episodes import read_alert
from pipelines.alerts.notice import episode_id
from warehouse.control import AlertRecord
from warehouse.errors import MunimentError, UnavailableError
from warehouse.local_socket import call_local_socket
from warehouse.own_events import OwnEvent

FIRED = "alert.fired"
RESOLVED = "alert.resolved"
_FLUSH_SECONDS = 30.0
_HOUR_NANOS = 3600 * 1_000_000_000


@dataclass(frozen=True)
class _Due:
    """One event that is not known to be in the lake."""

    record: AlertRecord
    name: str

    @property
    def key(self) -> tuple[str, str]:
        return self.name, episode_id(read_alert(self.record))


def record_alerts(context: CommandContext, fresh: Collection[tuple[str, str]]) -> int:
    """Record every beginning and end that is not recorded; returns how many were.

    `fresh` are events, as `(name, fingerprint)`, that this very round caused: nobody can have recorded them before.

    Raises:
        UnavailableError: they could not be recorded, or the lake could not be asked; the next round tries again.
    """
    due = [each for record in context.control.list_alerts() for each in _due(record)]
    doubtful = [each for each in due if (each.name, each.record.fingerprint) not in fresh]
    there = _already_there(context, doubtful) if doubtful else frozenset()
    new = [each for each in due if each.key not in there]
    if new:
        context.recorder.record([_event(context, each) for each in new])
    _mark(context, due)
    return len(new)


def _due(record: AlertRecord) -> list[_Due]:
    found = [] if record.began_recorded else [_Due(record, FIRED)]
    if record.ends_unix_nano is not None and not record.end_recorded:
        found.append(_Due(record, RESOLVED))
    return found


def _event(context: CommandContext, due: _Due) -> OwnEvent:
    alert = read_alert(due.record)
    attributes: dict[str, Any] = {
        "muniment.alert.fingerprint": alert.fingerprint,
        "muniment.alert.kind": alert.kind,
        "muniment.alert.severity": alert.severity,
        "muniment.alert.labels": dict(alert.labels),
        "muniment.alert.starts_unix_nano": alert.starts_unix_nano,
        "muniment.alert.description": alert.description,
    }
    more = {
        "muniment.alert.ends_unix_nano": alert.ends_unix_nano if due.name == RESOLVED else None,
        "muniment.alert.value": alert.value,
        "muniment.alert.runbook": alert.runbook,
        "muniment.alert.targets": list(alert.targets) or None,
    }
    attributes |= {name: value for name, value in more.items() if value is not None}
    fields = {
        "action": alert.name,
        "resource_type": "alert",
        "resource_id": due.key[1],
        "reason": alert.summary,
    }
    return OwnEvent(alert.tenant, due.name, context.principal.recorded_by, fields=fields, attributes=attributes)


def _mark(context: CommandContext, due: Sequence[_Due]) -> None:
    marked: dict[str, AlertRecord] = {}
    for each in due:
        record = marked.get(each.record.fingerprint, each.record)
        marked[record.fingerprint] = (
            replace(record, began_recorded=True) if each.name == FIRED else replace(record, end_recorded=True)
        )
    context.control.keep_alerts(list(marked.values()))


def _already_there(context: CommandContext, doubtful: Sequence[_Due]) -> frozenset[tuple[str, str]]:
    """Those of these events that the lake holds.

    Raises:
        UnavailableError: a journal could not be committed, so that nobody can tell.
    """
    _commit_journals(context)
    since = min(each.record.seen_unix_nano for each in doubtful) - _HOUR_NANOS  # clocks of hosts differ by less
    tenants = sorted({each.record.tenant_id for each in doubtful})
    ids = [each.key[1] for each in doubtful]
    with context.session(tenants, tables=["audit_events"]) as session:
        found = session.query(
            "select event_name, resource_id from audit_events where time_unix_nano >= $since"
            " and event_name in ('alert.fired', 'alert.resolved') and list_contains($ids, resource_id)",
            {"since": since, "ids": ids},
        )
    return frozenset((row["event_name"], row["resource_id"]) for row in found.to_pylist())


def _commit_journals(context: CommandContext) -> None:
    """Have running collectors commit what they hold, and see that no journal is left with what another process acknowledged.

    A journal whose collector does not run is left to that collector: taking its shard, if only for a moment, would keep it from starting.
    """
    waiting = _segments(context)
    if not waiting:
        return
    payload = json.dumps({"op": "flush", "timeout_seconds": _FLUSH_SECONDS}).encode()
    for socket in sorted(context.lake.run.glob("collector-*.sock")):
        with contextlib.suppress(OSError, MunimentError):
            call_local_socket(socket, payload, timeout_seconds=_FLUSH_SECONDS + 1.0)
    if left := [file for file in waiting if file.exists()]:
        raise UnavailableError(
            f"alert events: cannot tell what was recorded: {len(left)} journal segments are not committed",
            hint="start the collector whose journal it is: `muniment status` names the shards",
        )


def _segments(context: CommandContext) -> list[Path]:
    from warehouse.journal import list_segments

    return [
        file
        for folder in sorted(context.lake.journal.iterdir())
        if folder.is_dir()
        for _, file in list_segments(folder)
    ]
