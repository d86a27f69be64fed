"""The Spark statement of docs/how-to/recompute-commitments.md, read from the page and run by a real engine on a real lake.

Spark is no dependency of the project (hundreds of megabytes): the test runs where the interpreter that `MUNIMENT_SPARK_PYTHON`
names, or this one, has `pyspark` (with Java 17) or `pysail` with Spark's client.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from warehouse.ledger.log_tiles import LogTiles

TESTS = Path(__file__).resolve().parents[2]
PAGE = (TESTS.parent / "docs/how-to/recompute-commitments.md").read_text()
PYTHON = os.environ.get("MUNIMENT_SPARK_PYTHON", sys.executable)
TABLES = ("spans", "audit_events", "logs")
ANSWER_SECONDS = 240
AWKWARD = ["", "-", "1:a", "ä", "日本語 👩‍🔬", 'it\'s "so"\r\n', "x" * 5000]


@pytest.fixture(scope="module")
def spark_python():
    """An interpreter that has Spark."""
    probe = subprocess.run([PYTHON, "-c", "import pyspark"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip(
            "Spark: not installed; name with MUNIMENT_SPARK_PYTHON an interpreter that has pyspark, or pysail and pyspark-client"
        )
    return PYTHON


def documented_sql(table):
    """The statement for `table`, put together as the page says: its name and values, `subjects` spelled as in Spark."""
    duck, _, spark = PAGE.partition("## Spark SQL")
    (statement,) = re.findall(r"```sql\n(.*?)```", spark, re.DOTALL)
    if table == "spans":
        return statement
    _, audit_events, logs = re.findall(r"```sql\n(.*?)```", duck, re.DOTALL)
    subjects = re.search(r"array_join\(transform\(subjects.*?\), ''\)", statement)[0]
    values = {"audit_events": audit_events, "logs": logs}[table]
    values = re.sub(r"array_to_string\(list_transform\(subjects.*?\), ''\)", lambda _: subjects, values)
    statement = re.sub(
        r"(transform\(array\(\n).*?(\n  \), t ->)", lambda m: m[1] + values + m[2], statement, flags=re.DOTALL
    )
    return statement.replace("'5:spans'", f"'{len(table)}:{table}'").replace("from spans", f"from {table}")


def expected_rows(lake):
    """What the logs hold, by tenant, shard and index."""
    found = {}
    for checkpoint in sorted((lake.lake.path / "ledger").glob("*/*/checkpoint")):
        folder, size = checkpoint.parent, int(checkpoint.read_text().split("\n")[1])
        entries = LogTiles(folder).entries(0, size)
        for index in range(size):
            found[folder.parent.name, folder.name, index] = entries[32 * index : 32 * index + 32].hex()
    return found


@pytest.mark.slow
def test_spark_recomputes_every_entry(growing, rows, spark_python):
    """Each row of each ledgered table gives the entry at its index, for a tenant that looks like a number too; none is left over."""
    for text in AWKWARD:
        growing.record("policy.changed", reason=text, attributes={"muniment.text": text})
    growing.write(rows.whole_batch("number", 3, tenant="007"))
    places = {
        table: {
            "folder": str(growing.lake.table(table)),
            "files": [
                str(file) for tenant in ("acme", "beta", "007", "_lake") for file in growing.files(table, tenant)
            ],
        }
        for table in TABLES
    }
    request = {"tables": places, "sql": {table: documented_sql(table) for table in TABLES}}
    done = subprocess.run(
        [spark_python, str(TESTS / "spark_commitments.py")], input=json.dumps(request), capture_output=True, text=True,
        timeout=ANSWER_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    got = [tuple(row) for table in TABLES for row in answer["rows"][table]]
    expected = expected_rows(growing)
    assert {(tenant, shard, index): digest for tenant, shard, index, digest in got} == expected
    assert len(got) == len(expected)
