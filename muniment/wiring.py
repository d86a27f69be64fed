"""Puts the rooms together: what a command, the collector or the demo needs, opened from one lake folder."""

import os
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collectors.costs import PriceBook
from governance.access import Access, Action, Decision, local_principal
from governance.access.asking import Question
from governance.access.in_force import PolicyInForce
from muniment.decisions import Decisions
from muniment.environment import lake_folder
from muniment.recorder import Recorder
from muniment.settings import MunimentConfig, control_url, read_settings, vault_url
from muniment.tenancy import lake_tenants
from warehouse.clock import Clock, system_clock
from warehouse.control import ControlStore
from warehouse.errors import ConflictError, MunimentError
from warehouse.keys import LakeKeys, read_keys
from warehouse.lake import Lake, find_lake
from warehouse.measures import Measures
from warehouse.own_events import OwnEvent
from warehouse.principals import Principal
from warehouse.subjects import SubjectVault, open_lake_vault

if TYPE_CHECKING:
    from collectors.redact.engine import PolicyRedactor
    from warehouse.query import QuerySession
    from warehouse.writer import Writer


class LateVault:
    """The vault as redaction asks it: opened at first use, and again until that works. Meanwhile ids are masked."""

    def __init__(self, open_vault: Callable[[], SubjectVault]) -> None:
        self._open_vault = open_vault

    def tokens(self, tenant_id: str, values: Sequence[str]) -> list[str]:
        """As `SubjectVault.tokens`."""
        return self._open_vault().tokens(tenant_id, values)

    def known(self, tenant_id: str, tokens: Iterable[str]) -> set[str]:
        """As `SubjectVault.known`."""
        return self._open_vault().known(tenant_id, tokens)


class ControlClaims:
    """Claims shard identities in the control database, for this host and process."""

    def __init__(self, control: ControlStore) -> None:
        self._control = control

    def claim_shard(self, name: str) -> str:
        """Make a new identity for `name`."""
        return self._control.claim_shard(name, host=socket.gethostname(), pid=os.getpid())

    def close_shard(self, identity: str, reason: str) -> None:
        """Close an identity for good; safe to repeat."""
        try:
            self._control.close_shard(identity, reason)
        except ConflictError:
            return  # closed before: exactly what was asked for

    def open_shards(self, name: str) -> Sequence[str]:
        """Identities of `name` that are not closed."""
        return [shard.identity for shard in self._control.list_shards(name) if shard.closed_unix_nano is None]


@dataclass
class CommandContext:
    """One command's view of one lake: who acts, what it may do, and how what it does is recorded."""

    lake: Lake
    settings: MunimentConfig
    access: Access
    principal: Principal
    clock: Clock = system_clock

    def __post_init__(self) -> None:
        # Here, so that no context can be made that decides by anything but what is in force in its lake.
        poll = self.settings.policy_poll_seconds
        self.access = self.access.under(PolicyInForce(lambda: self.control, poll_seconds=poll), self.clock)

    @cached_property
    def control(self) -> ControlStore:
        """Control data, opened at first use."""
        return ControlStore.open(control_url(self.lake, self.settings), clock=self.clock, create=False)

    @cached_property
    def keys(self) -> LakeKeys:
        """The lake's derived keys."""
        return read_keys(self.lake)

    @cached_property
    def vault(self) -> SubjectVault:
        """The vault of subjects, opened at first use."""
        return open_lake_vault(self.lake, vault_url(self.lake, self.settings), self.keys, clock=self.clock)

    @cached_property
    def claims(self) -> ControlClaims:
        """Where shard identities are claimed."""
        return ControlClaims(self.control)

    @cached_property
    def prices(self) -> PriceBook:
        """The lake's price lists."""
        return PriceBook.load(self.lake.policies / "prices")

    @cached_property
    def redactor(self) -> "PolicyRedactor":
        """What every record passes before it reaches a disk."""
        return make_redactor(self)

    def session(self, tenants: Sequence[str], **more: Any) -> "AbstractContextManager[QuerySession]":
        """A query session of the principal's over these tenants, under the lake's settings; `more` as `warehouse.query.open_session`.

        What the principal may see of them is the caller's to ask, and to give as `limits` where it is less than everything.

        Raises:
            QueryError, NameRuleError, DeniedError, UnavailableError: as `open_session`.
        """
        from warehouse.query import open_session

        return open_session(
            self.lake.path, tenants=tenants, principal=self.principal, settings=self.settings.query, **more
        )

    def open_writer(self, shard: str, *, measures: Measures | None = None) -> "Writer":
        """Take a shard by its name, replay its journal, and start its writer.

        Raises:
            ShardHeldError: another process writes it.
            UnavailableError: the tables or the control database cannot be written.
        """
        from warehouse.commit import open_stores
        from warehouse.writer import open_writer

        return open_writer(
            self.lake,
            shard,
            self.claims,
            open_stores(self.lake),
            config=self.settings.writer,
            clock=self.clock,
            measures=measures,
            lake_name=self.settings.lake,
            redactor=self.redactor,
        )

    @cached_property
    def decisions(self) -> Decisions:
        """Decisions that wait to be recorded."""
        return Decisions(self._send, lambda: [tenant.id for tenant in self.control.list_tenants()])

    def _send(self, events: Sequence[OwnEvent]) -> None:
        self.recorder.record(events)

    def check(self, action: Action, tenant: str | None = None) -> Decision:
        """Ask whether the principal may do this; some decisions are recorded (`muniment.decisions`).

        Raises:
            DeniedError: it may not; where that cannot be recorded, a note says so.
        """
        decision = self.access.decide(self.principal, action, tenant)
        self.decisions.add(self.principal, action, tenant, decision)
        if decision.allowed:
            return decision
        denied = self.access.denial(self.principal, action, tenant, decision)
        try:
            self.decisions.record_with([])
        except MunimentError as exc:
            denied.add_note(f"that it was denied could not be recorded: {exc}")
        raise denied

    def allowed(self, action: Action, tenants: Sequence[str]) -> list[str]:
        """Those of `tenants` in which the principal may do this; asked at once, and recorded like `check`."""
        decisions = self.access.decide_all(self.principal, [Question(action, tenant) for tenant in tenants])
        for tenant, decision in zip(tenants, decisions, strict=True):
            self.decisions.add(self.principal, action, tenant, decision)
        return [tenant for tenant, decision in zip(tenants, decisions, strict=True) if decision.allowed]

    def places(self, action: Action) -> list[str]:
        """The tenants, the lake's own log among them, in which the principal may do this: asked before a thing is looked up by its id.

        Raises:
            DeniedError: none. Whether there is such a thing is nothing for everybody, and nowhere told of another tenant's.
        """
        allowed = self.allowed(action, lake_tenants(self.control))
        if not allowed:
            self.check(action)
        return allowed

    def record(self, event_name: str, tenant: str, **fields: Any) -> None:
        """Record that the principal does something; `fields` are columns of `audit_events`, `attributes` a mapping.

        Raises:
            UnavailableError: it cannot be recorded, and so must not be done.
        """
        attributes = fields.pop("attributes", {})
        event = OwnEvent(tenant, event_name, self.principal.recorded_by, fields=fields, attributes=attributes)
        self.decisions.record_with([event])

    @cached_property
    def recorder(self) -> Recorder:
        """How own events are recorded."""
        return Recorder(
            self.lake,
            self.claims,
            self.redactor,
            self.settings.writer,
            lake_name=self.settings.lake,
            clock=self.clock,
        )


def make_redactor(context: CommandContext) -> "PolicyRedactor":
    """Return the redactor of a lake under the policy in force: the one place that makes it.

    Raises:
        PolicyError: the policy in force cannot be used.
        ControlUnavailableError: the control database does not answer, so that nobody can say which policy is in force.
    """
    from collectors.redact.detectors import BY_NAME
    from collectors.redact.engine import PolicyRedactor
    from muniment.policy_watch import read_policy

    return PolicyRedactor(read_policy(context.control, BY_NAME), LateVault(lambda: context.vault))


def command_context(lake_option: Path | None) -> CommandContext:
    """Open the lake that a command was pointed at, as the local user.

    Raises:
        LakeNotFoundError: there is none.
        SettingsError: its settings cannot be used.
    """
    lake = find_lake(lake_folder(lake_option))
    settings = read_settings(lake)
    access = Access.for_lake(lake.path, settings.users)
    return CommandContext(lake, settings, access, local_principal())
