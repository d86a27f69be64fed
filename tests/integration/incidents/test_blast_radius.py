"""What a key or an agent touched: its own runs, those that its work went on in, and what was done in them from then on."""

import json

import pytest

from muniment.blast_radius import find_blast_radius
from warehouse.errors import DeniedError, InputError, NotFoundError

T = [f"{number:032x}" for number in range(10)]


def link(trace):
    return json.dumps([{"trace_id": trace, "span_id": "1" * 16, "flags": 0, "attributes": {}}])


def attributes(**named):
    return [json.dumps({name.replace("_", "."): value for name, value in named.items()})]


@pytest.fixture
def touched(lake):
    """Agent a works in T1, hands over to b (T2, linked), who messages c (T3), who shares a task with d (T4); e has nothing to do with it."""
    lake.spans(0, agent="a", trace_id=[T[1]], tool_name=["search"], status="OK")
    lake.spans(5, agent="a", trace_id=[T[1]], tool_name=["pay"])
    lake.spans(1, agent="b", trace_id=[T[2]], tool_name=["earlier"])
    lake.spans(6, agent="b", trace_id=[T[2]], links=[link(T[1])], tool_name=["change_account"], request_model=["m1"])
    lake.events("message.sent", minute=7, trace_id=[T[2]], resource_type="message", resource_id="msg-1", actor_id="b")
    lake.events("record.viewed", minute=7, trace_id=[T[2]], resource_type="account", resource_id="acc-9", actor_id="b")
    lake.events("message.sent", minute=8, trace_id=[T[3]], resource_type="message", resource_id="msg-1", actor_id="c")
    lake.spans(9, agent="c", trace_id=[T[3]], attributes=attributes(a2a_task_id="task-1"))
    lake.spans(10, agent="d", trace_id=[T[4]], attributes=attributes(a2a_task_id="task-1"))
    lake.spans(2, agent="e", trace_id=[T[5]], tool_name=["other"])
    lake.events("approval.granted", minute=5, trace_id=[T[1]], approval_id="apr-1", actor_id="jane")
    return lake


def ask(lake, *, minute=0, **more):
    since = lake.rows.NOW + minute * 60_000_000_000
    return find_blast_radius(
        lake.context, **{"tenant": "acme", "agent": None, "key": None, "since_unix_nano": since, **more}
    )


def test_work_is_followed_through_links_messages_and_tasks(touched):
    """Each run with how far and by what the work came to it; a run that nothing leads to is left out."""
    found = ask(touched, agent="a").radius.sections
    assert [(row["trace_id"], row["hop"], row["via"]) for row in found["runs"]] == [
        (T[1], 0, "itself"), (T[2], 1, "link"), (T[3], 2, "message"), (T[4], 3, "task"),
    ]  # fmt: skip
    assert [(row["agent_id"], row["hop"]) for row in found["agents"]] == [("a", 0), ("b", 1), ("c", 2), ("d", 3)]
    assert [(row["resource_id"], row["hop"]) for row in found["resources"]] == [("acc-9", 1)]
    assert [row["approval_id"] for row in found["approvals"]] == ["apr-1"]
    assert [(row["message_id"], row["sent_by"]) for row in found["messages"]] == [("msg-1", "b")]
    assert {row["data_class"] for row in found["data_classes"]} >= {"internal"}


def test_what_came_before_the_work_is_not_touched(touched):
    """In the run that the work came to, only what happened from then on counts; before `since` nothing does."""
    tools = {(row["tool_name"], row["agent_id"]) for row in ask(touched, agent="a").radius.sections["tools"]}
    assert tools == {("search", "a"), ("pay", "a"), ("change_account", "b")}
    later = {row["tool_name"] for row in ask(touched, agent="a", minute=3).radius.sections["tools"]}
    assert later == {"pay", "change_account"}
    assert ask(touched, agent="a", minute=60).radius.trace_ids == []


def test_a_credential_that_events_name_is_followed(touched):
    """It needs no key of this lake; what it was used from is told."""
    named = attributes(audit_credential_id="cred-7", source_address="10.0.0.1")
    touched.events("access.decided", minute=2, trace_id=[T[5]], actor_id="e", attributes=named)
    found = ask(touched, key="cred-7")
    assert (found.key_state, found.radius.trace_ids) == (None, [T[5]])
    assert [(row["credential_id"], row["source_address"]) for row in found.radius.sections["senders"]] == [
        ("cred-7", "10.0.0.1")
    ]


def test_a_key_of_this_lake_knows_its_tenant(touched):
    """All that it sent from then on; its state is told, and another tenant's name refused."""
    key = touched.control.issue_key("acme").id
    touched.spans(20, agent="z", trace_id=[T[9]], recorded_by=f"key:{key}")
    found = ask(touched, key=key, tenant=None)
    assert (found.tenant, found.key_state, found.radius.trace_ids) == ("acme", "active", [T[9]])
    with pytest.raises(InputError, match="is a key of tenant acme"):
        ask(touched, key=key, tenant="globex")


def test_the_reading_is_on_record(touched):
    """`data.exported` names agent or key before anything is read."""
    ask(touched, agent="a")
    rows = touched.rows.read_table(touched.context.lake, "audit_events").to_pylist()
    (event,) = [row for row in rows if row["event_name"] == "data.exported"]
    assert (event["action"], event["resource_type"], event["resource_id"]) == ("blast-radius", "agent", "a")


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({}, InputError),
        ({"agent": "a", "key": "k"}, InputError),
        ({"agent": "a", "tenant": None}, InputError),
        ({"agent": "a", "tenant": "globex"}, NotFoundError),
    ],
)
def test_what_cannot_be_asked_is_refused(lake, more, error):
    """Neither or both, an agent without its tenant, a tenant that is not there."""
    with pytest.raises(error):
        ask(lake, **more)


def test_who_may_not_read_is_refused(lake):
    """Somebody without a role learns nothing."""
    lake.acting("mallory")
    with pytest.raises(DeniedError):
        ask(lake, agent="a")
