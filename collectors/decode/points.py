"""Values of metric points: numbers, histograms, summaries and exemplars, as columns and JSON text."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.decode.attributes import decode_attributes
from collectors.decode.refusals import Checks
from collectors.decode.texts import (
    double_texts,
    fixed_rows,
    hex_texts,
    integer_texts,
    json_arrays,
    json_objects,
    nonzero_rows,
    nulled,
    offsets_of,
    quote,
    steps,
    valid_rows,
)
from collectors.dialects.roles import NO_ROLES
from collectors.exports import IntakeLimits


def number_columns(rows: pa.StructArray) -> dict[str, pa.Array]:
    """`value` and `value_int` of gauge and sum points."""
    integers = rows.field("as_int")
    return {"value": pc.coalesce(rows.field("as_double"), _doubles(integers)), "value_int": integers}


def _doubles(integers: pa.Int64Array) -> pa.DoubleArray:
    """Nearest doubles; beyond 2^53 they are not exact, which `value_int` is."""
    return integers.cast(pa.float64(), safe=False)


def histogram_columns(rows: pa.StructArray) -> dict[str, pa.Array]:
    """`value` (the sum) and `histogram` of explicit-bucket histogram points."""
    members = [
        ("count", integer_texts(rows.field("count"))),
        *_optional_doubles(rows, "sum", "min", "max"),
        ("bounds", _double_lists(rows.field("explicit_bounds"))),
        ("buckets", _integer_lists(rows.field("bucket_counts"))),
    ]
    return {"value": rows.field("sum"), "histogram": json_objects(members)}


def exponential_columns(rows: pa.StructArray) -> dict[str, pa.Array]:
    """`value` (the sum) and `histogram` of exponential histogram points."""
    members = [
        ("count", integer_texts(rows.field("count"))),
        *_optional_doubles(rows, "sum", "min", "max"),
        ("scale", integer_texts(rows.field("scale"))),
        ("zero_count", integer_texts(rows.field("zero_count"))),
        ("zero_threshold", double_texts(rows.field("zero_threshold"))),
    ]
    for name in ("positive", "negative"):
        buckets = rows.field(name)
        texts = json_objects(
            [
                ("offset", integer_texts(buckets.field("offset").fill_null(0))),
                ("buckets", _integer_lists(buckets.field("bucket_counts"))),
            ]
        )
        members.append((name, nulled(texts, ~valid_rows(buckets))))
    return {"value": rows.field("sum"), "histogram": json_objects(members)}


def summary_columns(rows: pa.StructArray) -> dict[str, pa.Array]:
    """`value` (the sum) and `histogram` of summary points."""
    lists = rows.field("quantile_values")
    quantiles = lists.values
    items = json_objects(
        [
            ("quantile", double_texts(quantiles.field("quantile"))),
            ("value", double_texts(quantiles.field("value"))),
        ]
    )
    members = [
        ("count", integer_texts(rows.field("count"))),
        ("sum", double_texts(rows.field("sum"))),
        ("quantiles", json_arrays(offsets_of(lists), items)),
    ]
    return {"value": rows.field("sum"), "histogram": json_objects(members)}


def _optional_doubles(rows: pa.StructArray, *names: str) -> list[tuple[str, pa.StringArray]]:
    columns = ((name, rows.field(name)) for name in names)
    return [(name, _double_texts(column)) for name, column in columns if column.null_count < len(column)]


def _double_texts(column: pa.DoubleArray) -> pa.StringArray:
    """JSON texts of doubles; nulls stay null."""
    return nulled(double_texts(column.fill_null(0.0)), ~valid_rows(column))


def _double_lists(lists: pa.ListArray) -> pa.StringArray:
    return json_arrays(offsets_of(lists), double_texts(lists.values))


def _integer_lists(lists: pa.ListArray) -> pa.StringArray:
    return json_arrays(offsets_of(lists), integer_texts(lists.values))


def exemplar_column(lists: pa.ListArray, checks: Checks, limits: IntakeLimits) -> pa.StringArray:
    """JSON arrays of exemplars; null where a point has none."""
    offsets = offsets_of(lists)
    if offsets[-1] == 0:
        return pa.nulls(len(lists), pa.string())
    exemplars = lists.values
    owner = np.repeat(np.arange(len(lists)), steps(offsets))
    attributes = decode_attributes(exemplars.field("filtered_attributes"), NO_ROLES, limits)
    checks.mark_attributes(attributes, parent_of=owner)
    integers = exemplars.field("as_int")
    members = [
        ("time_unix_nano", integer_texts(exemplars.field("time_unix_nano"))),
        ("value", pc.coalesce(integer_texts(integers), _double_texts(exemplars.field("as_double")))),
    ]
    for name, size in (("trace_id", 16), ("span_id", 8)):
        ids, _ = fixed_rows(exemplars.field(name), size)
        members.append((name, nulled(quote(hex_texts(ids)), ~nonzero_rows(ids))))
    if attributes is not None:
        members.append(("filtered_attributes", nulled(attributes.json, steps(attributes.offsets) == 0)))
    return nulled(json_arrays(offsets, json_objects(members)), steps(offsets) == 0)
