"""What the columns of the tables hold, as policies see it: measures, persons, or texts.

A column that stands in neither set below holds text: a column that somebody adds is kept from whoever may not read texts until it is
placed here, and a test asks for that.
"""

from enum import StrEnum

from warehouse.derived.tables import DERIVED
from warehouse.tables import TABLES


class Holds(StrEnum):
    """What a column holds."""

    MEASURES = "measures"
    """Times, durations, counts, costs, states, and names and ids that a program chose."""
    PERSONS = "persons"
    """Who: tokens and ids of people, and addresses that lead to them."""
    TEXTS = "texts"
    """What was said: texts, and JSON that can hold any."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MEASURES = _names(
    """
    tenant_id day shard log_index segment row schema_version received_unix_nano time_unix_nano observed_unix_nano
    end_unix_nano expires_unix_nano skew_seconds recorded_by service_name scope_name trace_id span_id parent_span_id flags
    data_class categories redactions redaction_policy name kind type unit status_code duration_ns dropped_attributes_count
    dropped_events_count dropped_links_count operation provider request_model response_model agent_id agent_name
    agent_version conversation_id session_id workflow_name tool_name tool_call_id prompt_name prompt_version input_tokens output_tokens
    cache_read_tokens reasoning_tokens cost_microusd cost_source finish_reasons error_type action_digest content_digests
    event_name action resource_type resource_id outcome policy_id policy_version approval_id assurance severity_number
    severity_text temporality monotonic start value value_int histogram owner_table owner_index part media_type actor_type
    """
)
_PERSONS = _names("peer subjects user_id actor_id on_behalf_of subject_id")
_TEXTS = _names(
    """
    resource attributes envelope trace_state status_message events links reason salt body body_salt description exemplars
    """
)


def holds(table: str, column: str) -> Holds:
    """What a column of a table holds. Derived tables hold measures alone."""
    if table in DERIVED or column in _MEASURES:
        return Holds.MEASURES
    return Holds.PERSONS if column in _PERSONS else Holds.TEXTS


def columns_of(table: str) -> dict[Holds, frozenset[str]]:
    """The columns of a table by what they hold."""
    names = [column.name for column in (DERIVED[table] if table in DERIVED else TABLES[table]).columns]
    return {each: frozenset(name for name in names if holds(table, name) is each) for each in Holds}


def unplaced() -> frozenset[str]:
    """Columns of stored tables that stand in no set here."""
    return frozenset(column.name for table in TABLES.values() for column in table.columns) - (
        _MEASURES | _PERSONS | _TEXTS
    )
