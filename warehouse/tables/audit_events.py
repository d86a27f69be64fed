"""Table `audit_events`: log records whose event name stands in the audit catalogue."""

from warehouse.tables.columns import INT, LEDGERED, SEQUENCED, TEXT, Column, Table

AUDIT_EVENTS = Table(
    name="audit_events",
    doc="OTLP log records whose event name is in the audit catalogue",
    columns=(
        *LEDGERED,
        Column("event_name", TEXT, "name from the audit catalogue"),
        Column("actor_id", TEXT, "who did it"),
        Column("actor_type", TEXT, "human, agent, service, …"),
        Column("on_behalf_of", TEXT, "for whom"),
        Column("action", TEXT, "what was done"),
        Column("resource_type", TEXT, "kind of thing it was done to"),
        Column("resource_id", TEXT, "the thing it was done to"),
        Column("outcome", TEXT, "success, failure, denied, …"),
        Column("reason", TEXT, "why"),
        Column("policy_id", TEXT, "policy that decided"),
        Column("policy_version", TEXT, "version of that policy"),
        Column("approval_id", TEXT, "approval that it belongs to"),
        Column("action_digest", TEXT, "digest of the action that the approval is about"),
        Column("expires_unix_nano", INT, "when the approval or grant ends"),
        Column("assurance", TEXT, "of an approval: asserted, key-bound or verified"),
        Column("subject_id", TEXT, "person concerned"),
        Column("body", TEXT, "body: text as it is, other values as JSON; NULL where it is kept in contents"),
        Column("content_digests", TEXT, "JSON array of [part, SHA-256 of salted body] for each content part"),
        Column("severity_number", INT, "OTLP severity number"),
        Column("severity_text", TEXT, "severity as the sender wrote it"),
        Column("observed_unix_nano", INT, "when the sender's collector observed it"),
        Column("flags", INT, "W3C trace flags"),
        Column("dropped_attributes_count", INT, "attributes that the sender dropped"),
    ),
    ledgered=True,
    assigned=(*SEQUENCED, "content_digests"),
    sort_by=("time_unix_nano", "log_index"),
    bloom=("trace_id",),
)
