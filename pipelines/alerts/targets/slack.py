"""Slack's incoming webhooks: one message a notice. The URL lets whoever has it post, so it is the secret.

Texts are escaped as Slack asks (`&`, `<`, `>`) and sent as they stand (`verbatim`), so that nothing in an alert becomes a link, a
mention or `<!channel>`: an incident's sentence names agents and tools, whose names a sender chose.
"""

import json
from collections.abc import Sequence
from typing import Any

from pipelines.alerts.address import Address
from pipelines.alerts.config import TargetConfig
from pipelines.alerts.errors import TargetUnavailableError
from pipelines.alerts.http import Poster
from pipelines.alerts.notice import RESOLVED, Notice
from pipelines.alerts.secret import read_secret
from pipelines.alerts.wording import Wording, precise_text, sorted_text
from warehouse.secret_text import ReadVariable

_SIGNS = {"page": ":rotating_light:", "ticket": ":warning:", "info": ":information_source:"}
_RESOLVED_SIGN = ":white_check_mark:"
_SECTION_CHARACTERS = 2900
"""Slack takes 3000 in a section."""


class SlackTarget:
    """One channel of Slack, named by the URL of an incoming webhook."""

    most_at_once = 1

    def __init__(self, config: TargetConfig, wording: Wording, read_variable: ReadVariable) -> None:
        self._config = config
        self._wording = wording
        self._read_variable = read_variable
        self._poster = Poster(config.name, config.timeout_seconds, config.ca_file)

    def send(self, notices: Sequence[Notice], now_unix_nano: int) -> str:  # noqa: ARG002 - part of what a target is
        """See `Target.send`."""
        secret = read_secret(self._config, self._read_variable)
        try:
            address = Address.parse(secret.text, unsafe_plain_http=self._config.unsafe_plain_http)
        except ValueError as exc:
            raise TargetUnavailableError(f"target {self._config.name}: the secret is its URL: {exc}") from None
        answer = ""
        for notice in notices:
            body = json.dumps(self._message(notice), ensure_ascii=False).encode()
            answer = self._poster.post(address, body, secret=secret)
        return answer

    def _message(self, notice: Notice) -> dict[str, Any]:
        alert = notice.alert
        sign = _RESOLVED_SIGN if notice.status == RESOLVED else _SIGNS[alert.severity]
        title = _escaped(self._wording.title(notice))
        lines = [f"{sign} *{title}*"]
        if notice.status != RESOLVED:
            lines.append(_escaped(alert.description))
        runbook = self._wording.runbook(alert)
        facts = [
            f"`{_escaped(alert.name)}`",
            f"since {precise_text(alert.starts_unix_nano)}",
            _escaped(sorted_text(alert.labels)),
            "" if runbook is None else f"runbook: {_escaped(runbook)}",
        ]
        return {
            "text": f"{sign} {title}",
            "blocks": [
                _block("section", "\n".join(filter(None, lines))),
                {"type": "context", "elements": [_text(" · ".join(filter(None, facts)))]},
            ],
        }


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _text(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text[:_SECTION_CHARACTERS], "verbatim": True}


def _block(kind: str, text: str) -> dict[str, Any]:
    return {"type": kind, "text": _text(text)}
