"""Registered agents: who answers for each, what it is for, and what it may use.

Invariants:
- An agent is named by its tenant and by the id that its records carry (`gen_ai.agent.id`), for good.
- It is never deleted: a retired one stays, so that whoever looks at an old record finds who answered for it.
- A change is made of what was read before it. Of two that come at once one is refused.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from warehouse.control.part import Part, announce_nothing, check_text
from warehouse.control.schema import AGENTS
from warehouse.control.tenants import expect_tenant
from warehouse.errors import ConflictError, NotFoundError

_LISTS = ("models", "providers", "tools", "keys")


class AgentState(StrEnum):
    """Where an agent stands between its first day and its last."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    RETIRED = "retired"


@dataclass(frozen=True)
class AgentProfile:
    """What is said of an agent. What may stand in it is `governance.registry`'s concern.

    `models`, `providers` and `tools` are names or patterns with `*`, `keys` the ids of what it authenticates with. An empty one
    says nothing, so it forbids nothing. After `silent_after_seconds` without a record the agent counts as silent; None leaves
    that to the rule that asks.
    """

    name: str
    owner: str
    on_call: str
    purpose: str
    risk_class: str
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    silent_after_seconds: int | None = None


@dataclass(frozen=True)
class AgentRecord:
    """A registered agent. Times in nanoseconds since 1970; `revision` counts its changes from 1."""

    tenant_id: str
    id: str
    profile: AgentProfile
    state: AgentState
    revision: int
    registered_unix_nano: int
    registered_by: str
    updated_unix_nano: int
    updated_by: str


Announce = Callable[[AgentRecord], None]


class Agents(Part):
    """The agents' part of the control store."""

    def register_agent(
        self, tenant_id: str, agent_id: str, profile: AgentProfile, *, by: str, announce: Announce = announce_nothing
    ) -> AgentRecord:
        """Register an agent, or one again that was retired; `by` is the principal, as `recorded_by` columns have it.

        Raises:
            NotFoundError: there is no such tenant.
            InputError: a text is empty, too long or not printable.
            ConflictError: it is registered already.
        """
        check_text(agent_id, "agent")
        with self._database.read() as connection:
            expect_tenant(connection, tenant_id)
            before = _find(connection, tenant_id, agent_id)
        if before is not None and before.state is not AgentState.RETIRED:
            raise ConflictError(
                f"agent {agent_id}: expected one that is not registered, got one that {before.registered_by} registered",
                hint=f"`muniment agent update {agent_id} --tenant {tenant_id}` changes it",
            )
        now = self._clock()
        record = AgentRecord(
            tenant_id=tenant_id,
            id=agent_id,
            profile=profile,
            state=AgentState.ACTIVE,
            revision=1 if before is None else before.revision + 1,
            registered_unix_nano=now,
            registered_by=check_text(by, "principal"),
            updated_unix_nano=now,
            updated_by=by,
        )
        announce(record)
        self._store(record, before)
        return record

    def change_agent(
        self,
        tenant_id: str,
        agent_id: str,
        change: Callable[[AgentRecord], AgentRecord],
        *,
        by: str,
        announce: Announce = announce_nothing,
    ) -> AgentRecord:
        """Make of a registered agent what `change` makes of it; nothing is written where that is the same.

        Raises:
            NotFoundError: there is no such agent.
            ConflictError: it is retired, or somebody else changed it meanwhile.
        """
        before = self.agent(tenant_id, agent_id)
        if before.state is AgentState.RETIRED:
            raise ConflictError(
                f"agent {agent_id}: expected one in service, got one that {before.updated_by} retired",
                hint=f"`muniment agent register {agent_id} --tenant {tenant_id} …` takes it into service again",
            )
        changed = change(before)
        if changed == before:
            return before
        changed = replace(
            changed,
            revision=before.revision + 1,
            updated_unix_nano=max(self._clock(), before.updated_unix_nano),
            updated_by=check_text(by, "principal"),
        )
        announce(changed)
        self._store(changed, before)
        return changed

    def agent(self, tenant_id: str, agent_id: str) -> AgentRecord:
        """One agent, retired or not.

        Raises:
            NotFoundError: there is none of this id in this tenant.
        """
        with self._database.read() as connection:
            found = _find(connection, tenant_id, agent_id)
        if found is None:
            raise NotFoundError(
                f"agent: expected the id of a registered one of tenant {tenant_id}, got {agent_id!r}",
                hint=f"`muniment agent list --tenant {tenant_id} --all` shows every one",
            )
        return found

    def list_agents(self, tenant_id: str | None = None, *, retired: bool = False) -> list[AgentRecord]:
        """The agents in service, with `retired` the others too, of a tenant or of all, by tenant and id."""
        wanted = select(AGENTS).order_by(AGENTS.c.tenant_id, AGENTS.c.id)
        if tenant_id is not None:
            wanted = wanted.where(AGENTS.c.tenant_id == tenant_id)
        if not retired:
            wanted = wanted.where(AGENTS.c.state != AgentState.RETIRED)
        with self._database.read() as connection:
            return [_record_of(row) for row in connection.execute(wanted).mappings()]

    def _store(self, record: AgentRecord, before: AgentRecord | None) -> None:
        values = _values(record)
        with self._database.write() as connection:
            now = _find(connection, record.tenant_id, record.id)
            if now != before:
                raise ConflictError(
                    f"agent {record.id}: changed meanwhile, by {now.updated_by if now else 'somebody'}",
                    hint="look at it, and change it again",
                )
            if before is None:
                # Of two that come this far on PostgreSQL, the primary key lets one through.
                connection.execute(insert(AGENTS).values(values))
                return
            changed = connection.execute(
                update(AGENTS)
                .where(
                    AGENTS.c.tenant_id == record.tenant_id,
                    AGENTS.c.id == record.id,
                    AGENTS.c.revision == before.revision,
                )
                .values(values)
            )
            if changed.rowcount != 1:
                raise ConflictError(f"agent {record.id}: changed meanwhile", hint="look at it, and change it again")


def _find(connection: Connection, tenant_id: str, agent_id: str) -> AgentRecord | None:
    wanted = select(AGENTS).where(AGENTS.c.tenant_id == tenant_id, AGENTS.c.id == agent_id)
    row = connection.execute(wanted).mappings().first()
    return None if row is None else _record_of(row)


def _values(record: AgentRecord) -> dict[str, Any]:
    values = asdict(record)
    profile: dict[str, Any] = values.pop("profile")
    return {**values, **profile, **{name: json.dumps(profile[name]) for name in _LISTS}}


def _record_of(row: RowMapping) -> AgentRecord:
    values = dict(row)
    profile = {name: values.pop(name) for name in AgentProfile.__dataclass_fields__}
    lists = {name: tuple(json.loads(profile[name])) for name in _LISTS}
    return AgentRecord(**values | {"profile": AgentProfile(**profile | lists), "state": AgentState(values["state"])})
