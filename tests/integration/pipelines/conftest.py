"""A Dagster instance with the settings of `muniment up`, and lakes with records on chosen days."""

import contextlib
import io
import json
import shutil
from pathlib import Path

import dagster as dg
import pytest

from muniment.cli.app import run
from pipelines.definitions import make_definitions
from pipelines.home import instance_settings
from pipelines.lake import LakeResource
from tests.days import YESTERDAY, unix_nano
from tests.template import copy_lake, init_lake

SECOND = 1_000_000_000
RULES = {"agent-in-a-loop.yaml", "lake.yaml", "slo-budget-burn.yaml", "tool-failing.yaml"}


@pytest.fixture(scope="session")
def made_home(tmp_path_factory):
    """A home with the settings that `muniment up` gives it and empty storage, whose making takes longer than a run."""
    home = tmp_path_factory.mktemp("dagster") / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(instance_settings())
    with dg.DagsterInstance.from_config(str(home)) as made:
        assert made.get_runs() == []
        assert made.schedule_storage is not None
    return home


@pytest.fixture
def instance(made_home, tmp_path, monkeypatch):
    """A Dagster instance with those settings, in a home of its own."""
    home = Path(shutil.copytree(made_home, tmp_path / "home"))
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as made:
        assert not made.telemetry_enabled
        yield made


def request(day, count, tokens, operation, dropped=0):
    """An OTLP request with that many spans of an agent, from eight in the morning of a day on."""
    start = unix_nano(day, 8)
    spans = [
        {
            "traceId": f"{day.toordinal():016x}{number + 1:016x}", "spanId": f"{number + 1:016x}", "name": "invoke_agent a",
            "droppedAttributesCount": dropped,
            "startTimeUnixNano": str(start + number * SECOND), "endTimeUnixNano": str(start + (number + 1) * SECOND),
            "attributes": [
                {"key": "gen_ai.operation.name", "value": {"stringValue": operation}},
                {"key": "gen_ai.agent.id", "value": {"stringValue": "a"}},
                {"key": "gen_ai.usage.input_tokens", "value": {"intValue": str(tokens)}},
            ],
        }
        for number in range(count)
    ]  # fmt: skip
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": spans}]}]}


class DayLake:
    """A lake in a folder, written and asked as commands and jobs do."""

    def __init__(self, path):
        self.path = path

    def muniment(self, *words):
        """Exit code and output of a command."""
        said = io.TextIOWrapper(io.BytesIO(), encoding="utf8", write_through=True)
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = run([*map(str, words), "--lake", str(self.path)])
        return code, said.buffer.getvalue().decode()

    def add(self, tenant, *days, count=3, tokens=7, operation="invoke_agent", dropped=0):
        """Import spans of a tenant on each of these days."""
        file = self.path.parent / "spans.jsonl"
        file.write_text("".join(json.dumps(request(day, count, tokens, operation, dropped)) + "\n" for day in days))
        assert self.muniment("import", file, "--tenant", tenant)[0] == 0

    def rows(self, tenant, query):
        """Rows of a query."""
        code, out = self.muniment("sql", query, "--tenant", tenant, "--format", "json")
        assert code == 0, out
        return json.loads(out)

    def run(self, instance, job, day, *, lake=None, assets=None, **more):
        """One run of a job over a day's partition, or of some of its assets with their checks."""
        made = make_definitions(lake or LakeResource(path=str(self.path)))
        return made.resolve_job_def(job).execute_in_process(
            instance=instance,
            partition_key=day.isoformat(),
            asset_selection=None if assets is None else [dg.AssetKey(name) for name in assets],
            raise_on_error=False,
            **more,
        )


@pytest.fixture(scope="session")
def first_lake(tmp_path_factory):
    """A lake with the tenants acme and beta, three spans of acme of yesterday, and a few of the shipped incident rules.

    Each rule is asked over each day; that all of them work is tested where each is.
    """
    made = DayLake(tmp_path_factory.mktemp("first") / "lake")
    init_lake(made.path, "acme", "beta")
    for file in (made.path / "policies" / "incidents").glob("*.yaml"):
        if file.name not in RULES:
            file.unlink()
    assert made.muniment("policy", "apply", "incidents", "--yes")[0] == 0
    made.add("acme", YESTERDAY)
    return made


@pytest.fixture
def day_lake(tmp_path, first_lake):
    """A copy of it."""
    return DayLake(copy_lake(first_lake.path, tmp_path / "lake"))
