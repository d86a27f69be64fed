"""What `muniment demo` prints at its end: what was sent, what is hidden in it, how long it took, what to try next."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from muniment.demo.play import DemoResult
from warehouse.clock import NANOS_PER_SECOND

_QUESTION = """select agent_name, count(*) as spans,
  sum(input_tokens) as tokens
  from spans group by all order by spans desc"""
_MICROUSD = 1_000_000
_LINE = 78


TRUTH_NOTE = "demo-truth.json in the lake names the traces of each trouble."


def this_program() -> str:
    """How a shell in this folder calls this program: by name when it is on PATH, else by its path."""
    if shutil.which("muniment"):
        return "muniment"
    beside = Path(sys.executable).with_name("muniment")
    if not beside.is_file():
        return f"{shlex.quote(sys.executable)} -m muniment"
    inside = beside.is_relative_to(Path.cwd())
    return shlex.quote(os.path.relpath(beside) if inside else str(beside))


def next_commands(truth: Mapping[str, Any], lake: Path | None, *, program: str = "muniment") -> tuple[str, str, str]:
    """Three commands to try next, for a POSIX shell; `lake` is None when it is the default.

    `program` is how the shell calls this program, as `this_program` tells.

    Long ones go on in a second line after a backslash, so that they survive being copied from a narrow terminal.
    """
    failing = next(trouble for trouble in truth["troubles"] if trouble["rule"] == "tool-failing")
    where = [] if lake is None else [f"--lake {shlex.quote(str(lake))}"]
    return (
        _command(f"{program} sql {shlex.quote(_QUESTION)}", f"--tenant {truth['tenants'][0]}", *where),
        _command(f"{program} trace {failing['trace_ids'][0]}", *where),
        _command(f"{program} status", *where),
    )


def _command(*parts: str) -> str:
    line = " ".join(parts)
    return line if len(line) <= _LINE else " \\\n  ".join(parts)


def render_summary(
    result: DemoResult,
    timings: Mapping[str, float],
    *,
    lake: Path | None = None,
    program: str = "muniment",
    judged: Mapping[str, Any] | None = None,
) -> RenderableType:
    """The summary as a rich renderable; `timings` are the seconds of each step, of which the sum is shown.

    `judged` says how many figures of SLOs and incidents by severity were found in the records, and what could not be evaluated.
    """
    truth = result.truth
    heading = Text.assemble(
        ("Demo fleet", "bold"),
        f"  seed {truth['seed']}, {truth['from'][:16]}Z to {truth['to'][:16]}Z".replace("T", " "),
    )
    commands = [
        Text(command, style="cyan", no_wrap=True, overflow="ignore")
        for command in next_commands(truth, lake, program=program)
    ]
    return Group(
        heading,
        Text(),
        _tenants(truth),
        Text(),
        Text("Troubles hidden in it", style="bold"),
        _troubles(truth),
        Text(TRUTH_NOTE, style="dim"),
        *([Text(), *_judged(judged)] if judged else []),
        Text(),
        _times(result, timings),
        Text(),
        Text("Try next", style="bold"),
        *commands,
    )


def _table(*columns: tuple[str, bool]) -> Table:
    """A table without a frame; a column is its heading and whether it holds numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading, number in columns:
        table.add_column(heading, justify="right" if number else "left", no_wrap=number)
    return table


def _tenants(truth: Mapping[str, Any]) -> Table:
    table = _table(
        ("tenant", False), ("agents", True), ("runs", True), ("spans", True), ("audit", True), ("logs", True),
        ("tokens", True), ("cost sent", True),
    )  # fmt: skip
    for tenant in truth["tenants"]:
        agents = [agent for agent in truth["agents"] if agent["tenant"] == tenant]
        counts = truth["counts"][tenant]
        tokens = sum(agent["input_tokens"] + agent["output_tokens"] for agent in agents)
        known = [agent["reported_cost_microusd"] for agent in agents if agent["reported_cost_microusd"] is not None]
        table.add_row(
            tenant,
            str(len(agents)),
            f"{sum(agent['runs'] for agent in agents):,}",
            f"{counts['spans']:,}",
            f"{counts['audit_events']:,}",
            f"{counts['logs']:,}",
            f"{tokens / 1_000_000:.1f} M",
            f"${sum(known) / _MICROUSD:,.2f}" if known else "price list",
        )
    return table


def _troubles(truth: Mapping[str, Any]) -> Table:
    table = _table(("time (UTC)", False), ("tenant", False), ("rule", False))
    for trouble in truth["troubles"]:
        table.add_row(trouble["time"][:16].replace("T", " "), trouble["tenant"], Text(trouble["rule"], style="yellow"))
    return table


def _judged(judged: Mapping[str, Any]) -> list[Text]:
    found = ", ".join(f"{count} {severity}" for severity, count in judged["incidents"].items()) or "none"
    said = f"Found in the records: incidents: {found} (incident list); {judged['slo_figures']} figures of SLOs (slo status)"
    return [Text(said), *(Text(f"  not evaluated: {failure}", style="red") for failure in judged["failures"])]


def _times(result: DemoResult, timings: Mapping[str, float]) -> Text:
    records = sum(result.delivered.acknowledged.values())
    made = f"{records:,} records in {result.delivered.requests:,} requests, all acknowledged"
    seconds = sum(timings.values()) or result.seconds
    span = result.truth["to_unix_nano"] - result.truth["from_unix_nano"]
    return Text(f"{span // NANOS_PER_SECOND // 86_400} days: {made}; made in {seconds:.1f} s")
