"""Figures that leave as metrics: which there are, and their points. Names and units as OpenTelemetry has them (UCUM)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Gauge:
    """What one figure is."""

    unit: str
    description: str


@dataclass(frozen=True)
class Point:
    """One value of a figure, and what it is of."""

    attributes: Mapping[str, str]
    value: float


Points = Mapping[str, tuple[Point, ...]]
"""Points by the name of their gauge."""

GAUGES: Mapping[str, Gauge] = MappingProxyType(
    {
        "muniment.alerts.firing": Gauge("{alert}", "alerts that fire"),
        "muniment.alerts.queued": Gauge("{alert}", "alerts that a target was not told of since the round before"),
        "muniment.alerts.round.duration": Gauge("s", "how long the last round of evaluation took"),
        "muniment.slo.target": Gauge("1", "share that must be good"),
        "muniment.slo.attainment": Gauge("1", "share that was good in the SLO's window, of what was measured"),
        "muniment.slo.budget.remaining": Gauge("1", "share of the error budget that is left; below 0 where overspent"),
        "muniment.slo.coverage": Gauge("1", "share of the windows that were measured"),
        "muniment.slo.events": Gauge("{event}", "events that count in the SLO's window"),
        "muniment.slo.burn": Gauge(
            "1", "how many times as fast as it may the error budget burns, by condition and window"
        ),
        "muniment.slo.state": Gauge("1", "1 for the state that the SLO is in: met, spent, few, unmeasured or watched"),
        "muniment.incidents.open": Gauge("{incident}", "incidents that are not closed"),
    }
)
"""Every figure, in the order of the documentation."""


def merge_points(each: Iterable[Points]) -> dict[str, tuple[Point, ...]]:
    """Points of several sources together.

    Raises:
        ValueError: points of a gauge that is not known.
    """
    merged: dict[str, tuple[Point, ...]] = {}
    for points in each:
        for name, more in points.items():
            if name not in GAUGES:
                raise ValueError(f"gauge: expected one of {', '.join(GAUGES)}, got {name!r}")
            merged[name] = (*merged.get(name, ()), *more)
    return merged
