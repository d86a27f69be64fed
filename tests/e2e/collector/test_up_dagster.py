"""`muniment up` with Dagster: it runs what is scheduled, shows it on loopback alone, and leaves no process behind."""

import http.client
import json
import os
import sys
import time

import psutil
import pytest
import yaml

from benchmarks.loopback import free_port
from pipelines.state import scheduler_state

TICK_SECONDS = 500


def processes_of(lake):
    """Processes whose command line or environment names the lake, but for this one."""
    found = []
    for process in psutil.process_iter():
        try:
            named = any(str(lake.path) in part for part in (*process.cmdline(), *process.environ().values()))
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if named and process.pid != os.getpid():
            found.append(process)
    return found


def wait_for(attempt, seconds):
    deadline = time.monotonic() + seconds
    while not (got := attempt()):
        assert time.monotonic() < deadline, f"nothing within {seconds} s, last: {got!r}"
        time.sleep(0.3)
    return got


def ask(port, query):
    """A GraphQL answer; None while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/graphql", json.dumps({"query": query}), {"content-type": "application/json"})
        return json.loads(connection.getresponse().read())
    except OSError:
        return None
    finally:
        connection.close()


@pytest.fixture
def up(lake, tmp_path):
    """`muniment up` on free ports: the process, and Dagster's port."""
    http_port, grpc_port, port, pages_port = (free_port() for _ in range(4))
    file = lake.path / "muniment.yaml"
    settings = yaml.safe_load(file.read_text())
    settings |= {"receivers": {"http_port": http_port, "grpc_port": grpc_port}, "dagster": {"port": port}}
    settings |= {"dashboards": {"port": pages_port}}
    file.write_text(yaml.safe_dump(settings))
    process = lake.start([sys.executable, "-m", "muniment", "up", "--lake", str(lake.path)], tmp_path / "up.log")
    yield process, port
    # a test that failed would have it killed, and its services are in process groups of their own
    process.terminate()
    process.wait(90)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_schedule_runs_and_nothing_is_left(lake, up):
    """Schedules run without being turned on, pages only show, every socket is on loopback, and SIGTERM ends each process."""
    process, port = up
    query = '{ schedulesOrError(repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "pipelines"}) { ... on Schedules { results { name scheduleState { status } } } } }'
    answer = wait_for(lambda: ask(port, query), 200)
    states = {each["name"]: each["scheduleState"]["status"] for each in answer["data"]["schedulesOrError"]["results"]}
    assert set(states.values()) == {"RUNNING"}
    assert len(states) == 8
    refused = ask(
        port,
        'mutation { addDynamicPartition(repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "pipelines"}, partitionsDefName: "tenants", partitionKey: "x") { __typename } }',
    )
    assert refused["data"]["addDynamicPartition"]["__typename"] == "UnauthorizedError"
    listening = {
        connection.laddr.ip.removeprefix("::ffff:")  # how a socket for both families names IPv4
        for each in processes_of(lake)
        for connection in each.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}

    def maintained():
        state = scheduler_state(lake.path / "dagster")
        run = state and state.last_runs.get("maintenance")
        return run and run.status in {"success", "failure"} and run

    assert wait_for(maintained, TICK_SECONDS).status == "success"
    assert scheduler_state(lake.path / "dagster").heartbeat_unix_nano
    assert "maintenance: success" in lake.muniment("status").stdout
    process.terminate()
    assert process.wait(90) == 0
    assert [each.cmdline() for each in processes_of(lake)] == []


@pytest.mark.slow
def test_an_end_in_the_middle_of_the_start_leaves_nothing(lake, up):
    """SIGTERM while Dagster still loads ends all of it too."""
    process, _ = up
    wait_for(lambda: len(processes_of(lake)) >= 4, 60)
    process.terminate()
    assert process.wait(90) == 0
    assert [each.cmdline() for each in processes_of(lake)] == []
