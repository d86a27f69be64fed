"""Which of a page's buttons a viewer may press: the rights that stand behind them, asked at once and not recorded as used."""

from collections.abc import Mapping
from typing import TypeVar

from governance.access import Action
from governance.access.asking import Question
from muniment.wiring import CommandContext
from warehouse.names import LAKE_TENANT

Right = TypeVar("Right")


def rights_of(context: CommandContext, tenant: str, actions: Mapping[Right, Action]) -> frozenset[Right]:
    """Those of `actions` that the principal may do in a tenant; none in the lake's own, about which there is nothing to decide."""
    if tenant == LAKE_TENANT:
        return frozenset()
    asked = [Question(action, tenant) for action in actions.values()]
    decisions = context.access.decide_all(context.principal, asked)
    return frozenset(right for right, each in zip(actions, decisions, strict=True) if each.allowed)
