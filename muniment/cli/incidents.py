"""`muniment incident …`: what rules found, and what became of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from muniment.cli.blast_radius import blast_radius
from muniment.cli.output import JsonOption, LakeOption, console, notes, plain_text, print_json
from warehouse.errors import InputError

if TYPE_CHECKING:  # at run time it would make every command wait for the lake's libraries
    from muniment.incidents import Detection
    from muniment.wiring import CommandContext
    from warehouse.control import IncidentRecord

EXIT_NO = 1
IncidentId = Annotated[
    str, typer.Argument(metavar="INCIDENT", help="The incident's id, such as i3f9a0c12b7de.", show_default=False)
]
Note = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="A line for its timeline.")]
Why = Annotated[str, typer.Option("--note", metavar="TEXT", help="What was done, for its timeline.")]
TenantFilter = Annotated[str | None, typer.Option("--tenant", metavar="T", help="Only this tenant's.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Incidents: what rules found in the records, and what became of it.", no_args_is_help=True)
    group.command("detect", epilog="Example: muniment incident detect --tenant acme")(detect)
    group.command(
        "list", epilog="Examples: muniment incident list --severity high\n\nmuniment incident list --open --json"
    )(list_)
    group.command("show", epilog="Example: muniment incident show i3f9a0c12b7de")(show)
    group.command("ack", epilog="Example: muniment incident ack i3f9a0c12b7de --owner claims-team")(ack)
    group.command("mitigate", epilog="Example: muniment incident mitigate i3f9a0c12b7de --note 'key revoked'")(mitigate)
    group.command("close", epilog="Example: muniment incident close i3f9a0c12b7de --note 'a test'")(close)
    group.command("reopen", epilog="Example: muniment incident reopen i3f9a0c12b7de --note 'it came back'")(reopen)
    group.command(
        "clock",
        epilog="Examples: muniment incident clock i3f9a0c12b7de --start gdpr-33\n\n"
        "muniment incident clock i3f9a0c12b7de --stop gdpr-33 --note 'reported, reference 2026-117'",
    )(clock)
    group.command("export", epilog="Example: muniment incident export i3f9a0c12b7de --out incident.zip")(export)
    group.command(
        "blast-radius",
        epilog="Examples: muniment incident blast-radius --key k3f9a0c12b7de --since 2026-11-01\n\n"
        "muniment incident blast-radius --agent claims --tenant acme --since 2026-11-01T12:00:00Z --json",
    )(blast_radius)
    app.add_typer(group, name="incident")


def detect(
    *,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="T", help="Only this tenant's records.")] = None,
    settled: Annotated[
        bool, typer.Option("--settled", help="Look at every row at once: nothing is still to come, as after an import.")
    ] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Evaluate the incident rules over what is new; `muniment up` does the same each minute.

    Safe to repeat: no record is counted twice. Exit code 1 when a rule could not be evaluated.
    """
    from muniment.incidents import detect_incidents
    from muniment.wiring import command_context

    context = command_context(lake)
    found = detect_incidents(context, tenants=None if tenant is None else [tenant], everything=True, settled=settled)
    if json_:
        print_json(
            {
                "opened": _many_json(context, found.opened),
                "updated": _many_json(context, found.updated),
                "failures": [vars(failure) for failure in found.failures],
            }
        )
    else:
        _print_found(context, found)
    if found.failures:
        raise typer.Exit(EXIT_NO)


def list_(
    *,
    tenant: TenantFilter = None,
    rule: Annotated[str | None, typer.Option("--rule", metavar="ID", help="Only this rule's.")] = None,
    severity: Annotated[str | None, typer.Option("--severity", metavar="S", help="This severity and above.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Only those that are not closed.")] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """List incidents, oldest first."""
    from muniment.cli.incident_text import print_incidents
    from muniment.incident_handling import list_incidents
    from muniment.wiring import command_context
    from pipelines.incidents.rules import Severity
    from warehouse.control import IncidentState

    order = list(Severity)
    if severity is not None and severity not in order:
        raise InputError(f"--severity: expected {', '.join(order)}, got {severity!r}")
    context = command_context(lake)
    states = set(IncidentState) - {IncidentState.CLOSED} if open_ else None
    least = 0 if severity is None else order.index(Severity(severity))
    found = [
        incident
        for incident in list_incidents(context, tenant, states=states)
        if rule in {None, incident.rule} and order.index(Severity(incident.severity)) >= least
    ]
    if json_:
        print_json(_many_json(context, found))
    elif found:
        print_incidents(found, context.control.affected([incident.id for incident in found]))
    else:
        _say("no such incidents")


def show(incident: IncidentId, lake: LakeOption = None, json_: JsonOption = False) -> None:
    """Show one incident: what it affects, its timeline and legal clocks, and the records that made it.

    A record that a purge took is marked; the incident stays.
    """
    from muniment.cli.incident_text import details_json, print_details
    from muniment.incident_handling import read_incident
    from muniment.incident_rows import row_states
    from muniment.wiring import command_context

    context = command_context(lake)
    details = read_incident(context, incident)
    states = row_states(context, details)
    if json_:
        print_json(details_json(details, states, context.clock()))
    else:
        print_details(details, states, context.clock())


def ack(
    incident: IncidentId,
    *,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="NAME", help="Who takes it on.", show_default="you")
    ] = None,
    note: Note = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Take an incident on: it stops alerting. Recorded as `incident.updated`."""
    from muniment.incident_handling import acknowledge
    from muniment.wiring import command_context

    context = command_context(lake)
    _show_changed(context, acknowledge(context, incident, owner=owner, note=note), json_=json_)


def mitigate(incident: IncidentId, *, note: Why, lake: LakeOption = None, json_: JsonOption = False) -> None:
    """Say that an incident does no more harm. What happens afterwards opens it again. Recorded as `incident.updated`."""
    from muniment.incident_handling import mitigate as mitigate_incident
    from muniment.wiring import command_context

    context = command_context(lake)
    _show_changed(context, mitigate_incident(context, incident, note=note), json_=json_)


def close(incident: IncidentId, *, note: Why, lake: LakeOption = None, json_: JsonOption = False) -> None:
    """Close an incident. Refused while a legal clock runs on it. Recorded as `incident.closed`."""
    from muniment.incident_handling import close as close_incident
    from muniment.wiring import command_context

    context = command_context(lake)
    _show_changed(context, close_incident(context, incident, note=note), json_=json_)


def reopen(incident: IncidentId, *, note: Why, lake: LakeOption = None, json_: JsonOption = False) -> None:
    """Open an incident again that was mitigated or closed. Recorded as `incident.updated`."""
    from muniment.incident_handling import reopen as reopen_incident
    from muniment.wiring import command_context

    context = command_context(lake)
    _show_changed(context, reopen_incident(context, incident, note=note), json_=json_)


def clock(
    incident: IncidentId,
    *,
    start: Annotated[str | None, typer.Option("--start", metavar="CLOCK", help="Start this legal clock.")] = None,
    stop: Annotated[str | None, typer.Option("--stop", metavar="CLOCK", help="Stop it: reported, or no duty.")] = None,
    note: Note = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Start or stop a legal clock: ai-act-73 (15 days), ai-act-73-death (10), ai-act-73-widespread (2), gdpr-33 (72 hours).

    It counts from when the incident was detected, and alerts when half and four fifths of the time have passed, and at its end.
    """
    from muniment.incident_handling import start_clock, stop_clock
    from muniment.wiring import command_context

    if (start is None) == (stop is None):
        raise InputError("incident clock: expected --start CLOCK or --stop CLOCK, one of the two")
    context = command_context(lake)
    if start is not None:
        changed = start_clock(context, incident, start, note=note)
    elif stop is not None and note is not None:
        changed = stop_clock(context, incident, stop, note=note)
    else:
        raise InputError(
            "incident clock --stop: expected --note TEXT that says what was reported, or why no duty applies"
        )
    _show_changed(context, changed, json_=json_)


def export(
    incident: IncidentId,
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The ZIP file to write; it must not be there yet.")
    ],
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Write an incident with its records and the proof of each into a ZIP file, for somebody who trusts nobody here.

    Recorded as `data.exported` in the tenant's log first. Of a record that a purge took, the proof says that its entry stands in the log.
    """
    from muniment.incident_export import export_incident
    from muniment.wiring import command_context

    done = export_incident(command_context(lake), incident, out)
    if json_:
        print_json(
            {
                "file": str(done.file), "sha256": done.sha256, "records": done.records, "proofs": done.proofs,
                "gone": done.gone, "problems": list(done.problems),
            }
        )  # fmt: skip
        return
    for problem in done.problems:
        console.print(plain_text(f"not proved: {problem}"), style="red", soft_wrap=True)
    gone = f", {done.gone} gone" if done.gone else ""
    _say(f"{done.file}: {done.records} records, {done.proofs} of them proved{gone}; SHA-256 {done.sha256}")


def _show_changed(context: "CommandContext", incident: "IncidentRecord", *, json_: bool) -> None:
    if json_:
        print_json(_many_json(context, [incident])[0])
        return
    _say(f"Incident {incident.id} ({incident.rule}, tenant {incident.tenant_id}) is {incident.state}.")


def _many_json(
    context: "CommandContext", incidents: "list[IncidentRecord] | tuple[IncidentRecord, ...]"
) -> list[object]:
    from muniment.cli.incident_text import incident_json

    ids = [incident.id for incident in incidents]
    affected, clocks = context.control.affected(ids), context.control.clocks(ids)
    now = context.clock()
    return [
        incident_json(incident, affected.get(incident.id, {}), clocks.get(incident.id, ()), now)
        for incident in incidents
    ]


def _print_found(context: "CommandContext", found: "Detection") -> None:
    from muniment.cli.incident_text import print_incidents

    changed = [*found.opened, *found.updated]
    if changed:
        print_incidents(changed, context.control.affected([incident.id for incident in changed]))
    _say(f"{len(found.opened)} opened, {len(found.updated)} updated")
    for failure in found.failures:
        what = f"rule {failure.rule}" if failure.rule else "its records"
        console.print(plain_text(f"tenant {failure.tenant}: {what}: {failure.message}"), style="red", soft_wrap=True)


def _say(message: str) -> None:
    notes.print(message, markup=False, soft_wrap=True)
