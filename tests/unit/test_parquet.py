"""Parquet files: one a tenant and day, sorted, the same bytes each time, and no value of a payload in their description."""

import hashlib
import json
import stat

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from warehouse.parquet import SMALL_FILE_ROWS, describe, write_parts
from warehouse.sequence import sequence
from warehouse.tables import TABLES

DAY = 86_400_000_000_000


def whole(rows, table, batch):
    """Whole rows from a decoded batch, salts as zeros."""
    done = sequence(
        rows.records(**{table: batch}),
        shard="main-1a2b3c4d", segment=1, metric_row=0, next_index={}, random_bytes=bytes,
    )  # fmt: skip
    return pa.Table.from_batches([done.tables[table]])


def mixed(rows, count):
    """Spans of three tenants over two days, in no order."""
    tenants = [("acme", "globex", "_lake")[n % 3] for n in range(count)]
    times = [rows.NOW + (n % 2) * DAY + (count - n) for n in range(count)]
    return whole(rows, "spans", rows.ledgered("spans", count, "t", tenant=tenants, time=times))


@pytest.mark.parametrize("count", [12, 3 * SMALL_FILE_ROWS * 2])
def test_each_tenant_and_day_gets_one_file_in_its_own_folder(rows, tmp_path, count):
    """Rows are split by the partition that their columns name, and none is lost or doubled; small files or not."""
    parts = write_parts(TABLES["spans"], mixed(rows, count), tmp_path, stem="main-1a2b3c4d-0000000001")
    folders = {(part.tenant_id, part.day) for part in parts}
    assert folders == {(t, d) for t in ("acme", "globex", "_lake") for d in ("2026-11-23", "2026-11-24")}
    assert len(parts) == 6
    seen = []
    for part in parts:
        assert part.path == (f"tenant_id={part.tenant_id}/day={part.day}/main-1a2b3c4d-0000000001-spans.parquet")
        file = tmp_path / part.path
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        read = pq.ParquetFile(file).read()
        assert read.schema.names == TABLES["spans"].file_schema.names
        assert (part.rows, part.size_bytes) == (read.num_rows, file.stat().st_size)
        order = list(zip(*(read.column(name).to_pylist() for name in TABLES["spans"].sort_by), strict=True))
        assert order == sorted(order)
        seen += [json.loads(text)["n"] for text in read.column("attributes").to_pylist()]
    assert sorted(seen) == list(range(count))


@pytest.mark.parametrize("count", [6, 3 * SMALL_FILE_ROWS * 2])
def test_the_same_rows_give_the_same_bytes(rows, tmp_path, count):
    """A replay writes the same file again: nothing in it depends on when or in how many pieces it was written."""
    table = mixed(rows, count)
    pieces = pa.concat_tables([table.slice(at, 5) for at in range(0, count, 5)])
    digests = []
    for name, given in (("a", table), ("b", pieces)):
        parts = write_parts(TABLES["spans"], given, tmp_path / name, stem="s")
        digests.append([hashlib.sha256((tmp_path / name / part.path).read_bytes()).hexdigest() for part in parts])
    assert digests[0] == digests[1]


def test_statistics_name_counts_and_times_alone(rows, tmp_path):
    """The Delta log learns bounds of time and index columns, exactly, and nothing of any other column."""
    times = [rows.NOW + 5, rows.NOW + 1, rows.NOW + 9]
    batch = rows.ledgered("spans", 3, "secret-canary", time=times, end_unix_nano=[None, rows.NOW + 2, rows.NOW + 4])
    (part,) = write_parts(TABLES["spans"], whole(rows, "spans", batch), tmp_path, stem="s")
    assert json.loads(part.statistics) == {
        "numRecords": 3,
        "minValues": {"time_unix_nano": rows.NOW + 1, "end_unix_nano": rows.NOW + 2, "log_index": 0},
        "maxValues": {"time_unix_nano": rows.NOW + 9, "end_unix_nano": rows.NOW + 4, "log_index": 2},
        "nullCount": {"time_unix_nano": 0, "end_unix_nano": 1, "log_index": 0},
    }


def test_a_column_without_values_has_no_bounds(rows, tmp_path):
    """Where every value is NULL there is no minimum to name, only the count."""
    batch = rows.ledgered("spans", 2, "t", end_unix_nano=[None, None])
    table = whole(rows, "spans", batch)
    (part,) = write_parts(TABLES["spans"], table, tmp_path, stem="s")
    statistics = json.loads(part.statistics)
    assert "end_unix_nano" not in statistics["minValues"] | statistics["maxValues"]
    assert statistics["nullCount"]["end_unix_nano"] == 2
    again = describe(TABLES["spans"], table, tmp_path, tmp_path / part.path, tenant_id="acme", day="2026-11-23")
    assert again == part


@pytest.mark.parametrize("name", sorted(TABLES))
@pytest.mark.parametrize("count", [4, SMALL_FILE_ROWS + 44])
def test_every_table_can_be_written_with_zstd_and_its_bloom_filters(rows, tmp_path, name, count):
    """Whatever the table and size, rows come back equal; long texts are zstd, and trace ids have a bloom filter."""
    made = {
        "metrics": lambda: rows.metrics(count, "t"),
        "contents": lambda: rows.contents([n // 2 for n in range(count)], ["a", "b"] * (count // 2), tag="t"),
    }
    if name == "contents":
        done = sequence(
            rows.records(contents=made[name](), spans=rows.ledgered("spans", count, "t")),
            shard="main-1a2b3c4d", segment=1, metric_row=0, next_index={}, random_bytes=bytes,
        )  # fmt: skip
        table = pa.Table.from_batches([done.tables[name]])
    else:
        table = whole(rows, name, made.get(name, lambda: rows.ledgered(name, count, "t"))())
    (part,) = write_parts(TABLES[name], table, tmp_path, stem="s")
    file = pq.ParquetFile(tmp_path / part.path)
    assert part.rows == count
    read = file.read()
    keys = [(key, "ascending") for key in TABLES[name].sort_by]
    expected = table.select(TABLES[name].file_schema.names).sort_by(keys)
    assert read.cast(expected.schema).sort_by(keys).equals(expected)
    group = file.metadata.row_group(0)
    columns = {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}
    assert columns["body" if name == "contents" else "attributes"].compression == "ZSTD"
    assert {path for path, column in columns.items() if column.bloom_filter_offset} == set(TABLES[name].bloom)
