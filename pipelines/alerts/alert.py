"""An alert: one thing that somebody must look at, from when it began until it ended."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["slo", "incident", "clock", "watchdog", "alerting"]
Severity = Literal["page", "ticket", "info"]


@dataclass(frozen=True)
class Alert:
    """One alert. Nothing in it may be a value of a payload: it leaves the lake.

    Attributes:
        name: what it is about, the same each time: an SLO's id with its condition, or an incident's rule.
        kind: what raised it; `alerting` is trouble of the evaluation itself.
        tenant: whose records it is about; `_lake` for the lake itself.
        severity: `page` wakes somebody, `ticket` waits for working hours, `info` is only shown.
        labels: tell it from others of the same name and tenant; they are part of its identity.
        summary: one line.
        description: what was measured, against what, and over which time.
        starts_unix_nano: when it began, nanoseconds since 1970.
        ends_unix_nano: when it ended; None while it fires.
        runbook: name of a file below `docs/runbooks/`.
        value: what was measured, where it is one number.
        targets: names of the targets to tell; empty for all.
    """

    name: str
    kind: Kind
    tenant: str
    severity: Severity
    summary: str
    description: str
    starts_unix_nano: int
    labels: Mapping[str, str] = field(default_factory=dict)
    ends_unix_nano: int | None = None
    runbook: str | None = None
    value: float | None = None
    targets: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Identity over time and restarts: hex of SHA-256 over name, tenant and labels."""
        identity = json.dumps([self.name, self.tenant, sorted(self.labels.items())], separators=(",", ":"))
        return hashlib.sha256(identity.encode()).hexdigest()
