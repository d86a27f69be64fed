"""What incidents and their legal clocks have to say to whoever is on call."""

from collections.abc import Sequence

from muniment.wiring import CommandContext
from pipelines.alerts.alert import Alert, Severity
from pipelines.incidents.clocks import ALERT_SHARES, LEGAL_CLOCKS, passed_share
from pipelines.incidents.durations import duration_words
from warehouse.clock import utc_text
from warehouse.control import IncidentClock, IncidentRecord, IncidentState

_SEVERITIES: dict[str, Severity] = {"low": "info", "medium": "ticket", "high": "page", "critical": "page"}
_RUNNING = frozenset(IncidentState) - {IncidentState.CLOSED}


def incident_alerts(context: CommandContext, tenants: Sequence[str], now_unix_nano: int) -> tuple[Alert, ...]:
    """An alert for every incident of these tenants that nobody took on, and for every clock that has run half its time or more."""
    running = context.control.list_incidents(tenants, states=_RUNNING)
    clocks = context.control.clocks([incident.id for incident in running])
    alerts = [_incident_alert(incident) for incident in running if incident.state.unattended]
    for incident in running:
        for clock in clocks.get(incident.id, ()):
            share = passed_share(clock.started_unix_nano, clock.due_unix_nano, now_unix_nano)
            if share is not None and clock.stopped_unix_nano is None:
                alerts.append(_clock_alert(incident, clock, share, now_unix_nano))
    return tuple(alerts)


def _incident_alert(incident: IncidentRecord) -> Alert:
    again = "again " if incident.state is IncidentState.REOPENED else ""
    return Alert(
        name=incident.rule,
        kind="incident",
        tenant=incident.tenant_id,
        severity=_SEVERITIES[incident.severity],
        summary=incident.title,
        description=(
            f"{incident.detail} Incident {incident.id}, {again}open since {utc_text(incident.opened_unix_nano)}, "
            f"{incident.row_count} records. `muniment incident show {incident.id}`"
        ),
        starts_unix_nano=incident.opened_unix_nano,
        labels={"incident": incident.id, "incident_severity": incident.severity},
        runbook=incident.runbook,
        value=float(incident.row_count),
    )


def _clock_alert(incident: IncidentRecord, clock: IncidentClock, share: int, now_unix_nano: int) -> Alert:
    law = LEGAL_CLOCKS.get(clock.clock)
    left = clock.due_unix_nano - now_unix_nano
    time = f"{duration_words(left)} left" if left > 0 else f"over since {duration_words(left)}"
    begun = clock.started_unix_nano + (clock.due_unix_nano - clock.started_unix_nano) * share // 100
    return Alert(
        name=f"legal-clock-{clock.clock}",
        kind="clock",
        tenant=incident.tenant_id,
        severity="ticket" if share == ALERT_SHARES[0] else "page",
        summary=f"{share} % of the time to report incident {incident.id} have passed: {time}",
        description=(
            f"{law.citation if law else clock.clock}: due {utc_text(clock.due_unix_nano)}, {time}. {incident.title}. "
            f"Report it, then `muniment incident clock {incident.id} --stop {clock.clock} --note TEXT`"
        ),
        starts_unix_nano=begun,
        labels={"incident": incident.id, "clock": clock.clock, "share": str(share)},
        runbook=incident.runbook,
        value=float(share),
    )
