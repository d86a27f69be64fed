"""Table `metrics`: OTLP metric points, not ledgered."""

import pyarrow as pa

from warehouse.tables.columns import DAY, INT, TEXT, TEXTS, Column, Table

METRICS = Table(
    name="metrics",
    doc="OTLP metric points (not ledgered)",
    columns=(
        Column("tenant_id", TEXT, "tenant, decided by the API key"),
        Column("day", DAY, "UTC date of the point's time"),
        Column("shard", TEXT, "identity of the writer"),
        Column("segment", INT, "journal segment that the point came with"),
        Column("row", INT, "row in that segment"),
        Column("schema_version", INT, "version of this table's columns when the row was written"),
        Column("received_unix_nano", INT, "when the receiver got the request"),
        Column("time_unix_nano", INT, "the point's time"),
        Column("recorded_by", TEXT, "who recorded it"),
        Column("peer", TEXT, "network address that the receiver saw"),
        Column("service_name", TEXT, "resource attribute service.name"),
        Column("scope_name", TEXT, "name of the instrumentation scope"),
        Column("subjects", TEXTS, "tokens of the persons that the point concerns"),
        Column("name", TEXT, "metric name"),
        Column("type", TEXT, "gauge, sum, histogram, exponential_histogram or summary"),
        Column("unit", TEXT, "UCUM unit"),
        Column("description", TEXT, "metric description"),
        Column("temporality", TEXT, "DELTA or CUMULATIVE; NULL for gauge and summary"),
        Column("monotonic", pa.bool_(), "sums only"),
        Column("start", INT, "start of the point's interval, nanoseconds since 1970"),
        Column("value", pa.float64(), "value of a gauge or sum; the sum of a histogram or summary"),
        Column("value_int", INT, "value where the sender sent an integer: exact beyond 2^53"),
        Column("histogram", TEXT, "JSON object: count, sum, min, max, bounds and buckets, or quantiles"),
        Column("exemplars", TEXT, "JSON array of exemplars"),
        Column("flags", INT, "data point flags"),
        Column("resource", TEXT, "JSON object of the resource's attributes"),
        Column("attributes", TEXT, "JSON object of the point's attributes"),
        Column("envelope", TEXT, "JSON object: scope version and attributes, schema URLs, metric metadata"),
    ),
    ledgered=False,
    assigned=("shard", "segment", "row"),
    sort_by=("name", "time_unix_nano", "row"),
    bloom=(),
)
