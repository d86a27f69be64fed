"""Rules about approvals and denials: what they find, and what they leave alone."""

import pytest


@pytest.fixture
def b(build):
    return build


def asked(b, at, approval="p1", digest="d1", **more):
    return b.event(at, "approval.requested", approval_id=approval, action_digest=digest, **more)


def granted(b, at, approval="p1", digest="d1", **more):
    more = {"actor_id": "human", "actor_type": "human"} | more
    return b.event(at, "approval.granted", approval_id=approval, action_digest=digest, **more)


def denied(b, at, digest="d1", **more):
    return b.event(at, "access.decided", outcome="denied", action_digest=digest, action="pay", **more)


def allowed(b, at, digest="d1", **more):
    return b.event(at, "access.decided", action_digest=digest, action="pay", **more)


def test_a_denied_action_that_another_agent_carries_out(b, checked):
    """The denials and the call are the incident; one that was allowed in between, or came before, is none."""
    bad = [denied(b, 0), denied(b, b.minute), b.call(b.hour, agent_id="other")]
    fine = [
        denied(b, 0, "d1"), allowed(b, b.minute, "d1"), b.call(b.hour, digest="d1"), b.call(0, digest="d2"),
        denied(b, b.minute, "d2"), denied(b, 0, "d3"), b.call(b.hour, digest="d4"), denied(b, 0, "d5"),
        granted(b, b.minute, digest="d5"), b.call(b.hour, digest="d5"), denied(b, 0, "d6"), b.call(8 * b.day, digest="d6"),
    ]  # fmt: skip
    found = checked("denied-action-executed", bad, fine, 3, b.Seen(now=b.noon + 9 * b.day))
    assert {row[3] for row in found} == {"a", "other"}


def test_a_denial_that_arrives_after_the_call_it_came_before(b, rule_lake):
    """The order of arrival does not matter, the order of times does."""
    rule_lake.add("acme", [b.call(b.hour)])
    found, point = rule_lake.ask("denied-action-executed", "acme", b.Seen())
    assert found == set()
    rule_lake.add("acme", [denied(b, 0)])
    assert len(rule_lake.ask("denied-action-executed", "acme", b.Seen(), point)[0]) == 2


def test_an_action_denied_again_and_again(b, checked):
    """Three denials of one call within a day; two, or three of different calls, are not many."""
    bad = [denied(b, number * b.hour) for number in range(3)]
    fine = [
        denied(b, 0),
        denied(b, b.hour),
        *(denied(b, n * b.hour, f"x{n}") for n in range(5)),
        denied(b, 26 * b.hour),
    ]
    checked("denied-action-retried", bad, fine, 3)


def test_denials_that_spike(b, checked, rule_lake):
    """Ten denials within an hour where there were none; nine, or as many as usual, are no spike."""
    bad = [denied(b, n * b.second, f"d{n}") for n in range(10)]
    usual = [denied(b, -hour * b.hour, f"u{hour}-{n}") for hour in range(1, 60) for n in range(12)]
    checked("denials-spiking", bad, bad[:9], 10)
    # what came before an evaluation's reach cannot be told from nothing: such hours are not judged
    rule_lake.add("initech", [*usual, *bad])
    assert rule_lake.found("denials-spiking", "initech", b.Seen(first=b.noon - b.hour)) == set()


def test_an_approval_after_its_expiry(b, checked):
    """Granted too late, and used; used in time, or under a second approval that still holds, is fine."""
    bad = [
        asked(b, 0),
        granted(b, 3 * b.hour, expires_unix_nano=b.noon + 2 * b.hour),
        b.call(3 * b.hour + 5 * b.second),
    ]
    fine = [
        granted(b, 0, expires_unix_nano=b.noon + b.hour), b.call(b.minute),
        granted(b, 0, "p2", "d2", expires_unix_nano=b.noon + b.hour),
        granted(b, 2 * b.hour, "p3", "d2", expires_unix_nano=b.noon + 4 * b.hour), b.call(3 * b.hour, digest="d2"),
        granted(b, 0, "p4", "d3"), b.call(9 * b.hour, digest="d3"),
    ]  # fmt: skip
    checked("approval-after-expiry", bad, fine, 2)


def test_an_approval_that_had_expired_when_it_was_used(b, checked):
    """The call alone is wrong where the approval itself came in time."""
    bad = [granted(b, 0, expires_unix_nano=b.noon + b.hour), b.call(2 * b.hour)]
    found = checked("approval-after-expiry", bad, [], 1)
    assert {row[0] for row in found} == {"spans"}


def test_an_approval_without_an_id_expires_too_and_one_without_an_end_does_not(b, checked):
    """Leaving the id out hides nothing; beside one that has expired, one that names no end still allows the call. The very end is in time."""
    bad = [granted(b, 0, None, expires_unix_nano=b.noon + b.hour), b.call(b.hour + 1)]
    fine = [
        granted(b, 0, None, expires_unix_nano=b.noon + b.hour), b.call(b.hour),
        granted(b, 0, "p2", "d2", expires_unix_nano=b.noon + b.hour), granted(b, 0, "p3", "d2"), b.call(2 * b.hour, digest="d2"),
    ]  # fmt: skip
    checked("approval-after-expiry", bad, fine, 1)


def test_a_call_without_the_approval_that_it_needs(b, checked):
    """Asked for and not granted, or granted for other arguments; granted before the call, or never needed, is fine."""
    bad = [asked(b, 0), granted(b, b.minute, digest="other"), b.call(b.hour)]
    fine = [asked(b, 0), granted(b, b.minute), b.call(b.hour), b.call(b.hour, digest="d9"), asked(b, 0, "p5", "d5"),
            b.call(b.hour, digest="d5", status_code="ERROR")]  # fmt: skip
    checked("approval-missing", bad, fine, 1)


def test_tools_that_always_need_an_approval(b, checked):
    """The tools that the rule lists need one for each call; for high-risk agents those of the second list too."""
    seen = b.Seen(
        registry=[{"id": "a", "risk_class": "high"}], parameters={"tools": ["wire_*"], "high_risk_tools": ["pay"]}
    )
    bad = [b.call(0, tool="wire_money"), allowed(b, b.minute, "d2"), b.call(b.hour, digest="d2")]
    fine = [granted(b, 0), b.call(b.hour), b.call(0, tool="read", digest="d3")]
    checked("approval-missing", bad, fine, 2, seen)


def test_somebody_approves_their_own_request(b, checked):
    """The requester, or who the agent asked for; another person is what approvals are for."""
    person = {"actor_id": "ada", "actor_type": "human"}
    bad = [
        asked(b, 0, "p1", **person), granted(b, b.hour, "p1", **person),
        asked(b, 0, "p2", on_behalf_of="ada"), granted(b, b.hour, "p2", **person),
    ]  # fmt: skip
    fine = [asked(b, 0, "p3", on_behalf_of="ada"), granted(b, b.hour, "p3", actor_id="grace")]
    checked("approval-self-approved", bad, fine, 2)


def test_an_own_request_approved_by_a_detour(b, checked):
    """Under another id or none, in other letters, for an own change of an agent, or as the agent that then acts: nobody else was asked."""
    person = {"actor_id": "ada", "actor_type": "human"}
    agent = {"actor_id": "a", "actor_type": "agent"}
    bad = [
        asked(b, 0, "p1", "d1", **person), granted(b, b.hour, "other", "d1", **person),
        asked(b, 0, "p2", "d2", **person), granted(b, b.hour, None, "d2", **person),
        asked(b, 0, "p3", "d3", **person), granted(b, b.hour, "p3", "d3", actor_id="Ada ", actor_type="human"),
        granted(b, 0, "p4", None, **person), b.event(b.hour, "model.switched", approval_id="p4", **person),
        granted(b, 0, "p5", "d5", **agent), b.call(b.hour, digest="d5"),
    ]  # fmt: skip
    fine = [
        asked(b, 0, "p1", "d1", **person), granted(b, b.hour, "p1", "d1", actor_id="grace"),
        # the same call later, the other way round: each asked the other
        asked(b, b.day, "p2", "d1", actor_id="grace"), granted(b, b.day + b.hour, "p2", "d1", **person),
        granted(b, 0, "p4", None, **person), b.event(b.hour, "model.switched", approval_id="p4", actor_id="grace"),
        granted(b, 0, "p5", "d5", actor_id="supervisor", actor_type="agent"), b.call(b.hour, digest="d5"),
    ]  # fmt: skip
    checked("approval-self-approved", bad, fine, 5)


def test_a_call_with_other_arguments_than_approved(b, checked):
    """The run names the approval and calls its tool otherwise; the very call, another tool, or a second permission is fine."""
    tool = {"gen_ai.tool.name": "pay"}

    def resumed(at, trace, approval="p1"):
        return b.event(at, "workflow.resumed", approval_id=approval, trace_id=trace)

    bad = [
        granted(b, 0, attributes=tool),
        resumed(b.hour, "1" * 32),
        b.call(b.hour + b.second, digest="dX", trace_id="1" * 32),
    ]
    fine = [
        granted(b, 0, attributes=tool), resumed(b.hour, "1" * 32), b.call(b.hour + b.second, trace_id="1" * 32),
        b.call(b.hour + b.second, tool="read", digest="d8", trace_id="1" * 32), resumed(b.hour, "2" * 32),
        allowed(b, b.hour, "d7"), b.call(b.hour + b.second, digest="d7", trace_id="2" * 32),
    ]  # fmt: skip
    checked("approval-for-other-arguments", bad, fine, 1)
