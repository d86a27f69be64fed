"""Legal clocks: how long a law gives to report an incident, counted from when it became known.

Regulation (EU) 2024/1689, Article 73(2), (3) and (4): a serious incident is reported not later than 15 days after the provider, or
deployer, becomes aware of it; 2 days where it is widespread or disrupts critical infrastructure; 10 days where a person died.
Regulation (EU) 2016/679, Article 33(1): a breach of personal data, not later than 72 hours after having become aware of it.
Which applies is for people to say: a rule may start a clock, and anybody who handles the incident starts or stops one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from warehouse.clock import NANOS_PER_DAY

_HOUR = NANOS_PER_DAY // 24
ALERT_SHARES = (50, 80, 100)
"""Shares of the time, in percent, at which a clock that runs alerts; the last one is the end."""


@dataclass(frozen=True)
class LegalClock:
    """One duty to report: what it is called here, how long it gives, and where it is written."""

    name: str
    allowed_nanos: int
    title: str
    citation: str


LEGAL_CLOCKS: Mapping[str, LegalClock] = {
    clock.name: clock
    for clock in (
        LegalClock(
            "ai-act-73", 15 * NANOS_PER_DAY, "serious incident", "Regulation (EU) 2024/1689, Article 73(2)"
        ),
        LegalClock(
            "ai-act-73-death", 10 * NANOS_PER_DAY, "death of a person", "Regulation (EU) 2024/1689, Article 73(4)"
        ),
        LegalClock(
            "ai-act-73-widespread",
            2 * NANOS_PER_DAY,
            "widespread infringement or disruption of critical infrastructure",
            "Regulation (EU) 2024/1689, Article 73(3)",
        ),
        LegalClock("gdpr-33", 72 * _HOUR, "breach of personal data", "Regulation (EU) 2016/679, Article 33(1)"),
    )
}  # fmt: skip
"""Every clock by name."""


def passed_share(started_unix_nano: int, due_unix_nano: int, now_unix_nano: int) -> int | None:
    """The highest of `ALERT_SHARES` that a clock has reached; None before the first."""
    allowed = due_unix_nano - started_unix_nano
    passed = now_unix_nano - started_unix_nano
    return max((share for share in ALERT_SHARES if passed * 100 >= share * allowed), default=None)
