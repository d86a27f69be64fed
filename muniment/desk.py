"""Answers the pages about one lake, as `dashboards.desk.Desk` asks for it: the same functions that commands call.

Invariants:
- Whoever looks is asked for by `governance.access` at every question, also where the answer is one that `Answers` kept.
- What is read of a tenant's records is recorded in that tenant's log before it is shown; the same view is recorded once a minute
  at most, since a page asks again at every click.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa

from dashboards.desk import (
    CheckedProof,
    Fact,
    Handed,
    Integrity,
    Objective,
    Retention,
)
from dashboards.viewer import Viewer
from governance.access import Access, Action, local_principal
from governance.access.asking import Question
from governance.access.identity import UserClaim
from muniment.desk_agents import agent_row
from muniment.desk_evidence import LakeEvidence
from muniment.desk_integrity import checked, read_integrity
from muniment.desk_objectives import read_objectives
from muniment.desk_questions import LakeAnswers
from muniment.desk_requests import LakeRequests
from muniment.desk_retention import prepare_retention, read_retention
from muniment.desk_search import LakeSearch
from muniment.desk_sessions import Session, Sessions
from muniment.desk_viewer import policies_broken, viewer_of, why_without_role
from muniment.desk_views import Views
from muniment.identity_provider import IdentityProvider
from muniment.incident_handling import acknowledge, close, list_incidents, mitigate, read_incident, reopen
from muniment.overview import facts
from muniment.proving import prove_one
from muniment.registering import list_agents
from muniment.settings import read_settings
from muniment.slos import slo_figures, worst_of
from muniment.wiring import CommandContext
from retention.remembered import Remembered
from warehouse.clock import NANOS_PER_SECOND
from warehouse.control.incidents import IncidentDetails, IncidentRecord, IncidentState
from warehouse.errors import DeniedError, MunimentError
from warehouse.lake import Lake, find_lake
from warehouse.names import LAKE_TENANT
from warehouse.policies import PolicyError
from warehouse.principals import Principal
from warehouse.query import QuerySession
from warehouse.questions.audit_events import EVENT_TABLES, EventFilter, find_events
from warehouse.questions.listening import silences
from warehouse.questions.trace import TRACE_TABLES, Trace, find_trace_id, read_trace

_PREPARED_TENANTS = 8
_PREPARED_NANOS = 10 * NANOS_PER_SECOND
_TENDED_NANOS = 2 * NANOS_PER_SECOND
"""How long questions are begun before anybody asks, and each time that answers are tended; the last of them can take longer."""
_LOOKED_NANOS = 1_800 * NANOS_PER_SECOND
"""For how long after somebody looked at a tenant its answers are asked ahead."""


@dataclass
class LakeDesk:
    """One lake's desk. Settings are read once; what may be asked is decided anew each time."""

    lake: Lake
    _context: CommandContext
    _sessions: Sessions
    _answers: LakeAnswers = field(default_factory=LakeAnswers)
    _remembered: Remembered = field(default_factory=Remembered)
    _views: Views = field(default_factory=Views)

    @property
    def lake_name(self) -> str:
        """The lake's name."""
        return self._context.settings.lake

    @property
    def asks_sign_in(self) -> bool:
        """As `Desk.asks_sign_in`."""
        return self._sessions.provider is not None

    @property
    def evidence(self) -> LakeEvidence:
        """As `Desk.evidence`."""
        return LakeEvidence(self._as)

    @property
    def requests(self) -> LakeRequests:
        """As `Desk.requests`."""
        return LakeRequests(self._as, self._views.record)

    @property
    def search(self) -> LakeSearch:
        """As `Desk.search`."""
        return LakeSearch(self._as, partial(self._views.record, action="search"))

    def viewer(self, id_token: str | None) -> Viewer:
        """Who is looking.

        Raises:
            DeniedError: nobody whom the provider vouches for, or a user for whom no role is known, or whose role has ended.
            UnavailableError: the provider does not answer, it cannot be recorded who signed in, or the access policies cannot be used.
        """
        try:
            session = self._sessions.find(id_token) or self._sessions.open(id_token, self._record_sign_in)
        except PolicyError as exc:
            raise policies_broken(self._context) from exc
        return viewer_of(self._context_of(session.principal), session)

    def warm(self) -> None:
        """As `Desk.warm`: of the lake itself for nobody, and then of its tenants for the local user, who may be about to ask.

        Where a provider says who people are, only what is nobody's own is prepared of tenants.
        """
        with suppress(MunimentError):
            context = self._context_of(self._context.principal)
            context.access.decide_all(context.principal, [Question(Action.RECORDS_READ, LAKE_TENANT)])
            facts(context, LAKE_TENANT)
            slo_figures(context, tenants=[LAKE_TENANT])
            with context.session([LAKE_TENANT], tables=EVENT_TABLES) as session:
                find_events(session, EventFilter(limit=1))
                silences(session)
            self._prepare(context)

    def tend(self) -> None:
        """As `Desk.tend`: ahead, as before anybody asks, for the local user alone."""
        with suppress(MunimentError):
            context = self._context_of(self._context.principal)
            now = context.clock()
            self._answers.look(self.lake, now)
            for tenant in () if self.asks_sign_in else self._views.tenants(now - _LOOKED_NANOS):
                if context.access.decide(context.principal, Action.RECORDS_READ, tenant).allowed:
                    self._answers.prepare(context, tenant, now + _TENDED_NANOS)

    def _prepare(self, context: CommandContext) -> None:
        until = context.clock() + _PREPARED_NANOS
        tenants = [tenant.id for tenant in context.control.list_tenants()]
        asked = [Question(Action.RECORDS_READ, tenant) for tenant in tenants]
        decisions = context.access.decide_all(context.principal, asked)
        for tenant, decision in list(zip(tenants, decisions, strict=True))[:_PREPARED_TENANTS]:
            if context.clock() < until:
                prepare_retention(context, tenant, self._remembered)
            if decision.allowed and not self.asks_sign_in:
                self._answers.prepare(context, tenant, until)

    def sign_out(self, viewer: Viewer) -> None:
        """As `Desk.sign_out`."""
        try:
            principal = self._sessions.principal(viewer.ticket)
        except DeniedError:
            return  # ended before: exactly what was asked for
        self._sessions.end(viewer.ticket)
        if self.asks_sign_in:
            self._context_of(principal).record("lake.signed_out", LAKE_TENANT, action="sign out", outcome="success")

    def may_export(self, viewer: Viewer, tenant: str) -> bool:
        """As `Desk.may_export`."""
        context = self._as(viewer)
        return context.access.decide(context.principal, Action.RECORDS_EXPORT, tenant).allowed

    def export(self, viewer: Viewer, tenant: str, what: str, rows: int) -> None:
        """As `Desk.export`."""
        context = self._as(viewer)
        context.check(Action.RECORDS_EXPORT, tenant)
        context.record(
            "data.exported",
            tenant,
            action="page",
            resource_type="page",
            resource_id=what,
            attributes={"muniment.export.rows": rows},
        )

    def hand_out(self, viewer: Viewer, tenant: str, kind: Handed, name: str, sha256: str) -> None:
        """As `Desk.hand_out`."""
        context = self._as(viewer)
        context.check(Action.SUBJECT_REPORT if kind is Handed.REPORT else Action.RECORDS_EXPORT, tenant)
        context.record(
            "data.exported",
            tenant,
            action="page",
            resource_type=kind.value,
            resource_id=name,
            attributes={"muniment.export.sha256": sha256},
        )

    def overview(self, viewer: Viewer, tenant: str) -> list[Fact]:
        """As `Desk.overview`."""
        with self._meanwhile(viewer, tenant, "page", "overview") as context:
            return facts(context, tenant)

    def activity(self, viewer: Viewer, tenant: str, days: int) -> pa.Table:
        """As `Desk.activity`."""
        return self._answers.activity(self._reading(viewer, tenant, "page", "activity"), tenant, days)

    def recent_traces(self, viewer: Viewer, tenant: str, limit: int) -> pa.Table:
        """As `Desk.recent_traces`."""
        with self._meanwhile(viewer, tenant, "page", "traces") as context:
            return self._answers.traces(context, tenant, limit)

    def events(self, viewer: Viewer, tenant: str, wanted: EventFilter) -> pa.Table:
        """As `Desk.events`."""
        return self._answers.events(self._reading(viewer, tenant, "page", "audit events"), tenant, wanted)

    def event_names(self, viewer: Viewer, tenant: str) -> list[str]:
        """As `Desk.event_names`."""
        return self._answers.event_names(self._reading(viewer, tenant, "page", "audit events"), tenant)

    def trace(self, viewer: Viewer, tenant: str, trace_id: str) -> Trace:
        """As `Desk.trace`."""
        context = self._as(viewer)
        context.check(Action.RECORDS_READ, tenant)
        with self._session(context, tenant, TRACE_TABLES) as session:
            trace = read_trace(session, find_trace_id(session, trace_id))
        self._views.record(context, tenant, "trace", trace.trace_id)
        return trace

    def integrity(self, viewer: Viewer, tenant: str) -> Integrity:
        """As `Desk.integrity`."""
        with self._meanwhile(viewer, tenant, "page", "integrity") as context:
            return read_integrity(context, tenant)

    def prove(self, viewer: Viewer, tenant: str, shard: str, index: int) -> bytes:
        """As `Desk.prove`."""
        return prove_one(self._as(viewer), tenant, index, shard).content

    def check_proof(self, proof: bytes, vkeys: Sequence[str]) -> CheckedProof:
        """As `Desk.check_proof`: nothing of the lake is read."""
        return checked(proof, vkeys)

    def retention(self, viewer: Viewer, tenant: str, days: int = 0) -> Retention:
        """As `Desk.retention`."""
        with self._meanwhile(viewer, tenant, "page", "retention") as context:
            return read_retention(context, tenant, self._remembered, days)

    def objectives(self, viewer: Viewer, tenant: str) -> list[Objective]:
        """As `Desk.objectives`."""
        context = self._reading(viewer, tenant, "page", "objectives", action=Action.SLO_READ)
        return read_objectives(context, tenant)

    def worst_events(self, viewer: Viewer, tenant: str, slo: str, objective: str, limit: int) -> pa.Table:
        """As `Desk.worst_events`."""
        context = self._reading(viewer, tenant, "page", "worst events")
        return worst_of(context, tenant=tenant, slo=slo, objective=objective, most=limit)

    def incidents(self, viewer: Viewer, tenant: str, *, closed: bool) -> list[IncidentRecord]:
        """As `Desk.incidents`."""
        states = None if closed else set(IncidentState) - {IncidentState.CLOSED}
        context = self._reading(viewer, tenant, "page", "incidents", action=Action.INCIDENT_READ)
        return list_incidents(context, tenant, states=states)

    def incident(self, viewer: Viewer, tenant: str, incident_id: str) -> IncidentDetails:
        """As `Desk.incident`."""
        context = self._as(viewer)
        found = read_incident(context, incident_id, tenant)
        self._views.record(context, tenant, "incident", found.record.id)
        return found

    def may_handle(self, viewer: Viewer, tenant: str) -> bool:
        """As `Desk.may_handle`."""
        context = self._as(viewer)
        return context.access.decide(context.principal, Action.INCIDENT_HANDLE, tenant).allowed

    def handle_incident(self, viewer: Viewer, incident_id: str, step: str, note: str) -> None:
        """As `Desk.handle_incident`."""
        context = self._as(viewer)
        if step == "acknowledge":
            acknowledge(context, incident_id, owner=None, note=note or None)
        else:
            {"mitigate": mitigate, "close": close, "reopen": reopen}[step](context, incident_id, note=note)

    def agents(self, viewer: Viewer, tenant: str, days: int) -> tuple[pa.Table, pa.Table]:
        """As `Desk.agents`."""
        with self._meanwhile(viewer, tenant, "page", "agents") as context:
            seen = self._answers.agents(context, tenant, days)
            registered = [] if tenant == LAKE_TENANT else list_agents(context, tenant, retired=True)
        return pa.Table.from_pylist([agent_row(each) for each in registered]), seen

    def data_map(self, viewer: Viewer, tenant: str, days: int) -> pa.Table:
        """As `Desk.data_map`."""
        with self._meanwhile(viewer, tenant, "page", "agents") as context:
            return self._answers.data_map(context, tenant, days)

    def changes(self, viewer: Viewer, tenant: str, days: int) -> pa.Table:
        """As `Desk.changes`."""
        return self._answers.changes(self._reading(viewer, tenant, "page", "agents"), tenant, days)

    def _as(self, viewer: Viewer) -> CommandContext:
        return self._context_of(self._sessions.principal(viewer.ticket))

    def _context_of(self, principal: Principal) -> CommandContext:
        """The same lake as another principal sees it; control database and recorder are shared."""
        base = self._context
        context = CommandContext(base.lake, base.settings, base.access, principal, base.clock)
        for name in ("control", "claims", "redactor", "vault", "recorder", "keys"):
            vars(context)[name] = getattr(base, name)
        return context

    def _record_sign_in(self, session: Session) -> None:
        """Who signed in by the provider stands in the lake's own log, whoever has no role here too."""
        if session.ends is None:
            return
        context = self._context_of(session.principal)
        missing = why_without_role(context, session.principal)
        context.record(
            "lake.signed_in",
            LAKE_TENANT,
            action="sign in",
            outcome="denied" if missing else "success",
            reason=missing,
            attributes={"muniment.roles": sorted(role.value for role in context.access.roles(session.principal))},
        )

    def _reading(
        self, viewer: Viewer, tenant: str, kind: str, what: str, *, action: Action = Action.RECORDS_READ
    ) -> CommandContext:
        context = self._as(viewer)
        context.check(action, tenant)
        self._views.record(context, tenant, kind, what)
        return context

    @contextmanager
    def _meanwhile(self, viewer: Viewer, tenant: str, kind: str, what: str) -> Iterator[CommandContext]:
        """As `_reading`, recorded while the block reads: for what is told from other tables than the record goes to."""
        context = self._as(viewer)
        context.check(Action.RECORDS_READ, tenant)
        with self._views.recorded_meanwhile(context, tenant, kind, what):
            yield self._context_of(context.principal)

    def _session(
        self, context: CommandContext, tenant: str, tables: Sequence[str]
    ) -> AbstractContextManager[QuerySession]:
        """A session over one tenant, within what the viewer may see of it."""
        return context.session([tenant], tables=tables, limits=context.access.limits(context.principal, [tenant]))


def open_desk(lake: Path) -> LakeDesk:
    """The desk of the lake in this folder: the entry point `lake` of the group `muniment.desk`.

    Raises:
        LakeNotFoundError: there is none.
        SettingsError: its settings cannot be used.
    """
    found = find_lake(lake)
    settings = read_settings(found)
    access = Access.for_lake(found.path, settings.users)
    context = CommandContext(found, settings, access, local_principal())
    return LakeDesk(found, context, _sessions(context))


def _sessions(context: CommandContext) -> Sessions:
    """Sessions by the provider of the settings, or of the local user where they name none."""
    settings = context.settings
    wanted, hours = settings.dashboards.sign_in, settings.session_hours
    claim: UserClaim = "sub" if wanted is None else wanted.user_claim
    return Sessions(
        None if wanted is None else IdentityProvider(wanted.issuer, wanted.client_id),
        lambda claims: context.access.signed_in(claims, session_hours=hours, user_claim=claim),
        hours,
        lambda: context.clock() / NANOS_PER_SECOND,
    )
