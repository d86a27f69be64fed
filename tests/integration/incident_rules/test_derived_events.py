"""`derived_events`: what spans show, whatever order they come in."""

import random

import pytest

from pipelines.incidents.derived import derive_events
from tests.grids import strided
from warehouse.derived.events import DERIVED_EVENTS
from warehouse.derived.store import DerivedStore
from warehouse.principals import Principal, PrincipalKind
from warehouse.query import QuerySettings

PLACES = {"shard", "log_index", "before_shard", "before_index"}


@pytest.fixture
def b(build):
    return build


@pytest.fixture
def derive(rule_lake):
    """Derives a tenant's events; returns what the run did and every event, by time."""

    def run(tenant="acme"):
        principal = Principal(PrincipalKind.JOB, "derive")
        done = derive_events(rule_lake.lake, tenant, principal=principal, settings=QuerySettings(memory_limit_mib=256))
        rows = DerivedStore(rule_lake.lake, DERIVED_EVENTS).read(tenant).to_pylist()
        return done, sorted(rows, key=lambda row: (row["time_unix_nano"], row["kind"]))

    return run


def link(span_id, trace):
    return f'[{{"trace_id":"{trace}","span_id":"{span_id}"}}]'


def history(b):
    """Two weeks with a switch of models and back, a prompt's new version, a new tool, handoffs and a resumed run."""
    t1, t2, t3 = "1" * 32, "2" * 32, "3" * 32
    chats = [b.span(day * b.day, request_model="m1" if day < 3 or day > 11 else "m2", prompt_name="greet",
                    prompt_version="1" if day < 6 else "2", span_id=f"c{day:015x}", trace_id=f"{day:032x}")
             for day in range(14)]  # fmt: skip
    tools = [b.call(day * b.day + b.hour, tool="read" if day != 5 else "wire", span_id=f"e{day:015x}", trace_id=f"{day:032x}")
             for day in range(7)]  # fmt: skip
    waited = [
        b.span(0, operation="invoke_agent", conversation_id="w", span_id="f" * 16, trace_id=t1),
        b.span(3 * b.hour, operation="invoke_agent", conversation_id="w", span_id="a" * 16, trace_id=t2, links=link("f" * 16, t1)),
        b.call(3 * b.hour + b.second, tool="pay", span_id="b" * 16, trace_id=t2),
        b.call(3 * b.hour + b.minute, tool="read", span_id="9" * 16, trace_id=t2),
    ]  # fmt: skip
    handed = [
        b.span(b.hour, operation="invoke_agent", agent_id="z", span_id="8" * 16, trace_id=t3, links=link("f" * 16, t1)),
        b.span(2, operation="invoke_agent", agent_id="y", span_id="7" * 16, trace_id=t1, parent_span_id="f" * 16),
    ]
    return [*chats, *tools, *waited, *handed]


def test_what_spans_show(b, rule_lake, derive):
    """Each kind, with its values, its waiting time and both of its source rows."""
    rule_lake.add("acme", history(b))
    done, rows = derive()
    assert done.events == len(rows)
    told = {(row["kind"], (row["time_unix_nano"] - b.noon) // b.hour, row["agent_id"], row["to_agent_id"],
             row["before_value"], row["after_value"]) for row in rows}  # fmt: skip
    assert told == {
        ("model_changed", 3 * 24, "a", None, "m1", "m2"), ("model_changed", 12 * 24, "a", None, "m2", "m1"),
        ("prompt_changed", 6 * 24, "a", None, "1", "2"), ("tool_set_changed", 5 * 24 + 1, "a", None, "read", "wire"),
        ("tool_approval", 3, "a", None, None, "pay"), ("handoff", 1, "a", "z", None, None), ("handoff", 0, "a", "y", None, None),
    }  # fmt: skip
    approval = next(row for row in rows if row["kind"] == "tool_approval")
    assert approval["waited_ns"] == 3 * b.hour - b.second
    assert (approval["trace_id"], approval["before_trace_id"]) == ("2" * 32, "1" * 32)
    assert {row["source_table"] for row in rows} == {"spans"}
    assert all(row["shard"] and row["before_shard"] and row["log_index"] != row["before_index"] for row in rows)


def test_nothing_new_changes_nothing(b, rule_lake, derive):
    """A second run does nothing, and rows without news in their days leave the table alone."""
    rule_lake.add("acme", history(b))
    derive()
    assert derive()[0].days == ()
    rule_lake.add("acme", [b.span(20 * b.day)])
    assert derive()[0].days == ()


@pytest.mark.parametrize("seed", strided(range(4), 1))
def test_any_order_of_arrival_gives_the_same(b, rule_lake, derive, seed):
    """Rows that come shuffled, in pieces, each followed by a run, end in what one run over all of them gives."""
    given = history(b)
    rule_lake.add("globex", given)
    expected = derive("globex")[1]
    shuffled = random.Random(seed).sample(given, len(given))
    for at in range(0, len(shuffled), 9):
        rule_lake.add("acme", shuffled[at : at + 9])
        derive()
    bare = [{name: row[name] for name in row.keys() - PLACES - {"tenant_id"}} for row in derive()[1]]
    assert bare == [{name: row[name] for name in row.keys() - PLACES - {"tenant_id"}} for row in expected]


def test_a_late_span_takes_back_what_was_derived_without_it(b, rule_lake, derive):
    """A model that turns out to have been in use all along was no change; only the days concerned are written."""
    rule_lake.add("acme", [b.span(0, request_model="m1"), b.span(4 * b.day, request_model="m2")])
    assert [row["kind"] for row in derive()[1]] == ["model_changed"]
    rule_lake.add("acme", [b.span(-b.hour, request_model="m2")])
    done, rows = derive()
    # m1 was new after m2, and m2 is none that is new four days later
    assert [(row["before_value"], row["after_value"]) for row in rows] == [("m2", "m1")]
    assert len(done.days) == 2


def test_an_interrupt_and_what_came_after(b, rule_lake, derive):
    """A run that ended in an interrupt, and the tool that the next run of the conversation called."""
    rule_lake.add("acme", [
        b.span(0, operation="invoke_agent", conversation_id="w", error_type="GraphInterrupt", trace_id="1" * 32),
        b.call(b.hour, conversation_id="w", tool="pay", trace_id="2" * 32, duration_ns=5),
        b.call(2 * b.hour, conversation_id="w", tool="pay", trace_id="3" * 32),
        b.call(b.minute, conversation_id="other", tool="pay", trace_id="4" * 32),
    ])  # fmt: skip
    rows = derive()[1]
    assert [(row["kind"], row["time_unix_nano"], row["waited_ns"]) for row in rows] == [
        ("tool_approval", b.noon + b.hour, b.hour - b.second)
    ]


def test_tenants_are_apart(b, rule_lake, derive):
    """What one tenant's agents use is no news of another's."""
    rule_lake.add("acme", [b.span(0, request_model="m1")])
    rule_lake.add("globex", [b.span(b.hour, request_model="m2")])
    assert derive()[1] == derive("globex")[1] == []
