"""What a new retention policy changes, in words: read before it is applied."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from retention.policy import Minimum, RetentionPolicy, Rule, Scope
from retention.policy_checks import covers, touches
from retention.policy_config import Action

E = TypeVar("E", Rule, Minimum)


def describe_changes(old: RetentionPolicy, new: RetentionPolicy) -> list[str]:
    """A line for each rule and minimum that changes; then, of what changes, where a minimum keeps records back beyond a rule."""
    return [
        *_entry_changes(
            "rule", {rule.name: rule for rule in old.rules}, {rule.name: rule for rule in new.rules}, rule_text
        ),
        *_entry_changes(
            "minimum",
            {minimum.name: minimum for minimum in old.minimums},
            {minimum.name: minimum for minimum in new.minimums},
            minimum_text,
        ),
        *(line for line in _kept_back(new) if line not in set(_kept_back(old))),
    ]


def rule_text(rule: Rule) -> str:
    """A rule in words."""
    action = "delete" if rule.action is Action.DELETE else "delete the contents"
    return f"keep {rule.keep}, then {action}: {scope_text(rule.scope)}"


def minimum_text(minimum: Minimum) -> str:
    """A minimum in words."""
    return f"at least {minimum.keep} from receipt ({minimum.citation}): {scope_text(minimum.scope)}"


def scope_text(scope: Scope) -> str:
    """A scope in words."""
    parts = ["every table" if scope.every_table else ", ".join(sorted(scope.tables))]
    parts.append(f"tenants {', '.join(sorted(scope.tenants))}" if scope.tenants else "every tenant")
    for what, values in (("agents", scope.agents), ("events", scope.events), ("classes", scope.classes)):
        if values:
            parts.append(f"{what} {', '.join(sorted(values))}")
    return "; ".join(parts)


def _entry_changes(what: str, old: dict[str, E], new: dict[str, E], text: Callable[[E], str]) -> Iterator[str]:
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if before is None or after is None:
            entry = after if before is None else before
            yield f"{what} {name} {'removed' if after is None else 'added'}" + (f": {text(entry)}" if entry else "")
            continue
        shorter = " (shorter than before)" if after.keep.may_be_shorter_than(before.keep) else ""
        yield f"{what} {name}: {text(before)} → {text(after)}{shorter}"


def _kept_back(policy: RetentionPolicy) -> Iterator[str]:
    """Rules to part of whose records a longer minimum applies: allowed, and kept back by plans."""
    for rule in policy.rules:
        for minimum in policy.minimums:
            if touches(minimum, rule) and not covers(minimum, rule) and rule.keep.may_be_shorter_than(minimum.keep):
                yield (
                    f"rule {rule.name} ({rule.keep}) is kept back to {minimum.keep} by the minimum {minimum.name} "
                    f"where that holds: {scope_text(minimum.scope)}"
                )
