"""A test alert: marked as one, sent to one target outside of rounds and queue, and not kept."""

from dataclasses import dataclass

from muniment.alerting import lake_targets, open_lake_target
from muniment.wiring import CommandContext
from pipelines.alerts.alert import Alert
from pipelines.alerts.errors import AlertTargetError
from pipelines.alerts.notice import Notice
from warehouse.errors import NotFoundError
from warehouse.names import LAKE_TENANT


@dataclass(frozen=True)
class Sent:
    """What became of a test alert: whether the target took it, and what it answered or why not."""

    target: str
    taken: bool
    answer: str
    fingerprint: str


def send_test(context: CommandContext, target: str) -> Sent:
    """Send one target a test alert.

    Raises:
        NotFoundError: settings have no target of this name.
    """
    targets = {each.name: each for each in lake_targets(context.lake, context.settings.alerts)}
    if target not in targets:
        raise NotFoundError(
            f"target: expected one of {', '.join(sorted(targets)) or 'none: settings have none'}, got {target!r}",
            hint="targets stand in alerts.targets of muniment.yaml",
        )
    now = context.clock()
    alert = Alert(
        name="MunimentTest",
        kind="alerting",
        tenant=LAKE_TENANT,
        severity="info",
        labels={"test": "true", "sent_by": context.principal.id},
        summary="TEST: nothing is wrong, somebody ran `muniment alert test`",
        description=f"Sent by {context.principal.recorded_by} to see that {target} can be told.",
        starts_unix_nano=now,
    )
    try:
        answer = open_lake_target(context, targets[target]).send([Notice(alert)], now)
    except AlertTargetError as exc:
        return Sent(
            target, taken=False, answer=f"{exc}{f': {exc.hint}' if exc.hint else ''}", fingerprint=alert.fingerprint
        )
    return Sent(target, taken=True, answer=answer, fingerprint=alert.fingerprint)
