"""Wires the demo: a lake with tenants of its own, real receivers in a process of their own, the fleet, and tidying up."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collectors.config import LimitsConfig, ReceiversConfig
from muniment.demo import TRUTH_FILE, DemoResult, Endpoints, Progress, run_demo, tenant_names, write_truth
from muniment.demo.registration import register_fleet
from muniment.incidents import Detection, detect_incidents
from muniment.policies import apply_defaults
from muniment.setup import set_up_lake
from muniment.slos import SloRun, compute_slos
from muniment.tenancy import add_tenant, issue_key
from muniment.wiring import CommandContext, command_context
from pipelines.incidents.rules import Severity
from warehouse.clock import system_clock
from warehouse.commit import open_stores
from warehouse.durable import make_folder
from warehouse.errors import ConflictError, UnavailableError
from warehouse.local_socket import call_local_socket
from warehouse.locks import FileLock
from warehouse.maintenance import run_maintenance

SHARD = "demo"
UNFINISHED_FILE = "demo-unfinished"
"""In the lake while a demo is made: what is there is a part of a demo and nothing else."""
_DAY_SECONDS = 86_400
_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_FLUSH_SECONDS = 120.0


@dataclass
class DemoRun:
    """What the demo did, and how long each part took, in seconds."""

    lake: Path
    result: DemoResult
    seconds: dict[str, float] = field(default_factory=dict)
    judged: dict[str, Any] = field(default_factory=dict)
    """SLOs counted, incidents found by severity, and what could not be evaluated."""


def make_demo(
    folder: Path, *, seed: int, days: int, scale: float, progress: Progress, stage: Callable[[str], None]
) -> DemoRun:
    """Make the demo lake, send the fleet's records through real receivers, wait until they can be queried, tidy up.

    Raises:
        ConflictError: the lake has tenants already: a demo never mixes with records of others, and is made once.
    """
    with _unfinished(folder):
        return _make(folder, seed=seed, days=days, scale=scale, progress=progress, stage=stage)


def _make(
    folder: Path, *, seed: int, days: int, scale: float, progress: Progress, stage: Callable[[str], None]
) -> DemoRun:
    seconds: dict[str, float] = {}
    with _timed(seconds, "set up"):
        stage("setting up the lake")
        lake, _made = set_up_lake(folder, name="demo", clock=system_clock)
        context = command_context(lake.path)
        apply_defaults(lake, context.control, context.access, context.principal, context.record)
        keys = _make_tenants(context)
        register_fleet(context.control, by=context.principal.recorded_by)
    with _timed(seconds, "send"), _receivers(lake.path, days=days) as ports:
        stage("sending with the OpenTelemetry SDK")
        endpoints = Endpoints(grpc=f"http://127.0.0.1:{ports['grpc']}", http=f"http://127.0.0.1:{ports['http']}")
        result = run_demo(
            seed=seed,
            end_unix_nano=system_clock(),
            days=days,
            endpoints=endpoints,
            keys=keys,
            scale=scale,
            progress=progress,
        )
        stage("committing")
        _flush(lake.run / f"collector-{SHARD}.sock")
    write_truth(result.truth, lake.path / TRUTH_FILE)
    with _timed(seconds, "compact"):
        stage("compacting")
        run_maintenance(lake, open_stores(lake), config=context.settings.maintenance, clock=system_clock)
    with _timed(seconds, "judge"):
        stage("counting SLOs, looking for incidents")
        run = compute_slos(context, settled=True)
        found = detect_incidents(context, everything=True, settled=True)
    context.control.close()
    return DemoRun(lake.path, result, seconds, _judged(run, found))


def _judged(run: SloRun, found: Detection) -> dict[str, Any]:
    failures = [f"{each.tenant}: {each.rule or 'its records'}: {each.message}" for each in found.failures]
    failures += [f"{name}: {why}" for name, why in run.problems.items()]
    by_severity = Counter(incident.severity for incident in found.opened)
    return {
        "slo_figures": len(run.figures),
        "incidents": {name.value: by_severity[name] for name in reversed(Severity) if by_severity[name]},
        "failures": failures,
    }


def existing_truth(folder: Path) -> dict[str, Any] | None:
    """Return the truth of the demo that was made in this folder; None when there is none."""
    file = folder / TRUTH_FILE
    if not file.is_file():
        return None
    truth: dict[str, Any] = json.loads(file.read_bytes())
    return truth


def remove_unfinished(folder: Path) -> bool:
    """Remove a demo that was interrupted; whether there was one.

    Raises:
        ConflictError: its lake has tenants that are none of the demo's, or another process makes it now.
    """
    marker = FileLock(folder / UNFINISHED_FILE)
    if not marker.file.is_file():
        return False
    if not marker.acquire(holder=f"pid {os.getpid()}"):
        raise ConflictError(
            f"{folder}: expected no other process here, got one that makes this demo: {marker.holder()}"
        )
    try:
        _refuse_others(folder)
        for part in folder.iterdir():
            if part.is_dir():
                shutil.rmtree(part)
            elif part != marker.file:  # goes last: a removal that is interrupted goes on in the next run
                part.unlink()
        marker.file.unlink()
    finally:
        marker.release()
    return True


def _refuse_others(folder: Path) -> None:
    if (folder / "control.db").is_file():
        context = command_context(folder)
        known = {tenant.id for tenant in context.control.list_tenants()}
        context.control.close()
        if others := sorted(known - set(tenant_names())):
            raise ConflictError(
                f"{folder}: expected an unfinished demo, got a lake with tenants: {', '.join(others)}",
                hint=f"make the demo in a new folder (--lake DIR); without {UNFINISHED_FILE} the lake is one like any other",
            )


@contextmanager
def _unfinished(folder: Path) -> Iterator[None]:
    """Mark a lake while it is made. One that was there is not marked: what it holds is somebody's, even without a tenant."""
    make_folder(folder)
    if next(folder.iterdir(), None) is not None:
        yield
        return
    marker = FileLock(folder / UNFINISHED_FILE)
    marker.acquire(holder=f"pid {os.getpid()}")
    try:
        yield
        marker.file.unlink()
    finally:
        marker.release()


def _make_tenants(context: CommandContext) -> dict[str, str]:
    """Tenants and keys of the demo; each is recorded in its tenant's log."""
    if known := sorted(tenant.id for tenant in context.control.list_tenants()):
        raise ConflictError(
            f"{context.lake.path}: expected a folder for a lake of the demo's own, got a lake with tenants: {', '.join(known)}",
            hint="make the demo in a new folder (--lake DIR); a demo is made once",
        )
    keys = {}
    for tenant in tenant_names():
        acting = (context.control, context.access, context.principal, context.record)
        add_tenant(*acting, tenant_id=tenant, name=None)
        keys[tenant] = issue_key(*acting, tenant_id=tenant, label="demo fleet").secret_text
    return keys


@contextmanager
def _receivers(lake: Path, *, days: int) -> Iterator[dict[str, int]]:
    """Run the receivers in a process of their own; they stop when the block ends, or with this process."""
    command = (sys.executable, "-m", "muniment.demo_lake", str(lake), str(days))
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)  # noqa: S603 - this module itself
    assert child.stdin is not None  # noqa: S101 - PIPE was asked for
    assert child.stdout is not None  # noqa: S101 - as above
    try:
        line = child.stdout.readline()
        if not line:
            raise UnavailableError(f"the demo's receivers did not start: exit code {child.wait(_START_SECONDS)}")
        yield json.loads(line)
    finally:
        child.stdin.close()
        try:
            child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        child.stdout.close()


def serve_receivers(lake: Path, *, days: int) -> None:
    """Collect into the demo lake, with a window as wide as the demo's past, until standard input ends."""
    from muniment.collector import Collector

    context = command_context(lake)
    collector = Collector(
        context,
        shard=SHARD,
        receivers=ReceiversConfig(grpc_port=0, http_port=0),
        limits=LimitsConfig(past_seconds=(days + 2) * _DAY_SECONDS),
    )
    collector.start()
    sys.stdout.write(json.dumps({"grpc": collector.receivers.grpc_port, "http": collector.receivers.http_port}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    collector.stop()
    context.control.close()


def _flush(socket: Path) -> None:
    payload = json.dumps({"op": "flush", "timeout_seconds": _FLUSH_SECONDS}).encode()
    answer = json.loads(call_local_socket(socket, payload, timeout_seconds=_FLUSH_SECONDS + 10))
    if not answer.get("ok"):
        raise UnavailableError(f"the demo's records are not committed: {answer.get('error')}")


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[name] = time.monotonic() - started


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve_receivers(Path(sys.argv[1]), days=int(sys.argv[2]))
