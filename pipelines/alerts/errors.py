"""Errors of delivering alerts.

MunimentError
└── AlertTargetError            an alert was not delivered; no secret stands in the message
    ├── TargetUnavailableError    (Transient) the target does not take anything now
    └── AlertRefusedError         (Permanent) the target refuses this alert
"""

from warehouse.errors import MunimentError, Permanent, Transient


class AlertTargetError(MunimentError):
    """An alert was not delivered. No secret stands in the message."""


class TargetUnavailableError(AlertTargetError, Transient):
    """A target takes nothing now: it does not answer, asks for patience, lets nobody in, or its secret cannot be read.

    `retry_after_seconds` is when it said to come back.
    """

    def __init__(self, message: str, *, retry_after_seconds: float | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class AlertRefusedError(AlertTargetError, Permanent):
    """A target refuses what it was sent, and will again; others may be taken."""
