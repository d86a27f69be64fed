"""What a rule may ask and what it must answer: the views and parameters it has, and the columns of its result."""

import pyarrow as pa

LAKE_STATE = "lake_state"
REGISTRY = "registry"

LAKE_STATE_SCHEMA = pa.schema(
    [
        ("fact", pa.string()),
        ("subject", pa.string()),
        ("time_unix_nano", pa.int64()),
        ("value", pa.float64()),
        ("detail", pa.string()),
    ]
)
"""Columns of the view `lake_state`: what the lake itself knows now, a row a fact and subject."""

NOW, FROM, TENANT = "now", "from", "tenant"
GIVEN_PARAMETERS = (NOW, FROM, TENANT)
"""Parameters that are bound whatever a rule says."""

RESULT_COLUMNS = ("time_unix_nano", "source_table", "shard", "log_index", "trace_id", "agent_id", "detail")
"""Columns that a rule's result must have; it also has those that `group_by` names."""

MATCH_SCHEMA = pa.schema(
    [
        ("time_unix_nano", pa.int64()),
        ("source_table", pa.string()),
        ("shard", pa.string()),
        ("log_index", pa.int64()),
        ("trace_id", pa.string()),
        ("agent_id", pa.string()),
        ("detail", pa.string()),
        ("key", pa.string()),
    ]
)
"""A match: a row of a rule's result, `key` being JSON text of the columns that group it."""
