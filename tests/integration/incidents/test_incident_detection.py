"""Detection over a real lake: each row once, however rounds are cut, killed, or raced; rules that fail; what is recorded and alerted."""

import datetime as dt
import json

import pyarrow as pa
import pytest

from muniment import incident_round
from muniment.incident_handling import acknowledge
from muniment.incident_round import run_round
from tests.template import copy_lake
from warehouse.control import IncidentState
from warehouse.derived.quality_results import QUALITY_RESULTS
from warehouse.derived.store import DerivedStore
from warehouse.errors import DeniedError, QueryError, UnavailableError
from warehouse.policies import in_force

MINUTE = 60_000_000_000
RULE = """\
  - id: {id}
    title: A rule
    severity: low
    runbook: a.md
    reads: {reads}
    sql: |
      {sql}
"""
MATCH = "time_unix_nano, 'spans' as source_table, shard, log_index, trace_id, agent_id, 'x' as detail"


def rules(*given):
    return "version: 1\nrules:\n" + "".join(RULE.format(id=id_, reads=reads, sql=sql) for id_, reads, sql in given)


def test_matches_become_incidents_by_key_and_cool_down(lake):
    """One agent's matches within an hour of each other are one incident, with its records, runs and data classes."""
    lake.spans(0, 30, 100)
    lake.spans(10, agent="other")
    lake.spans(20, status="OK")
    found = lake.detect()
    assert [each.state for each in found.opened] == [IncidentState.OPENED] * 3
    assert lake.incidents() == [
        ("failing", {"agent_id": "bot"}, 0, 30, 2, "opened"),
        ("failing", {"agent_id": "other"}, 10, 10, 1, "opened"),
        ("failing", {"agent_id": "bot"}, 100, 100, 1, "opened"),
    ]
    details = lake.control.incident_details(found.opened[0].id)
    assert [(row.source_table, row.log_index, row.agent_id) for row in details.rows] == [
        ("spans", row.log_index, "bot") for row in details.rows
    ]
    assert details.affected["agent"] == ("bot",)
    assert details.affected["data_class"] == ("internal",)
    assert set(details.affected["run"]) == {row.trace_id for row in details.rows}


def test_a_row_is_looked_at_once(lake):
    """A second round finds nothing; what comes later joins, and what comes late between two incidents makes them one."""
    lake.spans(0)
    lake.detect()
    again = lake.detect()
    assert (again.opened, again.updated) == ((), ())
    lake.spans(100)
    assert len(lake.detect().opened) == 1
    lake.spans(50, shard="edge")
    joined = lake.detect()
    assert (len(joined.opened), len(joined.updated)) == (0, 1)
    assert lake.incidents() == [("failing", {"agent_id": "bot"}, 0, 100, 3, "opened")]
    duplicate = next(each for each in lake.control.list_incidents(["acme"]) if each.duplicate_of)
    assert duplicate.duplicate_of == joined.updated[0].id
    assert lake.control.incident_details(joined.updated[0].id).duplicates == (duplicate.id,)


def test_a_record_that_a_rule_returns_at_several_times_is_one_match(lake):
    """A span whose start and end a rule returns both belongs to its incident once, at the first of them."""
    rules = in_force(lake.control, "incidents").bundle.files["rules.yaml"]
    later = "      union all\n" + rules[rules.index("      select") :].replace(
        "time_unix_nano,", "time_unix_nano + 60000000000,"
    )
    lake.apply(rules + later)
    lake.spans(0, 30)
    assert lake.detect().failures == ()
    assert lake.incidents() == [("failing", {"agent_id": "bot"}, 0, 30, 2, "opened")]


def test_many_rounds_find_what_one_finds(lake, pattern, tmp_path, request):
    """The same history, evaluated after each request or once at its end, gives the same incidents."""
    other = type(lake)(copy_lake(pattern, tmp_path / "other"), lake.rows)
    request.addfinalizer(other.control.close)
    for minutes, agent in (((0, 5), "a"), ((200,), "b"), ((90,), "a"), ((45,), "a"), ((130, 260), "b")):
        for each in (lake, other):
            each.spans(*minutes, agent=agent)
        lake.detect()
    other.detect()
    assert lake.incidents() == other.incidents()


def test_a_round_that_is_interrupted_leaves_nothing(lake, monkeypatch):
    """Where what was found cannot be written, the next round finds it again, under the same id."""
    lake.spans(0, 5)
    with monkeypatch.context() as patch:
        patch.setattr(lake.control, "commit_round", fail)
        assert lake.detect().failures[0].message == "the disk is full"
    assert lake.incidents() == []
    (opened,) = lake.detect().opened
    assert lake.incidents() == [("failing", {"agent_id": "bot"}, 0, 5, 2, "opened")]
    assert {incident for _, _, incident, _ in lake.own_events()} == {opened.id}


def fail(*_args, **_more):
    raise UnavailableError("the disk is full")


def test_what_cannot_be_recorded_is_not_kept(lake, monkeypatch):
    """Without an event there is no incident."""
    lake.spans(0)
    monkeypatch.setattr(lake.context.recorder, "record", fail)
    assert lake.detect().failures[0].rule is None
    assert lake.incidents() == []


def test_a_rule_that_fails_stops_no_other_and_goes_on_where_it_was(lake):
    """It is told with the tenant and why, without the record's own words, stays on show, and misses nothing once it works."""
    good = ("good", "new", f"select {MATCH} from spans")
    lake.apply(rules(good, ("bad", "new", f"select {MATCH} from spans where cast(status_message as bigint) > 0")))
    lake.spans(0, status_message=["Jane Roe"])
    found = lake.detect()
    ((tenant, problem),) = lake.control.rule_problems()
    assert [(each.tenant, each.rule) for each in found.failures] == [("acme", "bad")] == [(tenant, problem.rule)]
    assert "Jane" not in problem.problem
    assert "Could not convert string '…'" in problem.problem
    assert [incident[0] for incident in lake.incidents()] == ["good"]
    lake.spans(1, status_message=["7"])
    lake.detect()
    lake.apply(rules(good, ("bad", "new", f"select {MATCH} from spans where status_message <> ''")))
    assert lake.detect().failures == ()
    assert lake.control.rule_problems() == []
    assert {(incident[0], incident[4]) for incident in lake.incidents()} == {("good", 2), ("bad", 2)}


def test_an_unforeseen_error_stops_no_other_tenant(lake, monkeypatch):
    """What nobody thought of is told of its tenant, by its kind alone; the others are looked at."""
    lake.control.add_tenant("globex")
    lake.spans(0)

    def run(context, rules, tenant, **more):
        if tenant == "globex":
            raise ZeroDivisionError("Jane Roe")
        return run_round(context, rules, tenant, **more)

    monkeypatch.setattr("muniment.incidents.run_round", run)
    found = lake.detect(tenants=("globex", "acme"))
    assert [(each.tenant, each.rule, each.message) for each in found.failures] == [
        ("globex", None, "ZeroDivisionError")
    ]
    assert len(found.opened) == 1


def test_a_rule_that_fails_is_told_in_rounds_that_do_not_ask_it(lake):
    """Rules over all rows are asked every five minutes: what fails between is told each minute, or no three rounds in a row would say so."""
    wrong = f"select {MATCH} from all_spans where cast(status_message as bigint) > $from"
    lake.apply(rules(("bad", "all", wrong)).replace("reads: all", "reads: all\n    look_back: P1D"))
    lake.spans(0, status_message=["Jane Roe"])
    told = [[failure.rule for failure in lake.detect(minute=minute).failures] for minute in (1, 2, 3)]
    assert told == [["bad"]] * 3
    lake.apply(rules(("good", "new", f"select {MATCH} from spans")))
    assert lake.detect(minute=4).failures == ()


def test_what_a_sender_numbers_stops_no_rule(lake):
    """The widest numbers there are, in the sequence of a sender: the facts of the lake hold them, and rules beside them are asked."""
    numbers = (-(2**63), 0, 2**63 - 1)
    facts = (
        "select time_unix_nano, 'lake_state' as source_table, null as shard, null as log_index, null as trace_id, null as agent_id, "
        "detail from lake_state where fact = 'sequence_missing'"
    )
    numbered = rules(("facts", "all", facts)).replace("reads: all", "reads: all\n    look_back: P1D")
    lake.apply(numbered + ERRORS_RULE)
    lake.events(
        *["message.sent"] * 3,
        recorded_by=["key:k1"] * 3,
        attributes=[json.dumps({"audit.sequence.stream": "s", "audit.sequence.number": number}) for number in numbers],
    )
    lake.spans(0)
    assert lake.detect().failures == ()
    assert {rule for rule, *_ in lake.incidents()} == {"facts", "failing"}


def test_facts_that_cannot_be_worked_out_stop_the_rules_that_ask_them_alone(lake, monkeypatch):
    """The others are evaluated as ever."""
    facts = "select 1 as time_unix_nano, 'x' as source_table, null as shard, null as log_index, null as trace_id, null as agent_id, fact as detail from lake_state"
    lake.apply(rules(("facts", "all", facts)).replace("reads: all", "reads: all\n    look_back: P1D") + ERRORS_RULE)
    lake.spans(0)
    monkeypatch.setattr("muniment.incident_round.lake_state", fail_query)
    found = lake.detect()
    assert [(failure.rule, failure.message) for failure in found.failures] == [("facts", "no facts")]
    assert [incident.rule for incident in found.opened] == ["failing"]


def fail_query(*_args, **_more):
    raise QueryError("no facts")


ERRORS_RULE = RULE.format(id="failing", reads="new", sql=f"select {MATCH} from spans where status_code = 'ERROR'")


def test_a_new_rule_reads_what_is_there(lake):
    """Its first round goes over the whole history, while the others read on."""
    lake.spans(0)
    lake.detect()
    lake.apply(rules(("late", "new", f"select {MATCH} from spans")))
    lake.detect()
    assert {(incident[0], incident[4]) for incident in lake.incidents()} == {("failing", 1), ("late", 1)}


def test_a_row_is_looked_at_after_it_settled(lake):
    """With `settle` a row waits, and is looked at once in a round after its time, though nothing came since."""
    lake.apply(
        rules(("slow", "new", f"select {MATCH} from spans")).replace("reads: new", "reads: new\n    settle: PT10M")
    )
    lake.spans(0, received=5)
    lake.now += 5 * MINUTE
    assert lake.detect(minute=6).opened == ()
    assert len(lake.detect(minute=17).opened) == 1
    assert lake.detect(minute=30).updated == ()


def test_a_clock_that_was_ahead_holds_no_rule_up(lake):
    """A round a day ahead is followed by rounds that look at what comes, rules over all rows included; so is a receipt a day ahead."""
    day = 1440
    asked = f"select {MATCH} from all_spans where time_unix_nano >= $from"
    slow = rules(("slow", "new", f"select {MATCH} from spans")).replace("reads: new", "reads: new\n    settle: PT1M")
    every = rules(("every", "all", asked)).replace("reads: all", "reads: all\n    look_back: P3D")
    lake.apply(slow + every.removeprefix("version: 1\nrules:\n"))
    lake.spans(0, received=day)
    lake.detect(minute=day)
    lake.spans(1, received=1)
    lake.detect(minute=3)
    assert {(rule, rows) for rule, _, _, _, rows, _ in lake.incidents()} == {("slow", 2), ("every", 2)}


def test_rules_over_everything_look_back_over_what_passed_since(lake):
    """`$from` reaches from the first record on, then from the last round; all rows are seen under both names of a view."""
    sql = (
        "select $from as time_unix_nano, 'none' as source_table, null as shard, null as log_index, null as trace_id, "
        "null as agent_id, 'rows ' || (select count(*) from spans) || ' ' || (select count(*) from all_spans) as detail"
    )
    rule = rules(("window", "all", sql)).replace("reads: all", "reads: all\n    look_back: PT30M\n    cooldown: PT1S")
    lake.apply(rule)
    lake.spans(0, 5, status="OK")
    (first,) = lake.detect(minute=60).opened
    assert (first.opened_unix_nano - lake.now, first.detail) == (0, "rows 2 2")
    assert lake.detect(minute=61).opened == ()  # asked every five minutes
    (second,) = lake.detect(minute=120).opened
    assert (second.opened_unix_nano - lake.now) // MINUTE == 30


def test_registry_and_lake_state_can_be_asked(lake):
    """A rule sees the tenant's agents, and what the lake knows of itself."""
    sql = (
        "select time_unix_nano, 'lake_state' as source_table, null as shard, null as log_index, null as trace_id, "
        "(select count(*)::varchar from registry) as agent_id, fact as detail from lake_state where value >= 0 and "
        "fact in ('purge_age_seconds', 'checkpoint_behind_records', 'checkpoint_age_seconds', 'ingest_age_seconds')"
    )
    rule = rules(("facts", "all", sql)).replace(
        "reads: all", "reads: all\n    look_back: PT30M\n    group_by: [detail]"
    )
    lake.apply(rule)
    lake.spans(0)
    lake.detect()
    assert {key["detail"] for _, key, *_ in lake.incidents()} == {
        "purge_age_seconds", "checkpoint_behind_records", "checkpoint_age_seconds", "ingest_age_seconds",
    }  # fmt: skip


def test_what_a_purge_left_is_overdue_and_what_no_rule_asks_for_is_not(lake):
    """Years without a purge are no incident where nothing is due; records past their rule are, until they are gone."""
    sql = (
        "select time_unix_nano, 'lake_state' as source_table, null as shard, null as log_index, null as trace_id, "
        "subject as agent_id, detail from lake_state where fact = 'purge_overdue_files' and value > 0"
    )
    lake.apply(
        rules(("late", "all", sql)).replace("reads: all", "reads: all\n    look_back: PT30M\n    group_by: [agent_id]")
    )
    assert lake.detect(minute=4000 * 1440).opened == ()
    lake.spans(0)
    assert lake.detect(minute=10).opened == ()
    (found,) = lake.detect(minute=4001 * 1440).opened
    assert json.loads(found.key) == {"agent_id": "spans"}
    assert "no run took them" in found.detail


def test_nothing_of_a_payload_is_kept(lake):
    """The sentence of a match passes redaction before it is stored."""
    lake.spans(0, status_message=["mail to jane.roe@mail.example"])
    (found,) = lake.detect().opened
    assert found.detail == "It failed: mail to [EMAIL]"


def test_what_is_found_is_an_event_and_an_alert(lake):
    """`incident.opened` and `.updated` name it in the tenant's log; it alerts until it is acknowledged, its clock on its own."""
    lake.spans(0)
    (opened,) = lake.detect().opened
    lake.spans(1)
    found = lake.detect()
    assert [(name, action, incident) for name, action, incident, _ in lake.own_events()] == [
        ("incident.opened", "open", opened.id), ("incident.updated", "join", opened.id),
    ]  # fmt: skip
    assert lake.own_events()[1][3]["muniment.incident.rows"] == 2
    (alert,) = found.alerts
    assert (alert.name, alert.kind, alert.severity, alert.labels["incident"]) == (
        "failing",
        "incident",
        "page",
        opened.id,
    )
    assert alert.starts_unix_nano == opened.opened_unix_nano
    acknowledge(lake.context, opened.id, owner=None, note=None)
    assert lake.detect().alerts == ()
    shares = [[each.labels["share"] for each in lake.detect(minute=60 * hours).alerts] for hours in (35, 37, 60, 73)]
    assert shares == [[], ["50"], ["80"], ["100"]]


def test_a_quiet_tenant_is_not_opened(lake, monkeypatch):
    """Where the Delta logs name no new file of a tenant, no session is opened; nor where one came into a table that no rule reads."""
    lake.control.add_tenant("globex")
    lake.spans(0)
    lake.detect()
    lake.detect()
    monkeypatch.setattr("muniment.incident_round.open_session", fail)
    assert lake.detect().failures == ()
    lake.spans(1, tenant="globex")
    lake.events("message.sent")
    with DerivedStore(lake.context.lake, QUALITY_RESULTS).updating("acme") as update:
        row = dict.fromkeys(QUALITY_RESULTS.schema.names) | {"tenant_id": "acme", "day": dt.date(2026, 11, 20)}
        update.commit({row["day"]: pa.Table.from_pylist([row], schema=QUALITY_RESULTS.schema)}, state=b"{}")
    assert lake.detect().failures == ()
    lake.spans(2)
    assert [each.message for each in lake.detect().failures] == ["the disk is full"]


def test_what_spans_show_is_asked_for_when_spans_come(lake):
    """A rule that names `derived_events` alone is due when the spans came of which these are made."""
    match = "time_unix_nano, source_table, shard, log_index, trace_id, agent_id, after_value as detail"
    lake.apply(rules(("changed", "new", f"select {match} from derived_events where kind = 'model_changed'")))
    lake.spans(0, operation=["chat"], request_model=["one"])
    assert [lake.detect().opened for _ in range(3)] == [()] * 3
    lake.spans(1, operation=["chat"], request_model=["two"])
    assert [each.rule for each in lake.detect().opened] == ["changed"]


def test_a_rule_with_nothing_to_read_is_not_run_but_where_it_failed(lake, monkeypatch):
    """It is looked at all the same, so that it goes on where the others do; one that failed runs, which alone shows whether it works."""
    asked = []

    def tell(session, rule, **more):
        asked.append(rule.id)
        return evaluate(session, rule, **more)

    evaluate = incident_round.evaluate
    monkeypatch.setattr(incident_round, "evaluate", tell)
    over_all = ("all", "all", f"select {MATCH} from all_spans")
    some = ("some", "new", f"select {MATCH} from spans")
    no_agent = MATCH.replace("agent_id", "null as agent_id")
    logged = [
        ("logged", "new", f"select {no_agent} from logs"),
        ("bad", "new", f"select {no_agent}, none_such from logs"),
    ]
    lake.apply(rules(over_all, some, *logged).replace("reads: all", "reads: all\n    look_back: PT30M"))
    lake.spans(0)
    assert lake.detect().failures == ()
    assert asked == ["some", "all"]
    points = {name: each.point for name, each in lake.control.rule_progress("acme").items()}
    assert points["some"] == points["logged"] == points["bad"]
    assert points["all"] is None
    lake._write("main", logs=lake.rows.ledgered("logs", 1, "b0"))
    assert [each.rule for each in lake.detect().failures] == ["bad"]
    asked.clear()
    lake.spans(1)
    assert [each.rule for each in lake.detect().failures] == ["bad"]
    assert sorted(asked) == ["bad", "some"]


def test_who_may_not_detect_is_refused(lake):
    """Somebody without a role evaluates nothing."""
    lake.acting("mallory")
    with pytest.raises(DeniedError, match=r"may not incident\.detect"):
        lake.detect()
