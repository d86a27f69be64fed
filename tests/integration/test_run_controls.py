"""Controls over runs: whole ones, actions that waited for approval, models that nobody switched to, deletions by age.

One lake holds every case, each as a tenant of its own.
"""

import json
import sys

import pytest

from governance.controls.evaluating import evaluate
from governance.controls.framework import default_controls
from tests.conftest import load_module

NOVEMBER = 1_793_491_200_000_000_000  # 2026-11-01T00:00:00Z
DAY, HOUR, SECOND = 86_400_000_000_000, 3_600_000_000_000, 1_000_000_000
AT = NOVEMBER + 10 * DAY
REMOTE, HERE = 768, 256


def span(at=AT, **columns):
    """A span of agent `desk`."""
    return "spans", {"time_unix_nano": at, "agent_id": "desk", "trace_id": "f" * 32, **columns}


def call(at=AT, **columns):
    """A call of a tool whose arguments have the digest `d`."""
    return span(at, operation="execute_tool", tool_name="pay", action_digest="d", **columns)


def chat(at, model):
    """A call of a model."""
    return span(at, operation="chat", request_model=model)


def event(name, at=AT, attributes=None, **columns):
    """An audit event."""
    found = {"event_name": name, "time_unix_nano": at, "attributes": json.dumps(attributes or {}), **columns}
    return "audit_events", found


def asked(at=AT - HOUR):
    """The agent asks for approval of that call."""
    return event("approval.requested", at, actor_type="agent", actor_id="desk", action_digest="d")


def granted(at=AT - SECOND, **columns):
    """A human approves that call."""
    said = {"actor_type": "human", "actor_id": "ann", "action_digest": "d", "approval_id": "a", "assurance": "verified"}
    return event("approval.granted", at, **said | columns)


def purged(day, **rows):
    """A purge by retention, whose newest deleted record is of `day`."""
    said = {"muniment.purge.rows": rows, "muniment.purge.newest_day": day}
    return event(
        "retention.purged", attributes=said, recorded_by="muniment:retention", peer="local", resource_type="purge"
    )


def switched(at=AT - HOUR, model="new"):
    """A recorded switch of the agent's model."""
    return event("model.switched", at, {"gen_ai.agent.id": "desk"}, resource_type="model", resource_id=model)


ROOT, CHILD, LOST = {"span_id": "1" * 16}, {"parent_span_id": "1" * 16}, {"parent_span_id": "2" * 16}
CASES = [
    ("eu-ai-act", "12(1)", [span(**ROOT), span(AT + 1, **CHILD)], [None]),
    ("eu-ai-act", "12(1)", [span(**ROOT), span(AT + 1, **LOST)], ["1 of 1 runs lack a part or their beginning"]),
    ("eu-ai-act", "12(1)", [span(**LOST, flags=HERE)], ["1 of 1 runs lack a part or their beginning"]),
    ("eu-ai-act", "12(1)", [span(**LOST)], ["1 of 1 runs lack a part or their beginning"]),
    ("eu-ai-act", "12(1)", [span(**LOST, flags=REMOTE)], [None]),
    ("eu-ai-act", "12(1)", [span(NOVEMBER - HOUR, **ROOT), span(NOVEMBER + HOUR, **CHILD)], []),
    ("eu-ai-act", "14(4)-done", [call()], []),
    ("eu-ai-act", "14(4)-done", [call(), asked(AT + 1)], []),
    ("eu-ai-act", "14(4)-done", [call(), asked(), granted()], [None]),
    ("eu-ai-act", "14(4)-done", [call(), asked()], ["nobody approved this very action"]),
    ("eu-ai-act", "14(4)-done", [call(), asked(), granted(action_digest="e")], ["nobody approved this very action"]),
    ("eu-ai-act", "14(4)-done", [call(), asked(), granted(AT + 1)], ["approved only after it was done"]),
    ("eu-ai-act", "14(4)-done", [call(), asked(), granted(expires_unix_nano=AT - 1)], ["the approval had expired"]),
    ("eu-ai-act", "14(4)-done", [call(), asked(), granted(actor_type="agent")], ["not approved by a human"]),
    ("eu-ai-act", "14(4)-done", [call(), asked(), granted(actor_id="desk")], ["approved by the agent itself"]),
    (
        "eu-ai-act",
        "14(4)-done",
        [call(), asked(), granted(assurance="asserted")],
        ["the approval is asserted: neither key-bound nor verified"],
    ),
    ("eu-ai-act", "14(4)-done", [call(), asked(), granted(assurance="asserted"), granted(AT - HOUR)], [None]),
    ("eu-ai-act", "14(4)-done", [call(status_code="ERROR"), asked()], []),
    ("eu-ai-act", "19(1)", [purged("2026-05-12", spans=5)], [None]),  # 183 days before 11 November
    ("eu-ai-act", "19(1)", [purged("2026-05-13", spans=5)], ["took records of runs or events that were 182 days old"]),
    ("eu-ai-act", "19(1)", [purged(None, contents=5)], [None]),
    (
        "eu-ai-act",
        "19(1)",
        [purged(None, logs=1)],
        ["took records of runs or events, and it is not recorded of which days: look at its certificate"],
    ),
    ("soc2", "CC8.1-observed", [chat(AT, "new")], []),
    ("soc2", "CC8.1-observed", [chat(AT - DAY, "old"), chat(AT, "new")], ["nobody recorded a switch to this model"]),
    ("soc2", "CC8.1-observed", [chat(AT - DAY, "old"), switched(), chat(AT, "new")], [None]),
    (
        "soc2",
        "CC8.1-observed",
        [chat(AT - DAY, "old"), chat(AT, "new"), switched(AT + HOUR)],
        ["nobody recorded a switch to this model"],
    ),
    ("soc2", "CC8.1-observed", [chat(NOVEMBER - DAY, "old"), chat(NOVEMBER - DAY, "new"), chat(AT, "new")], []),
    ("soc2", "CC8.1", [event("external.policy.changed", actor_id="ann")], ["no approval is named"]),
]


@pytest.fixture(scope="module")
def found(rows, tmp_path_factory):
    """The exception of each item of a case, by its number."""
    sys.modules.setdefault("rows", rows)
    purging = load_module("purging")
    tenants = [f"case-{number}" for number in range(len(CASES))]
    context = purging.new_lake(tmp_path_factory.mktemp("cases") / "lake", tenants=tenants)
    tables = {"spans": [], "audit_events": []}
    for tenant, (_, _, records, _) in zip(tenants, CASES, strict=True):
        for table, columns in records:
            tables[table].append({"tenant_id": tenant} | columns)
    batches = {table: batch(rows, table, listed) for table, listed in tables.items()}
    purging.write(context, rows.treated(**batches))

    def exceptions(number):
        framework, name, _, _ = CASES[number]
        control = next(each for each in default_controls().frameworks[framework].controls if each.id == name)
        with context.session([tenants[number]]) as session:
            outcome = evaluate(session, control, from_unix_nano=NOVEMBER, to_unix_nano=NOVEMBER + 30 * DAY)
        said = outcome.population.column("exception").to_pylist()
        assert [one is None for one in said] == [ok is True for ok in outcome.population.column("ok").to_pylist()]
        return said

    return exceptions


def batch(rows, table, listed):
    """Records of many tenants as one batch."""
    names = {name for columns in listed for name in columns} - {"tenant_id", "time_unix_nano"}
    times = [columns["time_unix_nano"] for columns in listed]
    defaults = {"recorded_by": "key:k1", "attributes": "{}"}
    values = {name: [columns.get(name, defaults.get(name)) for columns in listed] for name in names}
    tenants = [columns["tenant_id"] for columns in listed]
    return rows.ledgered(table, len(listed), "cases", tenant=tenants, time=times, **values)


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: f"{CASES[number][1]}-{number}")
def test_what_satisfies_a_control_and_what_does_not(found, number):
    """Each item of a case is as it should be, or is an exception with its reason; what is no item is not there."""
    assert found(number) == CASES[number][3]
