"""`muniment maintenance` from the command line."""

import datetime as dt
import json

import pyarrow as pa
import pytest

from muniment.cli.app import run
from tests.template import init_lake
from warehouse.delta import DeltaStore
from warehouse.lake import Lake
from warehouse.marks import write_mark
from warehouse.parquet import write_parts
from warehouse.tables import LOGS

SHARD = "main-1a2b3c4d"


@pytest.fixture
def folder(tmp_path):
    """A lake with five small files of a day long past."""
    folder = tmp_path / "lake"
    init_lake(folder)
    lake = Lake(folder)
    store = DeltaStore(LOGS, lake.table("logs"))
    (lake.journal / SHARD).mkdir()
    for segment in range(5):
        values = {
            "tenant_id": ["acme"], "day": [dt.date(2024, 1, 5)], "shard": [SHARD],
            "log_index": [segment], "time_unix_nano": [1],
        }  # fmt: skip
        arrays = [pa.array(values.get(field.name, [None]), field.type) for field in LOGS.schema]
        rows = pa.table(arrays, schema=LOGS.schema)
        parts = write_parts(LOGS, rows, store.folder, stem=f"{SHARD}-{segment:010d}")
        store.append([part.add_action(1) for part in parts], [(f"{SHARD}/logs", segment)])
    write_mark(lake.journal / SHARD, 4)
    return folder


def output_of(capsys, *arguments):
    capsys.readouterr()
    code = run(["maintenance", *arguments])
    return code, capsys.readouterr()


def test_run_and_status_tell_machines_what_was_done(folder, capsys):
    """`--json` gives the figures of the round, and `status` those before and after."""
    code, printed = output_of(capsys, "status", "--lake", str(folder), "--json")
    logs = next(table for table in json.loads(printed.out) if table["table"] == "logs")
    assert (code, logs["files"], logs["files_to_merge"]) == (0, 5, 5)
    code, printed = output_of(capsys, "run", "--lake", str(folder), "--json")
    logs = next(table for table in json.loads(printed.out)["tables"] if table["table"] == "logs")
    assert (code, logs["files_before"], logs["files_after"], logs["rows"]) == (0, 5, 1, 5)
    code, printed = output_of(capsys, "status", "--lake", str(folder))
    assert code == 0
    assert [line.split()[1] for line in printed.out.splitlines() if line.startswith("logs ")] == ["1"]


def test_run_tells_people_what_was_done_and_can_be_quiet(folder, capsys):
    """A round prints a line a table that it changed, and nothing with `--quiet`."""
    code, printed = output_of(capsys, "run", "--lake", str(folder), "--tenant", "_lake")
    assert (code, printed.out) == (0, "done\n")
    assert output_of(capsys, "run", "--lake", str(folder), "--tenant", "nobody")[0] == 2
    code, printed = output_of(capsys, "run", "--lake", str(folder), "--table", "logs")
    assert code == 0
    assert printed.out.startswith("logs: 5 files into 1")
    code, printed = output_of(capsys, "run", "--lake", str(folder), "--quiet")
    assert (code, printed.out, printed.err) == (0, "", "")


def test_an_unknown_table_is_a_usage_error(folder, capsys):
    """The exit code is 2, and the message names the tables."""
    code, printed = output_of(capsys, "run", "--lake", str(folder), "--table", "nope")
    assert code == 2
    assert "expected some of audit_events, contents, logs, metrics, spans, got nope" in " ".join(printed.err.split())


def test_what_cannot_be_done_is_said_and_exits_3(folder, capsys):
    """A failure in one table is named; the rest is done."""
    (folder / "tables" / "logs" / "_delta_log" / "_last_checkpoint").mkdir()
    (folder / "muniment.yaml").write_text("maintenance:\n  checkpoint_entries: 1\n")
    code, printed = output_of(capsys, "run", "--lake", str(folder))
    assert code == 3
    assert "not done: table logs: checkpoint failed" in printed.err
    assert "logs: 5 files into 1" in printed.out
