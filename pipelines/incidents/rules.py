"""A rule as the engine takes it: checked, with its lengths of time in nanoseconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pipelines.incidents.config import Value


class Severity(StrEnum):
    """How much an incident matters, from least to most."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Reads(StrEnum):
    """Which rows a rule is evaluated over."""

    NEW = "new"
    """Those that came since it was evaluated last, each once."""
    ALL = "all"
    """All of them each time, from `$from` on: for what is absent, late or overdue."""


@dataclass(frozen=True)
class Rule:
    """One rule. Lengths of time in nanoseconds.

    Attributes:
        id: its name, unique among all rules.
        title: what it finds, as a sentence.
        severity: how much that matters.
        runbook: name of a file below `docs/runbooks/`.
        group_by: columns of its result that tell one incident from another.
        cooldown: a match this close to an incident of the same key joins it.
        reads: the new rows, or all.
        look_back: with `all`, how far before now `$from` lies at least.
        settle: with `new`, how long after its receipt a row is looked at.
        parameters: bound by name.
        tenants: a tenant's own values of parameters.
        legal_clocks: clocks that run as soon as an incident is detected.
        sql: one SELECT.
    """

    id: str
    title: str
    severity: Severity
    runbook: str
    group_by: tuple[str, ...]
    cooldown: int
    reads: Reads
    look_back: int
    settle: int
    sql: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    tenants: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    legal_clocks: tuple[str, ...] = ()

    def values(self, tenant: str) -> dict[str, Value]:
        """The parameters as they hold for a tenant."""
        return {**self.parameters, **self.tenants.get(tenant, {})}


@dataclass(frozen=True)
class RuleSet:
    """The rules in force, and the hash of the files that say them."""

    content_hash: str
    rules: tuple[Rule, ...]
