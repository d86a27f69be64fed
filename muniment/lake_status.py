"""How a lake does, gathered in one place: what `muniment status` prints, and what the overview of the pages is told from."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from muniment.wiring import CommandContext
    from warehouse.control import HoldRecord
    from warehouse.lake import Lake


def read_status(context: "CommandContext", *, senders: bool, tenant: str | None = None) -> dict[str, Any]:
    """Gather what `status` shows; with `tenant` as much of it as whoever may read that tenant's status sees, of no other tenant."""
    from dataclasses import asdict

    from governance.access import Action
    from muniment.alert_list import alert_status
    from muniment.policies import policy_status
    from muniment.witness_rounds import witness_status
    from pipelines.home import home_folder
    from pipelines.state import scheduler_state
    from retention.documents import last_purge
    from warehouse.names import LAKE_TENANT
    from warehouse.questions.lake_status import table_status

    context.check(Action.STATUS_READ, tenant)
    schedules = scheduler_state(home_folder(context.lake))
    tenants = [each.id for each in context.control.list_tenants()] if tenant is None else [tenant]
    content: dict[str, Any] = {
        "lake": str(context.lake.path),
        "tables": [asdict(row) for row in table_status(context.lake, {*tenants, LAKE_TENANT})],
        "collectors": [ask_collector(socket) for socket in sorted(context.lake.run.glob("collector-*.sock"))],
        "shards": [
            {"identity": shard.identity, "closed": shard.closed_reason} for shard in context.control.list_shards()
        ],
        "witnesses": [asdict(witness) for witness in witness_status(context.lake, context.settings)],
        "policies": policy_status(context.lake, context.control),
        "last_checkpoint_unix_nano": last_checkpoint(context.lake, tenant),
        "last_purge": last_purge(context.lake),
        "holds": hold_counts(context.control.list_holds(tenant)),
        "schedules": None if schedules is None else asdict(schedules),
    }
    if tenant is not None:
        return content
    content |= {"alerts": alert_status(context), "incidents": incident_state(context)}
    if senders:
        from warehouse.questions.senders import read_senders

        for each in tenants:
            context.check(Action.RECORDS_READ, each)
            context.record("data.exported", each, resource_type="status", resource_id="senders", action="read")
        with context.session(tenants) as session:
            content["senders"] = read_senders(session)
    return content


def incident_state(context: "CommandContext") -> dict[str, Any]:
    """How many incidents are open, of these how many nobody took on, and each rule that fails, with why and since when."""
    from warehouse.control import IncidentState

    running = context.control.list_incidents(states=set(IncidentState) - {IncidentState.CLOSED})
    return {
        "open": len(running),
        "unattended": sum(incident.state.unattended for incident in running),
        "failing_rules": [
            {
                "rule": rule.rule,
                "tenant": tenant,
                "problem": rule.problem,
                "since_unix_nano": rule.problem_since_unix_nano,
            }
            for tenant, rule in context.control.rule_problems()
        ],
    }


def hold_counts(holds: "list[HoldRecord]") -> dict[str, int]:
    """How many holds are in force, and of how many somebody asked for the release."""
    return {"in_force": len(holds), "release_asked": sum(hold.release_pending for hold in holds)}


def last_checkpoint(lake: "Lake", tenant: str | None = None) -> int | None:
    """When the newest checkpoint of all logs, or of a tenant's, was written; None when there is none."""
    found = (lake.path / "ledger").glob(f"{tenant or '*'}/*/checkpoint")
    return max((file.stat().st_mtime_ns for file in found), default=None)


def ask_collector(socket: Path) -> dict[str, Any]:
    """Ask the collector behind a local socket how it does; `ok` is false where it does not answer."""
    from warehouse.errors import MunimentError
    from warehouse.local_socket import call_local_socket

    name = socket.name.removeprefix("collector-").removesuffix(".sock")
    try:
        answer: dict[str, Any] = json.loads(call_local_socket(socket, b'{"op":"state"}', timeout_seconds=5.0))
    except (OSError, ValueError, MunimentError) as exc:
        return {"shard_name": name, "ok": False, "error": str(exc)}
    return {"shard_name": name, **answer}
