"""Merging files: every row once, in order, in bounded memory."""

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from warehouse.errors import CorruptionError
from warehouse.maintenance.footer import describe_file
from warehouse.maintenance.merge import merge_files
from warehouse.parquet import write_file
from warehouse.tables import LOGS, METRICS, SPANS


def rows_of(table, rows, seed):
    """Rows in the file schema: few traces, equal times, NULLs and lists among them."""
    rnd = random.Random(seed)
    values = {
        "trace_id": [rnd.choice([None, *(f"{n:032x}" for n in range(9))]) for _ in range(rows)],
        "log_index": list(range(seed * 10_000, seed * 10_000 + rows)),
        "time_unix_nano": [rnd.randrange(50) for _ in range(rows)],
        "end_unix_nano": [None] * rows,
        "salt": [rnd.randbytes(16) for _ in range(rows)],
        "subjects": [rnd.choice([None, [], ["a"], ["a", None]]) for _ in range(rows)],
        "attributes": [rnd.choice([None, "", '{"ä":1}', "x" * rnd.randrange(900)]) for _ in range(rows)],
        "name": [rnd.choice([None, "", "a", "b"]) for _ in range(rows)],
        "value": [rnd.choice([None, 0.0, float("inf"), 1.5]) for _ in range(rows)],
        "monotonic": [rnd.choice([None, True, False]) for _ in range(rows)],
    }
    arrays = [
        pa.array(values[field.name], field.type) if field.name in values else pa.nulls(rows, field.type)
        for field in table.file_schema
    ]
    return pa.table(arrays, schema=table.file_schema)


def multiset(rows):
    return sorted(map(repr, rows.to_pylist()))


def write_inputs(table, folder, counts):
    files = [folder / f"in-{number}.parquet" for number in range(len(counts))]
    parts = [rows_of(table, count, seed) for seed, count in enumerate(counts)]
    for file, part in zip(files, parts, strict=True):
        write_file(table, part, file, level=1)
    return files, pa.concat_tables(parts)


def merge(table, files, tmp_path, rows, sort_bytes=1 << 20):
    output = tmp_path / "out.parquet"
    spill = tmp_path / "spill"
    spill.mkdir(exist_ok=True)
    merge_files(table, files, output, rows=rows, spill=spill, sort_bytes=sort_bytes)
    return output


@pytest.mark.parametrize("table", [SPANS, LOGS, METRICS], ids=lambda table: table.name)
@pytest.mark.parametrize("sort_bytes", [1 << 30, 200_000, 20_000], ids=["in memory", "some runs", "many runs"])
def test_every_row_comes_out_once_and_in_order(table, sort_bytes, tmp_path):
    """Input need not be sorted: the output holds the same rows, in the order that Python's own sort gives the keys."""
    files, expected = write_inputs(table, tmp_path, [700, 1, 399, 40])
    merged = pq.read_table(merge(table, files, tmp_path, 1140, sort_bytes), partitioning=None)
    assert merged.schema.names == table.file_schema.names
    assert multiset(merged) == multiset(expected)
    keys = [tuple(row[name] for name in table.sort_by) for row in merged.select(table.sort_by).to_pylist()]
    assert keys == sorted(keys, key=lambda key: [(value is None, value) for value in key])
    assert not list((tmp_path / "spill").iterdir())


def test_columns_added_later_are_null(tmp_path):
    """A file of an older version of the table is read with the new columns as NULL."""
    old = rows_of(SPANS, 30, 1).drop_columns(["cost_source", "subjects"])
    pq.write_table(old, tmp_path / "old.parquet")
    files, new = write_inputs(SPANS, tmp_path, [20])
    merged = pq.read_table(merge(SPANS, [tmp_path / "old.parquet", *files], tmp_path, 50), partitioning=None)
    assert merged.num_rows == 50
    assert set(merged.column("log_index").to_pylist()) == set(
        old.column("log_index").to_pylist() + new.column("log_index").to_pylist()
    )
    assert merged.schema.field("subjects").type == SPANS.file_schema.field("subjects").type


def test_another_number_of_rows_than_the_log_says_is_corruption(tmp_path):
    """A merge never commits more or fewer rows than the Delta log counts."""
    files, _ = write_inputs(SPANS, tmp_path, [30])
    with pytest.raises(CorruptionError, match="expected 31 rows as the Delta log says, got 30"):
        merge(SPANS, files, tmp_path, 31)


def test_the_output_is_private_and_the_spill_is_removed_on_error(tmp_path):
    """Files are 0600, and nothing stays in the spill folder when an input is gone."""
    files, _ = write_inputs(SPANS, tmp_path, [3000, 10])
    assert merge(SPANS, files, tmp_path, 3010).stat().st_mode & 0o777 == 0o600
    (tmp_path / "out.parquet").unlink()
    files[1].unlink()
    with pytest.raises(FileNotFoundError):
        merge(SPANS, files, tmp_path, 3010, sort_bytes=10_000)
    assert not list((tmp_path / "spill").iterdir())


def test_row_groups_hold_few_rows_where_rows_are_long(tmp_path):
    """A row group stays near 64 MiB, so that memory is bounded whatever the contents."""
    rows = rows_of(SPANS, 2500, 1)
    long = pa.array([f"x{n}y" * 8000 for n in range(2500)])
    rows = rows.set_column(rows.schema.get_field_index("attributes"), SPANS.file_schema.field("attributes"), long)
    write_file(SPANS, rows, tmp_path / "in.parquet", level=1)
    output = merge(SPANS, [tmp_path / "in.parquet"], tmp_path, 2500)
    metadata = pq.read_metadata(output)
    assert metadata.num_row_groups > 1
    assert max(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups)) < 80 * 1024 * 1024


@pytest.mark.parametrize("table", [SPANS, METRICS], ids=lambda table: table.name)
def test_the_footer_describes_the_file_as_its_rows_do(table, tmp_path):
    """Statistics for the Delta log, taken from the footer, are those of the rows."""
    rows = rows_of(table, 200, 3)
    write_file(table, rows, tmp_path / "x.parquet", level=1)
    part = describe_file(table, tmp_path, Path(tmp_path / "x.parquet"), tenant_id="acme", day="2026-11-23")
    times = [value for value in rows.column("time_unix_nano").to_pylist() if value is not None]
    statistics = json.loads(part.statistics)
    assert statistics["numRecords"] == 200
    assert statistics["minValues"]["time_unix_nano"] == min(times)
    assert statistics["maxValues"]["time_unix_nano"] == max(times)
    assert statistics["nullCount"]["time_unix_nano"] == 0
    if table is SPANS:
        assert statistics["nullCount"]["end_unix_nano"] == 200
        assert "end_unix_nano" not in statistics["minValues"]
    assert (part.rows, part.size_bytes) == (200, (tmp_path / "x.parquet").stat().st_size)
