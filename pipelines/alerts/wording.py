"""What is said about an alert, the same in every target: its fields as JSON, where its runbook is, times as text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.alerts.alert import Alert
from pipelines.alerts.notice import Notice
from warehouse.clock import NANOS_PER_SECOND, utc_text

_NANOS_PER_MILLISECOND = 1_000_000


@dataclass(frozen=True)
class Wording:
    """How one lake speaks of its alerts: its name, and where its runbooks are."""

    lake: str
    runbook_base_url: str | None = None

    def runbook(self, alert: Alert) -> str | None:
        """Address of the alert's runbook; its name below `docs/runbooks/` where settings say no base."""
        if alert.runbook is None:
            return None
        base = self.runbook_base_url
        return f"docs/runbooks/{alert.runbook}" if base is None else f"{base.rstrip('/')}/{alert.runbook}"

    def fields(self, notice: Notice) -> dict[str, Any]:
        """All that is known about an alert, for machines; nothing of it is a value of a payload."""
        alert = notice.alert
        ends = alert.ends_unix_nano
        return {
            "id": notice.id,
            "status": notice.status,
            "fingerprint": alert.fingerprint,
            "name": alert.name,
            "kind": alert.kind,
            "severity": alert.severity,
            "lake": self.lake,
            "tenant": alert.tenant,
            "labels": dict(alert.labels),
            "summary": alert.summary,
            "description": alert.description,
            "starts_at": precise_text(alert.starts_unix_nano),
            "ends_at": None if ends is None else precise_text(ends),
            "runbook": self.runbook(alert),
            "value": alert.value,
        }

    def title(self, notice: Notice) -> str:
        """One line for people: what, whose, and for how long where it is over."""
        alert = notice.alert
        if alert.ends_unix_nano is None:
            return f"[{alert.severity}] {alert.tenant}: {alert.summary}"
        return f"[resolved] {alert.tenant}: {alert.summary} ({_lasted(alert.starts_unix_nano, alert.ends_unix_nano)})"


def precise_text(unix_nano: int) -> str:
    """RFC 3339 text, to the millisecond, of a time in nanoseconds since 1970."""
    milliseconds = unix_nano % NANOS_PER_SECOND // _NANOS_PER_MILLISECOND
    return f"{utc_text(unix_nano)[:-1]}.{milliseconds:03d}Z"


def sorted_text(labels: Mapping[str, str]) -> str:
    """Labels on one line."""
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))


def _lasted(starts_unix_nano: int, ends_unix_nano: int) -> str:
    minutes, seconds = divmod(max(0, ends_unix_nano - starts_unix_nano) // NANOS_PER_SECOND, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [
        f"{hours} h" if hours else "",
        f"{minutes} min" if minutes or hours else "",
        "" if hours else f"{seconds} s",
    ]
    return f"lasted {' '.join(filter(None, parts))}"
