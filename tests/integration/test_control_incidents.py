"""Incidents in the control database, on SQLite and on PostgreSQL: the same rules on both."""

from dataclasses import replace

import pytest

from warehouse.control import (
    ControlStore,
    FoundIncident,
    IncidentChange,
    IncidentClock,
    IncidentRecord,
    IncidentRow,
    IncidentState,
    RuleProgress,
)
from warehouse.errors import ConflictError, InputError, NotFoundError

INCIDENT = IncidentRecord(
    "i1", "acme", "failing", "It fails", "high", "a.md", "sha256:0", "k1", "{}", "It failed.", IncidentState.OPENED, 10, 20, 30,
    row_count=2,
)  # fmt: skip
ROWS = (IncidentRow("spans", "main", 1, 10, "t1", "bot"), IncidentRow("spans", "main", 2, 20, None, None))
LINE = IncidentChange(30, "opened", "user:a", "2 records")


@pytest.fixture
def store(control_url):
    """An open store with a tenant and an incident of two records with a clock, whose clock counts up."""
    ticks = iter(range(100, 10_000))
    with ControlStore.open(control_url, clock=lambda: next(ticks)) as opened:
        opened.add_tenant("acme")
        clock = IncidentClock("gdpr-33", 30, 90)
        found = FoundIncident(INCIDENT, None, ROWS, {"agent": ["bot"], "run": ["t1"]}, [LINE], [clock])
        opened.commit_round("acme", [found], [RuleProgress("failing", 30, '{"a":1}')], "{}", by="user:a")
        yield opened


def test_an_incident_is_kept_whole(store):
    """Records in the order of their time, what is affected, the timeline and the clocks."""
    details = store.incident_details("i1")
    assert (details.record, details.rows, details.changes) == (INCIDENT, ROWS, (LINE,))
    assert details.affected == {"agent": ("bot",), "run": ("t1",)}
    assert details.clocks == (IncidentClock("gdpr-33", 30, 90),)
    assert store.list_incidents(["acme"]) == store.list_incidents() == [INCIDENT]
    assert store.list_incidents(["globex"]) == store.list_incidents(states=[IncidentState.CLOSED]) == []
    assert store.incident_row_ids(["i1"], lowest=1, highest=2) == {
        "i1": frozenset({("spans", "main", 1), ("spans", "main", 2)})
    }
    assert store.incident_row_ids(["i1"], lowest=2, highest=9) == {"i1": frozenset({("spans", "main", 2)})}


@pytest.mark.parametrize(
    ("tenant", "runs", "places", "found"),
    [
        ("acme", ["t0", "t1"], set(), [INCIDENT]),
        ("acme", [], {("main", 7), ("main", 2)}, [INCIDENT]),
        ("acme", ["bot"], {("other", 1), ("main", 3)}, []),
        ("globex", ["t1"], {("main", 1)}, []),
        ("acme", [f"r{number}" for number in range(1200)] + ["t1"], set(), [INCIDENT]),
    ],
)
def test_incidents_are_found_by_runs_and_records(store, tenant, runs, places, found):
    """A run that one affects, or a record of it by its place, leads to it, within its tenant; however many are asked for."""
    assert store.incidents_naming(tenant, runs, places) == found


def test_a_change_has_its_line_and_of_two_one_is_refused(store):
    """What was read before counts: a change of something older writes nothing, and nothing is announced twice."""
    announced = []

    def meanwhile(incident):
        announced.append(incident.state)
        store.change_incident("i1", lambda each: replace(each, owner="b"), what="owned", by="user:b", note=None)

    with pytest.raises(ConflictError, match="changed meanwhile"):
        store.change_incident(
            "i1", lambda each: replace(each, state=IncidentState.ACKNOWLEDGED), what="acknowledged", by="user:a",
            note=None, announce=meanwhile,
        )  # fmt: skip
    assert announced == [IncidentState.ACKNOWLEDGED]
    details = store.incident_details("i1")
    assert (details.record.owner, details.record.state, details.record.revision) == ("b", IncidentState.OPENED, 2)
    assert [line.change for line in details.changes] == ["opened", "owned"]
    with pytest.raises(InputError):
        store.change_incident("i1", lambda each: each, what="x", by="user:a", note="two\nlines")
    with pytest.raises(NotFoundError):
        store.incident("i2")


def test_a_round_is_written_whole_or_not_at_all(store):
    """Where one incident was changed meanwhile, neither the others nor how far rules have read are written."""
    other = replace(INCIDENT, id="i2", key_hash="k2")
    stale = replace(INCIDENT, revision=7)
    found = [FoundIncident(other), FoundIncident(replace(INCIDENT, last_unix_nano=99, revision=8), stale)]
    with pytest.raises(ConflictError):
        store.commit_round("acme", found, [RuleProgress("failing", 60, '{"a":2}')], "later", by="user:a")
    assert store.list_incidents() == [INCIDENT]
    assert store.rule_progress("acme")["failing"].point == '{"a":1}'
    assert store.round_state("acme") == "{}"


def test_one_that_turns_out_to_be_another_is_closed_as_it(store):
    """Its records, what it affects and its clock go over; of two clocks of a kind the one that began first counts."""
    other = replace(INCIDENT, id="i2", opened_unix_nano=50, last_unix_nano=50, row_count=1)
    row = IncidentRow("spans", "main", 9, 50, "t9", "bot")
    clocks = [IncidentClock("gdpr-33", 55, 95), IncidentClock("ai-act-73", 55, 99)]
    opened = FoundIncident(other, None, [row], {"run": ["t9"]}, [LINE], clocks)
    store.commit_round("acme", [opened], [], "{}", by="user:a")
    merged = FoundIncident(
        replace(INCIDENT, last_unix_nano=50, row_count=3, revision=2), INCIDENT, changes=[replace(LINE, change="joined")],
        merged=[other],
    )  # fmt: skip
    store.commit_round("acme", [merged], [], "{}", by="user:a")
    details = store.incident_details("i1")
    assert ([each.log_index for each in details.rows], details.affected["run"]) == ([1, 2, 9], ("t1", "t9"))
    assert [(each.clock, each.started_unix_nano) for each in details.clocks] == [("ai-act-73", 55), ("gdpr-33", 30)]
    closed = store.incident_details("i2")
    assert (closed.record.state, closed.record.duplicate_of, closed.rows) == (IncidentState.CLOSED, "i1", ())
    assert closed.changes[-1].note == "it is i1"
    assert details.duplicates == ("i2",)
    assert [each.id for each in store.incidents_of_keys("acme", "failing", ["k1"])] == ["i1"]


def test_points_are_kept_once_and_only_as_long_as_a_rule_is_there(store):
    """Rules that read equally far share a point; a rule that fails keeps its own, with since when and why."""
    shared = [RuleProgress(f"r{number}", 60, '{"a":2}') for number in range(3)]
    failing = RuleProgress("failing", 30, '{"a":1}', "no such column", 61)
    store.commit_round("acme", [], [*shared, failing], "{}", by="user:a")
    progress = store.rule_progress("acme")
    assert {name: each.point for name, each in progress.items()} == {
        "failing": '{"a":1}', "r0": '{"a":2}', "r1": '{"a":2}', "r2": '{"a":2}',
    }  # fmt: skip
    assert [(tenant, each.rule, each.problem) for tenant, each in store.rule_problems()] == [
        ("acme", "failing", "no such column")
    ]


def test_clocks_start_and_stop_once(store):
    """A clock that is there is not started again, and one that does not run is not stopped."""
    with pytest.raises(ConflictError, match="expected no clock gdpr-33"):
        store.start_clock("i1", IncidentClock("gdpr-33", 30, 90), by="user:a", note=None)
    store.start_clock("i1", IncidentClock("ai-act-73", 30, 99), by="user:a", note=None)
    store.stop_clock("i1", "gdpr-33", by="user:a", note="reported")
    with pytest.raises(ConflictError, match=r"expected a clock that runs on it \(ai-act-73\), got gdpr-33"):
        store.stop_clock("i1", "gdpr-33", by="user:a", note="again")
    assert [line.change for line in store.incident_details("i1").changes] == [
        "opened", "clock ai-act-73 started", "clock gdpr-33 stopped",
    ]  # fmt: skip


def test_a_person_who_is_erased_gives_way_to_a_reference(store):
    """In every text of the tenant's incidents, once, with a line in the timeline; another tenant's and other words stay."""
    named = replace(
        INCIDENT, id="i2", key_hash="k2", key='{"actor_id":"sub_a"}', title="sub_a again", detail="sub_b and sub_a"
    )
    other = replace(named, id="i3", tenant_id="globex")
    for incident in (named, other):
        rows = (replace(ROWS[1], agent_id="sub_a"),)
        found = FoundIncident(incident, None, rows, {"agent": ["sub_a"]}, [replace(LINE, note="ask sub_a")], [])
        store.commit_round(incident.tenant_id, [found], [], '{"seen":"sub_a"}', by="user:a")
    assert store.forget_in_cases("acme", ["sub_a"], "r1", by="user:o") == 1
    assert store.forget_in_cases("acme", ["sub_a"], "r1", by="user:o") == 0
    details = store.incident_details("i2")
    told = (
        details.record.title,
        details.record.detail,
        details.record.key,
        details.rows[0].agent_id,
        details.affected["agent"],
    )
    assert told == ("r1 again", "sub_b and r1", '{"actor_id":"r1"}', "r1", ("r1",))
    assert [(each.change, each.by, each.note) for each in details.changes] == [
        ("opened", "user:a", "ask r1"),
        ("person erased", "user:o", None),
    ]
    assert (details.record.revision, store.incident("i3").title) == (2, "sub_a again")
    assert store.incident_details("i1").record == INCIDENT
