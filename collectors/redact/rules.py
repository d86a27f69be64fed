"""A policy's rule about a field, under whichever of its names the policy knows it.

A column of a table holds what an attribute said: whoever has `gen_ai.agent.name` dropped means the column `agent_name` too. Only what makes
a field stricter is taken over from an attribute's rule: which of several attributes filled the column cannot be told.
"""

from dataclasses import replace

from collectors.dialects.aliases import AUDIT_COLUMNS, RESOURCE_COLUMNS, SPAN_COLUMNS
from collectors.redact.policy import FieldRule, TenantPolicy
from collectors.redact.policy_config import Action

_ATTRIBUTES_OF: dict[str, tuple[str, ...]] = {}
for _columns in (SPAN_COLUMNS, AUDIT_COLUMNS, RESOURCE_COLUMNS):
    for _name, (_, _aliases) in _columns.items():
        _ATTRIBUTES_OF[_name] = (*_ATTRIBUTES_OF.get(_name, ()), *(alias.key for alias in _aliases))


def rule_of(policy: TenantPolicy, key: str, table: str) -> FieldRule | None:
    """The rule about an attribute key or a column of a table; None where the policy has none."""
    rule = policy.field_rule(key, table)
    if rule is not None or not policy.treated_keys:
        return rule
    for attribute in _ATTRIBUTES_OF.get(key, ()):
        found = policy.field_rule(attribute, table)
        if found is not None and found.treats:
            return replace(found, action=None) if found.action is Action.KEEP else found
    return None
