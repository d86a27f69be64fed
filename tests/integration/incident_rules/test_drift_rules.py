"""Drift: silent on what only chance moves, loud with the right numbers where something moved.

The first is a statement about a rate, so it is tested as one: hundreds of agent days drawn from one distribution with fixed seeds, with
the floor `psi` taken away so that only the stated level (one false alarm in a thousand) is left.
"""

import json
import re

import numpy as np
import pytest

from tests.grids import strided

AGENTS, DAYS, CALLS = 24, 22, 60
BASELINE = 14
LEVEL = 0.01
TOOLS = np.array(["read", "search", "pay", "mail", "rare"])


@pytest.fixture
def b(build):
    return build


def drawn(b, rng, agents=AGENTS, days=DAYS, calls=CALLS):
    """Model calls, tool calls and scores of agents that do not change, as columns; times are days before noon's midnight."""
    n = agents * days * calls
    midnight = b.noon - 12 * b.hour
    agent = np.repeat([f"a{number}" for number in range(agents)], days * calls)
    day = np.tile(np.repeat(np.arange(days), calls), agents)
    times = midnight - (days - day) * b.day + rng.integers(0, b.day, n)
    return {
        "agent_id": agent, "day": day, "time_unix_nano": times,
        "tokens": rng.lognormal(7, 0.6, n).astype(np.int64) + 1, "duration_ns": (rng.lognormal(0, 0.5, n) * 1e9).astype(np.int64),
        "tool_name": rng.choice(TOOLS, n, p=[0.5, 0.25, 0.15, 0.08, 0.02]), "score": np.clip(rng.normal(0.85, 0.1, n), 0, 1),
    }  # fmt: skip


def add(rule_lake, data, tenant="acme"):
    """The columns as chat and tool spans, and scores as events of a service an agent."""
    spans = {"agent_id": data["agent_id"].tolist(), "status_code": "UNSET", "links": "[]"}
    chats = {"operation": "chat", "request_model": "m", "input_tokens": data["tokens"].tolist(), "output_tokens": 0,
             "duration_ns": data["duration_ns"].tolist()}  # fmt: skip
    tools = {"operation": "execute_tool", "tool_name": data["tool_name"].tolist()}
    scores = [json.dumps({"gen_ai.evaluation.name": "g", "gen_ai.evaluation.score.value": round(float(score), 4)})
              for score in data["score"]]  # fmt: skip
    times, rows = data["time_unix_nano"].tolist(), rule_lake._rows
    for columns in (chats, tools):
        batch = rows.ledgered("spans", len(times), "drift", tenant=tenant, time=times, **spans, **columns)
        rule_lake._writer.append(rows.treated(spans=batch)).result(60)
    events = rows.ledgered("audit_events", len(times), "drift", tenant=tenant, time=times, event_name="evaluation.recorded",
                           service_name=spans["agent_id"], attributes=scores)  # fmt: skip
    rule_lake._writer.append(rows.treated(audit_events=events)).result(60)
    rule_lake._writer.flush()


@pytest.fixture(scope="module")
def judged():
    """Agent days that a daily rule has a whole baseline for."""
    return AGENTS * (DAYS - 4)


@pytest.mark.parametrize("seed", strided((11, 12), 11))
def test_what_only_chance_moves_raises_no_alarm(b, rule_lake, judged, seed):
    """Of hundreds of agent days without drift at most one in a hundred is an alarm; the stated level is one in a thousand."""
    add(rule_lake, drawn(b, np.random.default_rng(seed)))
    for rule in ("drift-token-use", "drift-latency", "drift-tool-mix", "drift-evaluation-score"):
        alarms = rule_lake.found(rule, "acme", b.Seen(now=b.noon, parameters={"psi": 0.0}))
        assert len(alarms) <= LEVEL * judged, rule
        assert len(rule_lake.found(rule, "acme", b.Seen(now=b.noon))) <= len(alarms)


def reference_psi(before, now):
    """The index as its definition has it, by loops."""
    steps = sorted(set(before) | set(now))
    groups, below = {}, 0
    for step in steps:
        groups[step] = min(9, int(10 * below / len(before)))
        below += before.count(step)
    names = sorted(set(groups.values()))
    share = [
        [(sum(groups[x] == g for x in values) + 0.5) / (len(values) + 0.5 * len(names)) for g in names]
        for values in (before, now)
    ]
    return sum((q - p) * np.log(q / p) for p, q in zip(*share, strict=True))


def test_a_shift_is_told_with_its_numbers(b, rule_lake, monkeypatch):
    """Half as many tokens again on the last day: an alarm on that day alone, with the index that its definition gives."""
    data = drawn(b, np.random.default_rng(5), agents=2)
    moved = (data["day"] == DAYS - 1) & (data["agent_id"] == "a1")
    data["tokens"][moved] = (data["tokens"][moved] * 2).astype(np.int64)
    add(rule_lake, data)
    monkeypatch.setitem(b.rules["drift-token-use"], "group_by", ["agent_id", "detail"])
    found = rule_lake.found("drift-token-use", "acme", b.Seen(now=b.noon))
    ((_, _, at, agent, _, detail),) = found
    assert (at, agent) == (b.noon - 12 * b.hour, "a1")
    psi, limit = map(float, re.search(r"PSI ([\d.]+), limit ([\d.]+)", detail).groups())
    step = np.floor(8 * np.log2(data["tokens"])).astype(int)
    mine = data["agent_id"] == "a1"
    before = step[mine & (data["day"] >= DAYS - 1 - BASELINE) & (data["day"] < DAYS - 1)].tolist()
    assert psi == pytest.approx(reference_psi(before, step[moved].tolist()), abs=0.001)
    # chi-squared with 9 degrees of freedom at one in a thousand is 27.88 (any table of it)
    assert limit == pytest.approx(27.88 * (1 / CALLS + 1 / (CALLS * BASELINE)), rel=0.01)


@pytest.mark.parametrize(
    ("rule", "column", "change"),
    [
        ("drift-latency", "duration_ns", lambda values: values * 3),
        ("drift-tool-mix", "tool_name", lambda values: np.where(values == "read", "pay", values)),
        ("drift-evaluation-score", "score", lambda values: values - 0.3),
    ],
)
def test_each_kind_of_drift_is_found(b, rule_lake, rule, column, change):
    """The last day of one agent is drawn from another distribution: that one is an alarm."""
    data = drawn(b, np.random.default_rng(6), agents=2)
    moved = (data["day"] >= DAYS - (7 if "evaluation" in rule else 1)) & (data["agent_id"] == "a1")
    data[column][moved] = change(data[column][moved])
    add(rule_lake, data)
    found = rule_lake.found(rule, "acme", b.Seen(now=b.noon))
    assert found
    assert all("a1" in map(str, row) for row in found)
    assert b.noon - 12 * b.hour in {row[2] for row in found}
