"""Whether what cannot be undone needs a second principal, by the setting `four_eyes` and by who holds the right.

Invariant: who asks and who approves are two different persons, both named by the lake's owner or settings. Two accounts that
`groups.yaml` calls the same person's (`same_person`) are one.
"""

from dataclasses import dataclass

from governance.access import Access, Action, group_name
from muniment.settings import MunimentConfig
from warehouse.errors import DeniedError
from warehouse.principals import Principal

_TWO = 2


@dataclass(frozen=True)
class FourEyes:
    """The answer: whether a second principal is needed, and why, in the words that audit events and certificates hold."""

    needed: bool
    why: str


def four_eyes(
    settings: MunimentConfig, access: Access, action: Action, principal: Principal, tenant: str | None = None
) -> FourEyes:
    """Whether `action`, which `principal` wants to ask for or approve in a tenant or the whole lake, needs two principals.

    Raises:
        DeniedError: it does, and this principal is not one of those who count.
    """
    holders = access.holders(action, tenant)
    needed = settings.four_eyes == "always" or (settings.four_eyes == "auto" and access.persons(holders) >= _TWO)
    if needed and holders.isdisjoint({principal.recorded_by, *map(group_name, principal.groups)}):
        raise DeniedError(
            f"{action.value} takes two principals whom the lake names, and {principal.recorded_by} is none of them",
            hint=f"have it done by two of: {', '.join(sorted(holders))}",
        )
    if needed:
        return FourEyes(needed=True, why="two principals")
    if settings.four_eyes == "never":
        return FourEyes(needed=False, why="one principal: four_eyes is never")
    return FourEyes(needed=False, why="one principal: no other holds the right")
