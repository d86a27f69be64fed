"""What incidents and their legal clocks have to say to whoever is on call.

Whoever chooses agents' names can make a rule find thousands at once. So of each rule and tenant the first incidents have an alert each,
and one more alert says how many others there are: nobody's pager drowns, and nothing is left unsaid.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from muniment.wiring import CommandContext
from pipelines.alerts.alert import Alert, Severity
from pipelines.incidents.clocks import ALERT_SHARES, LEGAL_CLOCKS, passed_share
from pipelines.incidents.durations import duration_words
from warehouse.clock import utc_text
from warehouse.control import IncidentClock, IncidentRecord, IncidentState

_SEVERITIES: dict[str, Severity] = {"low": "info", "medium": "ticket", "high": "page", "critical": "page"}
MOST_ALERTS = 20
"""Incidents of one rule and tenant that have an alert of their own."""
_RUNNING = frozenset(IncidentState) - {IncidentState.CLOSED}


def incident_alerts(context: CommandContext, tenants: Sequence[str], now_unix_nano: int) -> tuple[Alert, ...]:
    """An alert for every incident of these tenants that nobody took on, and for every clock that has run half its time or more."""
    running = context.control.list_incidents(tenants, states=_RUNNING)
    clocks = context.control.clocks([incident.id for incident in running])
    # by when they were found: one that has an alert keeps it, whatever is found later
    unattended = sorted(
        (incident for incident in running if incident.state.unattended),
        key=lambda each: (each.tenant_id, each.rule, each.detected_unix_nano, each.id),
    )
    alerts = [
        alert
        for _, same in groupby(unattended, key=lambda each: (each.tenant_id, each.rule))
        for alert in _rule_alerts(list(same))
    ]
    for incident in running:
        for clock in clocks.get(incident.id, ()):
            share = passed_share(clock.started_unix_nano, clock.due_unix_nano, now_unix_nano)
            if share is not None and clock.stopped_unix_nano is None:
                alerts.append(_clock_alert(incident, clock, share, now_unix_nano))
    return tuple(alerts)


def _rule_alerts(incidents: Sequence[IncidentRecord]) -> Iterator[Alert]:
    yield from map(_incident_alert, incidents[:MOST_ALERTS])
    if others := incidents[MOST_ALERTS:]:
        worst = max((_SEVERITIES[each.severity] for each in others), key=("info", "ticket", "page").index)
        first = others[0]
        yield Alert(
            name=first.rule,
            kind="incident",
            tenant=first.tenant_id,
            severity=worst,
            summary=f"{first.title}: more incidents",
            description=f"{len(others)} more of {first.rule}. `muniment incident list --open --tenant {first.tenant_id}`",
            starts_unix_nano=min(each.opened_unix_nano for each in others),
            labels={"incident": "others"},
            runbook=first.runbook,
            value=float(len(others)),
        )


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
