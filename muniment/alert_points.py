"""Figures of a round as points of gauges: SLOs, incidents, what fires, what waits. What was not measured has no point."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pipelines.alerts.episodes import read_alert
from pipelines.alerts.gauges import Point, Points
from pipelines.slo.figures import Figure
from warehouse.control import AlertRecord, IncidentRecord


def slo_gauges(figures: Sequence[Figure]) -> Points:
    """Where each objective of each SLO stands, and how fast its budget burns."""

    def each(values: Iterable[tuple[Figure, float | None]]) -> tuple[Point, ...]:
        return tuple(Point(_of(figure), value) for figure, value in values if value is not None)

    return {
        "muniment.slo.target": each((figure, figure.target) for figure in figures if figure.state != "watched"),
        "muniment.slo.attainment": each((figure, figure.attainment) for figure in figures),
        "muniment.slo.budget.remaining": each(
            (figure, figure.budget_remaining) for figure in figures if figure.state != "watched"
        ),
        "muniment.slo.coverage": each((figure, figure.coverage) for figure in figures),
        "muniment.slo.events": each((figure, figure.total) for figure in figures),
        "muniment.slo.state": tuple(Point({**_of(figure), "state": figure.state}, 1) for figure in figures),
        "muniment.slo.burn": tuple(
            Point({**_of(figure), "condition": burn.condition, "window": window}, rate)
            for figure in figures
            for burn in figure.burns
            for window, rate in (("long", burn.long_burn), ("short", burn.short_burn))
            if rate is not None
        ),
    }


def incident_gauges(running: Sequence[IncidentRecord]) -> Points:
    """Incidents that are not closed, by tenant, rule, severity and state."""
    counts = Counter((each.tenant_id, each.rule, each.severity, each.state.value) for each in running)
    return {
        "muniment.incidents.open": tuple(
            Point({"tenant": tenant, "rule": rule, "severity": severity, "state": state}, count)
            for (tenant, rule, severity, state), count in sorted(counts.items())
        )
    }


def alert_gauges(records: Sequence[AlertRecord], queued: Mapping[str, int], round_seconds: float) -> Points:
    """What fires by tenant, name, kind and severity; what each target has not been told of; and how long the round took."""
    firing = [read_alert(record) for record in records if record.ends_unix_nano is None]
    counts = Counter((alert.tenant, alert.name, alert.kind, alert.severity) for alert in firing)
    return {
        "muniment.alerts.firing": tuple(
            Point({"tenant": tenant, "alert": name, "kind": kind, "severity": severity}, count)
            for (tenant, name, kind, severity), count in sorted(counts.items())
        ),
        "muniment.alerts.queued": tuple(Point({"target": name}, count) for name, count in sorted(queued.items())),
        "muniment.alerts.round.duration": (Point({}, round_seconds),),
    }


def _of(figure: Figure) -> dict[str, str]:
    return {"tenant": figure.tenant, "slo": figure.slo, "objective": figure.objective}
