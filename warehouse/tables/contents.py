"""Table `contents`: prompts, completions, tool arguments and results, one row a part."""

from warehouse.tables.columns import BYTES, DAY, INT, TEXT, TEXTS, Column, Table

CONTENTS = Table(
    name="contents",
    doc="prompts, completions, tool arguments and results, one row a part, in its owner's tenant and day",
    columns=(
        Column("tenant_id", TEXT, "the owner's tenant"),
        Column("day", DAY, "the owner's day"),
        Column("shard", TEXT, "the owner's shard"),
        Column("owner_table", TEXT, "spans, audit_events or logs"),
        Column("owner_index", INT, "the owner's log_index"),
        Column("part", TEXT, "which part: the attribute's key, events/<n>/<key>, or body"),
        Column("media_type", TEXT, "text/plain or application/json"),
        Column("data_class", TEXT, "classification of the part; NULL until classified"),
        Column("time_unix_nano", INT, "the owner's time"),
        Column("trace_id", TEXT, "32 hex digits"),
        Column("agent_id", TEXT, "agent id"),
        Column("subjects", TEXTS, "tokens of the persons that the part concerns"),
        Column("body", TEXT, "the part's text"),
        Column("body_salt", BYTES, "16 random bytes of the part's digest"),
    ),
    ledgered=False,
    assigned=("shard", "body_salt"),
    sort_by=("trace_id", "owner_index", "part"),
    bloom=("trace_id",),
)
"""Before sequencing, `owner_index` holds the owner's row number in the owner table's batch of the same RecordSet."""
