"""What every target does, and the one place that knows their kinds."""

from collections.abc import Callable, Sequence
from typing import Protocol

from pipelines.alerts.config import TargetConfig
from pipelines.alerts.notice import Notice
from pipelines.alerts.targets.alertmanager import AlertmanagerTarget
from pipelines.alerts.targets.file import FileTarget
from pipelines.alerts.targets.pagerduty import PagerDutyTarget
from pipelines.alerts.targets.slack import SlackTarget
from pipelines.alerts.targets.webhook import WebhookTarget
from pipelines.alerts.wording import Wording
from warehouse.secret_text import ReadVariable


class Target(Protocol):
    """Where alerts go. It keeps nothing between calls but its settings; its secret is read anew each time."""

    @property
    def most_at_once(self) -> int:
        """How many notices one `send` MAY be given."""

    def send(self, notices: Sequence[Notice], now_unix_nano: int) -> str:
        """Tell the receiver, and return what it answered, on one line.

        MUST be safe to repeat: the receiver may get a notice twice, after a crash or a lost answer. MUST end within a small multiple of
        the target's time limit. What it returns or raises MUST NOT hold the secret.

        Raises:
            TargetUnavailableError: nothing can be told now.
            AlertRefusedError: the receiver refuses these notices; of several, some may have been taken.
        """


_KINDS: dict[str, Callable[[TargetConfig, Wording, ReadVariable], Target]] = {
    "alertmanager": AlertmanagerTarget,
    "webhook": WebhookTarget,
    "pagerduty": PagerDutyTarget,
    "slack": SlackTarget,
    "file": FileTarget,
}


def open_target(config: TargetConfig, wording: Wording, read_variable: ReadVariable) -> Target:
    """The target that settings describe; nothing is read or asked yet."""
    return _KINDS[config.type](config, wording, read_variable)
