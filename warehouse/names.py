"""The rule for lake, tenant and shard names, and the reserved tenant."""

import re

from warehouse.errors import NameRuleError

LAKE_TENANT = "_lake"
"""Reserved tenant for events of the whole lake."""

NAME_RULE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def check_name(name: str, what: str) -> str:
    """Return `name` when it is a valid lake, tenant or shard name.

    Raises:
        NameRuleError: it is not; the message says which `what` it was.
    """
    if not NAME_RULE.fullmatch(name):
        raise NameRuleError(
            f"{what} name: expected {NAME_RULE.pattern} (lower-case letters, digits, hyphens, at most 40), got {name!r}"
        )
    return name
