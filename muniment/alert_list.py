"""What is told of alerts: each one that is kept and which targets know how it stands, and in numbers how they do."""

from collections import Counter
from dataclasses import asdict
from typing import Any

from muniment.alert_state import read_state
from muniment.alerting import lake_targets, read_queues
from muniment.wiring import CommandContext
from pipelines.alerts.episodes import read_alert
from pipelines.alerts.notice import Notice
from pipelines.alerts.plan import is_told
from pipelines.alerts.wording import Wording, precise_text

_SEVERITIES = ("page", "ticket", "info")


def alert_status(context: CommandContext) -> dict[str, Any]:
    """What `muniment status` shows of alerts."""
    records, deliveries = context.control.list_alerts(), context.control.list_deliveries()
    firing = [read_alert(record) for record in records if record.ends_unix_nano is None]
    state = read_state(context.lake)
    return {
        "firing": dict(Counter(alert.severity for alert in firing if alert.kind != "watchdog")),
        "not_recorded": sum(not (r.began_recorded and (r.end_recorded or r.ends_unix_nano is None)) for r in records),
        "targets": [
            asdict(queue)
            for queue in read_queues(lake_targets(context.lake, context.settings.alerts), records, deliveries)
        ],
        "last_round": None
        if state is None
        else {name: value for name, value in asdict(state).items() if name != "points"},
    }


def read_alerts(context: CommandContext, tenant: str | None = None, *, ended: bool = False) -> list[dict[str, Any]]:
    """Alerts of one tenant or of all, the most severe first; with `ended` also those that are over."""
    wording = Wording(context.settings.lake, context.settings.alerts.runbook_base_url)
    deliveries = context.control.list_deliveries()
    found = []
    for record in context.control.list_alerts():
        if (record.ends_unix_nano is not None and not ended) or tenant not in {None, record.tenant_id}:
            continue
        told = [
            {
                "target": each.target,
                "current": is_told(record, each),
                "sent_at": None if each.sent_unix_nano is None else precise_text(each.sent_unix_nano),
                "problem": each.problem,
            }
            for each in deliveries
            if each.fingerprint == record.fingerprint
        ]
        recorded = record.began_recorded and (record.ends_unix_nano is None or record.end_recorded)
        found.append({**wording.fields(Notice(read_alert(record))), "recorded": recorded, "told": told})
    return sorted(found, key=lambda alert: (_SEVERITIES.index(alert["severity"]), alert["starts_at"]))
