"""Rules about how agents behave, and about what does not come."""

import pytest


@pytest.fixture
def b(build):
    return build


def calls(b, at, count, failing, **more):
    return [b.call(at + n * b.minute, trace_id=f"{n // 3:032x}", digest=f"d{n}",
                   status_code="ERROR" if n < failing else "UNSET", error_type="TimeoutError", **more)
            for n in range(count)]  # fmt: skip


def test_a_tool_that_fails(b, checked):
    """Most calls of half an hour, over several runs; a few failures among many, or in one run, are life."""
    bad = calls(b, 0, 9, 9)
    flaky = [call for n in range(20) for call in calls(b, n * b.minute, 1, n % 4 == 0, tool="flaky", agent_id="f")]
    fine = [*flaky, *[b.call(n, status_code="ERROR", tool="once") for n in range(8)]]
    found = checked("tool-failing", bad, fine, 9)
    assert min(row[2] for row in found) == b.noon


def hours_of_chat(b, hours, seconds, *, start=0, each=3):
    return [b.span(start + hour * b.hour + n * b.minute, request_model="m", duration_ns=int(seconds * (1 + 0.1 * n) * b.second))
            for hour in range(hours) for n in range(each)]  # fmt: skip


def test_model_calls_that_take_much_longer(b, checked):
    """Three times as long for hours on end; as long as ever, or another model, is no regression."""
    before = hours_of_chat(b, 48, 1.0, start=-48 * b.hour)
    fine = [*before, *hours_of_chat(b, 6, 1.2)]
    found = checked("latency-regression", [*before, *hours_of_chat(b, 6, 3.0)], fine, 18)
    assert min(row[2] for row in found) == b.noon


def test_an_hour_that_is_not_over_is_not_judged(b, rule_lake):
    """Only whole hours count: the same records give the same answer whenever the rule runs."""
    rule_lake.add("acme", [*hours_of_chat(b, 48, 1.0, start=-48 * b.hour), *hours_of_chat(b, 1, 9.0, each=12)])
    assert rule_lake.found("latency-regression", "acme", b.Seen(now=b.noon + 59 * b.minute)) == set()
    assert len(rule_lake.found("latency-regression", "acme", b.Seen(now=b.noon + b.hour))) == 12


def test_an_agent_in_a_loop(b, checked):
    """Eight times the same call within ten minutes; other arguments, or slowly, is work."""
    bad = [b.call(n * b.minute) for n in range(8)]
    fine = [*[b.call(n * b.minute, digest=f"x{n}") for n in range(20)], *[b.call(n * 2 * b.minute) for n in range(20)]]
    checked("agent-in-a-loop", bad, fine, 8)


def test_an_agent_that_spends_far_more_than_usual(b, checked):
    """Over the floor and over the multiple; over one of both alone is fine."""

    def spent(at, usd):
        return b.span(at, input_tokens=1000, output_tokens=100, cost_microusd=int(usd * 1e6))

    usual = [spent(-hour * b.hour, 0.5) for hour in range(1, 12)]
    dear = [spent(-hour * b.hour, 4.0) for hour in range(1, 12)]
    found = checked("cost-runaway", [*usual, spent(0, 9.0)], [*dear, spent(0, 9.0)], 1)
    assert {row[2] for row in found} == {b.noon}


def test_counts_as_wide_as_a_sender_may_say_switch_no_rule_off(b, rule_lake):
    """Tokens and sequence numbers at the ends of 64 bits are worked with, not stumbled over."""
    most = 2**63 - 1
    rule_lake.add("acme", [b.span(n, input_tokens=most, output_tokens=most, cost_microusd=most) for n in range(3)])
    rule_lake.add("acme", [numbered(b, number, at=at) for at, number in enumerate((-most - 1, 0, most))])
    assert len(rule_lake.found("cost-runaway", "acme", b.Seen())) == 3
    assert rule_lake.found("drift-token-use", "acme", b.Seen()) == set()
    assert len(rule_lake.found("sequence-gap", "acme", b.Seen())) == 1


def test_a_handoff_that_nobody_takes(b, checked):
    """To a registered agent, unanswered for an hour; answered in time, declined, young, or to a person is fine."""

    def handoff(at, name, number, to="z"):
        attributes = {"audit.handoff.from": "a", "audit.handoff.to": to}
        return b.event(at, f"handoff.{name}", resource_id=number, attributes=attributes)

    bad = [handoff(0, "requested", "h1"), handoff(0, "requested", "h2"), handoff(2 * b.hour, "accepted", "h2")]
    fine = [
        handoff(0, "requested", "h1"), handoff(b.minute, "accepted", "h1"), handoff(0, "requested", "h2"),
        handoff(b.minute, "declined", "h2"), handoff(0, "requested", "h3", "ada"), handoff(b.day - b.minute, "requested", "h4"),
    ]  # fmt: skip
    checked("handoff-never-accepted", bad, fine, 2, b.Seen(registry=[{"id": "z"}]))


def numbered(b, number, stream="s", at=None):
    at = number * b.second if at is None else at
    return b.event(at, "message.sent", attributes={"audit.sequence.stream": stream, "audit.sequence.number": number})


def test_numbers_that_are_missing(b, checked):
    """Skipped numbers; a stream that begins anywhere, or starts anew, has no gap."""
    bad = [numbered(b, n) for n in (3, 4, 7, 8)]
    fine = [*[numbered(b, n) for n in (3, 4, 5)], numbered(b, 0, at=b.hour), numbered(b, 9, "t")]
    found = checked("sequence-gap", bad, fine, 1)
    assert {row[2] for row in found} == {b.noon + 7 * b.second}


def test_a_clock_that_is_wrong(b, checked):
    """In the future, or behind by one amount; late delivery differs from record to record, and imports are old by intent."""
    bad = [b.span(0, skew_seconds=7200, peer="10.0.0.1"), *[b.span(n, skew_seconds=-7000 - n, peer="p", service_name="slow")
           for n in range(6)]]  # fmt: skip
    fine = [*[b.span(n, skew_seconds=-7000 * n - 4000, peer="10.0.0.1") for n in range(6)],
            b.span(0, skew_seconds=99_999, peer="file:x", service_name="old"), b.span(0, peer="p", service_name="right")]  # fmt: skip
    checked("clock-skew", bad, fine, 2)


def fact(name, value, since, subject="s"):
    return {"fact": name, "subject": subject, "time_unix_nano": since, "value": value, "detail": "d"}


@pytest.mark.parametrize(
    ("rule", "bad", "fine"),
    [
        ("ingest-silence", [("ingest_age_seconds", 30 * 3600)], [("ingest_age_seconds", 3600)]),
        ("checkpoint-overdue", [("checkpoint_behind_records", 5)], [("checkpoint_behind_records", 0)]),
        ("checkpoint-overdue", [("commit_waiting_seconds", 3600)], [("commit_waiting_seconds", 10)]),
        ("witness-overdue", [("witness_age_seconds", 90_000), ("witness_logs_behind", 1)],
         [("witness_age_seconds", 90_000), ("witness_logs_behind", 0)]),
        ("purge-overdue", [("purge_overdue_files", 2)], [("purge_age_seconds", 900 * 3600)]),
        ("purge-overdue", [("purge_unfinished_seconds", 3 * 3600)], [("purge_unfinished_seconds", 3600)]),
    ],
)  # fmt: skip
def test_what_the_lake_knows_of_itself(b, checked, rule, bad, fine):
    """A fact over its limit is an incident without a record, and one under it is none."""
    seen, other = (b.Seen(facts=[fact(name, value, b.noon) for name, value in facts]) for facts in (bad, fine))
    checked(rule, [], [], 1, seen, other)


def week(b, agent="a", *, until=0, days=10, hours=range(6, 20)):
    """An agent that works every day at these hours (UTC), up to an instant."""
    midnight = b.noon - 12 * b.hour
    made = [midnight + day * b.day + hour * b.hour for day in range(-days, 3) for hour in hours]
    return [b.span(at - b.noon, agent_id=agent) for at in made if at - b.noon <= until]


def test_an_agent_that_fell_silent(b, checked):
    """By its habit: silent in hours in which it always works. At night it may be."""
    seen = b.Seen(registry=[{"id": "a"}], now=b.noon + 7 * b.hour)
    found = checked("agent-silent", week(b, until=-3 * b.hour), week(b, until=7 * b.hour), 1, seen)
    ((_, _, at, agent, *_),) = found
    assert (agent, b.noon < at < b.noon + 7 * b.hour) == ("a", True)


def test_a_pause_that_ended_is_found_too(b, rule_lake):
    """History tells the same as the moment would have: the pause's own time is the incident's."""
    rule_lake.add(
        "acme", [row for row in week(b, until=2 * b.day) if not b.noon <= row[1]["time_unix_nano"] < b.noon + b.day]
    )
    at_once = rule_lake.found("agent-silent", "acme", b.Seen(registry=[{"id": "a"}], now=b.noon + 20 * b.hour))
    later = rule_lake.found("agent-silent", "acme", b.Seen(registry=[{"id": "a"}], now=b.noon + 2 * b.day))
    assert at_once == later
    assert len(later) == 1


@pytest.mark.parametrize(
    ("agent", "silent"),
    [
        ({"silent_after_seconds": 3600}, True),
        ({"silent_after_seconds": 90_000}, False),
        ({"state": "suspended"}, False),
    ],
)
def test_the_registry_says_how_long_an_agent_may_be_silent(b, rule_lake, agent, silent):
    """What is stated counts instead of habit, and who is suspended may be silent."""
    rule_lake.add("acme", week(b, until=-4 * b.hour))
    seen = b.Seen(registry=[{"id": "a", **agent}], now=b.noon + 6 * b.hour)
    found = [row for row in rule_lake.found("agent-silent", "acme", seen) if row[2] > b.noon - 4 * b.hour]
    assert bool(found) is silent


def test_an_action_without_consent(b, checked):
    """Withdrawn before the call, expired, or never given where the rule asks for it; given again is fine."""

    def said(at, name, person, **more):
        return b.event(at, f"consent.{name}", subject_id=person, actor_id=person, actor_type="human", **more)

    def acts(at, person, tool="save", **more):
        return b.call(at, tool=tool, user_id=person, trace_id=f"{hash((at, person)) % 10**9:032x}", **more)

    bad = [
        said(0, "granted", "p1"), said(b.hour, "withdrawn", "p1"), acts(2 * b.hour, "p1"),
        said(0, "granted", "p2", expires_unix_nano=b.noon + b.hour), acts(2 * b.hour, "p2"), acts(0, "p3", "diagnose"),
    ]  # fmt: skip
    fine = [
        said(0, "withdrawn", "p1"), said(b.hour, "granted", "p1"), acts(2 * b.hour, "p1"), acts(0, "p4"),
        said(3 * b.hour, "withdrawn", "p1"),
    ]  # fmt: skip
    checked("action-without-consent", bad, fine, 3, b.Seen(parameters={"tools": ["diag*"]}))


def test_a_workflow_past_its_timer(b, checked):
    """Waiting beyond the expiry of its approval or its own; resumed in time is fine."""

    def step(at, name, flow, **more):
        return b.event(at, f"workflow.{name}", resource_id=flow, **more)

    ask = b.event(0, "approval.requested", approval_id="p1", expires_unix_nano=b.noon + 2 * b.hour)
    bad = [ask, step(0, "waiting", "w1", approval_id="p1"), step(0, "waiting", "w2", expires_unix_nano=b.noon + b.hour)]
    fine = [ask, step(0, "waiting", "w1", approval_id="p1"), step(b.hour, "resumed", "w1"), step(0, "waiting", "w3")]
    found = checked("workflow-past-its-timer", bad, fine, 2)
    assert {row[2] for row in found} == {b.noon + 150 * b.minute, b.noon + 90 * b.minute}


def test_a_workflow_that_failed_half_done(b, checked):
    """A tool changed something and nothing was undone; compensated, or only read, is fine."""

    def failed(flow):
        return b.event(b.hour, "workflow.failed", resource_id=flow, outcome="failure")

    bad = [b.call(0, conversation_id="w1"), failed("w1")]
    fine = [b.call(0, conversation_id="w1"), failed("w1"), b.event(b.hour + 1, "workflow.compensated", resource_id="w1"),
            b.call(0, tool="get_rate", conversation_id="w2"), failed("w2"), failed("w3")]  # fmt: skip
    checked("workflow-failed-without-compensation", bad, fine, 1)
