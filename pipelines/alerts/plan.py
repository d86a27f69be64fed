"""What a target is to be told now, from what fires and what it was told. Pure.

An alert that fires is told once, again where it became another severity, and each round where the receiver forgets (Alertmanager, and
the watchdog everywhere). Its end is told to whoever was told of its beginning or was to be: what a target missed altogether while
it could not be reached is told as resolved, with both times.

What was noted under a clock that has gone back since is not waited for: an alert is rather told once more than not for a day.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.alerts.alert import Alert
from pipelines.alerts.config import TargetConfig
from pipelines.alerts.episodes import read_alert
from pipelines.alerts.notice import Notice
from warehouse.clock import NANOS_PER_SECOND
from warehouse.control import AlertRecord, DeliveryRecord

_ROUND_SHARE = 0.5
"""What is told each round is due once half of a round has passed: rounds are not exactly as long as they should be."""


@dataclass(frozen=True)
class Due:
    """Notices to send now, and when the next that failed is to be tried again; None where none waits."""

    notices: tuple[Notice, ...]
    next_unix_nano: int | None


def is_for(alert: Alert, target: TargetConfig, names: Collection[str]) -> bool:
    """Whether an alert goes to a target; `names` are those of all targets. Where it names none of them, it goes to each."""
    if alert.kind == "watchdog":
        return target.takes_watchdog
    if target.tenants and alert.tenant not in target.tenants:
        return False
    named = set(alert.targets) & set(names)
    return alert.severity in target.severities and (not named or target.name in named)


def is_told(record: AlertRecord, delivery: DeliveryRecord | None) -> bool:
    """Whether a target was told how this alert stands now."""
    return (
        delivery is not None
        and delivery.starts_unix_nano == record.starts_unix_nano
        and delivery.ended == (record.ends_unix_nano is not None)
    )


def waiting(
    target: TargetConfig,
    names: Collection[str],
    records: Iterable[AlertRecord],
    deliveries: Mapping[str, DeliveryRecord],
) -> list[AlertRecord]:
    """What a target has still to be told of: its queue."""
    found = []
    for record in records:
        delivery = deliveries.get(record.fingerprint)
        if is_told(record, delivery):
            continue
        firing = record.ends_unix_nano is None
        # an end is told where its beginning was, or was to be: that is when the delivery's row was made
        if (firing and is_for(read_alert(record), target, names)) or (not firing and delivery is not None):
            found.append(record)
    return found


def plan(
    target: TargetConfig,
    names: Collection[str],
    records: Sequence[AlertRecord],
    deliveries: Mapping[str, DeliveryRecord],
    *,
    now_unix_nano: int,
    interval_seconds: float,
    alive: bool = True,
) -> Due:
    """What to tell one target now, oldest first. The watchdog is left out unless rounds are `alive`: it says that they are."""
    queue = {record.fingerprint for record in waiting(target, names, records, deliveries)}
    again_before = now_unix_nano - int(interval_seconds * _ROUND_SHARE * NANOS_PER_SECOND)
    notices, later = [], []
    for record in records:
        alert, delivery = read_alert(record), deliveries.get(record.fingerprint)
        if alert.kind == "watchdog" and not alive:
            continue
        if record.fingerprint not in queue and not _again(target, names, alert, delivery, again_before, now_unix_nano):
            continue
        if delivery is not None and (retry := _retry_ahead(delivery, now_unix_nano)) is not None:
            later.append(retry)
            continue
        told = delivery is not None and delivery.starts_unix_nano == record.starts_unix_nano
        notices.append(Notice(alert, told=told))
    return Due(tuple(notices), min(later, default=None))


def _retry_ahead(delivery: DeliveryRecord, now_unix_nano: int) -> int | None:
    """When what failed is tried again, where that is still to come."""
    retry = delivery.retry_unix_nano
    return retry if retry is not None and (delivery.tried_unix_nano or 0) <= now_unix_nano < retry else None


def _again(
    target: TargetConfig,
    names: Collection[str],
    alert: Alert,
    delivery: DeliveryRecord | None,
    before_unix_nano: int,
    now_unix_nano: int,
) -> bool:
    """Whether what was told is told again: it became another severity, or the receiver forgets."""
    if alert.ends_unix_nano is not None or delivery is None or not is_for(alert, target, names):
        return False
    if delivery.severity != alert.severity:
        return True
    forgets = target.type == "alertmanager" or alert.kind == "watchdog"
    return forgets and not before_unix_nano < (delivery.sent_unix_nano or 0) <= now_unix_nano
