"""The retention policy in force: which rule a record falls under, and which legal minimum. Pure and immutable.

`policy_compiler` turns files into it, or says everything that is wrong with them. Of all rules that match a record the most
specific one decides. Rules are compared by what they name, in this order, and the first difference decides:

1. a tenant by its id, before `*`;
2. agents, before none;
3. an event name, before a pattern with more literal characters, before one with fewer, before none;
4. classes, before none;
5. tables by name, before `*`.

Two rules that could match the same record and are equal in all five are refused when the policy is compiled. Rules that delete
and rules that take only the contents are two questions, each with its own answer. Minimums are a third: the longest of all that
match holds, however specific.

Questions are asked for *combinations*, of which there are few, not for records: `combination` reduces what a record says to
what the policy's selectors can tell apart.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeAlias

from retention.durations import Duration
from retention.patterns import is_protected, matches, pattern_rank
from retention.policy_config import Action
from warehouse.tables import TABLES

QUARANTINE = "quarantine"
RETAINED_TABLES = (*TABLES, QUARANTINE)
"""What rules are for: the tables, and the records that were refused."""
OWNER_TABLES = ("spans", "audit_events", "logs")
"""Tables whose rows may have contents."""
EVERY = "*"

CLASS_TABLES = frozenset({*OWNER_TABLES, "contents"})
EVENT_TABLES = frozenset({"audit_events", "logs"})
AGENT_TABLES = frozenset({"spans", "audit_events", "contents"})
"""Tables in which a selector has something to select by: columns `data_class`, `event_name`, and `agent_id`, or in
`audit_events` the `actor_id` of an actor of type `agent`."""

AUDIT_TABLE = "audit_events"

Rank: TypeAlias = tuple[bool, bool, tuple[int, int], bool, bool]


class Combination(NamedTuple):
    """What of a record decides over its rule: `patterns` are the policy's event patterns that its event name fits."""

    table: str
    tenant_id: str
    data_class: str | None = None
    patterns: tuple[str, ...] = ()
    agent: str | None = None
    protected: bool = False


@dataclass(frozen=True)
class Scope:
    """What an entry is for; an empty selector means all."""

    tables: frozenset[str]
    tenants: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    events: tuple[str, ...] = ()
    agents: frozenset[str] = frozenset()
    every_table: bool = False

    def matches(self, of: Combination) -> bool:
        """Whether a record with this combination is in the scope; a protected one never is."""
        return (
            not of.protected
            and of.table in self.tables
            and (not self.tenants or of.tenant_id in self.tenants)
            and (not self.classes or of.data_class in self.classes)
            and (not self.events or any(pattern in of.patterns for pattern in self.events))
            and (not self.agents or of.agent in self.agents)
        )

    def may_match(self, table: str, tenant_id: str) -> bool:
        """Whether some record of a tenant in a table may be in the scope."""
        return table in self.tables and (not self.tenants or tenant_id in self.tenants)

    def rank(self, of: Combination) -> Rank:
        """How specific the scope is for a combination that it matches; see the module's docstring."""
        event = max((pattern_rank(pattern) for pattern in self.events if pattern in of.patterns), default=(0, 0))
        return bool(self.tenants), bool(self.agents), event, bool(self.classes), not self.every_table

    @property
    def is_base(self) -> bool:
        """Whether it holds for every record of its tables."""
        return not self.tenants and self.is_unconditional

    @property
    def is_unconditional(self) -> bool:
        """Whether it holds for every record of its tables and tenants."""
        return not (self.classes or self.events or self.agents)

    @property
    def highest_rank(self) -> Rank:
        """The rank for the combination for which it is most specific."""
        event = max(map(pattern_rank, self.events), default=(0, 0))
        return bool(self.tenants), bool(self.agents), event, bool(self.classes), not self.every_table

    def to_json(self) -> dict[str, list[str]]:
        """The selectors that it has."""
        found = {
            "tables": sorted(self.tables),
            "tenants": sorted(self.tenants),
            "classes": sorted(self.classes),
            "events": list(self.events),
            "agents": sorted(self.agents),
        }
        return {key: values for key, values in found.items() if values}


@dataclass(frozen=True)
class Rule:
    """Keep what is in the scope for so long, then take the action. `place` is file and line."""

    name: str
    scope: Scope
    keep: Duration
    action: Action
    place: str = field(default="", compare=False)


@dataclass(frozen=True)
class Minimum:
    """What is in the scope is kept at least for so long, counted from its receipt. `citation` names the law."""

    name: str
    scope: Scope
    keep: Duration
    citation: str
    place: str = field(default="", compare=False)


@dataclass(frozen=True)
class Answer:
    """What the policy says about one combination.

    Attributes:
        rule: when records go; None for protected ones, which never do.
        contents_rule: when their contents go, where a rule of action `contents` names them.
        minimums: every legal minimum that they fall under.
    """

    rule: Rule | None
    contents_rule: Rule | None
    minimums: tuple[Minimum, ...]

    def floor(self, now_unix_nano: int) -> Minimum | None:
        """The longest minimum: the one that reaches back furthest from now. None without any."""
        return min(self.minimums, key=lambda each: (each.keep.horizon(now_unix_nano), each.name), default=None)


class RetentionPolicy:
    """All retention rules of a lake, as compiled from one bundle. Immutable but for its cache; safe to use from several threads.

    Attributes:
        content_hash: hash of the files.
        rules: rules that delete and rules that take contents.
        minimums: legal minimums.
    """

    def __init__(self, content_hash: str, rules: Iterable[Rule], minimums: Iterable[Minimum]) -> None:
        self.content_hash = content_hash
        self.rules = tuple(sorted(rules, key=lambda rule: rule.name))
        self.minimums = tuple(sorted(minimums, key=lambda minimum: minimum.name))
        self._deleting = tuple(rule for rule in self.rules if rule.action is Action.DELETE)
        self._contents = tuple(rule for rule in self.rules if rule.action is Action.CONTENTS)
        self._answer = lru_cache(maxsize=65536)(self._find_answer)
        self._patterns_of = lru_cache(maxsize=65536)(self._find_patterns)

    @cached_property
    def event_patterns(self) -> tuple[str, ...]:
        """Every event pattern that a rule or minimum names."""
        return tuple(sorted({pattern for scope in self._scopes for pattern in scope.events}))

    @cached_property
    def agents(self) -> frozenset[str]:
        """Every agent that a rule or minimum names."""
        return frozenset(agent for scope in self._scopes for agent in scope.agents)

    @cached_property
    def classes(self) -> frozenset[str]:
        """Every class that a rule or minimum names."""
        return frozenset(name for scope in self._scopes for name in scope.classes)

    @property
    def _scopes(self) -> list[Scope]:
        return [rule.scope for rule in self.rules] + [minimum.scope for minimum in self.minimums]

    def combination(
        self,
        table: str,
        tenant_id: str,
        *,
        data_class: str | None = None,
        event_name: str | None = None,
        agent: str | None = None,
    ) -> Combination:
        """What of these values the policy can tell apart."""
        return Combination(
            table,
            tenant_id,
            data_class if table in CLASS_TABLES and data_class in self.classes else None,
            self._patterns_of(event_name) if table in EVENT_TABLES and event_name is not None else (),
            agent if table in AGENT_TABLES and agent in self.agents else None,
            protected=table == AUDIT_TABLE and is_protected(event_name),
        )

    def answer(self, of: Combination) -> Answer:
        """The rule, the contents rule and the minimums of a combination.

        Raises:
            LookupError: no rule matches; a compiled policy has one for every combination.
        """
        return self._answer(of)

    def answers(self, combinations: Sequence[Combination]) -> list[Answer]:
        """`answer` for each of several combinations, in their order."""
        return [self._answer(of) for of in combinations]

    def rules_for(self, table: str, tenant_id: str, action: Action = Action.DELETE) -> tuple[Rule, ...]:
        """Every rule of an action that some record of a tenant in a table may fall under."""
        found = [rule for rule in self.rules if rule.action is action and rule.scope.may_match(table, tenant_id)]
        always = max((rule.scope.highest_rank for rule in found if rule.scope.is_unconditional), default=None)
        return tuple(rule for rule in found if always is None or rule.scope.highest_rank >= always)

    def minimums_for(self, table: str, tenant_id: str) -> tuple[Minimum, ...]:
        """Every minimum that some record of a tenant in a table may fall under."""
        return tuple(minimum for minimum in self.minimums if minimum.scope.may_match(table, tenant_id))

    def _find_patterns(self, event_name: str) -> tuple[str, ...]:
        return tuple(pattern for pattern in self.event_patterns if matches(pattern, event_name))

    def _find_answer(self, of: Combination) -> Answer:
        if of.protected:
            return Answer(None, None, ())
        rule = _most_specific(self._deleting, of)
        if rule is None:
            raise LookupError(f"no rule for {of}: the policy was not compiled by `compile_policy`")
        minimums = tuple(minimum for minimum in self.minimums if minimum.scope.matches(of))
        return Answer(rule, _most_specific(self._contents, of), minimums)


def _most_specific(rules: Iterable[Rule], of: Combination) -> Rule | None:
    return max((rule for rule in rules if rule.scope.matches(of)), key=lambda rule: rule.scope.rank(of), default=None)
