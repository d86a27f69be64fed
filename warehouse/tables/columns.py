"""A column, a table, and the columns that every ledgered row carries."""

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

TEXT = pa.string()
INT = pa.int64()
BYTES = pa.binary()
DAY = pa.date32()
TEXTS = pa.list_(pa.field("element", pa.string()))

PARTITION_COLUMNS = ("tenant_id", "day")
STATISTICS_COLUMNS = ("time_unix_nano", "end_unix_nano", "log_index")
"""The only columns whose minimum and maximum stand in the Delta log: none of them can hold a value of a payload."""


DATA_CLASSES = ("public", "internal", "confidential", "restricted")
"""What `data_class` columns hold, from the one handled least carefully to the one handled most; NULL where nothing classified."""


@dataclass(frozen=True)
class Column:
    """One column: its name, its Arrow type, and what it holds."""

    name: str
    type: pa.DataType
    doc: str


@dataclass(frozen=True, eq=False)
class Table:
    """One Delta table. There is one object a table, so that it can be told from others without looking at its columns.

    `assigned` names the columns that the writer fills when it sequences a row; decoders leave them out. `sort_by` is the
    order of rows inside a file, `bloom` the columns with a Parquet bloom filter.
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    ledgered: bool
    assigned: tuple[str, ...]
    sort_by: tuple[str, ...]
    bloom: tuple[str, ...]
    schema_version: int = 1

    @cached_property
    def schema(self) -> pa.Schema:
        """Arrow schema of whole rows, as they are stored."""
        return pa.schema([pa.field(c.name, c.type) for c in self.columns])

    @cached_property
    def decoded_schema(self) -> pa.Schema:
        """Arrow schema of rows before they are sequenced: without the assigned columns."""
        return pa.schema([pa.field(c.name, c.type) for c in self.columns if c.name not in self.assigned])

    @cached_property
    def file_schema(self) -> pa.Schema:
        """Arrow schema of a Parquet file: without the partition columns, which the path holds."""
        return pa.schema([pa.field(c.name, c.type) for c in self.columns if c.name not in PARTITION_COLUMNS])


LEDGERED = (
    Column("tenant_id", TEXT, "tenant, decided by the API key"),
    Column("day", DAY, "UTC date of the record's own time"),
    Column("shard", TEXT, "identity of the writer that sequenced the row"),
    Column("log_index", INT, "position in the log of (tenant, shard), from 0, without gaps"),
    Column("salt", BYTES, "16 random bytes of the row's commitment"),
    Column("schema_version", INT, "version of this table's columns when the row was written"),
    Column("received_unix_nano", INT, "when the receiver got the request"),
    Column("time_unix_nano", INT, "the record's own time; for a span its start"),
    Column("recorded_by", TEXT, "who recorded it: key:<id>, user:<name> or muniment:<job>"),
    Column("peer", TEXT, "network address that the receiver saw, or file:<identity> for an import"),
    Column("service_name", TEXT, "resource attribute service.name"),
    Column("scope_name", TEXT, "name of the instrumentation scope"),
    Column("trace_id", TEXT, "32 hex digits"),
    Column("span_id", TEXT, "16 hex digits"),
    Column("data_class", TEXT, "classification of the row; NULL until classified"),
    Column("categories", TEXT, "JSON array of the personal-data categories found"),
    Column("redactions", TEXT, "JSON object: redactions by detector"),
    Column("redaction_policy", TEXT, "hash of the redaction policy in force"),
    Column("subjects", TEXTS, "tokens of the persons that the row concerns"),
    Column("resource", TEXT, "JSON object of the resource's attributes, lossless"),
    Column("attributes", TEXT, "JSON object of the record's attributes without its contents, lossless"),
    Column(
        "envelope", TEXT, "JSON object: scope version and attributes, schema URLs, dropped counts of scope and resource"
    ),
    Column("skew_seconds", INT, "own time minus receipt, where it is over an hour either way"),
)

SEQUENCED = ("shard", "log_index", "salt")
