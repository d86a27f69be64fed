"""Ledger columns: which columns make up a record's text, in which order, for each table and schema version.

Data, not code derived from the tables: a list is never changed once a row was written under it. New columns come under a
new `schema_version`, as a further list. `salt` is not among them, and `schema_version` stands in the text's beginning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a column's value becomes text."""

    TEXT = "text"
    """The text itself."""
    INTEGER = "integer"
    """Decimal, `-` before negative numbers."""
    DAY = "day"
    """ISO 8601, `2026-11-23`."""
    TEXTS = "texts"
    """A list: its elements, each as `<byte length>:<text>` or `-`, one after another."""


@dataclass(frozen=True)
class LedgerColumn:
    """One column of a record's text."""

    name: str
    kind: Kind = Kind.TEXT


def _columns(names: str) -> tuple[LedgerColumn, ...]:
    """Columns from words `name` or `name:kind`."""
    return tuple(
        LedgerColumn(name, Kind(kind or "text")) for name, _, kind in (w.partition(":") for w in names.split())
    )


_EVERY_1 = """
    tenant_id day:day shard log_index:integer received_unix_nano:integer time_unix_nano:integer recorded_by peer
    service_name scope_name trace_id span_id data_class categories redactions redaction_policy subjects:texts
    resource attributes envelope skew_seconds:integer
"""
_SPANS_1 = """
    parent_span_id trace_state flags:integer name kind status_code status_message end_unix_nano:integer
    duration_ns:integer events links dropped_attributes_count:integer dropped_events_count:integer
    dropped_links_count:integer operation provider request_model response_model agent_id agent_name agent_version
    conversation_id workflow_name tool_name tool_call_id prompt_name prompt_version input_tokens:integer
    output_tokens:integer cache_read_tokens:integer reasoning_tokens:integer cost_microusd:integer cost_source
    finish_reasons error_type user_id session_id action_digest content_digests
"""
_AUDIT_EVENTS_1 = """
    event_name actor_id actor_type on_behalf_of action resource_type resource_id outcome reason policy_id
    policy_version approval_id action_digest expires_unix_nano:integer assurance subject_id body content_digests
    severity_number:integer severity_text observed_unix_nano:integer flags:integer dropped_attributes_count:integer
"""
_LOGS_1 = """
    severity_number:integer severity_text event_name body content_digests observed_unix_nano:integer flags:integer
    dropped_attributes_count:integer
"""

LEDGER_COLUMNS: Mapping[tuple[str, int], tuple[LedgerColumn, ...]] = {
    ("spans", 1): _columns(_EVERY_1 + _SPANS_1),
    ("audit_events", 1): _columns(_EVERY_1 + _AUDIT_EVENTS_1),
    ("logs", 1): _columns(_EVERY_1 + _LOGS_1),
}
"""Ledger columns by table and schema version."""
