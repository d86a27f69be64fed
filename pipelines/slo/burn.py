"""Burn rates: how fast an error budget goes, against how fast it may (Google SRE workbook, chapter 5, table 5-8).

A burn rate of 1 spends exactly the whole budget over the SLO's period. A condition holds where both its windows burn faster
than its factor: the long one says that enough was lost, the short one that it is still being lost. `factor = share of the
budget * period / long window`, and the short window is a twelfth of the long one.

No burn rate can be higher than `1 / (1 - target)`, where every event is bad: a condition whose factor is not below that never
fires, and is refused.
"""

from dataclasses import dataclass
from typing import Literal

from pipelines.slo.durations import duration_text

SHORT_PART = 12
"""How many short windows fit into a long one."""

Severity = Literal["page", "ticket", "info"]


@dataclass(frozen=True)
class WindowPair:
    """A long and a short window (seconds), and the share of the budget that may go within the long one."""

    severity: Severity
    long_seconds: int
    short_seconds: int
    budget_share: float

    def factor(self, period_seconds: int) -> float:
        """The burn rate that spends this share within the long window."""
        return round(self.budget_share * period_seconds / self.long_seconds, 9)


WORKBOOK: tuple[WindowPair, ...] = (
    WindowPair("page", 3_600, 300, 0.02),
    WindowPair("page", 21_600, 1_800, 0.05),
    WindowPair("ticket", 86_400, 7_200, 0.10),
    WindowPair("ticket", 259_200, 21_600, 0.10),
)
"""What the workbook recommends; over 30 days the factors are 14.4, 6, 3 and 1."""


def error_threshold(factor: float, target: float) -> float:
    """The share of bad events at which a budget burns this fast."""
    return factor * (1 - target)


def highest_burn(target: float) -> float:
    """The burn rate where everything is bad."""
    return round(1 / (1 - target), 9)


def why_unreachable(factor: float, target: float, long_seconds: int, period_seconds: int) -> str | None:
    """Why a condition with this factor can never hold, derived, with what would; None where it can."""
    highest = highest_burn(target)
    if factor < highest:
        return None
    share = factor * long_seconds / period_seconds
    least = share * period_seconds * (1 - target)
    return (
        f"got the factor {factor:g}, which target {target:g} never exceeds: where every event is bad the burn rate is "
        f"1 / (1 - {target:g}) = {highest:.4g}. {factor:g} is {share:.3g} of the budget in {duration_text(long_seconds)} "
        f"({share:.3g} * {duration_text(period_seconds)} / {duration_text(long_seconds)}); even if all is bad that share takes "
        f"{least / 3600:.3g} h. Expected a factor below {highest:.4g}, or a lookbackWindow over {least / 3600:.3g} h with its factor"
    )
