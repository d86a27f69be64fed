"""What a compromised credential or a rogue agent touched, as a principal asks for it: allowed, recorded, then read."""

from dataclasses import dataclass
from typing import Any

from governance.access import Action
from muniment.wiring import CommandContext
from warehouse.clock import utc_text
from warehouse.errors import InputError, NotFoundError
from warehouse.questions.blast_radius import BlastRadius, Suspect, read_blast_radius

_TABLES = ("audit_events", "contents", "logs", "spans")


@dataclass(frozen=True)
class BlastReport:
    """What was touched in one tenant, and by whom it was asked about. `key_state` is that of an API key of this lake, else None."""

    tenant: str
    suspect: Suspect
    radius: BlastRadius
    key_state: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The report for machines: times as RFC 3339 text beside nanoseconds."""
        sections = {name: [_with_times(row) for row in rows] for name, rows in self.radius.sections.items()}
        return {
            "tenant": self.tenant,
            "agent": self.suspect.agent,
            "key": self.suspect.key,
            "key_state": self.key_state,
            "since": utc_text(self.suspect.since_unix_nano),
            "truncated": self.radius.truncated,
            **sections,
        }


def find_blast_radius(
    context: CommandContext, *, tenant: str | None, agent: str | None, key: str | None, since_unix_nano: int
) -> BlastReport:
    """Follow the work of a key or an agent through a tenant's records; recorded as `data.exported` before anything is read.

    Of an API key of this lake the tenant is known; an agent, and a credential that records name (`audit.credential.id`), need one.

    Raises:
        DeniedError: the principal may not read the tenant's records, or not export them: what is told names persons and addresses.
        InputError: neither or both were named, or no tenant is known.
        NotFoundError: there is no such tenant.
        UnavailableError: the lake cannot be read, or the reading cannot be recorded.
    """
    if (agent is None) == (key is None):
        raise InputError("blast radius: expected --key or --agent, one of the two")
    context.check(Action.RECORDS_READ, tenant)
    state = None
    if key is not None:
        try:
            record = context.control.key(key, among=context.places(Action.RECORDS_READ))
        except NotFoundError:
            record = None
        if record is not None:
            if tenant not in {None, record.tenant_id}:
                raise InputError(f"--key: {key} is a key of tenant {record.tenant_id}, got --tenant {tenant}")
            tenant, state = record.tenant_id, record.state_at(context.clock()).value
    if tenant is None:
        raise InputError(
            "--tenant: expected whose records to look through, got none",
            hint="only of an API key of this lake is the tenant known; `muniment key list` shows them",
        )
    context.check(Action.RECORDS_EXPORT, tenant)
    context.control.tenant(tenant)
    suspect = Suspect(since_unix_nano, agent, key)
    context.record(
        "data.exported",
        tenant,
        action="blast-radius",
        resource_type="agent" if agent is not None else "api_key",
        resource_id=agent if agent is not None else key,
    )
    with context.session([tenant], tables=_TABLES) as session:
        return BlastReport(tenant, suspect, read_blast_radius(session, suspect), state)


def _with_times(row: dict[str, Any]) -> dict[str, Any]:
    times = {
        name.removesuffix("_unix_nano"): utc_text(value)
        for name, value in row.items()
        if name.endswith("_unix_nano") and value is not None
    }
    return row | times
