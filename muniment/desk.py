"""Answers the pages about one lake, as `dashboards.desk.Desk` asks for it: the same functions that commands call.

Invariants:
- Whoever looks is asked for by `governance.access` at every question, also where the answer is one that `Answers` kept.
- What is read of a tenant's records is recorded in that tenant's log before it is shown; the same view is recorded once a minute
  at most, since a page asks again at every click.
"""

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from dashboards.desk import (
    CheckedProof,
    Fact,
    Integrity,
    LogHead,
    Objective,
    Retention,
    Silence,
)
from dashboards.viewer import Viewer
from governance.access import Access, Action, local_principal
from governance.access.asking import Question
from governance.access.identity import UserClaim
from muniment.desk_agents import CHANGE_TABLES, read_changes
from muniment.desk_answers import Answers
from muniment.desk_evidence import LakeEvidence
from muniment.desk_requests import LakeRequests
from muniment.desk_retention import read_retention
from muniment.desk_search import LakeSearch
from muniment.desk_sessions import Session, Sessions
from muniment.identity_provider import IdentityProvider
from muniment.incident_handling import acknowledge, close, list_incidents, mitigate, read_incident, reopen
from muniment.overview import facts
from muniment.proving import log_states, prove_one, public_keys
from muniment.registering import list_agents
from muniment.settings import read_settings
from muniment.slos import slo_figures
from muniment.wiring import CommandContext
from muniment.witness_rounds import witness_status
from pipelines.slo.figures import Burn
from retention.remembered import Remembered
from warehouse.clock import NANOS_PER_DAY, NANOS_PER_SECOND
from warehouse.control.agents import AgentRecord
from warehouse.control.incidents import IncidentDetails, IncidentRecord, IncidentState
from warehouse.errors import DeniedError, MunimentError
from warehouse.lake import Lake, find_lake
from warehouse.ledger.proof_report import check_proof
from warehouse.ledger.tlog_proof import TlogProof
from warehouse.names import LAKE_TENANT
from warehouse.principals import Principal
from warehouse.query import QuerySession
from warehouse.questions.activity import ACTIVITY_TABLES, daily_activity, recent_traces
from warehouse.questions.agents import AGENT_TABLES, data_map, seen_agents
from warehouse.questions.audit_events import EVENT_TABLES, EventFilter, event_names, find_events
from warehouse.questions.listening import silences
from warehouse.questions.trace import TRACE_TABLES, Trace, find_trace_id, read_trace

_ONCE_SECONDS = 60
_HOUR_NANOS = 3_600 * NANOS_PER_SECOND
_MOST_REMEMBERED = 10_000


@dataclass
class LakeDesk:
    """One lake's desk. Settings are read once; what may be asked is decided anew each time."""

    lake: Lake
    _context: CommandContext
    _sessions: Sessions
    _answers: Answers = field(default_factory=Answers)
    _remembered: Remembered = field(default_factory=Remembered)
    _viewed: dict[tuple[str, ...], float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

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
        return LakeRequests(self._as)

    @property
    def search(self) -> LakeSearch:
        """As `Desk.search`."""
        return LakeSearch(self._as, partial(self._record, action="search"))

    def viewer(self, id_token: str | None) -> Viewer:
        """Who is looking.

        Raises:
            DeniedError: nobody whom the provider vouches for, or a user for whom no role is known.
            UnavailableError: the provider does not answer, or it cannot be recorded who signed in.
        """
        session = self._sessions.find(id_token) or self._sessions.open(id_token, self._record_sign_in)
        context = self._context_of(session.principal)
        held = context.access.roles(session.principal)
        if session.ends is not None and not held:
            raise DeniedError(
                f"{session.name} signed in: expected a role for this user, got none",
                hint="have the lake's owner give one of the user's groups a role in LAKE/policies/access/groups.yaml",
            )
        known = [tenant.id for tenant in context.control.list_tenants()]
        asked = [Question(Action.RECORDS_READ, tenant) for tenant in (*known, LAKE_TENANT)]
        decisions = context.access.decide_all(session.principal, asked)
        readable = tuple(str(question.tenant) for question, each in zip(asked, decisions, strict=True) if each.allowed)
        return Viewer(session.ticket, session.name, tuple(sorted(role.value for role in held)), readable)

    def warm(self) -> None:
        """As `Desk.warm`: decides, states and reads of the lake itself what pages ask for of its tenants, for nobody."""
        with suppress(MunimentError):
            context = self._context_of(self._context.principal)
            context.access.decide_all(context.principal, [Question(Action.RECORDS_READ, LAKE_TENANT)])
            facts(context, LAKE_TENANT)
            slo_figures(context, tenants=[LAKE_TENANT])
            with context.session([LAKE_TENANT], tables=EVENT_TABLES) as session:
                find_events(session, EventFilter(limit=1))

    def sign_out(self, viewer: Viewer) -> None:
        """As `Desk.sign_out`."""
        try:
            principal = self._sessions.principal(viewer.ticket)
        except DeniedError:
            return  # ended before: exactly what was asked for
        self._sessions.end(viewer.ticket)
        if self.asks_sign_in:
            self._context_of(principal).record("lake.signed_out", LAKE_TENANT, action="sign out", outcome="success")

    def overview(self, viewer: Viewer, tenant: str) -> list[Fact]:
        """As `Desk.overview`."""
        context = self._reading(viewer, tenant, "page", "overview")
        return facts(context, tenant)

    def activity(self, viewer: Viewer, tenant: str, days: int) -> pa.Table:
        """As `Desk.activity`."""
        context = self._reading(viewer, tenant, "page", "activity")
        first = (context.clock() // NANOS_PER_DAY - days) * NANOS_PER_DAY
        return self._answers.ask(
            context, tenant, ACTIVITY_TABLES, ("activity", first), lambda session: daily_activity(session, first_unix_nano=first)
        )  # fmt: skip

    def recent_traces(self, viewer: Viewer, tenant: str, limit: int) -> pa.Table:
        """As `Desk.recent_traces`."""
        context = self._reading(viewer, tenant, "page", "traces")
        return self._answers.ask(
            context, tenant, ACTIVITY_TABLES, ("traces", limit), lambda session: recent_traces(session, limit=limit)
        )

    def events(self, viewer: Viewer, tenant: str, wanted: EventFilter) -> pa.Table:
        """As `Desk.events`."""
        context = self._reading(viewer, tenant, "page", "audit events")
        return self._answers.ask(
            context, tenant, EVENT_TABLES, ("events", wanted), lambda session: find_events(session, wanted)
        )

    def event_names(self, viewer: Viewer, tenant: str) -> list[str]:
        """As `Desk.event_names`."""
        context = self._reading(viewer, tenant, "page", "audit events")
        return self._answers.ask(context, tenant, EVENT_TABLES, ("event names",), event_names)

    def trace(self, viewer: Viewer, tenant: str, trace_id: str) -> Trace:
        """As `Desk.trace`."""
        context = self._as(viewer)
        context.check(Action.RECORDS_READ, tenant)
        with self._session(context, tenant, TRACE_TABLES) as session:
            trace = read_trace(session, find_trace_id(session, trace_id))
        self._record(context, tenant, "trace", trace.trace_id)
        return trace

    def integrity(self, viewer: Viewer, tenant: str) -> Integrity:
        """As `Desk.integrity`."""
        context = self._reading(viewer, tenant, "page", "integrity")
        # When nobody listened concerns every tenant, and is all that is taken from the lake's own log here.
        with context.session([LAKE_TENANT], tables=EVENT_TABLES) as session:
            found = silences(session)
        return Integrity(
            tuple(
                LogHead(log.origin, log.size, log.root, tuple(log.signed_by), log.grown_unix_nano, log.problem)
                for log in log_states(context, tenant)
            ),
            tuple(key.vkey for key in public_keys(context, tenant)),
            tuple((each.name, each.last_cosigned_unix_nano) for each in witness_status(context.lake, context.settings)),
            tuple(
                Silence(gap.collector, gap.first_unix_nano, gap.last_unix_nano, gap.ending.value == "stopped")
                for gap in found
            ),
        )

    def prove(self, viewer: Viewer, tenant: str, shard: str, index: int) -> bytes:
        """As `Desk.prove`."""
        return prove_one(self._as(viewer), tenant, index, shard).content

    def check_proof(self, proof: bytes, vkeys: Sequence[str]) -> CheckedProof:
        """As `Desk.check_proof`: nothing of the lake is read."""
        try:
            report = check_proof(TlogProof.parse(proof), vkeys=vkeys)
        except MunimentError as exc:
            return CheckedProof(holds=False, lines=(str(exc), *(() if exc.hint is None else (exc.hint,))))
        return CheckedProof(holds=True, lines=tuple(report.lines()))

    def retention(self, viewer: Viewer, tenant: str) -> Retention:
        """As `Desk.retention`."""
        return read_retention(self._reading(viewer, tenant, "page", "retention"), tenant, self._remembered)

    def objectives(self, viewer: Viewer, tenant: str) -> list[Objective]:
        """As `Desk.objectives`."""
        run = slo_figures(self._as(viewer), tenants=[tenant])
        return [
            Objective(
                each.slo,
                each.title,
                each.objective,
                each.state,
                each.target,
                each.attainment,
                each.budget_remaining,
                each.coverage,
                each.total,
                each.window,
                "; ".join(map(_burn_words, each.burns)),
            )
            for each in run.figures
        ]

    def incidents(self, viewer: Viewer, tenant: str, *, closed: bool) -> list[IncidentRecord]:
        """As `Desk.incidents`."""
        states = None if closed else set(IncidentState) - {IncidentState.CLOSED}
        return list_incidents(self._as(viewer), tenant, states=states)

    def incident(self, viewer: Viewer, incident_id: str) -> IncidentDetails:
        """As `Desk.incident`."""
        return read_incident(self._as(viewer), incident_id)

    def handle_incident(self, viewer: Viewer, incident_id: str, step: str, note: str) -> None:
        """As `Desk.handle_incident`."""
        context = self._as(viewer)
        if step == "acknowledge":
            acknowledge(context, incident_id, owner=None, note=note or None)
        else:
            {"mitigate": mitigate, "close": close, "reopen": reopen}[step](context, incident_id, note=note)

    def agents(self, viewer: Viewer, tenant: str, days: int) -> tuple[pa.Table, pa.Table]:
        """As `Desk.agents`."""
        context = self._reading(viewer, tenant, "page", "agents")
        first = context.clock() // _HOUR_NANOS * _HOUR_NANOS - days * NANOS_PER_DAY
        seen = self._answers.ask(
            context, tenant, AGENT_TABLES, ("agents", first), lambda session: seen_agents(session, first_unix_nano=first)
        )  # fmt: skip
        registered = [] if tenant == LAKE_TENANT else list_agents(context, tenant, retired=True)
        return pa.Table.from_pylist([_agent(each) for each in registered]), seen

    def data_map(self, viewer: Viewer, tenant: str, days: int) -> pa.Table:
        """As `Desk.data_map`."""
        context = self._reading(viewer, tenant, "page", "agents")
        first = context.clock() // _HOUR_NANOS * _HOUR_NANOS - days * NANOS_PER_DAY
        return self._answers.ask(
            context, tenant, AGENT_TABLES, ("data map", first), lambda session: data_map(session, first_unix_nano=first)
        )

    def changes(self, viewer: Viewer, tenant: str, days: int) -> pa.Table:
        """As `Desk.changes`."""
        context = self._reading(viewer, tenant, "page", "agents")
        now = context.clock()
        period = (now // _HOUR_NANOS * _HOUR_NANOS - days * NANOS_PER_DAY, now)
        with self._session(context, tenant, CHANGE_TABLES) as session:
            return read_changes(context, session, period)

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
        roles = sorted(role.value for role in self._context.access.roles(session.principal))
        self._context_of(session.principal).record(
            "lake.signed_in",
            LAKE_TENANT,
            action="sign in",
            outcome="success" if roles else "denied",
            reason=None if roles else "no role",
            attributes={"muniment.roles": roles},
        )

    def _reading(self, viewer: Viewer, tenant: str, kind: str, what: str) -> CommandContext:
        context = self._as(viewer)
        context.check(Action.RECORDS_READ, tenant)
        self._record(context, tenant, kind, what)
        return context

    def _record(
        self,
        context: CommandContext,
        tenant: str,
        kind: str,
        what: str | None,
        attributes: Mapping[str, object] = MappingProxyType({}),
        *,
        action: str = "page",
    ) -> None:
        """Record that somebody viewed something, unless the same was recorded within the last minute. What has no name always is."""
        key = (context.principal.recorded_by, tenant, kind, what or "")
        now = context.clock() / NANOS_PER_SECOND
        with self._lock:
            if what is not None and now - self._viewed.get(key, 0.0) < _ONCE_SECONDS:
                return
        context.record(
            "record.viewed", tenant, action=action, resource_type=kind, resource_id=what, attributes=attributes
        )
        with self._lock:
            if len(self._viewed) > _MOST_REMEMBERED:
                self._viewed.clear()
            self._viewed[key] = now

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


def _burn_words(burn: Burn) -> str:
    """How fast a budget burns over a condition's longer window, against what it is held to."""
    rate = "not measured" if burn.long_burn is None else f"{burn.long_burn:.1f}"
    return f"{rate} over {burn.long_seconds / 3600:g} h ({burn.severity} from {burn.factor:g}){' firing' if burn.firing else ''}"


def _agent(each: AgentRecord) -> dict[str, Any]:
    profile = each.profile
    return {
        "agent": each.id,
        "name": profile.name,
        "state": each.state.value,
        "owner": profile.owner,
        "on call": profile.on_call,
        "purpose": profile.purpose,
        "risk class": profile.risk_class,
        "models": ", ".join(profile.models),
        "providers": ", ".join(profile.providers),
        "tools": ", ".join(profile.tools),
    }
