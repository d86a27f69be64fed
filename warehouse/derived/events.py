"""Table `derived_events`: what spans show without anybody saying so, each with the rows that it was read off."""

from warehouse.tables.columns import DAY, INT, TEXT, Column, Table

DERIVED_EVENTS = Table(
    name="derived_events",
    doc="handoffs, tool approvals and changes of model, prompt and tools, read off spans: nobody asserted them (derived, not ledgered)",
    columns=(
        Column("tenant_id", TEXT, "tenant of the spans"),
        Column("day", DAY, "UTC date of `time_unix_nano`"),
        Column("time_unix_nano", INT, "when the span began that shows it"),
        Column("received_unix_nano", INT, "when the later of its two spans was received"),
        Column("kind", TEXT, "handoff, tool_approval, model_changed, prompt_changed or tool_set_changed"),
        Column("agent_id", TEXT, "whose span shows it; of a handoff who gave the work away"),
        Column("to_agent_id", TEXT, "of a handoff: who took it"),
        Column("series", TEXT, "of a prompt: its name"),
        Column("before_value", TEXT, "model, prompt version or tool that was used last before it"),
        Column("after_value", TEXT, "model, prompt version or tool that is new; of a tool approval the tool"),
        Column(
            "waited_ns",
            INT,
            "handoff, tool approval: from the end of the earlier span to the beginning of the later one",
        ),
        Column("trace_id", TEXT, "trace of the span that shows it"),
        Column("span_id", TEXT, "that span"),
        Column("source_table", TEXT, "where it and the earlier one are: spans"),
        Column("shard", TEXT, "its shard"),
        Column("log_index", INT, "its place in the log"),
        Column(
            "before_trace_id",
            TEXT,
            "trace of the earlier span: that of the other agent, the one that waited, or the last use",
        ),
        Column("before_shard", TEXT, "the earlier span's shard"),
        Column("before_index", INT, "its place in the log"),
    ),
    ledgered=False,
    assigned=(),
    sort_by=("time_unix_nano",),
    bloom=(),
)
