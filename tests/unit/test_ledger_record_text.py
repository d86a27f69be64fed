"""Record texts and commitments: their bytes, their columns, and the SQL that rebuilds them."""

import datetime as dt
import hashlib
import re
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from warehouse.ledger.columns import LEDGER_COLUMNS, Kind
from warehouse.ledger.commitments import commit_rows, log_entries
from warehouse.ledger.errors import RecordTextError
from warehouse.ledger.record import commitment, parse_record_text
from warehouse.ledger.record_text import record_texts
from warehouse.query.guard import check_query
from warehouse.tables import TABLES

DOCS = Path(__file__).resolve().parents[2] / "docs"
LEDGERED = ("spans", "audit_events", "logs")
SHARD = "main-1a2b3c4d"
DAY = dt.date(2026, 11, 23)

# What a value of each kind could be, the awkward ones first: NULL, empty, a lone hyphen, what looks like a length,
# more than one byte a character, beyond the Basic Multilingual Plane, quotes and line ends, NUL, and long ones
TEXTS = [
    None, "", "-", "1:a", "ä", "日本語", "👩‍🔬", "it's \"so\"\r\n", "a\x00b", "x" * 4095, "y" * 4096, "ß" * 3000, "plain",
]  # fmt: skip
INTEGERS = [None, 0, -1, 1, 257, 2**63 - 1, -(2**63), 1_795_392_000_000_000_000]
DAYS = [dt.date(1970, 1, 1), dt.date(1969, 12, 31), DAY, dt.date(4707, 11, 28), None]
LISTS = [None, [], [""], ["a"], [None], ["ä", None, "2:bc", ""], ["t" * 5000, "u"]]
BY_KIND = {Kind.TEXT: TEXTS, Kind.INTEGER: INTEGERS, Kind.DAY: DAYS, Kind.TEXTS: LISTS}


def rows_of(table, count, *, tenant="acme", first=0, seed=1):
    """Rows of `table` with awkward values in every column, salted and numbered."""
    random = np.random.default_rng(seed)
    kinds = {column.name: column.kind for column in LEDGER_COLUMNS[table, 1]}
    fixed = {
        "tenant_id": [tenant] * count,
        "shard": [SHARD] * count,
        "schema_version": [1] * count,
        "log_index": range(first, first + count),
        "salt": [random.bytes(16) for _ in range(count)],
    }
    columns = []
    for field in TABLES[table].schema:
        if field.name in fixed:
            values = fixed[field.name]
        else:
            choices = BY_KIND[kinds[field.name]]
            # some columns all NULL, some constant, as they are in practice
            chosen = random.choice([1, 1, 2, len(choices)])
            values = [choices[i] for i in random.integers(0, chosen, count)]
        columns.append(pa.array(list(values), field.type))
    return pa.RecordBatch.from_arrays(columns, schema=TABLES[table].schema)


def plain_text(table, row):
    """A record's text as the documentation says it, one value after another."""

    def spelt(value):
        if value is None:
            return "-"
        if isinstance(value, list):
            value = "".join(spelt(element) for element in value)
        value = str(value)
        return f"{len(value.encode())}:{value}"

    return "".join([spelt(table), "1:1", *(spelt(row[c.name]) for c in LEDGER_COLUMNS[table, 1])]).encode()


def plain_commitments(table, rows):
    return b"".join(hashlib.sha256(row["salt"] + plain_text(table, row)).digest() for row in rows.to_pylist())


def test_known_text():
    """A text, written out by hand."""
    row = dict.fromkeys(TABLES["logs"].schema.names) | {
        "tenant_id": "acme", "day": DAY, "shard": SHARD, "log_index": 42, "salt": bytes(range(16)), "schema_version": 1,
        "received_unix_nano": 1795392000000000001, "time_unix_nano": 1795392000000000000, "recorded_by": "key:k1",
        "peer": "127.0.0.1", "service_name": "agént", "subjects": ["s-1", "s-22"], "resource": "{}", "attributes": "{}",
        "skew_seconds": -7200, "severity_number": 9, "severity_text": "INFO", "body": "",
    }  # fmt: skip
    rows = pa.RecordBatch.from_pylist([row], schema=TABLES["logs"].schema)
    expected = (
        "4:logs1:1"
        "4:acme10:2026-11-2313:main-1a2b3c4d2:4219:179539200000000000119:17953920000000000006:key:k19:127.0.0.16:agént"
        "-------"
        "11:3:s-14:s-22"
        "2:{}2:{}-5:-7200"
        "1:94:INFO-0:----"
    ).encode()
    (texts,) = record_texts("logs", 1, rows)
    assert texts.to_pylist() == [expected]
    digest = hashlib.sha256(bytes(range(16)) + expected).digest()
    assert commit_rows("logs", rows).hashes == digest == commitment(bytes(range(16)), expected)
    values = parse_record_text(expected).values
    assert (values["subjects"], values["body"], values["scope_name"]) == (("s-1", "s-22"), "", None)


@pytest.mark.parametrize("table", LEDGERED)
@pytest.mark.parametrize("count", [1, 2, 7, 300])
def test_columns_give_what_rows_give(table, count):
    """Texts built in columns are those built value by value, whatever the values, and read back."""
    for seed in range(6):
        rows = rows_of(table, count, seed=seed)
        texts = [text for piece in record_texts(table, 1, rows) for text in piece.to_pylist()]
        assert texts == [plain_text(table, row) for row in rows.to_pylist()]
        assert commit_rows(table, rows).hashes == plain_commitments(table, rows)
        assert commit_rows(table, rows.slice(count // 3)).hashes == plain_commitments(table, rows)[count // 3 * 32 :]
        for text, row in zip(texts[:5], rows.to_pylist(), strict=False):
            record = parse_record_text(text)
            assert (record.table, record.schema_version) == (table, 1)
            for name, value in record.values.items():
                stored = row[name]
                assert value == (stored if stored is None else tuple(stored) if name == "subjects" else str(stored))


def test_order_of_memory_does_not_matter():
    """Other Arrow layouts of the same values give the same commitments: large, viewed and dictionary-encoded text."""
    rows = rows_of("logs", 40, seed=3)
    expected = plain_commitments("logs", rows)

    def other(field):
        if field.type == pa.string():
            return {"body": pa.large_string(), "peer": pa.string_view()}.get(
                field.name, pa.dictionary(pa.int32(), pa.string())
            )
        if field.name == "salt":
            return pa.binary(16)
        if field.name == "subjects":
            return pa.large_list(pa.large_string())
        return pa.int32() if field.name == "schema_version" else field.type

    changed = pa.RecordBatch.from_arrays(
        [column.cast(other(field)) for column, field in zip(rows.columns, rows.schema, strict=True)], rows.schema.names
    )
    assert commit_rows("logs", changed).hashes == expected


def test_many_rows_are_cut_into_pieces():
    """More rows, or more bytes, than fit at once give the same commitments in the same order."""
    rows = pa.concat_batches([rows_of("logs", 8, seed=5)] * 2500)
    indices = pa.array(range(20_000), pa.int64())
    rows = rows.set_column(rows.schema.get_field_index("log_index"), "log_index", indices)
    rows = rows.set_column(rows.schema.get_field_index("body"), "body", indices.cast(pa.string()))
    assert [len(piece) for piece in record_texts("logs", 1, rows)] == [8192, 8192, 3616]
    sample = [0, 8191, 8192, 16_383, 16_384, 19_999]
    hashes = commit_rows("logs", rows).hashes
    for place in sample:
        assert hashes[place * 32 : place * 32 + 32] == plain_commitments("logs", rows.slice(place, 1))
    assert commit_rows("logs", rows.slice(0, 0)).hashes == b""


def test_pieces_stay_below_what_an_array_holds(monkeypatch):
    """Rows whose texts together would overflow an array are halved until they fit."""
    monkeypatch.setattr("warehouse.ledger.record_text._BYTES_AT_ONCE", 200_000)
    rows = rows_of("spans", 50, seed=2)
    pieces = [len(piece) for piece in record_texts("spans", 1, rows)]
    assert len(pieces) > 1
    assert sum(pieces) == 50
    assert commit_rows("spans", rows).hashes == plain_commitments("spans", rows)


def replaced(rows, name, values, type_=None):
    place = rows.schema.get_field_index(name)
    return rows.set_column(place, name, pa.array(values, type_ or rows.schema.field(name).type))


def test_rows_without_commitment_are_named():
    """Rows of an unknown schema version, or whose salt is not 16 bytes, get no commitment; their neighbours do."""
    rows = rows_of("logs", 6, seed=4)
    expected = plain_commitments("logs", rows)
    salts = rows.column("salt").to_pylist()
    salts[1], salts[4] = salts[1][:15], None
    damaged = replaced(replaced(rows, "salt", salts), "schema_version", [1, 1, 2, 1, 1, None])
    committed = commit_rows("logs", damaged)
    assert committed.unknown.tolist() == [1, 2, 4, 5]
    for place in range(6):
        wanted = bytes(32) if place in (1, 2, 4, 5) else expected[place * 32 : place * 32 + 32]
        assert committed.hashes[place * 32 : place * 32 + 32] == wanted
    with pytest.raises(RecordTextError, match="got 4 rows without"):
        log_entries([("logs", damaged)])


@pytest.mark.parametrize(
    ("name", "table", "change", "expected"),
    [
        ("not ledgered", "metrics", lambda rows: rows, "expected a ledgered table, got 'metrics'"),
        ("no salt", "logs", lambda rows: rows.drop_columns(["salt"]), "without salt"),
        ("column missing", "logs", lambda rows: rows.drop_columns(["body"]), "body: expected this ledger column"),
        (
            "float",
            "logs",
            lambda rows: replaced(rows, "flags", [1.5, 2.5, 3.5], pa.float64()),
            "flags: expected integer, got double",
        ),
        (
            "number as text",
            "logs",
            lambda rows: replaced(rows, "flags", ["1", "2", "3"], pa.string()),
            "flags: expected integer, got string",
        ),
        (
            "day as timestamp",
            "logs",
            lambda rows: replaced(rows, "day", [1, 2, 3], pa.timestamp("s")),
            "day: expected day, got timestamp",
        ),
    ],
)
def test_refused_rows(name, table, change, expected):
    """Rows that do not have a table's ledger columns in their types have no text."""
    with pytest.raises(RecordTextError, match=expected):
        commit_rows(table, change(rows_of("logs", 3)))


def test_entries_of_a_segment():
    """What a segment adds to each tenant's log is the commitments of its rows of all tables, by index."""
    spans = rows_of("spans", 3, first=10, seed=1)
    logs = rows_of("logs", 2, first=13, seed=2)
    other = rows_of("logs", 2, tenant="bolt", first=0, seed=3)
    mixed = pa.concat_batches([other.slice(1), logs, other.slice(0, 1)])
    found = log_entries([("logs", mixed), ("spans", spans)])
    assert set(found) == {"acme", "bolt"}
    assert (found["acme"].first, found["acme"].after) == (10, 15)
    assert found["acme"].entries == plain_commitments("spans", spans) + plain_commitments("logs", logs)
    assert (found["bolt"].first, found["bolt"].entries) == (0, plain_commitments("logs", other))
    assert log_entries([]) == {}


@pytest.mark.parametrize("first", [12, 14])
def test_gaps_and_repeats_are_refused(first):
    """Entries are appended only where indices follow one another."""
    with pytest.raises(RecordTextError, match="acme: expected log indices from 10 on without gap or repeat"):
        log_entries([("spans", rows_of("spans", 3, first=10)), ("logs", rows_of("logs", 2, first=first))])


def test_ledger_columns_cover_the_tables():
    """Every column of a ledgered table but `salt` and `schema_version` is in the ledger, in the table's order and type."""
    types = {pa.string(): Kind.TEXT, pa.int64(): Kind.INTEGER, pa.date32(): Kind.DAY}
    assert {name for name, _ in LEDGER_COLUMNS} == set(LEDGERED) == {t.name for t in TABLES.values() if t.ledgered}
    for name in LEDGERED:
        table = TABLES[name]
        expected = [
            (column.name, types.get(column.type, Kind.TEXTS))
            for column in table.columns
            if column.name not in ("salt", "schema_version")
        ]
        listed = [(c.name, c.kind) for c in LEDGER_COLUMNS[name, table.schema_version]]
        assert listed == expected, f"{name}: new columns need a new schema_version and a further list"


@pytest.mark.parametrize(
    ("table", "version", "count", "digest"),
    [
        ("spans", 1, 60, "fc25e2a4afa97121e1496c0ca54825d1"),
        ("audit_events", 1, 44, "8b772242005bdb52e6905a296f174a71"),
        ("logs", 1, 29, "bad5c18502f33e8a8a94d20c7cb762ed"),
    ],
)
def test_ledger_columns_never_change(table, version, count, digest):
    """A list that rows were written under stays as it is: with another one, no earlier record would verify."""
    columns = LEDGER_COLUMNS[table, version]
    listing = " ".join(f"{column.name}:{column.kind}" for column in columns)
    assert (len(columns), hashlib.sha256(listing.encode()).hexdigest()[:32]) == (count, digest)


def test_reference_lists_the_columns():
    """The reference names the ledger columns of each version in order."""
    text = (DOCS / "reference/ledger-columns.md").read_text()
    for (table, version), columns in LEDGER_COLUMNS.items():
        section = re.search(rf"^## {table}, version {version}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]
        listed = re.findall(r"^\| (\d+) \| `(\w+)` \| (\w+) \|$", section, re.MULTILINE)
        assert listed == [(str(number), c.name, str(c.kind)) for number, c in enumerate(columns, 1)]
        assert f"`{len(table)}:{table}1:{version}`" in section


def documented_sql(table):
    """The DuckDB statement of the how-to, put together for `table` as it says."""
    duck, _, _ = (DOCS / "how-to/recompute-commitments.md").read_text().partition("## Spark SQL")
    statement, audit_events, logs = re.findall(r"```sql\n(.*?)```", duck, re.DOTALL)
    if table == "spans":
        return statement
    values = {"audit_events": audit_events, "logs": logs}[table]
    statement = re.sub(
        r"(list_transform\(\[\n).*?(\n  \], lambda)", lambda m: m[1] + values + m[2], statement, flags=re.DOTALL
    )
    return statement.replace("'5:spans'", f"'{len(table)}:{table}'").replace("from spans", f"from {table}")


@pytest.mark.parametrize("table", LEDGERED)
def test_documented_sql_recomputes_commitments(table):
    """The one statement of the how-to gives, in DuckDB, the commitments of all rows; `muniment sql` takes it."""
    rows = rows_of(table, 200, seed=7)
    sql = documented_sql(table)
    assert check_query(sql, {table}).views == {table}
    with duckdb.connect() as connection:
        connection.register(table, pa.Table.from_batches([rows]))
        found = connection.sql(sql).fetchall()
    assert {index: digest for _, _, index, digest in found} == {
        index: plain_commitments(table, rows.slice(index, 1)).hex() for index in range(200)
    }
    assert {(tenant, shard) for tenant, shard, _, _ in found} == {("acme", SHARD)}


def test_documented_spark_sql_has_the_same_columns():
    """The Spark statement names the ledger columns of spans in order, each cast as in the DuckDB one."""
    _, _, spark = (DOCS / "how-to/recompute-commitments.md").read_text().partition("## Spark SQL")
    (statement,) = re.findall(r"```sql\n(.*?)```", spark, re.DOTALL)
    listed = re.search(r"transform\(array\(\n(.*?)\n  \), t ->", statement, re.DOTALL)[1]
    listed = re.sub(r"array_join\(transform\((\w+), .*?\), ''\)", r"texts(\1)", listed)
    spelling = {Kind.TEXT: "{}", Kind.TEXTS: "texts({})"}
    expected = [spelling.get(c.kind, "cast({} as string)").format(c.name) for c in LEDGER_COLUMNS["spans", 1]]
    assert re.split(r",\s+", listed.strip()) == expected


def test_a_version_in_other_digits_is_refused():
    """Python takes a superscript for a digit and then cannot make a number of it."""
    with pytest.raises(RecordTextError, match="expected a table and its version first"):
        parse_record_text("5:spans2:²".encode())
