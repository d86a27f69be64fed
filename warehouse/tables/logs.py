"""Table `logs`: every OTLP log record that is not an audit event."""

from warehouse.tables.columns import INT, LEDGERED, SEQUENCED, TEXT, Column, Table

LOGS = Table(
    name="logs",
    doc="OTLP log records outside the audit catalogue",
    columns=(
        *LEDGERED,
        Column("severity_number", INT, "OTLP severity number"),
        Column("severity_text", TEXT, "severity as the sender wrote it"),
        Column("event_name", TEXT, "event name, if any"),
        Column("body", TEXT, "body: text as it is, other values as JSON; NULL where it is kept in contents"),
        Column("content_digests", TEXT, "JSON array of [part, SHA-256 of salted body] for each content part"),
        Column("observed_unix_nano", INT, "when the sender's collector observed it"),
        Column("flags", INT, "W3C trace flags"),
        Column("dropped_attributes_count", INT, "attributes that the sender dropped"),
    ),
    ledgered=True,
    assigned=(*SEQUENCED, "content_digests"),
    sort_by=("time_unix_nano", "log_index"),
    bloom=("trace_id",),
)
