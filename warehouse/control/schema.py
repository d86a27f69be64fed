"""Tables of the control database; `migrations/versions` makes them, a test holds the two against each other.

Every time is a count of nanoseconds since 1970-01-01 UTC (`…_unix_nano`), as everywhere in the lake: both databases sort
and compare it alike, and no time zone setting of a server can shift it.
"""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, LargeBinary, MetaData, Table, Text

HEAD = "r0005"
"""Newest revision in `migrations/versions`, stated here so that opening a current database need not import Alembic."""

METADATA = MetaData()

TENANTS = Table(
    "tenants",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_unix_nano", BigInteger, nullable=False),
    Column("closed_unix_nano", BigInteger),
)

API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.id"), nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("label", Text),
    Column("agent", Text),
    Column("event_patterns", Text),
    Column("created_unix_nano", BigInteger, nullable=False),
    Column("expires_unix_nano", BigInteger),
    Column("revoked_unix_nano", BigInteger),
    Column("rotated_to", Text, ForeignKey("api_keys.id")),
    Column("overlap_ends_unix_nano", BigInteger),
    Index("api_keys_by_tenant", "tenant_id"),
)

SHARDS = Table(
    "shards",
    METADATA,
    Column("identity", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("owner_host", Text, nullable=False),
    Column("owner_pid", BigInteger, nullable=False),
    Column("created_unix_nano", BigInteger, nullable=False),
    Column("closed_unix_nano", BigInteger),
    Column("closed_reason", Text),
    Index("shards_by_name", "name"),
)

APPLIED_POLICIES = Table(
    "applied_policies",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("bundle", Text, nullable=False),
    Column("applied_unix_nano", BigInteger, nullable=False),
    Column("applied_by", Text, nullable=False),
)

HOLDS = Table(
    "holds",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.id"), nullable=False),
    Column("case_reference", Text),
    Column("reason", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("placed_unix_nano", BigInteger, nullable=False),
    Column("placed_by", Text, nullable=False),
    Column("release_asked_unix_nano", BigInteger),
    Column("release_asked_by", Text),
    Column("release_reason", Text),
    Column("released_unix_nano", BigInteger),
    Column("released_by", Text),
    Index("holds_by_tenant", "tenant_id"),
)

DELETIONS = Table(
    "deletions",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("what", Text, nullable=False),
    Column("tenants", Text, nullable=False),
    Column("began_unix_nano", BigInteger, nullable=False),
    Column("ended_unix_nano", BigInteger, nullable=False),
)

REQUESTS = Table(
    "requests",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("tenant_id", Text),
    Column("asked_unix_nano", BigInteger, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("approved_unix_nano", BigInteger),
    Column("approved_by", Text),
    Column("closed_unix_nano", BigInteger),
)

AGENTS = Table(
    "agents",
    METADATA,
    Column("tenant_id", Text, ForeignKey("tenants.id"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("on_call", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("risk_class", Text, nullable=False),
    Column("models", Text, nullable=False),
    Column("providers", Text, nullable=False),
    Column("tools", Text, nullable=False),
    Column("keys", Text, nullable=False),
    Column("silent_after_seconds", BigInteger),
    Column("state", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("registered_unix_nano", BigInteger, nullable=False),
    Column("registered_by", Text, nullable=False),
    Column("updated_unix_nano", BigInteger, nullable=False),
    Column("updated_by", Text, nullable=False),
)

ALERTS = Table(
    "alerts",
    METADATA,
    Column("fingerprint", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("starts_unix_nano", BigInteger, nullable=False),
    Column("ends_unix_nano", BigInteger),
    Column("seen_unix_nano", BigInteger, nullable=False),
    Column("began_recorded", Boolean, nullable=False),
    Column("end_recorded", Boolean, nullable=False),
)

ALERT_DELIVERIES = Table(
    "alert_deliveries",
    METADATA,
    Column("target", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("starts_unix_nano", BigInteger),
    Column("ended", Boolean, nullable=False),
    Column("severity", Text),
    Column("sent_unix_nano", BigInteger),
    Column("attempts", BigInteger, nullable=False),
    Column("tried_unix_nano", BigInteger),
    Column("retry_unix_nano", BigInteger),
    Column("problem", Text),
)

INCIDENTS = Table(
    "incidents",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("runbook", Text, nullable=False),
    Column("policy_hash", Text, nullable=False),
    Column("key_hash", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("owner", Text),
    Column("opened_unix_nano", BigInteger, nullable=False),
    Column("last_unix_nano", BigInteger, nullable=False),
    Column("detected_unix_nano", BigInteger, nullable=False),
    Column("acknowledged_unix_nano", BigInteger),
    Column("mitigated_unix_nano", BigInteger),
    Column("closed_unix_nano", BigInteger),
    Column("duplicate_of", Text),
    Column("row_count", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("incidents_by_key", "tenant_id", "rule", "key_hash"),
)

INCIDENT_ROWS = Table(
    "incident_rows",
    METADATA,
    Column("incident_id", Text, ForeignKey("incidents.id"), primary_key=True),
    Column("source_table", Text, primary_key=True),
    Column("shard", Text, primary_key=True),
    Column("log_index", BigInteger, primary_key=True, autoincrement=False),
    Column("time_unix_nano", BigInteger, nullable=False),
    Column("trace_id", Text),
    Column("agent_id", Text),
)

INCIDENT_AFFECTED = Table(
    "incident_affected",
    METADATA,
    Column("incident_id", Text, ForeignKey("incidents.id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
)

INCIDENT_CHANGES = Table(
    "incident_changes",
    METADATA,
    Column("incident_id", Text, ForeignKey("incidents.id"), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("unix_nano", BigInteger, nullable=False),
    Column("change", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("note", Text),
)

INCIDENT_CLOCKS = Table(
    "incident_clocks",
    METADATA,
    Column("incident_id", Text, ForeignKey("incidents.id"), primary_key=True),
    Column("clock", Text, primary_key=True),
    Column("started_unix_nano", BigInteger, nullable=False),
    Column("due_unix_nano", BigInteger, nullable=False),
    Column("stopped_unix_nano", BigInteger),
)

INCIDENT_RULES = Table(
    "incident_rules",
    METADATA,
    Column("tenant_id", Text, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("point_id", Text),
    Column("evaluated_unix_nano", BigInteger, nullable=False),
    Column("problem", Text),
    Column("problem_since_unix_nano", BigInteger),
)

INCIDENT_POINTS = Table(
    "incident_points",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("point", Text, nullable=False),
)

INCIDENT_ROUNDS = Table(
    "incident_rounds",
    METADATA,
    Column("tenant_id", Text, primary_key=True),
    Column("state", Text, nullable=False),
)
