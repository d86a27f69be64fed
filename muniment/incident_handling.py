"""Incidents as a principal handles them: allowed, recorded in the tenant's log, then changed.

What may follow what:
    opened, reopened → acknowledged → mitigated → closed
    each that is not closed → closed; mitigated, closed → reopened
An incident whose legal clock runs is not closed: what the law asks for is done first, and the clock stopped.
"""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import replace

from governance.access import Action, Decision
from muniment.incident_finding import event_attributes
from muniment.tenancy import recording
from muniment.wiring import CommandContext
from pipelines.incidents.clocks import LEGAL_CLOCKS
from warehouse.control import IncidentClock, IncidentDetails, IncidentRecord, IncidentState
from warehouse.errors import ConflictError, InputError
from warehouse.names import LAKE_TENANT

State = IncidentState
_MITIGABLE = frozenset({State.OPENED, State.REOPENED, State.ACKNOWLEDGED})
_ENDED = frozenset({State.MITIGATED, State.CLOSED})


def acknowledge(context: CommandContext, incident_id: str, *, owner: str | None, note: str | None) -> IncidentRecord:
    """Take an incident on, as its owner or for one: it stops alerting.

    Raises:
        DeniedError: the principal may not.
        NotFoundError: there is no such incident.
        ConflictError: somebody took it on, or ended it; or changed it meanwhile.
        UnavailableError: it cannot be recorded.
    """

    def change(incident: IncidentRecord) -> IncidentRecord:
        _expect(incident, {State.OPENED, State.REOPENED}, "to acknowledge")
        who = context.principal.id if owner is None else _treated(context, incident, owner)
        return replace(incident, state=State.ACKNOWLEDGED, owner=who, acknowledged_unix_nano=context.clock())

    return _change(context, incident_id, change, "incident.updated", "acknowledge", "acknowledged", note)


def mitigate(context: CommandContext, incident_id: str, *, note: str) -> IncidentRecord:
    """Say that an incident does no more harm; a match that happens later opens it again.

    Raises:
        DeniedError, NotFoundError, ConflictError, UnavailableError: as `acknowledge`.
    """

    def change(incident: IncidentRecord) -> IncidentRecord:
        _expect(incident, _MITIGABLE, "to mitigate")
        return replace(incident, state=State.MITIGATED, mitigated_unix_nano=context.clock())

    return _change(context, incident_id, change, "incident.updated", "mitigate", "mitigated", note)


def close(context: CommandContext, incident_id: str, *, note: str) -> IncidentRecord:
    """Close an incident: it is over. A match that happens later, within its rule's cool-down, opens it again.

    Raises:
        DeniedError, NotFoundError, UnavailableError: as `acknowledge`.
        ConflictError: it is closed, or a legal clock runs on it; or somebody changed it meanwhile.
    """

    def change(incident: IncidentRecord) -> IncidentRecord:
        _expect(incident, set(State) - {State.CLOSED}, "to close")
        clocks = context.control.clocks([incident.id]).get(incident.id, ())
        running = [each.clock for each in clocks if each.stopped_unix_nano is None]
        if running:
            raise ConflictError(
                f"incident {incident.id}: expected no legal clock that runs on it, got {', '.join(running)}",
                hint=f"report it, then `muniment incident clock {incident.id} --stop {running[0]} --note TEXT`; "
                "stop one that does not apply in the same way, and say why",
            )
        return replace(incident, state=State.CLOSED, closed_unix_nano=context.clock())

    return _change(context, incident_id, change, "incident.closed", "close", "closed", note)


def reopen(context: CommandContext, incident_id: str, *, note: str) -> IncidentRecord:
    """Open an incident again that was mitigated or closed.

    Raises:
        DeniedError, NotFoundError, ConflictError, UnavailableError: as `acknowledge`.
    """

    def change(incident: IncidentRecord) -> IncidentRecord:
        _expect(incident, _ENDED, "to reopen")
        if incident.duplicate_of is not None:
            raise ConflictError(
                f"incident {incident.id}: it turned out to be {incident.duplicate_of}", hint="handle that one"
            )
        return replace(incident, state=State.REOPENED, closed_unix_nano=None, mitigated_unix_nano=None)

    return _change(context, incident_id, change, "incident.updated", "reopen", "reopened", note)


def start_clock(context: CommandContext, incident_id: str, name: str, *, note: str | None) -> IncidentRecord:
    """Start a legal clock on an incident, counted from when the incident was detected.

    Raises:
        InputError: there is no such clock.
        DeniedError, NotFoundError, UnavailableError: as `acknowledge`.
        ConflictError: the incident has this clock already, or is closed.
    """
    if name not in LEGAL_CLOCKS:
        raise InputError(f"clock: expected {', '.join(LEGAL_CLOCKS)}, got {name!r}")
    decision, incident = _may_handle(context, incident_id)
    _expect(incident, set(State) - {State.CLOSED}, "to start a clock on")
    known = incident.detected_unix_nano
    clock = IncidentClock(name, known, known + LEGAL_CLOCKS[name].allowed_nanos)
    said = None if note is None else _treated(context, incident, note)
    with _recording(context, "incident.updated", incident, decision, "start clock") as announce:
        return context.control.start_clock(
            incident_id, clock, by=context.principal.recorded_by, note=said, announce=_announcer(announce, said, name)
        )


def stop_clock(context: CommandContext, incident_id: str, name: str, *, note: str) -> IncidentRecord:
    """Stop a legal clock of an incident: it was reported, or the duty does not apply; `note` says which.

    Raises:
        DeniedError, NotFoundError, UnavailableError: as `acknowledge`.
        ConflictError: no such clock runs on it.
    """
    decision, incident = _may_handle(context, incident_id)
    said = _treated(context, incident, note)
    with _recording(context, "incident.updated", incident, decision, "stop clock") as announce:
        return context.control.stop_clock(
            incident_id, name, by=context.principal.recorded_by, note=said, announce=_announcer(announce, said, name)
        )


def list_incidents(
    context: CommandContext, tenant: str | None, *, states: Collection[IncidentState] | None = None
) -> list[IncidentRecord]:
    """The incidents of a tenant, or of all, but for those that turned out to be another one.

    Raises:
        DeniedError: the principal may not see them.
        NotFoundError: there is no such tenant.
    """
    context.check(Action.INCIDENT_READ, tenant)
    if tenant not in {None, LAKE_TENANT}:
        context.control.tenant(str(tenant))
    found = context.control.list_incidents(None if tenant is None else [tenant], states=states)
    return [incident for incident in found if incident.duplicate_of is None]


def read_incident(context: CommandContext, incident_id: str, tenant: str | None = None) -> IncidentDetails:
    """All that is known of one incident; with `tenant`, of that one alone.

    Raises:
        DeniedError: the principal may see none.
        NotFoundError: there is none with this id in a tenant whose incidents the principal may see.
    """
    places = context.places(Action.INCIDENT_READ)
    among = [place for place in places if tenant in {None, place}]
    return context.control.incident_details(incident_id, among=among)


def _change(
    context: CommandContext,
    incident_id: str,
    change: Callable[[IncidentRecord], IncidentRecord],
    event: str,
    action: str,
    what: str,
    note: str | None,
) -> IncidentRecord:
    decision, incident = _may_handle(context, incident_id)
    said = None if note is None else _treated(context, incident, note)
    with _recording(context, event, incident, decision, action) as announce:
        return context.control.change_incident(
            incident_id,
            change,
            what=what,
            by=context.principal.recorded_by,
            note=said,
            announce=_announcer(announce, said, None),
        )


def _announcer(announce: Callable[..., None], note: str | None, clock: str | None) -> Callable[[IncidentRecord], None]:
    def announce_incident(incident: IncidentRecord) -> None:
        more = {} if clock is None else {"muniment.incident.clock": clock}
        announce(resource_id=incident.id, reason=note, attributes=event_attributes(incident) | more)

    return announce_incident


def _may_handle(context: CommandContext, incident_id: str) -> tuple[Decision, IncidentRecord]:
    incident = context.control.incident(incident_id, among=context.places(Action.INCIDENT_READ))
    return context.access.check(context.principal, Action.INCIDENT_HANDLE, incident.tenant_id), incident


def _expect(incident: IncidentRecord, states: Collection[IncidentState], what: str) -> None:
    if incident.state not in states:
        expected = ", ".join(state for state in IncidentState if state in states)
        raise ConflictError(
            f"incident {incident.id}: expected one {what} that is {expected}, got one that is {incident.state}",
            hint=f"`muniment incident show {incident.id}` tells who did what",
        )


def _treated(context: CommandContext, incident: IncidentRecord, text: str) -> str:
    return context.redactor.redact_text(incident.tenant_id, text)


def _recording(
    context: CommandContext, event: str, incident: IncidentRecord, decision: Decision, action: str
) -> AbstractContextManager[Callable[..., None]]:
    return recording(context.record, event, incident.tenant_id, decision, action=action, resource_type="incident")
