"""PagerDuty Events API v2: `trigger` and `resolve`, told apart by a `dedup_key` that is the alert's fingerprint.

An alert that ended before PagerDuty heard of it is triggered and resolved at once, so that whoever is on call learns of it.
"""

import json
from collections.abc import Sequence
from typing import Any

from pipelines.alerts.address import Address
from pipelines.alerts.config import PAGERDUTY_URL, TargetConfig
from pipelines.alerts.http import Poster
from pipelines.alerts.notice import FIRING, RESOLVED, Notice
from pipelines.alerts.secret import Secret, read_secret
from pipelines.alerts.wording import Wording, precise_text
from warehouse.secret_text import ReadVariable

_SEVERITIES = {"page": "critical", "ticket": "warning", "info": "info"}
_SUMMARY_CHARACTERS = 1024
"""PagerDuty's own limit."""


class PagerDutyTarget:
    """One service of PagerDuty, named by its routing key."""

    most_at_once = 1

    def __init__(self, config: TargetConfig, wording: Wording, read_variable: ReadVariable) -> None:
        self._address = Address.parse(config.url or PAGERDUTY_URL, unsafe_plain_http=config.unsafe_plain_http)
        self._config = config
        self._wording = wording
        self._read_variable = read_variable
        self._poster = Poster(config.name, config.timeout_seconds, config.ca_file)

    def send(self, notices: Sequence[Notice], now_unix_nano: int) -> str:  # noqa: ARG002 - part of what a target is
        """See `Target.send`."""
        secret = read_secret(self._config, self._read_variable)
        answer = ""
        for notice in notices:
            if notice.status == FIRING or not notice.told:
                answer = self._post(self._trigger(notice, secret), secret)
            if notice.status == RESOLVED:
                resolve = {"event_action": "resolve", **_identity(notice, secret)}
                answer = self._post(resolve, secret)
        return answer

    def _post(self, event: dict[str, Any], secret: Secret) -> str:
        body = json.dumps(event, ensure_ascii=False).encode()
        return self._poster.post(self._address, body, secret=secret)

    def _trigger(self, notice: Notice, secret: Secret) -> dict[str, Any]:
        alert = notice.alert
        details = self._wording.fields(notice)
        event: dict[str, Any] = {
            "event_action": "trigger",
            **_identity(notice, secret),
            "client": "muniment",
            "payload": {
                "summary": self._wording.title(notice)[:_SUMMARY_CHARACTERS],
                "source": f"{self._wording.lake}/{alert.tenant}",
                "severity": _SEVERITIES[alert.severity],
                "timestamp": precise_text(alert.starts_unix_nano),
                "component": alert.name,
                "group": alert.tenant,
                "class": alert.kind,
                "custom_details": details,
            },
        }
        runbook = self._wording.runbook(alert)
        if runbook is not None and runbook.startswith(("http://", "https://")):
            event["links"] = [{"href": runbook, "text": "Runbook"}]
        return event


def _identity(notice: Notice, secret: Secret) -> dict[str, str]:
    return {"routing_key": secret.text, "dedup_key": notice.alert.fingerprint}
