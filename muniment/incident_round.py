"""One round of detection over one tenant: which rules are due, what they match, what that makes of the incidents.

Invariant: a round is alone with its tenant, and what it writes it writes at its end, once its events are recorded.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from governance.registry import registry_table
from muniment.incident_finding import find_incidents
from muniment.lake_facts import lake_state
from muniment.wiring import CommandContext
from pipelines.incidents.columns import LAKE_STATE, REGISTRY
from pipelines.incidents.derived import SOURCE_TABLE, derive_events
from pipelines.incidents.evaluation import add_classes, evaluate, first_record, read_views
from pipelines.incidents.rules import Reads, Rule, RuleSet
from warehouse.clock import NANOS_PER_SECOND
from warehouse.control import FoundIncident, IncidentRecord, RuleProgress
from warehouse.derived.events import DERIVED_EVENTS
from warehouse.durable import make_folder
from warehouse.errors import QueryError, UnavailableError
from warehouse.heads import LogHeads
from warehouse.locks import locked
from warehouse.names import LAKE_TENANT
from warehouse.own_events import OwnEvent
from warehouse.query import QuerySession, ReadPoint, open_session
from warehouse.query.read_point import CLOCK_AHEAD_NANOS
from warehouse.query.views import VIEWS
from warehouse.tables import TABLES

_WAIT_SECONDS = 600.0
_ALL_EVERY = 300 * NANOS_PER_SECOND
"""How often rules over all rows are evaluated, and rules that fail are tried again."""
_EVENTS_AT_ONCE = 100
_KEEP_BYTES = 8 * 1024**2
"""Files of a view, in bytes: less is held in memory while its rules run, one after another."""
_TABLE_NAMES = frozenset(TABLES)
_QUOTED = re.compile(r"'[^']*'")


@dataclass(frozen=True)
class RoundOutcome:
    """What a round made of one tenant. `problems` says why by rule where one failed."""

    opened: tuple[IncidentRecord, ...] = ()
    updated: tuple[IncidentRecord, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _State:
    """What one round leaves for the next. Times in nanoseconds since 1970.

    `versions` are those of the Delta logs up to which the tenant's files were seen, `changed` when one of its files came last,
    `evaluated` when rules over new rows were asked last, `all_evaluated` when every rule was.
    """

    rules: str = ""
    versions: Mapping[str, int] = field(default_factory=dict)
    changed: int = 0
    evaluated: int = 0
    all_evaluated: int = 0

    def to_text(self) -> str:
        return json.dumps(vars(self))


def run_round(
    context: CommandContext,
    rules: RuleSet,
    tenant: str,
    *,
    heads: LogHeads,
    now_unix_nano: int,
    everything: bool,
    settled: bool,
) -> RoundOutcome:
    """Evaluate what is due for one tenant; with `settled` no row waits.

    Raises:
        UnavailableError: its records cannot be read, or what was found cannot be recorded: nothing was written.
        ConflictError: somebody changed an incident that this round was about to change: the next one finds the same.
    """
    make_folder(context.lake.run)
    lock = context.lake.run / f"incidents-{tenant}.lock"
    with locked(lock, holder=context.principal.recorded_by, timeout_seconds=_WAIT_SECONDS):
        before = _read_state(context, tenant)
        came = heads.touched(tenant, before.versions, _read_tables(rules))
        state = replace(before, changed=now_unix_nano) if came else before
        every = everything or before.rules != rules.content_hash
        # a state from the future was left under a clock that has gone back since
        late = not 0 <= now_unix_nano - before.all_evaluated < _ALL_EVERY
        failing = _failing(context, tenant) if late else frozenset()
        due = [
            rule
            for rule in rules.rules
            if every
            or (late and (rule.reads is Reads.ALL or rule.id in failing))
            or (rule.reads is Reads.NEW and (came or _has_settled(rule, before, now_unix_nano)))
        ]
        if not due:
            return RoundOutcome()
        due, stuck = _derive(context, tenant, due)
        progress = context.control.rule_progress(tenant)
        evaluation = _Evaluation(context, tenant, now_unix_nano, progress, rules.content_hash, settled=settled)
        for group in _groups(due, progress, settled=settled):
            evaluation.run(group)
        state = replace(
            state,
            rules=rules.content_hash,
            versions=dict(heads.versions),
            evaluated=now_unix_nano,
            all_evaluated=now_unix_nano if every or late else state.all_evaluated,
        )
        if evaluation.events:
            for at in range(0, len(evaluation.events), _EVENTS_AT_ONCE):
                context.recorder.record(evaluation.events[at : at + _EVENTS_AT_ONCE])
        context.control.commit_round(
            tenant, evaluation.found, evaluation.progress, state.to_text(), by=context.principal.recorded_by
        )
        outcome = evaluation.outcome()
        return replace(outcome, problems={**outcome.problems, **stuck})


def _derive(context: CommandContext, tenant: str, due: list[Rule]) -> tuple[list[Rule], dict[str, str]]:
    """Bring `derived_events` up to date where a rule asks it; where that fails, its rules wait, and why stands by rule."""
    asking = [rule for rule in due if DERIVED_EVENTS.name in rule.sql]
    if not asking or tenant == LAKE_TENANT:
        return due, {}
    try:
        derive_events(context.lake, tenant, principal=context.principal, settings=context.settings.query)
    except (QueryError, UnavailableError) as exc:
        return [rule for rule in due if rule not in asking], {rule.id: f"derived_events: {exc}" for rule in asking}
    return due, {}


def _read_state(context: CommandContext, tenant: str) -> _State:
    text = context.control.round_state(tenant)
    known = {} if text is None else json.loads(text)
    # what another version left and this one does not know is not missed: at worst a rule is asked once more
    return _State(**{name: known[name] for name in _State.__dataclass_fields__ if name in known})


def _read_tables(rules: RuleSet) -> frozenset[str]:
    """The tables that rules over new rows name, be it in a comment: what comes into others is none of theirs."""
    texts = [rule.sql.casefold() for rule in rules.rules if rule.reads is Reads.NEW]
    named = {table for table in VIEWS if any(table in text for text in texts)}
    return frozenset(named | ({SOURCE_TABLE} if DERIVED_EVENTS.name in named else set()))


def _failing(context: CommandContext, tenant: str) -> frozenset[str]:
    return frozenset(rule for rule, each in context.control.rule_progress(tenant).items() if each.problem is not None)


def _has_settled(rule: Rule, before: _State, now: int) -> bool:
    """Whether the rows that came last have settled for a rule since it was asked: then it looks at them, once for each clock.

    Those that a host received whose clock is ahead settle later by as much.
    """
    if rule.settle == 0:
        return False
    if before.evaluated > now:  # under a clock that has gone back since
        return True
    settled = before.changed + rule.settle
    return any(before.evaluated <= settled + ahead < now for ahead in (0, CLOCK_AHEAD_NANOS))


@dataclass(frozen=True)
class _Group:
    """Rules that share a session. `point` is where it begins, None for one over all rows; `settle` how long its rows wait."""

    rules: tuple[Rule, ...]
    point: ReadPoint | None
    settle: int = 0


def _groups(due: Sequence[Rule], progress: Mapping[str, RuleProgress], *, settled: bool) -> list[_Group]:
    """Rules over new rows that begin at one point and settle alike, and those over all rows with whichever session comes first.

    Where the latter ask for new rows by name, which then would be fewer, they get a session of their own.
    """
    groups: dict[tuple[str | None, int], list[Rule]] = {}
    for rule in due:
        if rule.reads is Reads.NEW:
            point = progress[rule.id].point if rule.id in progress else None
            groups.setdefault((point, 0 if settled else rule.settle), []).append(rule)
    over_all = [rule for rule in due if rule.reads is Reads.ALL]
    alike = [rule for rule in over_all if groups and not _TABLE_NAMES & read_views(rule)]
    found = []
    for at, ((point, settle), rules) in enumerate(groups.items()):
        begin = ReadPoint() if point is None else ReadPoint.from_json(json.loads(point))
        found.append(_Group((*rules, *alike) if at == 0 else tuple(rules), begin, settle))
    apart = tuple(rule for rule in over_all if rule not in alike)
    return [*found, _Group(apart, None)] if apart else found


class _Evaluation:
    """Evaluates groups of rules over one tenant, and collects what they find."""

    def __init__(
        self,
        context: CommandContext,
        tenant: str,
        now: int,
        progress: Mapping[str, RuleProgress],
        policy_hash: str,
        *,
        settled: bool,
    ) -> None:
        self.found: list[FoundIncident] = []
        self.events: list[OwnEvent] = []
        self.progress: list[RuleProgress] = []
        self._context = context
        self._tenant = tenant
        self._now = now
        self._before = progress
        self._policy_hash = policy_hash
        self._settled = settled
        self._extra: dict[str, pa.Table] = {}

    def run(self, group: _Group) -> None:
        """Evaluate rules in one session; one that fails leaves the others alone."""
        try:
            views = self._views(group.rules)
        except QueryError as exc:
            # what the lake knows of itself cannot be worked out: rules that do not ask it do not wait for it
            for rule in group.rules:
                if _names([rule], LAKE_STATE):
                    self._fail(rule, exc)
            if others := tuple(rule for rule in group.rules if not _names([rule], LAKE_STATE)):
                self.run(replace(group, rules=others))
            return
        with open_session(
            self._context.lake.path,
            tenants=[self._tenant],
            principal=self._context.principal,
            settings=self._context.settings.query,
            since=group.point,
            received_before=self._now - group.settle if group.settle else None,
            now_unix_nano=self._now,
            also_all=group.point is None,
            extra=views,
            keep_bytes=_KEEP_BYTES,
        ) as session:
            reached = None if group.point is None else json.dumps(session.read_point().to_json(), sort_keys=True)
            for rule in group.rules:
                self._evaluate(session, rule, reached if rule.reads is Reads.NEW else None)

    def outcome(self) -> RoundOutcome:
        """What became of the tenant."""
        told = [each for each in self.found if each.changes]
        return RoundOutcome(
            tuple(each.record for each in told if each.before is None),
            tuple(each.record for each in told if each.before is not None),
            {each.rule: each.problem for each in self.progress if each.problem is not None},
        )

    def _evaluate(self, session: QuerySession, rule: Rule, reached: str | None) -> None:
        try:
            # one that failed runs: only that shows whether it works again
            before = self._before.get(rule.id)
            if (before is None or before.problem is None) and session.finds_nothing(rule.sql):
                self.progress.append(RuleProgress(rule.id, self._now, reached))
                return
            start = self._from(session, rule, before)
            matches = evaluate(session, rule, tenant=self._tenant, now_unix_nano=self._now, from_unix_nano=start)
            matches = add_classes(session, matches)
        except QueryError as exc:
            self._fail(rule, exc)
            return
        self.progress.append(RuleProgress(rule.id, self._now, reached))
        if matches.num_rows:
            for found, event in find_incidents(
                self._context, self._tenant, rule, self._policy_hash, matches, self._now
            ):
                self.found.append(found)
                self.events += event

    def _fail(self, rule: Rule, exc: QueryError) -> None:
        """Keep why a rule could not be evaluated; it stays where it was."""
        before = self._before.get(rule.id)
        since = before.problem_since_unix_nano if before is not None and before.problem is not None else self._now
        text = self._context.redactor.redact_text(self._tenant, _without_values(str(exc)))
        evaluated = 0 if before is None else before.evaluated_unix_nano
        point = None if before is None else before.point
        self.progress.append(RuleProgress(rule.id, evaluated, point, text, since))

    def _from(self, session: QuerySession, rule: Rule, before: RuleProgress | None) -> int:
        """`$from`: far enough back that no stretch of time falls between two evaluations."""
        if rule.reads is Reads.NEW:
            return 0
        if before is None or not before.evaluated_unix_nano:
            return min(first_record(session, default=self._now), self._now - rule.look_back)
        return min(self._now, before.evaluated_unix_nano) - rule.look_back

    def _views(self, group: Sequence[Rule]) -> dict[str, pa.Table]:
        return {name: self._view(name) for name in (REGISTRY, LAKE_STATE) if name == REGISTRY or _names(group, name)}

    def _view(self, name: str) -> pa.Table:
        if name not in self._extra:
            if name == REGISTRY:
                self._extra[name] = registry_table(self._context.control.list_agents(self._tenant, retired=True))
            else:
                self._extra[name] = lake_state(self._context, self._tenant, self._now)
        return self._extra[name]


def _without_values(message: str) -> str:
    """What went wrong with a query, without what DuckDB quotes of the values that it met."""
    return _QUOTED.sub("'…'", message.partition("\n")[0])


def _names(group: Sequence[Rule], view: str) -> bool:
    return any(view in rule.sql.casefold() for rule in group)
