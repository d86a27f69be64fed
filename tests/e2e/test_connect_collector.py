"""docs/connect/collector.md: an OpenTelemetry Collector in front of Muniment."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from benchmarks.loopback import free_port

CONFIG = Path(__file__).parents[2] / "docs" / "connect" / "examples" / "collector" / "collector.yaml"
COLLECTORS = ("otelcol-contrib", "otelcol")


@pytest.fixture
def config():
    """The page's configuration."""
    return yaml.safe_load(CONFIG.read_text())


def test_every_component_is_defined_and_used(config):
    """Each component that a pipeline names is defined, and each one defined is used."""
    pipelines = config["service"]["pipelines"]
    assert set(pipelines) == {"traces", "metrics", "logs"}
    for kind in ("receivers", "processors", "exporters"):
        assert {name for pipeline in pipelines.values() for name in pipeline[kind]} == set(config[kind])
    assert set(config["service"]["extensions"]) == set(config["extensions"])


def test_exporter_fits_the_receiver(config):
    """It sends to Muniment's HTTP address, with a key that stands in no file, in an encoding that Muniment takes."""
    exporter = config["exporters"]["otlp_http/muniment"]
    assert exporter["endpoint"] == "${env:MUNIMENT_ENDPOINT:-http://127.0.0.1:4318}"
    assert exporter["headers"] == {"x-api-key": "${env:MUNIMENT_API_KEY}"}
    assert exporter["compression"] in {"gzip", "deflate"}


def test_nothing_is_dropped_while_muniment_is_away(config):
    """The queue is on disk and synced, retries never end, and nothing is held in memory alone before it."""
    exporter = config["exporters"]["otlp_http/muniment"]
    assert exporter["retry_on_failure"]["enabled"] is True
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"
    assert exporter["sending_queue"]["enabled"] is True
    assert exporter["sending_queue"]["storage"] in config["extensions"]
    assert config["extensions"]["file_storage"]["fsync"] is True
    assert list(config["processors"]) == ["memory_limiter"]


def test_everything_listens_on_loopback(config):
    """No address of the configuration is open to the network."""
    addresses = re.findall(r"[\w.]+:\d{4,5}", CONFIG.read_text())
    assert addresses
    assert {address.split(":")[0] for address in addresses} == {"127.0.0.1"}


def answers(port):
    """Whether somebody listens on that port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def collector(receiver, tmp_path):
    """Address of a running Collector with the page's configuration, sending to the receiver."""
    binary = next(filter(None, map(shutil.which, COLLECTORS)), None)
    if binary is None:
        pytest.skip("Collector: none is installed; put otelcol-contrib on PATH and run the tests again")
    port = free_port()
    log = tmp_path / "collector.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [binary, "--config", CONFIG],
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={
                **os.environ,
                "COLLECTOR_QUEUE": str(tmp_path / "queue"),
                "COLLECTOR_GRPC": f"127.0.0.1:{free_port()}",
                "COLLECTOR_HTTP": f"127.0.0.1:{port}",
                "MUNIMENT_ENDPOINT": receiver.endpoint,
                "MUNIMENT_API_KEY": receiver.api_key,
            },
        )
    deadline = time.monotonic() + 120
    try:
        while not answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_real_collector_passes_everything_on(collector, examples, receiver, named):
    """Spans and events sent to the Collector without a valid key arrive at Muniment with the Collector's."""
    examples.python("custom_agent.py", MUNIMENT_ENDPOINT=collector, MUNIMENT_API_KEY="of-no-lake")
    spans, events = receiver.wait_for(3), receiver.wait_for_events(2)
    assert named(spans, "chat gpt-4.1-mini")["attributes"]["gen_ai.usage.input_tokens"] == 212
    assert named(events, "approval.granted")["attributes"]["audit.sequence.number"] == 0
