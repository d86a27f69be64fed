"""The seeded troubles: a plain detector for each rule finds in the records exactly what the truth says, and nothing else."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

import pytest

from muniment.demo.fleet import Service
from muniment.demo.simulation import simulate

END = 1_795_364_523_456_789_012
DAY = 86_400_000_000_000
MINUTE = 60_000_000_000
RULES = {
    "agent-silent",
    "approval-after-expiry",
    "credential-used-from-two-places",
    "denied-action-executed",
    "health-data-outside-region",
    "latency-regression",
    "model-switched-without-approval",
    "tool-failing",
}


@dataclass
class Rows:
    """Every span and event as a plain row, and the truth."""

    truth: dict[str, Any] = field(default_factory=dict)
    spans: list[dict[str, Any]] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)

    def trouble(self, rule: str) -> dict[str, Any]:
        """The one trouble of a rule."""
        (found,) = (trouble for trouble in self.truth["troubles"] if trouble["rule"] == rule)
        return found

    def events(self, name: str) -> list[dict[str, Any]]:
        """Audit events of a name."""
        return [row for row in self.logs if row["event"] == name]


class Tabulating:
    """An outlet that keeps plain rows."""

    def __init__(self, service: Service, rows: Rows) -> None:
        self.where = {"tenant": service.tenant, "service": service.service_name}
        self.rows = rows

    def spans(self, batch):
        """Keep spans as rows."""
        for span in batch:
            self.rows.spans.append(
                {
                    **self.where,
                    "trace": f"{span.context.trace_id:032x}",
                    "name": span.name,
                    "time": span.start_time,
                    "seconds": (span.end_time - span.start_time) / 1e9,
                    "error": span.status.status_code.name == "ERROR",
                    **span.attributes,
                }
            )

    def logs(self, batch):
        """Keep log records as rows."""
        for log in batch:
            record = log.log_record
            self.rows.logs.append(
                {
                    **self.where,
                    "trace": f"{record.trace_id:032x}",
                    "time": record.timestamp,
                    "event": record.event_name,
                    **record.attributes,
                }
            )

    def metrics(self, data, points):
        """Metric points play no part here."""


CASES = [(7, 30), (12, 7), *(pytest.param(case, marks=pytest.mark.slow) for case in ((11, 30), (13, 9)))]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"seed{case[0]}-{case[1]}d")
def rows(request) -> Rows:
    """A small fleet, for several seeds and lengths."""
    seed, days = request.param
    found = Rows()
    found.truth = simulate(
        seed=seed,
        end_unix_nano=END,
        days=days,
        scale=0.05,
        outlet_for=lambda service: Tabulating(service, found),
    )
    return found


def traces(found: list[dict[str, Any]]) -> list[str]:
    """Trace ids of rows, each once, in order of time."""
    return list(dict.fromkeys(row["trace"] for row in sorted(found, key=lambda row: row["time"])))


def test_each_rule_is_there_once(rows):
    """The truth names each seeded trouble once, with RFC 3339 times in the window, in order."""
    troubles = rows.truth["troubles"]
    assert sorted(trouble["rule"] for trouble in troubles) == sorted(RULES)
    times = [datetime.fromisoformat(trouble["time"]) for trouble in troubles]
    assert times == sorted(times)
    for trouble, time in zip(troubles, times, strict=True):
        assert int(time.timestamp()) == trouble["time_unix_nano"] // 10**9
        assert rows.truth["from_unix_nano"] < trouble["time_unix_nano"] < trouble.get("until_unix_nano", END) <= END


def test_model_switched_without_approval(rows):
    """Of all changes one has no approval: a model switch; the agent's traces with that model are those of the truth."""
    trouble = rows.trouble("model-switched-without-approval")
    granted = {row["audit.approval.id"]: row["time"] for row in rows.events("approval.granted")}
    changes = [
        row
        for name in ("model.switched", "prompt.changed", "tool.changed", "release.promoted")
        for row in rows.events(name)
    ]
    unapproved = [row for row in changes if granted.get(row.get("audit.approval.id"), END) >= row["time"]]
    assert [(row["event"], row["time"], row["gen_ai.agent.id"]) for row in unapproved] == [
        ("model.switched", trouble["time_unix_nano"], trouble["agent"])
    ]
    assert unapproved[0]["audit.change.after"] == trouble["to_model"]
    affected = [
        row
        for row in rows.spans
        if row.get("gen_ai.agent.id") == trouble["agent"] and row.get("gen_ai.request.model") == trouble["to_model"]
    ]
    assert traces(affected) == trouble["trace_ids"] != []


def test_credential_used_from_two_places(rows):
    """One credential is seen with two addresses within minutes; the traces from the foreign one are those of the truth."""
    trouble = rows.trouble("credential-used-from-two-places")
    uses = defaultdict(list)
    for row in rows.events("access.decided"):
        uses[row["audit.credential.id"]].append(row)
    shared = {
        credential: found for credential, found in uses.items() if len({row["source.address"] for row in found}) > 1
    }
    assert set(shared) == {trouble["credential_id"]}
    home, foreign = trouble["addresses"]
    found = shared[trouble["credential_id"]]
    abroad = [row for row in found if row["source.address"] == foreign]
    assert traces(abroad) == trouble["trace_ids"]
    near = [row for row in found if row["source.address"] == home and abs(row["time"] - abroad[0]["time"]) < 5 * MINUTE]
    assert near
    assert all(trouble["time_unix_nano"] <= row["time"] < trouble["until_unix_nano"] for row in abroad)


def test_tool_failing_for_two_hours(rows):
    """In the window every call of the tool fails, in exactly the traces of the truth; outside most succeed."""
    trouble = rows.trouble("tool-failing")
    calls = [
        row
        for row in rows.spans
        if row.get("gen_ai.tool.name") == trouble["tool"] and row.get("gen_ai.operation.name") == "execute_tool"
    ]
    inside = [row for row in calls if trouble["time_unix_nano"] <= row["time"] < trouble["until_unix_nano"]]
    outside = [row for row in calls if row not in inside]
    assert trouble["until_unix_nano"] - trouble["time_unix_nano"] == 120 * MINUTE
    assert len(inside) >= 30
    assert all(row["error"] and row["error.type"] == trouble["error_type"] for row in inside)
    assert traces(inside) == trouble["trace_ids"]
    assert sum(row["error"] for row in outside) < 0.1 * len(outside)


def test_denied_action_executed_by_another_agent(rows):
    """One denied call was retried, denied again, and executed by another agent with the same arguments."""
    trouble = rows.trouble("denied-action-executed")
    denied = defaultdict(list)
    for row in rows.events("access.decided"):
        if row["audit.outcome"] == "denied" and "gen_ai.tool.call.arguments" in row:
            denied[row["gen_ai.tool.name"], row["gen_ai.tool.call.arguments"]].append(row)
    executed = {
        (row["gen_ai.tool.name"], row["gen_ai.tool.call.arguments"]): row
        for row in rows.spans
        if row.get("gen_ai.operation.name") == "execute_tool"
    }
    (both,) = set(denied) & set(executed)
    assert both[0] == trouble["tool"]
    assert len(denied[both]) == trouble["denials"]
    assert executed[both]["gen_ai.agent.id"] == trouble["executed_by"] != trouble["agent"]
    assert {row["audit.actor.id"] for row in denied[both]} == {trouble["agent"]}
    assert traces([*denied[both], executed[both]]) == trouble["trace_ids"]


def test_approval_granted_after_expiry(rows):
    """One approval was granted after its expiry, and the call was executed."""
    trouble = rows.trouble("approval-after-expiry")
    late = [row for row in rows.events("approval.granted") if row["time"] > row["audit.expires_unix_nano"]]
    assert [(row["audit.approval.id"], row["time"]) for row in late] == [
        (trouble["approval_id"], trouble["time_unix_nano"])
    ]
    call = late[0]["gen_ai.tool.call.arguments"]
    executed = [row for row in rows.spans if row.get("gen_ai.tool.call.arguments") == call]
    assert min(row["time"] for row in executed) > late[0]["time"]
    assert traces([*executed, *(row for row in rows.logs if row["trace"] == late[0]["trace"])]) == trouble["trace_ids"]


def test_agent_silent_for_a_day(rows):
    """One agent's service sends nothing for one whole day; every other sends something every day."""
    trouble = rows.trouble("agent-silent")
    active = {(row["service"], row["time"] // DAY) for row in (*rows.spans, *rows.logs)}
    whole_days = range(-(-rows.truth["from_unix_nano"] // DAY), END // DAY)
    silent = [
        (agent["id"], day)
        for agent in rows.truth["agents"]
        for day in whole_days
        if (agent["service_name"], day) not in active
    ]
    assert silent == [(trouble["agent"], trouble["time_unix_nano"] // DAY)]


def test_latency_regression_after_a_prompt_change(rows):
    """Model calls between the prompt change and its rollback take more than twice as long; those traces are the truth's."""
    trouble = rows.trouble("latency-regression")
    changes = [row["time"] for row in rows.events("prompt.changed") if row["gen_ai.agent.id"] == trouble["agent"]]
    assert changes == [trouble["time_unix_nano"], trouble["until_unix_nano"]]
    calls = [
        row
        for row in rows.spans
        if row["service"] == "support-concierge" and row["name"] == "ai.generateText.doGenerate" and not row["error"]
    ]
    slow = [row for row in calls if changes[0] <= row["time"] < changes[1]]
    assert median(row["seconds"] for row in slow) > 2 * median(row["seconds"] for row in calls if row not in slow)
    assert traces(slow) == trouble["trace_ids"]


def test_health_data_outside_its_region(rows):
    """One routing decision sent health data to a region that the tenant does not allow."""
    trouble = rows.trouble("health-data-outside-region")
    abroad = [
        row
        for row in rows.events("route.decided")
        if row["audit.data_class"] == "health" and not row["audit.region"].startswith(trouble["allowed"])
    ]
    assert traces(abroad) == trouble["trace_ids"]
    assert [row["audit.region"] for row in abroad] == [trouble["region"]]
