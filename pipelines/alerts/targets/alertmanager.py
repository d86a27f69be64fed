"""Prometheus Alertmanager: `POST /api/v2/alerts` (its OpenAPI v2 document).

An Alertmanager forgets what it is not told again. So every alert that fires is sent each round with an end some minutes ahead, and with
its true end once it has one: an Alertmanager resolves what it hears nothing more of by that time, whatever its own `resolve_timeout`.

It refuses an alert that ends before it starts. What a sender dated ahead of time therefore starts now: nobody dates away an alert.
"""

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipelines.alerts.address import Address
from pipelines.alerts.config import TargetConfig
from pipelines.alerts.http import Poster
from pipelines.alerts.notice import Notice
from pipelines.alerts.secret import NO_SECRET, Secret, read_secret
from pipelines.alerts.wording import Wording, precise_text
from warehouse.clock import NANOS_PER_SECOND
from warehouse.secret_text import ReadVariable

API_PATH = "/api/v2/alerts"
_LABEL = re.compile(r"[^a-zA-Z0-9_]")
_OWN_LABELS = frozenset({"alertname", "tenant", "severity", "kind", "lake"})


class AlertmanagerTarget:
    """One Alertmanager; of a cluster name each as a target of its own, as Prometheus does."""

    most_at_once = 200

    def __init__(self, config: TargetConfig, wording: Wording, read_variable: ReadVariable) -> None:
        base = Address.parse(str(config.url), unsafe_plain_http=config.unsafe_plain_http)
        self._address = replace(base, path=base.path + API_PATH)
        self._config = config
        self._wording = wording
        self._read_variable = read_variable
        self._poster = Poster(config.name, config.timeout_seconds, config.ca_file)

    def send(self, notices: Sequence[Notice], now_unix_nano: int) -> str:
        """See `Target.send`."""
        secret = read_secret(self._config, self._read_variable)
        ahead = now_unix_nano + int(self._config.resolve_timeout_seconds * NANOS_PER_SECOND)
        body = json.dumps([self._alert(notice, now_unix_nano, ahead) for notice in notices], ensure_ascii=False)
        return self._poster.post(self._address, body.encode(), headers=_authorization(secret), secret=secret)

    def _alert(self, notice: Notice, now_unix_nano: int, ahead_unix_nano: int) -> dict[str, Any]:
        alert = notice.alert
        ends = ahead_unix_nano if alert.ends_unix_nano is None else alert.ends_unix_nano
        annotations = {
            "summary": alert.summary,
            "description": alert.description,
            "runbook": self._wording.runbook(alert),
            "value": None if alert.value is None else f"{alert.value:g}",
            "fingerprint": alert.fingerprint,
        }
        own = {
            "alertname": alert.name,
            "tenant": alert.tenant,
            "severity": alert.severity,
            "kind": alert.kind,
            "lake": self._wording.lake,
        }
        return {
            "labels": {**{_label(name): value for name, value in alert.labels.items()}, **own},
            "annotations": {name: text for name, text in annotations.items() if text},
            "startsAt": precise_text(min(alert.starts_unix_nano, now_unix_nano)),
            "endsAt": precise_text(ends),
        }


def _label(name: str) -> str:
    """A label's name as Alertmanager takes it (`[a-zA-Z_][a-zA-Z0-9_]*`), out of the way of those that every alert has."""
    made = _LABEL.sub("_", name)
    return f"label_{made}" if made in _OWN_LABELS or not made or made[0].isdigit() else made


def _authorization(secret: Secret) -> dict[str, str]:
    """RFC 7617 for `user:password`, RFC 6750 for a token; nothing without a secret."""
    if secret == NO_SECRET:
        return {}
    if ":" in secret.text:
        return {"authorization": f"Basic {base64.b64encode(secret.text.encode()).decode()}"}
    return {"authorization": f"Bearer {secret.text}"}
