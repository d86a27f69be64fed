"""What `muniment alert list` shows: each alert that is kept, and which targets know how it stands."""

from typing import Any

from muniment.wiring import CommandContext
from pipelines.alerts.episodes import read_alert
from pipelines.alerts.notice import Notice
from pipelines.alerts.plan import is_told
from pipelines.alerts.wording import Wording, precise_text

_SEVERITIES = ("page", "ticket", "info")


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
