"""Results as text and files: CSV (RFC 4180), a JSON array of objects (RFC 8259), Parquet. Batch by batch, in columns.

Values that text has no form of its own for: timestamps are RFC 3339 in UTC, bytes are hex digits, NaN and the infinities are
`null` in JSON (which has none of them), integers keep all their digits, decimals are numbers where a double holds them and
text beyond. NULL is an empty field in CSV, an empty text is `""`; lists and structures are JSON text there.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.errors import QueryError

_EXACT_DIGITS = 15
"""Decimal digits that a double keeps (IEEE 754, DBL_DIG)."""

_TIMESTAMP = "%Y-%m-%dT%H:%M:%S"
_WRAP = "v"


def write_csv(reader: pa.RecordBatchReader, out: BinaryIO) -> int:
    """Write a header and rows, and nothing else; return the number of rows."""
    names = distinct_names(reader.schema.names)
    out.write(pl.DataFrame(schema=dict.fromkeys(names, pl.String)).write_csv().encode())
    rows = 0
    for batch in reader:
        frame = plain_frame(batch)
        frame = frame.select(_json_text(name, kind) for name, kind in frame.schema.items())
        out.write(frame.write_csv(include_header=False).encode())
        rows += batch.num_rows
    return rows


def write_json(reader: pa.RecordBatchReader, out: BinaryIO) -> int:
    """Write an array of objects, one a line; return the number of rows."""
    out.write(b"[")
    rows = 0
    for batch in reader:
        if batch.num_rows == 0:
            continue
        # Inside an object a line break is escaped, so each one left ends an object.
        lines = plain_frame(batch).write_ndjson().rstrip("\n").replace("\n", ",\n")
        out.write(b",\n" if rows else b"\n")
        out.write(lines.encode())
        rows += batch.num_rows
    out.write(b"\n]\n" if rows else b"]\n")
    return rows


def write_parquet(reader: pa.RecordBatchReader, out: BinaryIO) -> int:
    """Write one Parquet file (zstd); return the number of rows.

    Raises:
        QueryError: a column of a type that Parquet has not.
    """
    schema = reader.schema.with_metadata(None)
    schema = pa.schema(
        [field.with_name(name) for field, name in zip(schema, distinct_names(schema.names), strict=True)]
    )
    rows = 0
    try:
        with pq.ParquetWriter(pa.PythonFile(_Forward(out), mode="w"), schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
                rows += batch.num_rows
    except pa.ArrowNotImplementedError as exc:
        raise QueryError(f"Parquet has no such type: {exc}", hint="cast the column, e.g. cast(x as varchar)") from exc
    return rows


WRITERS: Mapping[str, Callable[[pa.RecordBatchReader, BinaryIO], int]] = {
    "csv": write_csv,
    "json": write_json,
    "parquet": write_parquet,
}
"""Writer of each format by its name."""


def distinct_names(names: list[str]) -> list[str]:
    """Column names with a number after each repetition: `a, a` becomes `a, a_1`."""
    taken = set(names)
    result: list[str] = []
    for name in names:
        chosen, number = name, 0
        while chosen in result or (number and chosen in taken):
            number += 1
            chosen = f"{name}_{number}"
        result.append(chosen)
    return result


def plain_frame(batch: pa.RecordBatch) -> pl.DataFrame:
    """Return `batch` with each value in the form that text formats show."""
    names = distinct_names(batch.schema.names)
    return pl.DataFrame([_plain(name, column) for name, column in zip(names, batch.columns, strict=True)])


def _plain(name: str, column: pa.Array) -> pl.Series:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(name, column.cast(kind.value_type))
    if pa.types.is_timestamp(kind):
        text = pc.strftime(column.cast(pa.timestamp(kind.unit)), _TIMESTAMP)
        return pl.Series(name, pc.binary_join_element_wise(text, "Z", ""))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pl.Series(name, column, dtype=pl.Binary).bin.encode("hex")
    if pa.types.is_decimal(kind):
        return pl.Series(name, _plain_decimal(column))
    if _is_odd(kind):
        # Types that neither polars nor JSON know: seen in a result now and then, never in a stored column.
        return pl.Series(
            name, [None if v is None else json.dumps(v, default=str) for v in column.to_pylist()], pl.String
        )
    return pl.Series(name, column)


def _plain_decimal(column: pa.Array) -> pa.Array:
    kind = column.type
    if kind.scale == 0:
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:
            return column.cast(pa.string())
    return column.cast(pa.float64() if kind.precision <= _EXACT_DIGITS else pa.string())


def _is_odd(kind: pa.DataType) -> bool:
    if pa.types.is_nested(kind) and not pa.types.is_union(kind):
        return any(
            _is_odd(kind.field(i).type) or pa.types.is_binary(kind.field(i).type) for i in range(kind.num_fields)
        )
    return bool(pa.types.is_interval(kind) or pa.types.is_union(kind))


def _json_text(name: str, kind: pl.DataType) -> pl.Expr:
    """Column `name` as CSV shows it: nested values as JSON, which polars writes of structures alone."""
    if not kind.is_nested():
        return pl.col(name)
    wrapped = pl.struct(pl.col(name).alias(_WRAP)).struct.json_encode()
    inner = wrapped.str.slice(len(f'{{"{_WRAP}":')).str.head(-1)
    return pl.when(pl.col(name).is_null()).then(None).otherwise(inner).alias(name)


class _Forward:
    """A pipe as pyarrow wants a file: it asks for positions, which pipes do not know."""

    closed = False

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._written = 0

    def write(self, data: Any) -> int:
        """Pass the bytes on."""
        self._out.write(data)
        self._written += len(memoryview(data).cast("B"))
        return len(data)

    def tell(self) -> int:
        """Bytes written until now."""
        return self._written

    def flush(self) -> None:
        """Pass it on."""
        self._out.flush()

    def close(self) -> None:
        """Leave the stream open: it is the caller's."""
