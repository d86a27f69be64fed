"""What the loop evaluates each round, besides the watchdog: service-level objectives, and rules of incidents.

A source says what fires, what it could not look at, and the figures that leave as metrics. A tenant whose records cannot be
read keeps no other from being evaluated.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from muniment.alert_points import incident_gauges, slo_gauges
from muniment.alerting import Source
from muniment.incidents import detect_incidents
from muniment.slos import SloRun, compute_slos
from muniment.tenancy import lake_tenants
from muniment.wiring import CommandContext
from pipelines.alerts.episodes import Doubt, Evaluation
from warehouse.control import IncidentState
from warehouse.errors import ControlUnavailableError, MunimentError

_Run = TypeVar("_Run")


def evaluate_slos(context: CommandContext, now_unix_nano: int) -> Evaluation:
    """Compute every SLO in force; an indicator whose query fails leaves its own alerts in doubt, and a tenant that cannot be read all of its own."""

    def compute(tenants: Sequence[str] | None) -> SloRun:
        return compute_slos(context, tenants=tenants, now_unix_nano=now_unix_nano)

    runs, failed = by_tenant(context, compute)
    doubts = {
        Doubt(counted.tenant, label="sli", value=name)
        for run in runs
        for counted in run.counted
        for name in counted.problems
    }
    figures = [figure for run in runs for figure in run.figures]
    return Evaluation(
        frozenset({"slo"}),
        tuple(alert for run in runs for alert in run.alerts),
        doubts=frozenset({*doubts, *map(Doubt, failed)}),
        problems=(
            *(f"slo {where}: {why}" for run in runs for where, why in run.problems.items()),
            *(f"slos of {tenant}: {why}" for tenant, why in failed.items()),
        ),
        gauges=slo_gauges(figures),
    )


def evaluate_incidents(context: CommandContext, now_unix_nano: int) -> Evaluation:
    """Look for incidents; an alert is one that nobody took on yet, or a legal clock, so a rule that fails leaves none in doubt."""
    found = detect_incidents(context, now_unix_nano=now_unix_nano)
    running = context.control.list_incidents(states=frozenset(IncidentState) - {IncidentState.CLOSED})
    return Evaluation(
        frozenset({"incident", "clock"}),
        found.alerts,
        problems=tuple(
            f"rule {failure.rule} of {failure.tenant}: {failure.message}"
            if failure.rule
            else f"incidents of {failure.tenant}: {failure.message}"
            for failure in found.failures
        ),
        gauges=incident_gauges(running),
    )


def by_tenant(
    context: CommandContext, run: Callable[[Sequence[str] | None], _Run]
) -> tuple[list[_Run], dict[str, str]]:
    """Run something over all tenants at once; where that fails, tenant by tenant, with those that failed and why.

    Raises:
        ControlUnavailableError: the control database does not answer, so that nobody can say which tenants there are.
    """
    try:
        return [run(None)], {}
    except ControlUnavailableError:
        raise
    except Exception:  # noqa: BLE001 - whatever it is, it is found again below, with the tenant it concerns
        done: list[_Run] = []
        failed: dict[str, str] = {}
        for tenant in lake_tenants(context.control):
            try:
                done.append(run([tenant]))
            except Exception as exc:  # noqa: BLE001 - said of this tenant; the others are still looked at
                failed[tenant] = str(exc) if isinstance(exc, MunimentError) else type(exc).__name__
        return done, failed


SOURCES: tuple[Source, ...] = (Source("slos", evaluate_slos), Source("incidents", evaluate_incidents))
