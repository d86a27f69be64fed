"""Access policies as they decide: parsed once, each policy known by its own id, file and line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from governance.access.engine import Engine, Entity
from governance.access.groups import NO_GROUPS, Groups
from governance.access.statements import Statement


@dataclass(frozen=True)
class Verdict:
    """One answer with the policies that made it: `statements` decided, `errors` is what failed while policies were evaluated."""

    allowed: bool
    statements: tuple[Statement, ...]
    errors: tuple[str, ...]


@dataclass(frozen=True)
class AccessPolicy:
    """The policies of one bundle. Made by `governance.access.policy_compiler`, which has checked them.

    Attributes:
        statements: every policy, in the order of files and lines.
        content_hash: the bundle's hash.
        groups: who holds which role by `groups.yaml`.
    """

    statements: tuple[Statement, ...]
    content_hash: str
    groups: Groups = NO_GROUPS

    @cached_property
    def _engine(self) -> Engine:
        return Engine([statement.text for statement in self.statements])

    @property
    def has_templates(self) -> bool:
        """Whether some of it is a template, which decides nothing by itself.

        Raises:
            ValueError: it is not Cedar; the message is the engine's.
        """
        return self._engine.has_templates

    def decide(self, requests: Sequence[Mapping[str, Any]], entities: Sequence[Entity]) -> list[Verdict]:
        """Answer requests over the same entities. A policy that fails while it is evaluated denies: it may be one that forbids."""
        return [
            Verdict(
                answer.allowed and not answer.errors,
                tuple(self.statements[place] for place in answer.deciding),
                answer.errors,
            )
            for answer in self._engine.decide(requests, entities)
        ]
