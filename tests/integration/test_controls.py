"""Shipped controls over records whose answers are known: what satisfies each, and what does not though it looks like it."""

import json

import pytest

from governance.controls.evaluating import State, evaluate
from governance.controls.framework import default_controls
from muniment.cli.app import run
from muniment.wiring import command_context
from tests.template import init_lake
from warehouse.query import open_session

HOUR = 3_600_000_000_000
START = 1_790_812_800_000_000_000  # 2026-10-01T00:00:00Z
YEARS = 10 * 366 * 24 * HOUR


@pytest.fixture
def lake(tmp_path):
    """An empty lake with one tenant."""
    return init_lake(tmp_path / "lake", "acme")


def send(lake, *events):
    """Import events, each (hours after the start, name, attributes)."""
    records = []
    for hours, name, attributes in events:
        values = {"event.name": name, "audit.outcome": "success", "audit.actor.type": "human"} | attributes
        records.append(
            {
                "timeUnixNano": str(START + hours * HOUR),
                "eventName": name,
                "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in values.items()],
            }
        )
    file = lake.parent / "events.jsonl"
    file.write_text(json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}) + "\n")
    assert run(["import", str(file), "--tenant", "acme", "--lake", str(lake)]) == 0


def found(lake, control_id, framework="soc2"):
    """State of a control, and the reason of each exception."""
    context = command_context(lake)
    control = next(each for each in default_controls().frameworks[framework].controls if each.id == control_id)
    with open_session(lake, tenants=["acme"], principal=context.principal, settings=context.settings.query) as session:
        outcome = evaluate(session, control, from_unix_nano=START, to_unix_nano=START + YEARS)
    reasons = outcome.population.column("exception").to_pylist() if outcome.items else []
    return outcome.state, sorted(reason for reason in reasons if reason)


def incident(lake, name, action):
    """An event about the incident as this system itself records it."""
    command_context(lake).record(
        name, "acme", action=action, resource_type="incident", resource_id="inc-1",
        attributes={"muniment.incident.severity": "high"},
    )  # fmt: skip


def test_a_record_that_joins_is_no_answer_to_an_incident(lake):
    """Only somebody who acknowledges, mitigates or closes answers it; only who closes it closes it."""
    incident(lake, "incident.opened", "open")
    incident(lake, "incident.updated", "join")
    incident(lake, "incident.updated", "reopen")
    incident(lake, "incident.closed", "join")
    assert found(lake, "CC7.3") == (State.NOT_SATISFIED, ["nobody acknowledged it"])
    incident(lake, "incident.updated", "acknowledge")
    assert found(lake, "CC7.3") == (State.SATISFIED, [])
    assert found(lake, "CC7.5") == (State.NOT_SATISFIED, ["nobody closed it"])
    incident(lake, "incident.closed", "close")
    assert found(lake, "CC7.5") == (State.SATISFIED, [])


def test_events_of_this_system_cannot_be_sent_in(lake):
    """A sender that says it closed an incident answers nothing: what it sends is kept under another name."""
    incident(lake, "incident.opened", "open")
    send(lake, (1, "incident.closed", {"audit.resource.id": "inc-1", "audit.action": "close"}))
    assert found(lake, "CC7.3") == (State.NOT_SATISFIED, ["nobody acknowledged it"])


@pytest.mark.parametrize(
    ("hours", "reasons"),
    [(23, []), (24, ["revoked after more than a day"]), (None, ["it was not revoked"])],
)
def test_a_compromised_credential_is_revoked_within_a_day(lake, hours, reasons):
    """To the hour; a revocation of another credential, or from before, does not count."""
    named = {"audit.resource.id": "cred-1"}
    others = [
        (1, "credential.revoked", named),
        (3, "credential.revoked", {"audit.resource.id": "cred-2"}),
        (2, "credential.compromised", named),
    ]
    late = [] if hours is None else [(2 + hours, "credential.revoked", named)]
    send(lake, *others, *late)
    assert found(lake, "CC6.1-revoked")[1] == reasons


@pytest.mark.parametrize(
    ("approval", "reason"),
    [
        (None, "the approval that it names was never granted"),
        ((2, {"audit.actor.id": "ann"}), "approved only after the change"),
        ((0, {"audit.actor.id": "bob"}), "approved by who made the change"),
        ((0, {}), "the approval names nobody"),
        ((0, {"audit.actor.id": "bot", "audit.actor.type": "agent"}), "not approved by a human"),
        ((0, {"audit.actor.id": "ann"}), "the approval is asserted: neither key-bound nor verified"),
    ],
)
def test_an_approval_that_does_not_count_is_an_exception(lake, approval, reason):
    """Each way in which it does not is named."""
    change = (1, "prompt.changed", {"audit.actor.id": "bob", "audit.approval.id": "apr-1"})
    given = (
        [] if approval is None else [(approval[0], "approval.granted", {"audit.approval.id": "apr-1"} | approval[1])]
    )
    send(lake, change, *given)
    assert found(lake, "CC8.1") == (State.NOT_SATISFIED, [reason])


@pytest.mark.parametrize(
    ("ended", "reason"),
    [
        ((4, "approval.denied"), "the approval was denied or ended before the change"),
        ((4, "approval.expired"), "the approval was denied or ended before the change"),
        ((6, "approval.denied"), "the approval is asserted: neither key-bound nor verified"),
        ((2, "approval.denied"), "the approval is asserted: neither key-bound nor verified"),
        (None, "the change names nobody"),
    ],
)
def test_an_approval_that_no_longer_counts_is_an_exception(lake, ended, reason):
    """One that was denied or ended between its grant and the change; and who is not named may be who approved."""
    by = {} if ended is None else {"audit.actor.id": "bob"}
    named = {"audit.approval.id": "apr-1"}
    later = [] if ended is None else [(*ended, named | {"audit.actor.id": "ann"})]
    send(
        lake, (3, "approval.granted", named | {"audit.actor.id": "ann"}), (5, "prompt.changed", named | by), *later
    )  # fmt: skip
    assert found(lake, "CC8.1") == (State.NOT_SATISFIED, [reason])


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([-1], "answered before it was asked"),
        ([-1, 1], "the answer is asserted: neither key-bound nor verified"),
        ([0], "the answer is asserted: neither key-bound nor verified"),
        ([], "nobody answered"),
    ],
)
def test_an_answer_from_before_the_request_answers_nothing(lake, answers, reason):
    """Whoever approves everything in advance approves nothing; an answer that comes after counts."""
    named = {"audit.approval.id": "apr-1", "audit.actor.id": "ann"}
    asked = {"audit.approval.id": "apr-1", "audit.actor.id": "bot", "audit.actor.type": "agent"}
    send(lake, (5, "approval.requested", asked), *((5 + hours, "approval.granted", named) for hours in answers))
    assert found(lake, "14(4)", "eu-ai-act") == (State.NOT_SATISFIED, [reason])


@pytest.mark.parametrize(("framework", "control"), [("pci-dss", "10.7"), ("pci-dss", "10.5.1"), ("eu-ai-act", "19(1)")])
def test_records_of_this_system_alone_cover_nothing(lake, framework, control):
    """That somebody looked, or built a pack, is no sign that anything of the tenant was received."""
    command_context(lake).record("data.exported", "acme", action="evidence", resource_type="pack", resource_id="x")
    assert found(lake, control, framework) == (State.INSUFFICIENT, [])
    send(lake, (1, "prompt.changed", {"audit.actor.id": "bob"}))
    assert found(lake, control, framework) == (State.SATISFIED, [])


@pytest.mark.parametrize("framework", sorted(default_controls().frameworks))
def test_no_control_is_satisfied_by_nothing(lake, framework):
    """Over a tenant without records every computed control is insufficient evidence, and a mapping stays one."""
    context = command_context(lake)
    with open_session(lake, tenants=["acme"], principal=context.principal, settings=context.settings.query) as session:
        states = {
            evaluate(session, control, from_unix_nano=START, to_unix_nano=START + HOUR).state
            for control in default_controls().frameworks[framework].controls
        }
    assert states <= {State.INSUFFICIENT, State.MAPPING_ONLY}


@pytest.mark.parametrize(
    ("outcome", "reasons"), [("success", []), ("allowed", []), ("denied", []), ("maybe", ["no decision is named"])]
)
def test_a_decision_on_access_is_said_in_senders_words_or_in_this_systems_own(lake, outcome, reasons):
    """Applications say success or denied, this system allowed or denied of those who use it; anything else is no decision."""
    command_context(lake).record(
        "access.decided", "acme", action="records.export", resource_type="tenant", resource_id="acme", outcome=outcome,
        policy_id="officer-may", policy_version="1",
    )  # fmt: skip
    assert found(lake, "CC6.2")[1] == reasons
