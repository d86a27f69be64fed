"""The daemon itself: it ticks, the sensor asks, runs come and end, and the day's assets are fresh."""

import os
import signal
import subprocess
import time

import dagster as dg
import pytest

from pipelines.home import ready_home
from tests.days import YESTERDAY
from warehouse.lake import find_lake

SECONDS = 400


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_daemon_ticks_and_the_day_is_worked_out(day_lake):
    """Code server and daemon as `up` starts them: without anybody asking, the sensor's tick leads to a run of the day that is new."""
    lake = find_lake(day_lake.path)
    with ready_home(lake) as home:
        environment = {**os.environ, **home.variables}
        commands = home.commands(0, read_only=True)
        running = [
            subprocess.Popen(commands[name], cwd=home.folder, env=environment, start_new_session=True)
            for name in ("code", "daemon")
        ]
        try:
            with dg.DagsterInstance.from_config(str(home.folder)) as instance:
                run = wait_for_run(instance)
                assert run.status is dg.DagsterRunStatus.SUCCESS
                assert run.tags["dagster/sensor_name"] == "new_records_sensor"
                assert run.tags["muniment/tenants"] == "acme"
                day = instance.get_latest_materialization_event(dg.AssetKey("quality_results"))
                assert day is not None
        finally:
            for process in running:
                os.killpg(process.pid, signal.SIGTERM)
            for process in running:
                process.wait(60)
    counted = day_lake.rows(
        "acme", f"select distinct day::varchar as day from quality_results where day = '{YESTERDAY}'"
    )
    assert counted == [{"day": YESTERDAY.isoformat()}]


def wait_for_run(instance):
    """The run of yesterday once it has ended."""
    deadline = time.monotonic() + SECONDS
    wanted = dg.RunsFilter(job_name="new_records", tags={"dagster/partition": YESTERDAY.isoformat()})
    while time.monotonic() < deadline:
        if (found := instance.get_runs(wanted)) and found[0].is_finished:
            return found[0]
        time.sleep(0.5)
    raise AssertionError(f"no run of {YESTERDAY} within {SECONDS} s: {instance.get_runs()}")
