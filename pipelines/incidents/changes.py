"""What new incident rules change, in words: read before they are applied."""

from collections.abc import Iterator
from dataclasses import fields

from pipelines.incidents.durations import duration_words
from pipelines.incidents.rules import Rule, RuleSet

_TIMES = frozenset({"cooldown", "look_back", "settle"})


def describe_changes(old: RuleSet, new: RuleSet) -> list[str]:
    """A line for each rule that is added, removed, or says something else."""
    before, after = {rule.id: rule for rule in old.rules}, {rule.id: rule for rule in new.rules}
    return [line for name in sorted({*before, *after}) for line in _changes(name, before.get(name), after.get(name))]


def _changes(name: str, before: Rule | None, after: Rule | None) -> Iterator[str]:
    if after is None:
        yield f"rule {name} removed: its open incidents stay"
    elif before is None:
        yield f"rule {name} added ({after.severity}): {after.title}"
    elif before != after:
        changed = [each.name for each in fields(Rule) if getattr(before, each.name) != getattr(after, each.name)]
        said = [f"{key}: {_text(before, key)} → {_text(after, key)}" if key != "sql" else "sql" for key in changed]
        yield f"rule {name}: {'; '.join(said)}"


def _text(rule: Rule, key: str) -> str:
    value = getattr(rule, key)
    return duration_words(value) if key in _TIMES else str(value)
