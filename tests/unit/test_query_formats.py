"""CSV, JSON and Parquet: what other programs read back is what was asked for."""

import csv
import datetime as dt
import io
import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from warehouse.errors import QueryError
from warehouse.query.formats import WRITERS, distinct_names

UTC_TIME = dt.datetime(2026, 11, 20, 12, 0, 0, 1234, tzinfo=dt.UTC)

# name, type, values, as JSON reads them, as CSV reads them
VALUES = [
    ("64-bit", pa.int64(), [9223372036854775807, None], [9223372036854775807, None], ["9223372036854775807", ""]),
    ("unsigned", pa.uint64(), [18446744073709551615], [18446744073709551615], ["18446744073709551615"]),
    ("a sum", pa.decimal128(38, 0), [Decimal(9007199254740993)], [9007199254740993], ["9007199254740993"]),
    ("beyond 64 bits", pa.decimal128(38, 0), [Decimal(10**30)], ["1" + "0" * 30], ["1" + "0" * 30]),
    ("decimal", pa.decimal128(10, 2), [Decimal("1.50")], [1.5], ["1.5"]),
    ("long decimal", pa.decimal128(30, 10), [Decimal("12345678901234567890.5")], ["12345678901234567890.5000000000"], ["12345678901234567890.5000000000"]),
    ("double", pa.float64(), [0.1, float("nan"), float("inf")], [0.1, None, None], ["0.1", "NaN", "inf"]),
    ("boolean", pa.bool_(), [True, None], [True, None], ["true", ""]),
    ("timestamp", pa.timestamp("us"), [UTC_TIME.replace(tzinfo=None)], ["2026-11-20T12:00:00.001234Z"], ["2026-11-20T12:00:00.001234Z"]),
    ("with zone", pa.timestamp("us", "UTC"), [UTC_TIME], ["2026-11-20T12:00:00.001234Z"], ["2026-11-20T12:00:00.001234Z"]),
    ("nanoseconds", pa.timestamp("ns"), [1], ["1970-01-01T00:00:00.000000001Z"], ["1970-01-01T00:00:00.000000001Z"]),
    ("date", pa.date32(), [dt.date(2026, 11, 20)], ["2026-11-20"], ["2026-11-20"]),
    ("bytes", pa.binary(), [b"\x00\xff", None], ["00ff", None], ["00ff", ""]),
    ("text", pa.string(), ['a,"b"\nc', "", "é€😀", "\x1b[31m\u2028"], ['a,"b"\nc', "", "é€😀", "\x1b[31m\u2028"], ['a,"b"\nc', "", "é€😀", "\x1b[31m\u2028"]),
    ("list", pa.list_(pa.string()), [["a", None], [], None], [["a", None], [], None], ['["a",null]', "[]", ""]),
    ("structure", pa.struct([("n", pa.int64()), ("l", pa.list_(pa.int64()))]), [{"n": 1, "l": [2]}], [{"n": 1, "l": [2]}], ['{"n":1,"l":[2]}']),
    ("enum", pa.dictionary(pa.int8(), pa.string()), ["x", "y"], ["x", "y"], ["x", "y"]),
    ("nothing", pa.null(), [None], [None], [""]),
]  # fmt: skip


def written(form, table):
    """Bytes of a table in a format."""
    out = io.BytesIO()
    assert WRITERS[form](table.to_reader(max_chunksize=2), out) == table.num_rows
    return out.getvalue()


@pytest.mark.parametrize(
    ("kind", "values", "expected"), [(r[1], r[2], r[3]) for r in VALUES], ids=[r[0] for r in VALUES]
)
def test_json_is_an_array_of_objects_with_exact_values(kind, values, expected):
    """A JSON parser reads back each value: integers exact, times as RFC 3339, NaN as null."""
    table = pa.table({"v": pa.array(values, kind), "row": range(len(values))})
    assert json.loads(written("json", table)) == [{"v": value, "row": i} for i, value in enumerate(expected)]


@pytest.mark.parametrize(
    ("kind", "values", "expected"), [(r[1], r[2], r[4]) for r in VALUES], ids=[r[0] for r in VALUES]
)
def test_csv_is_a_header_and_rows_and_nothing_else(kind, values, expected):
    """A CSV parser reads back the header and each value."""
    table = pa.table({"v": pa.array(values, kind), "row": range(len(values))})
    text = written("csv", table).decode()
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows == [["v", "row"], *([value, str(i)] for i, value in enumerate(expected))]


def test_csv_tells_null_from_empty_text():
    """NULL is nothing between the commas, an empty text is two quotes."""
    assert written("csv", pa.table({"a": pa.array([None, ""], pa.string()), "b": [1, 2]})) == b'a,b\n,1\n"",2\n'


@pytest.mark.parametrize(("form", "empty"), [("csv", b"a,b\n"), ("json", b"[]\n")])
def test_no_rows_are_still_a_valid_document(form, empty):
    """Without rows CSV has its header and JSON an empty array."""
    assert written(form, pa.table({"a": pa.array([], pa.int64()), "b": pa.array([], pa.list_(pa.int64()))})) == empty


def test_parquet_keeps_types_and_rows():
    """A Parquet reader gets the very table back."""
    table = pa.table({name: pa.array(values, kind) for name, kind, values, *_ in VALUES if len(values) == 1})
    assert pq.read_table(io.BytesIO(written("parquet", table))) == table


def test_parquet_refuses_types_that_it_has_not():
    """An interval is refused with what to do."""
    table = pa.table({"i": pa.array([(1, 2, 3)], pa.month_day_nano_interval())})
    with pytest.raises(QueryError, match="Parquet has no such type") as caught:
        written("parquet", table)
    assert "cast" in (caught.value.hint or "")


def test_an_interval_is_text_in_json():
    """A type that JSON has no form for becomes text rather than an error."""
    table = pa.table({"i": pa.array([(1, 2, 3), None], pa.month_day_nano_interval())})
    assert json.loads(written("json", table)) == [{"i": "[1, 2, 3]"}, {"i": None}]


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["a", "b"], ["a", "b"]), (["a", "a", "a"], ["a", "a_1", "a_2"]), (["a", "a", "a_1"], ["a", "a_2", "a_1"])],
)
def test_repeated_column_names_are_numbered(names, expected):
    """Every column keeps a name of its own."""
    assert distinct_names(names) == expected
