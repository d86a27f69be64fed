"""README's commands and its Python snippet, run as they stand there, in order, on a fresh lake."""

import contextlib
import json
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.commands import run_command
from warehouse.local_socket import call_local_socket

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
TENANT = "acme"
WAIT_SECONDS = 120
COMMAND_SECONDS = 480
QUERYABLE_SECONDS = 120
SNIPPET_END = """
with trace.get_tracer("readme").start_as_current_span("from the README"):
    pass
provider.shutdown()
"""


def stated_commands():
    """Every `muniment …` of README's shell blocks, in order, without comments."""
    lines = [line.split("#")[0].strip() for language, block in BLOCKS if not language for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("muniment ")]


def python_snippet():
    (snippet,) = [block for language, block in BLOCKS if language == "python"]
    return snippet


def otlp_lines(trace_id):
    """What a file exporter writes: a request a line, the second with a record that is refused."""
    now = time.time_ns()

    def request(span_id, start):
        span = {"traceId": trace_id, "spanId": span_id, "name": "chat", "startTimeUnixNano": str(start)}
        span["endTimeUnixNano"] = str(start + 1_000_000)
        span["attributes"] = [
            {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
            {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4.1"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "12"}},
        ]
        return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})

    return f"{request(secrets.token_hex(8), now)}\n{request('00' * 8, now)}\n"


class Shell:
    """A folder in which README's commands are run, and what runs in its background."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("MUNIMENT_", "OTEL_"))
        }
        self.background = None
        self.outputs = {}

    def run(self, words):
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        self.outputs[words[1]] = done.stdout
        return done.stdout

    def start(self, words):
        """Start a command that goes on, on free ports, and wait until its receivers listen; returns the HTTP port.

        Without Dagster and the pages, whose ports are fixed: `collector/test_up_dagster.py` and `dashboards` have tests of them.
        """
        settings = self.folder / "lake" / "muniment.yaml"
        content = yaml.safe_load(settings.read_text()) | {"receivers": {"http_port": 0, "grpc_port": 0}}
        content |= {name: {"enabled": False} for name in ("dagster", "dashboards")}
        settings.write_text(yaml.safe_dump(content))
        log = self.folder / "up.log"
        with log.open("wb") as stream:
            self.background = subprocess.Popen(
                [sys.executable, "-m", *words], cwd=self.folder, env=self.environment, stdout=stream, stderr=stream,
                start_new_session=True,
            )  # fmt: skip
        socket = self.folder / "lake" / "run" / "collector-main.sock"
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            assert self.background.poll() is None, f"{words} ended: {log.read_text()}"
            assert time.monotonic() < deadline, f"{words} does not listen: {log.read_text()}"
            with contextlib.suppress(Exception):
                state = json.loads(call_local_socket(socket, b'{"op":"state"}', timeout_seconds=5))
                if state["ok"] and state["http_port"]:
                    return state["http_port"]
            time.sleep(0.05)

    def stop(self):
        if self.background is not None and self.background.poll() is None:
            self.background.send_signal(signal.SIGINT)
            try:
                self.background.wait(WAIT_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self.background.pid, signal.SIGKILL)
                raise
        return None if self.background is None else self.background.returncode


@pytest.fixture
def shell(tmp_path):
    made = Shell(tmp_path)
    yield made
    made.stop()


def send_with_the_snippet(shell, http_port):
    """Run README's Python with the port that was free and the key that was issued; nothing else is changed."""
    key = shell.outputs["key"].strip()
    snippet = python_snippet().replace("127.0.0.1:4318", f"127.0.0.1:{http_port}").replace("mun_…", key)
    assert key in snippet
    done = subprocess.run(
        [sys.executable, "-c", snippet + SNIPPET_END], env=shell.environment, capture_output=True, text=True,
        timeout=COMMAND_SECONDS, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def rows(shell, query):
    """Rows of a query, once there are any: what is acknowledged is committed seconds later."""
    deadline = time.monotonic() + QUERYABLE_SECONDS
    while True:
        asked = ("sql", query, "--tenant", TENANT, "--format", "json", "--lake", shell.folder / "lake")
        done = run_command(*asked)
        assert done.returncode == 0, done.stderr
        if found := json.loads(done.stdout):
            return found
        assert time.monotonic() < deadline, query
        time.sleep(0.05)


def test_readme_names_the_commands_of_a_first_hour():
    """README's shell blocks are found, and show each command that a first hour needs."""
    assert [words[1] for words in stated_commands()] == [
        "init", "tenant", "key", "up", "doctor", "import", "sql", "trace", "status", "quarantine",
        "ledger", "verify", "prove", "verify-proof",
    ]  # fmt: skip


@pytest.mark.timeout(900)
def test_readme_commands_work_as_they_stand(shell):
    """Every command of README's shell blocks ends well, in the order of the page, and shows what the page says."""
    for words in stated_commands():
        if words[1] == "up":
            send_with_the_snippet(shell, shell.start(words))
            continue
        if words[1] == "import":
            trace_id = next(words[2] for words in stated_commands() if words[1] == "trace")
            (shell.folder / words[2]).write_text(otlp_lines(trace_id))
        shell.run(words)
    assert shell.outputs["key"].startswith("mun_")
    assert "FAIL" not in shell.outputs["doctor"]
    assert "queryable" in shell.outputs["doctor"]
    assert "1 records imported" in shell.outputs["import"]
    assert re.search(r"openai\W+gpt-4.1\W+1\W+12", shell.outputs["sql"])
    assert "chat" in shell.outputs["trace"]
    assert "procurement-agent" in shell.outputs["status"]
    assert "bad-span-id" in shell.outputs["quarantine"]
    assert "proved: entry 0 of the log" in shell.outputs["verify-proof"]
    (sent,) = rows(shell, "select service_name, recorded_by from spans where name = 'from the README'")
    assert sent["service_name"] == "procurement-agent"
    assert sent["recorded_by"].startswith("key:")
    assert shell.stop() == 0
