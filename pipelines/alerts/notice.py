"""A notice: what a target is told of one alert, the same for all attempts to tell it."""

from dataclasses import dataclass

from pipelines.alerts.alert import Alert

RESOLVED = "resolved"
FIRING = "firing"


@dataclass(frozen=True)
class Notice:
    """One alert as a target is to be told of it. `told` says whether it took an earlier notice of the same episode."""

    alert: Alert
    told: bool = False

    @property
    def status(self) -> str:
        """`firing`, or `resolved` once the alert has ended."""
        return FIRING if self.alert.ends_unix_nano is None else RESOLVED

    @property
    def id(self) -> str:
        """The same for every attempt, so that a receiver can tell a repeat: the episode, what became of it, and how severe it is."""
        severity = f"-{self.alert.severity}" if self.status == FIRING else ""
        return f"{episode_id(self.alert)}-{self.status}{severity}"


def episode_id(alert: Alert) -> str:
    """Names one alert from its beginning to its end: half of its fingerprint, and when it began."""
    return f"{alert.fingerprint[:32]}-{alert.starts_unix_nano}"
