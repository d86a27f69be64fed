"""The demo's last words: figures from the truth, and commands that can be copied."""

import json
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from muniment.demo import DemoResult, render_summary, write_truth
from muniment.demo.sender import Delivered
from muniment.demo.simulation import simulate
from muniment.demo.summary import next_commands, this_program

END = 1_795_364_523_456_789_012


class Nowhere:
    """An outlet that forgets."""

    def spans(self, batch):
        """Forget spans."""

    def logs(self, batch):
        """Forget log records."""

    def metrics(self, data, points):
        """Forget metric points."""


@pytest.fixture(scope="module")
def result() -> DemoResult:
    """A small demo that went nowhere."""
    truth = simulate(seed=7, end_unix_nano=END, days=7, scale=0.01, outlet_for=lambda _service: Nowhere())
    delivered = Delivered(acknowledged={"spans": 1200, "logs": 34, "metric_points": 0}, requests=5)
    return DemoResult(truth, delivered, seconds=2.25, cpu_seconds=2.0)


def shown(result: DemoResult, lake: Path | None, width: int) -> str:
    """The summary as text on a terminal of that width."""
    out = StringIO()
    Console(file=out, width=width).print(render_summary(result, {"send": 2.0, "commit": 1.5}, lake=lake))
    return out.getvalue()


def as_the_shell_reads(command: str) -> list[str]:
    """The words that a POSIX shell makes of a command."""
    words = subprocess.run(
        ["/bin/sh", "-c", f"set -- {command}\nprintf '%s\\0' \"$@\""], capture_output=True, check=True, timeout=240
    )
    return words.stdout.decode().split("\0")[:-1]


def test_summary_names_tenants_troubles_and_timings(result):
    """Each tenant with its counts, each trouble with its time, and each timing is there, whole, in 80 columns."""
    text = shown(result, None, 80)
    for tenant, counts in result.truth["counts"].items():
        (line,) = (line for line in text.splitlines() if line.startswith(tenant) and "M " in line)
        assert f"{counts['spans']:,}" in line
        assert f"{counts['audit_events']:,}" in line
    for trouble in result.truth["troubles"]:
        assert f"{trouble['time'][:16].replace('T', ' ')}  {trouble['tenant']}" in text
        assert trouble["rule"] in text
    assert "1,234 records in 5 requests, all acknowledged; made in 3.5 s" in text
    assert "demo-truth.json in the lake names the traces" in text


@pytest.mark.parametrize(
    "lake", [None, Path("lake"), Path("/srv/my lake/it's here")], ids=["default", "plain", "quoted"]
)
def test_commands_survive_a_shell(result, lake):
    """What stands under "Try next" is three commands that a shell reads as meant, with the lake where it is not the default."""
    text = shown(result, lake, 80).split("Try next\n")[1]
    for command in next_commands(result.truth, lake):
        assert command in text.replace(" \n", "\n")
    sql, trace, status = (as_the_shell_reads(command) for command in next_commands(result.truth, lake))
    where = [] if lake is None else ["--lake", str(lake)]
    (failing,) = (t for t in result.truth["troubles"] if t["rule"] == "tool-failing")
    assert sql[:2] == ["muniment", "sql"]
    assert sql[2].startswith("select agent_name")
    assert sql[3:] == ["--tenant", result.truth["tenants"][0], *where]
    assert trace == ["muniment", "trace", failing["trace_ids"][0], *where]
    assert status == ["muniment", "status", *where]


def test_commands_name_a_program_that_the_shell_finds(result, tmp_path, monkeypatch):
    """Where `muniment` is not on PATH the commands name it by its path, from here when it lies below."""
    program = tmp_path / "a venv" / "bin" / "muniment"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.setattr("sys.executable", str(program.with_name("python")))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert this_program() == "'a venv/bin/muniment'"
    monkeypatch.chdir("/")
    monkeypatch.setenv("PATH", str(program.parent))
    assert this_program() == "muniment"
    assert next_commands(result.truth, None, program="x/muniment")[2] == "x/muniment status"


def test_truth_file_is_private_and_json(result, tmp_path):
    """The truth is JSON that only its owner may read, since it lists the planted personal data."""
    path = tmp_path / "demo-truth.json"
    write_truth(result.truth, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text(encoding="utf-8")) == result.truth
