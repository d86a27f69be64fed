"""One rule over one session: its SQL run with its parameters, its result brought into the form of matches.

Invariant: what comes out depends on the session's rows, the rule, and the instants given alone.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl
import pyarrow as pa

from pipelines.incidents.columns import FROM, LAKE_STATE, MATCH_SCHEMA, NOW, REGISTRY, RESULT_COLUMNS, TENANT
from pipelines.incidents.rules import Rule
from warehouse.errors import QueryError
from warehouse.query import QuerySession, check_query
from warehouse.query.views import ALL_PREFIX, VIEWS
from warehouse.tables import TABLES
from warehouse.tables.columns import DATA_CLASSES

_LEDGERED = ("spans", "audit_events", "logs")
_CLASSED = dict.fromkeys(_LEDGERED, "log_index") | {"contents": "owner_index"}
_CLASS_ROWS = pa.schema([("shard", pa.string()), ("log_index", pa.int64()), ("data_class", pa.string())])
_NO_CLASSES = pl.DataFrame(
    schema={"source_table": pl.String, "shard": pl.String, "log_index": pl.Int64, "data_class": pl.String}
)
_RULE_VIEWS = frozenset({*VIEWS, REGISTRY, LAKE_STATE, *(f"{ALL_PREFIX}{name}" for name in TABLES)})
MOST_MATCHES = 100_000
"""Most rows that one evaluation of a rule may return."""


def evaluate(session: QuerySession, rule: Rule, *, tenant: str, now_unix_nano: int, from_unix_nano: int) -> pa.Table:
    """The matches of a rule among the rows that a session shows, each once, by time.

    Raises:
        QueryError: the SQL does not run, or what it returns are no matches.
    """
    parameters = check_query(rule.sql, session.tables).statement.named_parameters
    given: Mapping[str, Any] = {**rule.values(tenant), NOW: now_unix_nano, FROM: from_unix_nano, TENANT: tenant}
    if unknown := sorted(parameters - given.keys()):
        raise QueryError(f"got the parameters {', '.join(unknown)}, expected of {', '.join(sorted(given))}")
    batches, rows = [], 0
    with session.stream(rule.sql, {name: given[name] for name in parameters} or None) as reader:
        for batch in reader:
            rows += batch.num_rows
            if rows > MOST_MATCHES:
                raise QueryError(
                    f"got over {MOST_MATCHES:,} rows, expected the few that make an incident",
                    hint="have the rule return one row for many, such as the first of each run",
                )
            batches.append(batch)
        result = pa.Table.from_batches(batches, reader.schema)
    try:
        return _matches(rule, result)
    except (pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException) as exc:
        raise QueryError(f"its result cannot be brought into the form of matches: {exc}") from exc


def read_views(rule: Rule) -> frozenset[str]:
    """The views that a rule asks; all that there are where its SQL may not run."""
    try:
        return check_query(rule.sql, _RULE_VIEWS).views
    except QueryError:
        return _RULE_VIEWS


def add_classes(session: QuerySession, matches: pa.Table) -> pa.Table:
    """The matches with a column `data_class`: that of the record that made each, NULL where it has none.

    Raises:
        QueryError: the records cannot be read.
    """
    if not matches.num_rows:
        return matches.append_column("data_class", pa.nulls(0, pa.string()))
    frame = pl.DataFrame(pl.from_arrow(matches))
    found = [_classes(session, table, mine) for (table,), mine in frame.group_by("source_table") if table in _CLASSED]
    known = pl.concat([_NO_CLASSES, *found])
    joined = frame.join(known, on=["source_table", "shard", "log_index"], how="left", maintain_order="left")
    return joined.to_arrow().cast(pa.schema([*MATCH_SCHEMA, ("data_class", pa.string())]))


def _classes(session: QuerySession, table: Any, matches: pl.DataFrame) -> pl.DataFrame:
    index = _CLASSED[table]
    placed = matches.select("shard", "log_index").drop_nulls().unique()
    if not placed.height:
        return _NO_CLASSES
    # the bounds let whole files be skipped, whose highest and lowest index their footers tell
    sql = (
        f"select distinct shard, {index} as log_index, data_class from {ALL_PREFIX}{table} "  # noqa: S608  names of the schema
        f"where {index} between $low and $high and list_contains($places, shard || ' ' || {index})"
    )
    places = [f"{shard} {at}" for shard, at in placed.iter_rows()]
    indices = placed.get_column("log_index")
    rows = session.run_trusted(sql, {"low": indices.min(), "high": indices.max(), "places": places})
    found = pl.DataFrame(pl.from_arrow(rows.cast(_CLASS_ROWS))).drop_nulls()
    # parts of one record may differ: the one handled most carefully speaks for it
    rank = pl.col("data_class").replace_strict({name: at for at, name in enumerate(DATA_CLASSES)}, default=-1)
    one = found.sort(rank).unique(subset=["shard", "log_index"], keep="last", maintain_order=True)
    return one.select(pl.lit(table).alias("source_table"), "shard", "log_index", "data_class")


def first_record(session: QuerySession, *, default: int) -> int:
    """When the first record of a session's tenant happened, nanoseconds since 1970; `default` where there is none."""
    parts = " union all ".join(f"select min(time_unix_nano) as first from {ALL_PREFIX}{table}" for table in _LEDGERED)  # noqa: S608  names of the schema
    found: int | None = session.run_trusted(f"select min(first) from ({parts})").column(0)[0].as_py()  # noqa: S608  as above
    return default if found is None else found


def _matches(rule: Rule, result: pa.Table) -> pa.Table:
    needed = {*RESULT_COLUMNS, *rule.group_by}
    if missing := sorted(needed - set(result.column_names)):
        raise QueryError(f"got the columns {', '.join(result.column_names)}, expected also {', '.join(missing)}")
    columns = [result.column(name).cast(MATCH_SCHEMA.field(name).type) for name in RESULT_COLUMNS]
    matches = pa.Table.from_arrays([*columns, _keys(rule, result)], schema=MATCH_SCHEMA)
    if not matches.num_rows:
        return matches
    if matches.column("time_unix_nano").null_count:
        raise QueryError("got a row without time_unix_nano, expected when it happened")
    frame = pl.DataFrame(pl.from_arrow(matches))
    by_time = frame.sort("time_unix_nano", "source_table", "shard", "log_index", nulls_last=True, maintain_order=True)
    # a record that the SQL returned several times, at whichever times, is one match, at the first; without one, each time is
    at = pl.when(pl.col("log_index").is_null()).then(pl.col("time_unix_nano"))
    once = by_time.with_columns(at=at).unique(
        subset=["key", "source_table", "shard", "log_index", "at"], keep="first", maintain_order=True
    )
    return once.drop("at").to_arrow().cast(MATCH_SCHEMA)


def bytes_in_key(rule: Rule, result: pa.Schema) -> str | None:
    """Why a rule's key cannot be written down, where one of its columns is bytes or holds some; None where it can."""
    found = [name for name in rule.group_by if _holds_bytes(result.field(name).type)]
    kinds = ", ".join(f"{name} ({result.field(name).type})" for name in found)
    return f"group_by: got bytes in {kinds}, expected text, such as hex({found[0]})" if found else None


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_nested(kind):
        return any(_holds_bytes(kind.field(at).type) for at in range(kind.num_fields))
    # a type of DuckDB's that Arrow has not, such as BIT, comes as an extension over bytes
    plain = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    return bool(
        pa.types.is_binary(plain)
        or pa.types.is_large_binary(plain)
        or pa.types.is_binary_view(plain)
        or pa.types.is_fixed_size_binary(plain)
    )


def _keys(rule: Rule, result: pa.Table) -> pa.Array:
    if (why := bytes_in_key(rule, result.schema)) is not None:
        raise QueryError(why)
    if not rule.group_by or not result.num_rows:
        return pa.array(["{}"] * result.num_rows, pa.string())
    frame = pl.DataFrame(pl.from_arrow(result.select(list(rule.group_by))))
    return frame.select(key=pl.struct(pl.all()).struct.json_encode()).to_series().to_arrow().cast(pa.string())
