"""A real Alertmanager: it takes what is sent, keeps what goes on, resolves what ended, and notices silence."""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks.loopback import free_port
from pipelines.alerts.episodes import watchdog
from pipelines.alerts.errors import AlertRefusedError
from pipelines.alerts.notice import Notice
from pipelines.alerts.targets import open_target
from pipelines.alerts.wording import Wording
from warehouse.clock import NANOS_PER_SECOND, system_clock

WAIT_SECONDS = 120
CONFIG = """
route: {{receiver: all, group_by: ["..."], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}}
receivers: [{{name: all, webhook_configs: [{{url: "{url}/am", send_resolved: true}}]}}]
"""


@dataclass
class Alertmanager:
    """The server in a process group of its own, telling the test's receiver what it notifies of."""

    binary: str
    folder: Path
    receiver: object
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        (self.folder / "am.yml").write_text(CONFIG.format(url=self.receiver.url))
        with (self.folder / "am.log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    self.binary, f"--config.file={self.folder / 'am.yml'}", f"--storage.path={self.folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address=",
                ],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.wait_until(self._is_ready)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=60)

    def alerts(self):
        """What it holds as active, by name."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=60) as response:
            return {each["labels"]["alertname"]: each for each in json.load(response)}

    def notified(self):
        """What it told the receiver, as (name, status)."""
        return [
            (each["labels"]["alertname"], each["status"])
            for request in list(self.receiver.requests)
            for each in request.json["alerts"]
        ]

    def wait_until(self, condition):
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert self.process.poll() is None, (self.folder / "am.log").read_text()[-2000:]
            assert time.monotonic() < deadline, (self.folder / "am.log").read_text()[-2000:]
            time.sleep(0.05)

    def _is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=60):
                return True
        except OSError:
            return False


@pytest.fixture
def manager(tmp_path, receiver):
    binary = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if binary is None:
        pytest.skip(
            "Alertmanager: none is installed; `apt-get install prometheus-alertmanager` and run `make test` again"
        )
    running = Alertmanager(binary, tmp_path, receiver)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def target(manager, alerting):
    return open_target(alerting.target("alertmanager", url=manager.url), Wording("lab"), {}.get)


def test_an_alert_fires_and_is_resolved(manager, target, alerting):
    """It is active with all its labels, is not notified twice when sent again, and is resolved by its true end."""
    now = system_clock()
    made = alerting.alert(starts_unix_nano=now, labels={"slo": "latency/p95", "0day": "x"}, runbook="slow.md")
    target.send([Notice(made), Notice(watchdog(now).alerts[0])], now)
    manager.wait_until(lambda: ("slow", "firing") in manager.notified())
    held = manager.alerts()
    assert held["slow"]["labels"]["slo"] == "latency/p95"
    assert held["slow"]["labels"]["label_0day"] == "x"
    assert held["slow"]["status"]["state"] == "active"
    target.send([Notice(made, told=True)], now + NANOS_PER_SECOND)
    over = alerting.alert(starts_unix_nano=now, labels=made.labels, ends_unix_nano=system_clock(), runbook="slow.md")
    target.send([Notice(over, told=True)], system_clock())
    manager.wait_until(lambda: ("slow", "resolved") in manager.notified())
    assert "Watchdog" in manager.alerts()
    assert "slow" not in manager.alerts()
    assert manager.notified().count(("slow", "firing")) == 1


def test_silence_is_noticed(manager, target, alerting):
    """What is no longer sent is resolved by the end that it was sent with: nobody has to say so."""
    lately = system_clock() - 298 * NANOS_PER_SECOND
    target.send([Notice(watchdog(lately).alerts[0])], lately)
    manager.wait_until(lambda: "Watchdog" in manager.alerts())
    manager.wait_until(lambda: "Watchdog" not in manager.alerts())
    manager.wait_until(lambda: ("Watchdog", "resolved") in manager.notified())


def test_what_it_refuses_is_told_apart(manager, target, alerting):
    """An alert without a name is a refusal of that alert, with Alertmanager's own words."""
    empty = alerting.alert("", tenant="", severity="page")
    broken = open_target(alerting.target("alertmanager", url=manager.url), Wording(""), {}.get)
    ends = alerting.alert(starts_unix_nano=system_clock(), ends_unix_nano=system_clock() - NANOS_PER_SECOND)
    with pytest.raises(AlertRefusedError, match="got 400"):
        broken.send([Notice(empty), Notice(ends)], system_clock())
