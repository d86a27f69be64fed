"""What a file of incident rules may say, key by key. What goes beyond its form is checked in `compiler`."""

import msgspec

Value = int | float | str | bool | list[str]
"""A parameter's value."""


class RuleConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule."""

    id: str
    title: str
    severity: str
    runbook: str
    reads: str
    sql: str
    group_by: list[str] = []
    cooldown: str = "PT6H"
    look_back: str | None = None
    settle: str | None = None
    parameters: dict[str, Value] = {}
    tenants: dict[str, dict[str, Value]] = {}
    legal_clocks: list[str] = []


class RuleFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file in `LAKE/policies/incidents/`. `version` is required; a reader that reads one rule by itself must do without it."""

    rules: list[RuleConfig]
    version: int | None = None
