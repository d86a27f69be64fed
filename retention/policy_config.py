"""What a retention policy file may say, key by key. Words that must be one of several are checked in `policy_reader`."""

from enum import StrEnum

import msgspec


class Action(StrEnum):
    """What goes when a record's time is over."""

    DELETE = "delete"
    """The record, and with it its contents."""
    CONTENTS = "contents"
    """Only the record's contents; the record itself stays until a rule that deletes it says so."""


class EntryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One entry: what it is for, and `keep`, `minimum` or both."""

    name: str
    tables: list[str]
    tenants: list[str] = msgspec.field(default_factory=lambda: ["*"])
    classes: list[str] | None = None
    events: list[str] | None = None
    agents: list[str] | None = None
    keep: int | str | None = None
    action: str | None = None
    minimum: int | str | None = None
    citation: str | None = None


class PolicyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file in `LAKE/policies/retention/`."""

    retention: list[EntryConfig]
