"""The columns of each table, frozen: name, type, order and schema version."""

import json
from pathlib import Path

import pytest

from warehouse.tables import TABLES
from warehouse.tables.columns import PARTITION_COLUMNS

GOLDEN = Path(__file__).parent / "golden"
HOW_TO_CHANGE = """
The columns of table {name} are not those of {file}.
Rows of years stand in these columns, and commitments are computed over them, so:
  - a column is only ever added, after the last one: never renamed, retyped, moved or removed;
  - the table's schema_version goes up by one, and CHANGELOG.md says why;
  - the new file has the old columns first, unchanged; write it as
{written}
"""


def frozen(table):
    columns = [[column.name, str(column.type)] for column in table.columns]
    return {"table": table.name, "schema_version": table.schema_version, "columns": columns}


def written(content):
    """The file's text: one line a column, so that a change is one line of a diff."""
    columns = ",\n".join(f"    {json.dumps(column)}" for column in content["columns"])
    head = f'  "table": {json.dumps(content["table"])},\n  "schema_version": {content["schema_version"]}'
    return f'{{\n{head},\n  "columns": [\n{columns}\n  ]\n}}\n'


@pytest.mark.parametrize("name", TABLES)
def test_columns_are_frozen(name):
    """Name, type and order of a table's columns are those of its golden file; the message says how to change them."""
    file = GOLDEN / f"{name}.json"
    now = frozen(TABLES[name])
    message = HOW_TO_CHANGE.format(name=name, file=f"tests/unit/golden/{name}.json", written=written(now))
    assert file.is_file(), message
    assert json.loads(file.read_text(encoding="utf8")) == now, message


def test_every_golden_file_has_its_table():
    """A table that disappears is noticed."""
    assert {file.stem for file in GOLDEN.glob("*.json")} == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_partition_columns_come_first(name):
    """Every table begins with its partition columns, which no Parquet file holds."""
    table = TABLES[name]
    assert tuple(column.name for column in table.columns[:2]) == PARTITION_COLUMNS
    assert not set(PARTITION_COLUMNS) & set(table.file_schema.names)


@pytest.mark.parametrize("name", TABLES)
def test_integers_are_64_bits_wide(name):
    """Every counter is int64 from the start: widening a column later fails in silence."""
    kinds = {str(column.type) for column in TABLES[name].columns}
    assert not {kind for kind in kinds if "int" in kind and kind != "int64"}
