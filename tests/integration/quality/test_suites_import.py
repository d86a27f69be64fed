"""Great Expectations in processes of their own: who loads it, and what it does to the machine when it is loaded."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.template import init_lake

HEAVY = ("great_expectations", "pandas", "scipy")
LOADED = f"""
import json, sys
print(json.dumps(sorted(set({HEAVY!r}) & set(sys.modules))))
"""
COMMAND = """
import sys
from muniment.cli.app import main
sys.argv[1:] = {words!r}
try:
    main()
except SystemExit as end:
    assert end.code in {codes!r}, end.code
"""
WATCHED = """
import json, sys
import requests  # one of its parts tries, when it is loaded, whether it may bind a port of ::1; nothing is sent
seen = []
def watch(event, values):
    if event.split(".")[0] in ("socket", "urllib", "http", "subprocess") or event in ("os.mkdir", "os.remove", "os.rename"):
        seen.append(event)
    if event == "open" and isinstance(values[1], str) and set(values[1]) & set("wax+"):
        seen.append("write " + str(values[0]))
sys.addaudithook(watch)
import pyarrow as pa
from pipelines.quality.suites import SUITES
from pipelines.quality.validating import validate
(spans,) = [suite for suite in SUITES if suite.table == "spans"]
checks = [check for check in spans.checks if check.name in ("suite-spans-ids-well-formed", "suite-spans-dialect-known")]
import dataclasses
sample = pa.table({"at_sender": ["key:k1"], "at_shard": ["main-1"], "at_index": [0], "trace_id": ["x"], "span_id": ["b" * 16]})
found = validate(sample, dataclasses.replace(spans, checks=tuple(checks)))
assert [each.outcome for each in found] == ["failed", "errored"], found
assert "great_expectations" in sys.modules
print(json.dumps(seen))
"""


def answer(code, folder):
    """What a process that runs `code` in an empty folder prints last, as JSON; it leaves nothing there and says no other word."""
    home = folder / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=home,
        env=os.environ
        | {"HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(home.iterdir()) == []
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def lake(tmp_path):
    """A lake with one tenant."""
    return str(init_lake(tmp_path / "lake", "acme"))


def test_commands_do_not_load_it(lake, tmp_path):
    """`muniment status`, and checks without suites, load neither Great Expectations nor what only it needs."""
    commands = [("status",), ("quality", "run", "--tenant", "acme"), ("quality", "show", "-t", "acme")]
    code = "".join(COMMAND.format(words=[*words, "--lake", lake], codes=(0, 4)) for words in commands)
    assert answer(code + LOADED, tmp_path) == []


def test_modules_do_not_load_it(tmp_path):
    """Importing what can run suites costs nothing of them; pandas is PyArrow's doing, where nobody keeps it from that."""
    modules = "muniment.cli.app, muniment.quality, pipelines.quality.validating, muniment.jobs, pipelines.definitions"
    assert set(answer(f"import {modules}" + LOADED, tmp_path)) <= {"pandas"}


def test_an_empty_day_does_not_load_it(lake, tmp_path):
    """Where there is nothing to look at, the suites are not loaded."""
    command = COMMAND.format(words=["quality", "run", "--tenant", "acme", "--suites", "--lake", lake], codes=(4,))
    assert set(answer(command + LOADED, tmp_path)) <= {"pandas"}


def test_it_sends_and_writes_nothing(tmp_path):
    """From its import to the result no socket is made, no name is looked up, no process started, and no file written or removed."""
    assert answer(WATCHED, tmp_path) == []
