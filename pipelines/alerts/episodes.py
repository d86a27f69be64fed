"""What a round's findings change: which alerts began, which go on, which ended. Pure.

Invariants:
- An alert that is found again is the same one: it keeps the time at which it began.
- Only what was looked at can end. Where an evaluation failed, its alerts go on firing: not knowing is not all clear.
- What ended is kept for some days, so that it can be listed, and as long as it has to be told or recorded.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pipelines.alerts.alert import Alert, Kind
from pipelines.alerts.gauges import Points
from warehouse.clock import NANOS_PER_DAY
from warehouse.control import AlertRecord
from warehouse.names import LAKE_TENANT

KEPT_DAYS = 7
WATCHDOG = "Watchdog"
_SEVERITIES = ("info", "ticket", "page")
_IN_COLUMNS = ("tenant", "starts_unix_nano", "ends_unix_nano")


@dataclass(frozen=True)
class Doubt:
    """What a source could not look at: all alerts of a tenant, or those of them that carry a label."""

    tenant: str
    label: str | None = None
    value: str | None = None

    def concerns(self, alert: Alert) -> bool:
        """Whether nobody knows if this alert still fires."""
        return alert.tenant == self.tenant and (self.label is None or alert.labels.get(self.label) == self.value)


@dataclass(frozen=True)
class Evaluation:
    """What one source found: every alert of these kinds that fires, save where there are doubts; and figures that leave as metrics."""

    kinds: frozenset[Kind]
    alerts: tuple[Alert, ...] = ()
    doubts: frozenset[Doubt] = frozenset()
    problems: tuple[str, ...] = ()
    gauges: Points = field(default_factory=dict)

    def covers(self, alert: Alert) -> bool:
        """Whether this alert would be among those found if it still fired."""
        return alert.kind in self.kinds and not any(doubt.concerns(alert) for doubt in self.doubts)


@dataclass(frozen=True)
class Changes:
    """Rows to keep in place of those before, and fingerprints to forget; `began` and `ended` are among the rows."""

    keep: tuple[AlertRecord, ...]
    began: tuple[AlertRecord, ...]
    ended: tuple[AlertRecord, ...]
    forget: tuple[str, ...]


def watchdog(now_unix_nano: int) -> Evaluation:
    """The alert that always fires: a receiver that no longer hears it knows that alerts do not get through."""
    alert = Alert(
        name=WATCHDOG,
        kind="watchdog",
        tenant=LAKE_TENANT,
        severity="info",
        summary="Alerting works",
        description="This alert always fires. Once it is no longer heard, alerts of this lake do not get through.",
        starts_unix_nano=now_unix_nano,
        runbook="watchdog.md",
    )
    return Evaluation(frozenset({"watchdog"}), (alert,))


def compare(
    known: Sequence[AlertRecord],
    evaluations: Iterable[Evaluation],
    now_unix_nano: int,
    *,
    unsettled: Collection[str] = (),
) -> Changes:
    """Hold what was found against what is known. `unsettled` are fingerprints that some target has still to be told of."""
    found = list(evaluations)
    firing = _by_fingerprint(alert for each in found for alert in each.alerts)
    before = {record.fingerprint: record for record in known}
    keep, began, ended, forget = [], [], [], []
    for fingerprint, alert in firing.items():
        record = _firing(alert, before.get(fingerprint), now_unix_nano)
        if record != before.get(fingerprint):
            keep.append(record)
        if not record.began_recorded and record.seen_unix_nano == now_unix_nano:
            began.append(record)
    for record in known:
        if record.fingerprint in firing:
            continue
        if record.ends_unix_nano is None:
            if any(each.covers(read_alert(record)) for each in found):
                over = replace(record, ends_unix_nano=max(now_unix_nano, record.starts_unix_nano))
                keep.append(over)
                ended.append(over)
        elif _is_done(record, now_unix_nano) and record.fingerprint not in unsettled:
            forget.append(record.fingerprint)
    return Changes(tuple(keep), tuple(began), tuple(ended), tuple(forget))


def read_alert(record: AlertRecord) -> Alert:
    """The alert that a row holds."""
    content: Mapping[str, Any] = json.loads(record.content)
    return Alert(
        **{**content, "targets": tuple(content["targets"])},
        tenant=record.tenant_id,
        starts_unix_nano=record.starts_unix_nano,
        ends_unix_nano=record.ends_unix_nano,
    )


def content_text(alert: Alert) -> str:
    """What a row keeps of an alert besides its columns, as canonical JSON text."""
    fields = {name: value for name, value in asdict(alert).items() if name not in _IN_COLUMNS}
    return json.dumps({**fields, "labels": dict(alert.labels)}, sort_keys=True, separators=(",", ":"))


def _firing(alert: Alert, before: AlertRecord | None, now_unix_nano: int) -> AlertRecord:
    if before is not None and (before.ends_unix_nano is None or not before.end_recorded):
        # an end that is not on record yet is taken back: a row holds one episode, and none may be left without its events
        return replace(before, content=content_text(alert), ends_unix_nano=None)
    starts = alert.starts_unix_nano
    if before is not None and before.ends_unix_nano is not None:
        # an episode is named by its beginning, so the next one begins later than the last one did
        starts = max(starts, before.ends_unix_nano, before.starts_unix_nano + 1)
    return AlertRecord(
        fingerprint=alert.fingerprint,
        tenant_id=alert.tenant,
        content=content_text(alert),
        starts_unix_nano=starts,
        seen_unix_nano=now_unix_nano,
    )


def _by_fingerprint(alerts: Iterable[Alert]) -> dict[str, Alert]:
    """Each alert once, as the most severe of those that are the same; one with an end does not fire."""
    firing: dict[str, Alert] = {}
    for alert in alerts:
        if alert.ends_unix_nano is not None:
            continue
        other = firing.get(alert.fingerprint)
        if other is None or _SEVERITIES.index(alert.severity) > _SEVERITIES.index(other.severity):
            firing[alert.fingerprint] = alert
    return firing


def _is_done(record: AlertRecord, now_unix_nano: int) -> bool:
    ends = record.ends_unix_nano
    return (
        ends is not None
        and record.began_recorded
        and record.end_recorded
        and now_unix_nano - ends > KEPT_DAYS * NANOS_PER_DAY
    )
