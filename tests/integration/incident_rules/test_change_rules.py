"""Rules about changes of agents, and about who may be at work."""

import pytest


@pytest.fixture
def b(build):
    return build


def changed(b, at, name, approval=None, after="m2", **more):
    attributes = {"gen_ai.agent.id": "a", "gen_ai.request.model": after}
    return b.event(at, name, approval_id=approval, resource_type=name.split(".")[0], resource_id=after, actor_id="ada",
                   actor_type="human", attributes=attributes, **more)  # fmt: skip


def granted(b, at, approval="p1", **more):
    return b.event(at, "approval.granted", approval_id=approval, resource_type="agent", resource_id="a", **more)


def chat(b, at, model, **more):
    return b.span(at, request_model=model, **more)


def test_a_model_switched_without_approval(b, checked):
    """The event and the runs on that model until it is switched back; an approved switch is none."""
    bad = [
        chat(b, -b.hour, "m1"), changed(b, 0, "model.switched"), chat(b, b.hour, "m2"), chat(b, 2 * b.hour, "m1"),
        granted(b, 3 * b.hour), changed(b, 4 * b.hour, "model.switched", "p1", "m1"), chat(b, 5 * b.hour, "m2"),
    ]  # fmt: skip
    fine = [
        chat(b, -b.hour, "m1"), granted(b, -b.minute), changed(b, 0, "model.switched", "p1"), chat(b, b.hour, "m2"),
        changed(b, 0, "model.switched", outcome="failure"),
    ]  # fmt: skip
    found = checked("model-switched-without-approval", bad, fine, 2)
    assert {row[2] for row in found} == {b.noon, b.noon + b.hour}


@pytest.mark.parametrize("more", [{"at": 1}, {"at": -30}, {"at": -1, "expires": -0.5}, {"at": -1, "approval": "other"}])
def test_an_approval_that_does_not_count(b, rule_lake, more):
    """One that came later, too long before, had expired, or is of another change."""
    at, approval = int(more["at"] * b.hour), more.get("approval", "p1")
    expires = None if "expires" not in more else b.noon + int(more["expires"] * b.hour)
    given = [granted(b, at, approval, expires_unix_nano=expires), changed(b, 0, "model.switched", "p1")]
    rule_lake.add("acme", given)
    assert len(rule_lake.found("model-switched-without-approval", "acme", b.Seen())) == 1


def test_an_approval_of_another_change_is_not_free(b, rule_lake):
    """A switch that names no approval may use one for the agent, unless another change names that."""
    rule_lake.add("acme", [granted(b, -b.hour), changed(b, 0, "model.switched")])
    rule_lake.add(
        "globex", [granted(b, -b.hour), changed(b, -1, "tool.changed", "p1"), changed(b, 0, "model.switched")]
    )
    assert rule_lake.found("model-switched-without-approval", "acme", b.Seen()) == set()
    assert len(rule_lake.found("model-switched-without-approval", "globex", b.Seen())) == 1


def test_a_switch_that_only_spans_show(b, checked):
    """Nobody recorded it and nobody approved anything: the first run on the new model is the incident."""
    bad = [chat(b, -b.hour, "m1"), chat(b, 0, "m2"), chat(b, b.hour, "m2")]
    fine = [chat(b, -b.hour, "m1"), granted(b, -b.minute), chat(b, 0, "m2"), chat(b, b.hour, "m2")]
    found = checked("model-switched-without-approval", bad, fine, 1)
    assert {(row[0], row[2]) for row in found} == {("spans", b.noon)}


def test_a_prompt_changed_without_approval(b, checked):
    """Recorded, or shown by spans alone; an approved one, and the next run with it, are fine."""

    def run(at, version, name="greet"):
        return b.span(at, prompt_name=name, prompt_version=version)

    bad = [
        changed(b, 0, "prompt.changed"),
        run(b.hour, "1", "sum"),
        run(2 * b.hour, "2", "sum"),
        run(3 * b.hour, "2", "sum"),
    ]
    fine = [run(-b.hour, "1"), granted(b, -b.minute), changed(b, 0, "prompt.changed", "p1"), run(b.hour, "2")]
    seen = b.Seen()
    found = checked("prompt-changed-without-approval", bad[:1], fine, 1, seen)
    assert {row[0] for row in found} == {"audit_events"}


def test_a_prompt_that_only_spans_show(b, checked):
    """A version that the agent did not use before, and no word of it."""
    bad = [
        b.span(at * b.hour, prompt_name="sum", prompt_version=version) for at, version in ((0, "1"), (1, "2"), (2, "2"))
    ]
    fine = [b.span(at * b.hour, prompt_name="sum", prompt_version="1") for at in range(3)]
    found = checked("prompt-changed-without-approval", bad, fine, 1)
    assert {row[2] for row in found} == {b.noon + b.hour}


def test_a_tool_changed_without_approval(b, checked):
    """Recorded without approval, or new to the agent and outside of its registration."""
    seen = b.Seen(registry=[{"id": "a", "allowed_tools": ["read*"]}], now=b.noon + 9 * b.day)
    bad = [
        changed(b, 0, "tool.changed"),
        b.call(-3 * b.day, tool="read", digest="x"),
        b.call(-b.day, tool="wire", digest="y"),
    ]
    fine = [granted(b, -b.minute), changed(b, 0, "tool.changed", "p1"), b.call(-3 * b.day, tool="read", digest="x"),
            b.call(-b.day, tool="read_more", digest="y")]  # fmt: skip
    found = checked("tool-changed-without-approval", bad, fine, 2, seen)
    assert {row[0] for row in found} == {"audit_events", "spans"}


def test_an_agent_that_is_not_registered(b, checked):
    """Unknown, or at work after it left service; a registered one is fine, whatever it sends."""
    registry = [{"id": "a"}, {"id": "gone", "state": "retired", "updated_unix_nano": b.noon}]
    bad = [b.span(0, agent_id="new"), b.event(0, "message.sent", actor_id="newer"), b.span(b.hour, agent_id="gone")]
    fine = [b.span(0), b.event(0, "message.sent"), b.span(-b.hour, agent_id="gone"), b.span(0, agent_id=None),
            b.event(0, "message.sent", actor_id="ada", actor_type="human")]  # fmt: skip
    checked("agent-not-registered", bad, fine, 3, b.Seen(registry=registry))


def test_an_agent_outside_its_registration(b, checked):
    """A model, provider or tool outside its lists; an empty list forbids nothing."""
    lists = {"allowed_models": ["m*"], "allowed_providers": ["p"], "allowed_tools": ["read"]}
    seen = b.Seen(registry=[{"id": "a", **lists}, {"id": "free"}])
    bad = [b.span(0, request_model="x1", provider="q"), b.call(0, tool="wire")]
    fine = [
        b.span(0, request_model="m7", provider="p"),
        b.call(0, tool="read"),
        b.span(0, request_model="x", agent_id="free"),
    ]
    checked("agent-outside-its-registration", bad, fine, 3, seen)


def test_a_promotion_without_a_gate(b, checked):
    """No gate, or one whose last answer is no; a gate that passed in the end is one."""

    def promoted(at, approval, release):
        return b.event(at, "release.promoted", approval_id=approval, resource_id=release)

    def gate(at, approval, outcome="success", name="tests"):
        return b.event(at, "gate.evaluated", approval_id=approval, outcome=outcome, attributes={"audit.gate.id": name})

    bad = [promoted(0, "p1", "r1"), gate(-b.hour, "p2", "failure"), promoted(0, "p2", "r2"), gate(b.hour, "p1")]
    fine = [
        gate(-2 * b.hour, "p1", "failure"),
        gate(-b.hour, "p1"),
        gate(-b.hour, "p1", name="red team"),
        promoted(0, "p1", "r1"),
    ]
    checked("promotion-without-gate", bad, fine, 2)


def test_a_cutover_that_is_worse_and_stays(b, checked):
    """More failures after it and no way back; rolled back, or no worse, is fine."""

    def spans(at, count, failing):
        return [b.span(at + n * b.second, status_code="ERROR" if n < failing else "UNSET") for n in range(count)]

    cutover = b.event(0, "migration.cutover", resource_id="mig", attributes={"gen_ai.agent.id": "a"})
    bad = [*spans(-b.hour, 100, 2), cutover, *spans(b.minute, 100, 40)]
    back = b.event(b.hour, "migration.rolled_back", resource_id="mig")
    checked("cutover-not-rolled-back", bad, [*bad, back], 1)


def test_a_cutover_that_is_no_worse(b, checked):
    """The same share of failures, or too few spans to tell."""
    cutover = b.event(0, "migration.cutover", resource_id="mig")
    same = [
        b.span(at + n * b.second, status_code="ERROR" if n < 3 else "UNSET")
        for at in (-b.hour, b.minute)
        for n in range(100)
    ]
    checked("cutover-not-rolled-back", [cutover, b.span(1, status_code="ERROR")], [cutover, *same], 0)
