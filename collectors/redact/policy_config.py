"""What a redaction policy file may say, key by key. Words that must be one of several are checked in `policy_checks`."""

from enum import StrEnum
from typing import Any

import msgspec


class Action(StrEnum):
    """What happens to a match, or to the whole value of a field."""

    KEEP = "keep"
    MASK = "mask"
    PARTIAL = "partial"
    TOKEN = "token"  # noqa: S105 - the name of an action
    DROP = "drop"
    """The value goes; of a match its field's whole value."""
    DROP_CONTENTS = "drop_contents"
    """All contents of the record go."""
    REJECT = "reject"
    """The record goes to quarantine, itself redacted."""


class Identity(StrEnum):
    """What happens to identity columns and attributes: who the user is."""

    TOKEN = "token"  # noqa: S105 - the name of an action
    MASK = "mask"
    KEEP = "keep"
    DROP = "drop"


class Contents(StrEnum):
    """What happens to contents: prompts, completions, tool arguments and results."""

    REDACT = "redact"
    DROP = "drop"


class TableConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is different in one table."""

    default: str | None = None
    detectors: dict[str, str] = msgspec.field(default_factory=dict)


class AttributeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule for fields by name. `keys` are shell-style patterns on attribute keys or column names."""

    keys: list[str]
    action: str | None = None
    detectors: dict[str, str] = msgspec.field(default_factory=dict)
    data_class: str | None = msgspec.field(default=None, name="class")
    categories: list[str] | None = None
    tables: list[str] | None = None


class CustomConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A detector of the organisation's own."""

    name: str
    pattern: str
    trigger: str
    category: str = "pii"
    data_class: str = msgspec.field(default="confidential", name="class")
    action: str | None = None
    context: list[str] | None = None
    examples: list[str] | None = None


class PolicyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One policy: for whom, and what happens to what is found."""

    name: str
    tenants: list[str]
    default: str = "mask"
    detectors: dict[str, str] = msgspec.field(default_factory=dict)
    classes: dict[str, str] = msgspec.field(default_factory=dict)
    identity: str = "token"
    contents: str = "redact"
    default_class: str = "internal"
    contents_class: str = "confidential"
    tables: dict[str, TableConfig] = msgspec.field(default_factory=dict)
    attributes: list[AttributeConfig] | None = None
    custom: list[CustomConfig] | None = None


class PolicyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file in `LAKE/policies/redaction/`."""

    redaction: list[PolicyConfig]


def written(config: msgspec.Struct) -> dict[str, Any]:
    """The keys of a struct as its file writes them, with their values; those left out are not told from their defaults."""
    return {field.encode_name: getattr(config, field.name) for field in msgspec.structs.fields(config)}
