"""What must hold between the entries of a retention policy: no ties, no gaps, no minimum undercut, contents no longer than owners.

Each check returns problems; together they make resolution total and deterministic for every record there can ever be.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

from retention.patterns import matches, overlap, pattern_rank
from retention.policy import OWNER_TABLES, RETAINED_TABLES, Combination, Minimum, RetentionPolicy, Rule, Scope
from retention.policy_config import Action
from retention.policy_reader import Entry
from warehouse.policies import Problem

_CONTENTS = "contents"
_SOME_OTHER_TENANT = "*"
"""Stands for every tenant that no entry names; no tenant can be called so."""


def find_ties(entries: Sequence[Entry]) -> Iterator[Problem]:
    """Two rules with the same action that some record could fall under and neither of which is more specific."""
    ruling = [(entry, entry.rule) for entry in entries if entry.rule is not None]
    for (_, first), (entry, second) in combinations(ruling, 2):
        if first.action is second.action and _may_tie(first.scope, second.scope):
            tables = [table for table in RETAINED_TABLES if table in first.scope.tables & second.scope.tables]
            yield entry.problem(
                "tables",
                f"got the rule {second.name!r} ({second.place}) as specific as {first.name!r} ({first.place}) for records of "
                f"{', '.join(tables)} that both match, expected one of them to name more: a tenant, agent, event or class",
            )


def find_gaps(kind: str, entries: Sequence[Entry]) -> Iterator[Problem]:
    """Tables some records of which no rule matches: without one for every record they would be kept for ever."""
    bases = {
        table
        for entry in entries
        if entry.rule is not None and entry.rule.action is Action.DELETE and entry.rule.scope.is_base
        for table in entry.rule.scope.tables
    }
    for table in RETAINED_TABLES:
        if table not in bases:
            yield Problem(
                f"{kind}/*.yaml",
                1,
                table,
                f"got no rule that deletes for every record of {table}, expected one for tenants ['*'] without classes, "
                "events and agents: nothing is kept for ever",
            )


def find_undercuts(entries: Sequence[Entry]) -> Iterator[Problem]:
    """Rules that keep less than a minimum asks for all that they match. One that overlaps in part is kept back when planned."""
    minimums = [entry.minimum for entry in entries if entry.minimum is not None]
    for entry in entries:
        rule = entry.rule
        for minimum in minimums if rule is not None else ():
            if rule is not None and covers(minimum, rule) and rule.keep.may_be_shorter_than(minimum.keep):
                yield entry.problem(
                    "keep",
                    f"got {rule.keep}, expected {minimum.keep} or more: the minimum {minimum.name!r} ({minimum.place}; "
                    f"{minimum.citation}) holds for all that this rule matches",
                )


def find_long_contents(policy: RetentionPolicy, entries: Sequence[Entry]) -> Iterator[Problem]:
    """Rules that keep contents longer than the rule of an owner of the same tenant, agent and class keeps the owner."""
    entry_of = {entry.rule.name: entry for entry in entries if entry.rule is not None}
    reported = set()
    tenants = [*sorted({tenant for rule in policy.rules for tenant in rule.scope.tenants}), _SOME_OTHER_TENANT]
    for tenant in tenants:
        for agent in (None, *sorted(policy.agents)):
            for data_class in (None, *sorted(policy.classes)):
                contents = policy.answer(Combination(_CONTENTS, tenant, data_class, agent=agent)).rule
                for table in OWNER_TABLES:
                    owners = policy.answer(policy.combination(table, tenant, data_class=data_class, agent=agent)).rule
                    if contents is None or owners is None or not owners.keep.may_be_shorter_than(contents.keep):
                        continue
                    if (contents.name, owners.name) not in reported:
                        reported.add((contents.name, owners.name))
                        yield entry_of[contents.name].problem("keep", _too_long(contents, owners, table, tenant))


def covers(minimum: Minimum, rule: Rule) -> bool:
    """Whether all that a rule deletes, in the tables that both name, falls under a minimum."""
    deleted = {_CONTENTS} if rule.action is Action.CONTENTS else rule.scope.tables
    outer, inner = minimum.scope, rule.scope
    return (
        bool(deleted & outer.tables)
        and _within(inner.tenants, outer.tenants)
        and _within(inner.classes, outer.classes)
        and _within(inner.agents, outer.agents)
        and (
            not outer.events
            or (bool(inner.events) and all(any(matches(wide, each) for wide in outer.events) for each in inner.events))
        )
    )


def touches(minimum: Minimum, rule: Rule) -> bool:
    """Whether something that a rule deletes may fall under a minimum."""
    deleted = {_CONTENTS} if rule.action is Action.CONTENTS else rule.scope.tables
    outer, inner = minimum.scope, rule.scope
    return (
        bool(deleted & outer.tables)
        and _meet(inner.tenants, outer.tenants)
        and _meet(inner.classes, outer.classes)
        and _meet(inner.agents, outer.agents)
        and (
            not (inner.events and outer.events)
            or any(overlap(first, second) for first in inner.events for second in outer.events)
        )
    )


def _too_long(contents: Rule, owners: Rule, table: str, tenant: str) -> str:
    whose = "tenants that nothing names" if tenant == _SOME_OTHER_TENANT else f"tenant {tenant}"
    return (
        f"got {contents.keep}, expected at most {owners.keep}: contents go before their owners or with them, and the rule "
        f"{owners.name!r} ({owners.place}) keeps {table} of {whose} no longer"
    )


def _may_tie(first: Scope, second: Scope) -> bool:
    return (
        bool(first.tables & second.tables)
        and first.every_table == second.every_table
        and _same_kind(first.tenants, second.tenants)
        and _same_kind(first.agents, second.agents)
        and _same_kind(first.classes, second.classes)
        and bool(first.events) == bool(second.events)
        and (
            not first.events
            or any(
                pattern_rank(one) == pattern_rank(other) and overlap(one, other)
                for one in first.events
                for other in second.events
            )
        )
    )


def _same_kind(first: frozenset[str], second: frozenset[str]) -> bool:
    return bool(first & second) if first and second else not first and not second


def _within(inner: frozenset[str], outer: frozenset[str]) -> bool:
    return not outer or (bool(inner) and inner <= outer)


def _meet(first: frozenset[str], second: frozenset[str]) -> bool:
    return not first or not second or bool(first & second)
