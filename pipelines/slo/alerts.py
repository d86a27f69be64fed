"""Alerts of what burns too fast: a figure's burn rates as `pipelines.alerts.alert.Alert`."""

from collections.abc import Iterable, Iterator, Mapping

from pipelines.alerts.alert import Alert, Severity
from pipelines.slo.definitions import AlertPolicy, BurnCondition, Slo
from pipelines.slo.durations import duration_text
from pipelines.slo.figures import Burn, Figure

RUNBOOK = "slo-budget-burn.md"
_SEVERITIES: Mapping[str, Severity] = {"page": "page", "ticket": "ticket", "info": "info"}


def find_alerts(slos: Iterable[Slo], figures: Iterable[Figure]) -> tuple[Alert, ...]:
    """Every alert that is due."""
    by_name = {slo.name: slo for slo in slos}
    return tuple(alert for figure in figures for alert in _alerts(by_name[figure.slo], figure))


def _alerts(slo: Slo, figure: Figure) -> Iterator[Alert]:
    if slo.watched:
        return
    for burn in figure.burns:
        if burn.firing and burn.since_unix_nano is not None:
            yield make_alert(slo, figure, burn)


def make_alert(slo: Slo, figure: Figure, burn: Burn) -> Alert:
    """The alert of a burn rate that is too high, or of nothing that was measured."""
    policy, condition = _find(slo, burn)
    objective = "" if len(slo.objectives) == 1 else f" ({figure.objective})"
    windows = f"{duration_text(burn.long_seconds)} and {duration_text(burn.short_seconds)}"
    if burn.no_data:
        summary = f"{slo.title}{objective}: nothing was measured for {duration_text(burn.long_seconds)}"
        said = "no event that counts was received, so nobody knows whether the objective is met"
    else:
        summary = f"{slo.title}{objective}: the error budget burns {burn.long_burn:.3g} times as fast as it may"
        if burn.short_burn is None:
            said = (
                f"burn rate {burn.long_burn:.3g} over {duration_text(burn.long_seconds)}, over {burn.factor:g}; nothing was measured in "
                f"the last {duration_text(burn.short_seconds)}, and too much was bad before; "
            )
        else:
            said = (
                f"burn rates {burn.long_burn:.3g} and {burn.short_burn:.3g} over {windows}, both over {burn.factor:g}; "
            )
        said += f"{burn.events} events in the longer window"
    left = (
        "nothing measured" if figure.budget_remaining is None else f"{figure.budget_remaining:.1%} of the budget left"
    )
    return Alert(
        name=f"{slo.name}-{burn.condition}",
        kind="slo",
        tenant=figure.tenant,
        severity=_SEVERITIES[burn.severity],
        labels={
            "slo": slo.name,
            "objective": figure.objective,
            "service": slo.service,
            "sli": figure.sli,
            "condition": burn.condition,
            "window": duration_text(burn.long_seconds),
        },
        summary=summary,
        description=f"{condition.description + ': ' if condition.description else ''}{said}; target {figure.target:g}, {left}, "
        f"coverage {figure.coverage:.0%}",
        starts_unix_nano=burn.since_unix_nano or figure.end_unix_nano,
        runbook=condition.runbook or RUNBOOK,
        value=burn.long_burn,
        targets=policy.targets,
    )


def _find(slo: Slo, burn: Burn) -> tuple[AlertPolicy, BurnCondition]:
    policy = next(each for each in slo.policies if each.name == burn.policy)
    return policy, next(each for each in policy.conditions if each.name == burn.condition)
