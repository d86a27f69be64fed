"""The search box: whole stories over a real lake, by people of each role, and that a person's name stays where it was typed."""

import json
import time
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from dashboards.request_desk import HoldForm
from muniment.cli.app import run
from muniment.desk import open_desk
from muniment.story import tell_story
from muniment.story_erasures import GONE
from retention.policy_compiler import KIND
from tests.template import init_lake
from warehouse.clock import utc_text
from warehouse.control import FoundIncident, IncidentChange, IncidentRecord, IncidentRow, IncidentState
from warehouse.errors import DeniedError, InputError, NotFoundError
from warehouse.own_events import OwnEvent
from warehouse.policies import Bundle, apply
from warehouse.questions import story_tickets
from warehouse.questions.audit_events import EventFilter
from warehouse.questions.proof import list_logs
from warehouse.questions.seals import Seal, check_seals, read_sealed_rows
from warehouse.questions.sought import Kind
from warehouse.questions.story import STORY_TABLES, TEXT_CHARACTERS, Bounds
from warehouse.questions.story_lines import Entry

PERSON = "ada.lovelace@example.org"
OTHER = "grace.hopper@example.org"
GROUPS = """\
version: 1
grants:
  - {group: officer, role: compliance-officer}
  - {group: auditor, role: auditor, tenants: [acme], until: '2999-12-31'}
  - {group: sre, role: sre}
  - {group: admin, role: tenant-admin, tenants: [acme]}
"""
RUN, LATER, APART = (
    "4bf92f3577b34da6a3ce929d0e0e4701",
    "5cf92f3577b34da6a3ce929d0e0e4702",
    "6df92f3577b34da6a3ce929d0e0e4703",
)
ENDED_REFERENCE = (
    """select attributes ->> '$."muniment.subject_ref"' as reference from audit_events """
    "where event_name = 'erasure.completed' and resource_id = $erasure"
)
MARKUP = "<script>alert(1)</script> \u202egnp.exe"
LONG = "long " * 20_000
START = time.time_ns() - 10**12


class Door:
    """A provider whose tokens are the names of groups, or of a second person of a group."""

    def claims(self, token, now):
        return {"sub": token, "iat": now, "exp": now + 60, "groups": [token.removeprefix("second-")]}


def attribute(name, value):
    return {"key": name, "value": {"stringValue": value}}


def span(trace, number, **attributes):
    named = {"gen_ai.operation.name": "chat", "gen_ai.agent.name": "Buyer"} | attributes
    return {
        "traceId": trace, "spanId": f"{trace[:8]}{number:08x}", "name": f"chat {MARKUP}",
        "startTimeUnixNano": str(START + number), "endTimeUnixNano": str(START + number + 1000),
        "attributes": [attribute(name.replace("__", "."), value) for name, value in named.items()],
    }  # fmt: skip


def ticketed(trace, days, ticket):
    """A span of some days ago that names a ticket among its attributes."""
    made = span(trace, days, ticket__id=ticket)
    times = {name: str(int(made[name]) - days * 86_400 * 10**9) for name in ("startTimeUnixNano", "endTimeUnixNano")}
    return made | times


def event(name, trace, number, **attributes):
    named = {"event.name": name, "audit.actor.id": "agent-7", "audit.actor.type": "agent"} | attributes
    return {
        "timeUnixNano": str(START + number), "eventName": name, **({"traceId": trace} if trace else {}),
        "attributes": [attribute(key.replace("__", "."), value) for key, value in named.items()],
    }  # fmt: skip


SPANS = [
    span(RUN, 1, user__id=PERSON, gen_ai__conversation__id="conv-77", gen_ai__prompt=f"{MARKUP} {LONG}"),
    span(LATER, 40),
    span(APART, 50, user__id=OTHER, gen_ai__conversation__id="alpha"),
]
TICKETED = [
    ticketed(RUN, 1, "OPS-1"),
    ticketed(LATER, 45, "OPS-45"),
    ticketed(APART, 400, "OPS-400"),
    ticketed(APART, 399, "OPS-1"),
]
EVENTS = [
    event("approval.requested", RUN, 10, audit__approval__id="ap-9", audit__reason=f"refund, see INC-4711. {MARKUP}"),
    event("handoff.requested", RUN, 11, audit__resource__type="handoff", audit__resource__id="h-5"),
    event("approval.granted", None, 20, audit__approval__id="ap-9"),
    event("handoff.accepted", LATER, 41, audit__resource__type="handoff", audit__resource__id="h-5"),
    event("access.decided", APART, 51, audit__reason="INC-47110 and XINC-4711 are others"),
]


@pytest.fixture(scope="module")
def where(tmp_path_factory):
    """A lake in which acme and globex have the same records, with a hold and an incident on acme's first run."""
    lake = init_lake(tmp_path_factory.mktemp("story") / "lake", "acme", "globex", "initech")
    file = lake.parent / "records.jsonl"
    file.write_text(
        json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": SPANS}]}]})
        + "\n"
        + json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": EVENTS}]}]})
    )
    for tenant in ("acme", "globex"):
        assert run(["import", str(file), "--tenant", tenant, "--lake", str(lake)]) == 0
    file.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": TICKETED}]}]}))
    assert run(["import", str(file), "--tenant", "initech", "--lake", str(lake)]) == 0
    (lake / "policies" / "access" / "groups.yaml").write_text(GROUPS)
    assert run(["policy", "apply", "access", "--yes", "--lake", str(lake)]) == 0
    return lake


@pytest.fixture(scope="module")
def desk(where):
    """The desk of that lake."""
    made = open_desk(where)
    made._sessions.provider = Door()
    made.requests.place_hold(made.viewer("officer"), "acme", HoldForm("a dispute", case="2026-1", traces=(RUN,)))
    incident = IncidentRecord(
        "i77", "acme", "failing", "It fails", "high", "a.md", "sha256:0", "k1", "{}", "It failed.",
        IncidentState.OPENED, START, START, START, row_count=1,
    )  # fmt: skip
    found = FoundIncident(
        incident, None, (IncidentRow("spans", "x", 0, START, RUN, None),), {"run": [RUN]},
        [IncidentChange(START, "opened", "user:a", None)], [],
    )  # fmt: skip
    made._context.control.commit_round("acme", [found], [], "{}", by="user:a")
    return made


def story(desk, text, role="officer", tenant="acme", **bounds):
    return desk.search.story(desk.viewer(role), tenant, text, Bounds(**bounds))


def whats(told, entry):
    return [line.what for line in told.lines if line.entry is entry]


@pytest.mark.parametrize(
    ("text", "kind", "runs"),
    [
        (RUN, Kind.TRACE, {RUN}),
        (RUN[:10].upper(), Kind.TRACE, {RUN}),
        ("conv-77", Kind.CONVERSATION, {RUN}),
        ("alpha", Kind.CONVERSATION, {APART}),
        ("ap-9", Kind.APPROVAL, {RUN}),
        ("inc-4711", Kind.TICKET, {RUN}),
        ("h-5", Kind.TICKET, {RUN, LATER}),
        (PERSON, Kind.PERSON, {RUN}),
        (f"  {PERSON.upper()} ", Kind.PERSON, {RUN}),
    ],
)
def test_each_kind_leads_to_its_runs(desk, text, kind, runs):
    """What was typed is found as what it is, with the runs that it belongs to and no others, every seal holding."""
    told = story(desk, text)
    assert kind in told.found
    assert set(told.runs) == runs
    assert set(told.seals) == {Seal.HOLDS.value}
    times = [line.time_unix_nano for line in told.lines]
    assert times == sorted(times)


def test_a_story_is_whole(desk):
    """Steps, contents, events of the run and of its approval and handoff elsewhere, the incident, the hold, and who looked."""
    told = story(desk, RUN)
    events = whats(told, Entry.EVENT)
    for name in ("approval.requested", "handoff.requested", "approval.granted", "handoff.accepted"):
        assert any(each.startswith(name) for each in events), events
    assert not any(each.startswith("access.decided") for each in events)
    assert len(whats(told, Entry.STEP)) == 1
    assert whats(told, Entry.INCIDENT) == ["high incident: It fails"]
    (hold,) = (line for line in told.lines if line.entry is Entry.HOLD)
    assert (hold.outcome, hold.said) == ("keeps 3 records here", "a dispute")
    assert "case 2026-1" in hold.what
    again = story(desk, RUN, role="auditor")
    assert any(line.entry is Entry.ACCESS and line.who == "oidc:officer" for line in again.lines)
    (content,) = (line for line in told.lines if line.entry is Entry.CONTENT)
    assert content.said.startswith(MARKUP)
    assert len(content.said) < TEXT_CHARACTERS + 60
    assert f"({len(f'{MARKUP} {LONG}'):,} characters in all)" in content.said


def test_a_record_number_leads_to_its_run_and_who_proved_it(desk):
    """Shard and index name one record; a proof that was made of it is an access of it."""
    record = next(line.record for line in story(desk, RUN).lines if line.entry is Entry.STEP)
    shard, _, index = record.partition("/")
    desk.prove(desk.viewer("auditor"), "acme", shard, int(index))
    told = story(desk, record)
    assert (told.found, told.runs, told.address) == ((Kind.RECORD,), (RUN,), record)
    assert any(each.startswith("data.exported prove") for each in whats(told, Entry.ACCESS))
    assert story(desk, f"{shard.rpartition('-')[0]}/{index}").runs == (RUN,)


def everything_recorded(desk, tenant="acme"):
    viewer = desk.viewer("officer")
    return desk.events(viewer, tenant, EventFilter(names=("record.viewed", "access.decided"), limit=5000)).to_pylist()


def test_a_name_stays_where_it_was_typed(desk, where):
    """The story and the record of the search hold the token; the value stands in no file of the lake but sealed."""
    told = story(desk, PERSON)
    assert told.address == told.token
    assert told.may_reveal
    assert PERSON not in repr(told) + json.dumps(told.to_json())
    assert story(desk, told.token, role="auditor").runs == (RUN,)
    assert not story(desk, told.token, role="auditor").may_reveal
    unknown = "Nobody Known"
    assert story(desk, unknown).lines == ()
    assert story(desk, unknown).address == ""
    searches = [row for row in everything_recorded(desk) if row["action"] == "search"]
    assert {"oidc:officer", "oidc:auditor"} <= {row["recorded_by"] for row in searches}
    assert told.token in {row["resource_id"] for row in searches}
    said = json.dumps(searches, default=str)
    assert PERSON not in said
    assert unknown not in said
    for file in (file for file in where.rglob("*") if file.is_file()):
        content = file.read_bytes()
        assert PERSON.encode() not in content, file
        assert unknown.encode() not in content, file


def test_a_word_that_may_be_a_name_is_not_kept(desk):
    """A conversation called by a word is found, and neither the address nor the record holds the word."""
    told = story(desk, "alpha")
    assert told.lines
    assert told.address == ""
    assert "alpha" not in {row["resource_id"] for row in everything_recorded(desk)}


@pytest.mark.parametrize("role", ["auditor", "sre", "admin"])
def test_a_name_is_looked_up_for_those_who_may_reveal(desk, role):
    """Others are refused by the right that is missing, without the name; an id of several kinds is searched as the others."""
    with pytest.raises(DeniedError, match=r"subject\.reveal") as caught:
        story(desk, PERSON, role=role)
    assert PERSON not in str(caught.value)
    told = story(desk, "conv-77", role=role)
    assert told.runs == (RUN,)
    assert "not looked for as a person's name: that takes the right subject.reveal" in told.notes


def test_an_sre_sees_steps_and_no_texts(desk):
    """Times and states are there; texts, contents, persons, holds and certificates are not, and the story says so."""
    told = story(desk, RUN, role="sre")
    assert whats(told, Entry.STEP)
    assert whats(told, Entry.CONTENT) == whats(told, Entry.HOLD) == []
    assert all(line.said == "" for line in told.lines if line.entry is not Entry.INCIDENT)
    assert MARKUP not in "".join(line.said for line in told.lines)
    assert set(told.seals) == {Seal.HOLDS.value}
    assert [note.partition(":")[0] for note in told.notes][1:] == [
        "holds are not shown", "certificates of deletion are not shown", "your role sees no texts and no contents",
    ]  # fmt: skip
    token = story(desk, PERSON).token
    assert any("does not see whom records are about" in note for note in story(desk, token, role="sre").notes)


def test_a_bound_auditor_gets_nothing_of_another_tenant(desk):
    """Neither by asking there, nor by what the other tenant has the same ids of."""
    with pytest.raises(DeniedError):
        story(desk, RUN, role="auditor", tenant="globex")
    theirs = story(desk, RUN, tenant="globex")
    mine = story(desk, RUN, role="auditor")
    assert "globex" not in json.dumps(mine.to_json())
    assert whats(theirs, Entry.HOLD) == whats(theirs, Entry.INCIDENT) == []
    assert story(desk, PERSON, tenant="globex").token != story(desk, PERSON).token


@pytest.mark.parametrize(
    "text",
    ["' or 1=1 --", "%", "x' union select * from spans --", MARKUP.replace("\u202e", ""), "*", "INC-471[0-9]", ".*"],
)
def test_a_text_is_compared_and_never_run(desk, text):
    """Quotes, wildcards and patterns are nothing but characters."""
    told = story(desk, text)
    assert told.lines == ()
    assert told.notes or Kind.TICKET in told.sought


def test_bounds_cut_and_say_so(desk):
    """Fewer records than there are come with a line that says so; a time in which nothing happened gives nothing."""
    told = story(desk, RUN, most=1)
    assert sum(line.seal != "" for line in told.lines) == 1
    assert any("the newest 1 records are shown" in note for note in told.notes)
    assert story(desk, "conv-77", last_unix_nano=START - 10**9).lines == ()


def test_a_changed_record_is_named_broken(desk):
    """The seal of a row that is not what was recorded is broken, with the reason; the others hold."""
    context, shard = desk._context, None
    for line in story(desk, RUN).lines:
        if line.entry is Entry.STEP:
            shard, _, index = line.record.partition("/")
    with context.session(["acme"], tables=STORY_TABLES) as session:
        rows = read_sealed_rows(session, [("spans", shard, int(index)), ("logs", shard, int(index))])["spans"]
    place = rows.schema.get_field_index("name")
    changed = rows.set_column(place, rows.schema.field(place), pc.replace_substring(rows["name"], "chat", "chit"))
    logs = {log.shard: log for log in list_logs(context.lake, "acme")}
    vkeys = desk.integrity(desk.viewer("officer"), "acme").vkeys
    (found,) = check_seals(logs, {"spans": changed}, vkeys).values()
    assert found[0] is Seal.BROKEN
    assert "was altered" in found[1]
    assert [seal for seal, _ in check_seals(logs, {"spans": rows}, vkeys).values()] == [Seal.HOLDS]
    assert [seal for seal, _ in check_seals({}, {"spans": rows}, vkeys).values()] == [Seal.WAITS]
    assert isinstance(rows, pa.Table)


def test_the_command_prints_the_same_story(desk, where, capfd):
    """Machines get the lines that the page shows, people a table; nothing found is exit 1 with what was looked for and where."""
    capfd.readouterr()
    assert run(["search", "conv-77", "--tenant", "acme", "--json", "--lake", str(where)]) == 0
    printed = json.loads(capfd.readouterr().out)
    shown = story(desk, "conv-77").to_json()
    for each in (printed, shown):
        each["lines"] = [line for line in each["lines"] if line["entry"] != "access"]
    assert printed["lines"] == shown["lines"]
    assert (printed["search"], printed["found_as"]) == ("conv-77", ["conversation"])
    assert run(["search", "ap-9", "--tenant", "acme", "--lake", str(where)]) == 0
    assert "approval.granted" in capfd.readouterr().out
    assert run(["search", "INC-99", "--tenant", "acme", "--lake", str(where)]) == 1
    said = capfd.readouterr().err
    assert "tenant acme" in said
    assert "ticket, conversation, approval, person" in said


OLD = START - 400 * 86_400 * 10**9
OWN_EVENTS = {
    "GRC-71": OwnEvent("globex", "exception.disposed", "user:a", attributes={"muniment.exception.ticket": "GRC-71"}),
    "2020-88": OwnEvent("globex", "hold.placed", "user:a", attributes={"muniment.hold.case": "2020-88"}),
    "help-9": OwnEvent("globex", "record.viewed", "user:a", {"reason": "asked in HELP-9 by the board"}),
    "i66": OwnEvent("globex", "incident.closed", "user:a", {"resource_type": "incident", "resource_id": "i66"}),
    "rq-5": OwnEvent("globex", "approval.granted", "user:a", {"resource_type": "policy", "resource_id": "rq-5"}),
}


@pytest.fixture(scope="module")
def old_events(desk):
    """Events of long ago that each name a ticket, a case or an id in another place."""
    desk._context.decisions.record_with(
        [replace(each, fields={**each.fields, "time_unix_nano": OLD}) for each in OWN_EVENTS.values()]
    )


@pytest.mark.parametrize("text", list(OWN_EVENTS))
def test_a_ticket_in_an_own_event_is_found_however_old(desk, old_events, text):
    """Events are read over all time; where no run is older than what was read, nothing is said to be left."""
    told = story(desk, text, tenant="globex")
    assert [line.what.partition(" ")[0] for line in told.lines if line.time_unix_nano == OLD] == [OWN_EVENTS[text].name]
    assert told.texts_from is None


@pytest.mark.parametrize(
    ("ticket", "all_time", "runs"),
    [
        ("OPS-45", False, {LATER}),
        ("OPS-400", False, {APART}),
        ("OPS-1", False, {RUN}),
        ("OPS-1", True, {RUN, APART}),
    ],
)
def test_a_ticket_in_old_attributes_is_searched_for_until_found(desk, ticket, all_time, runs):
    """From the newest back, a step at a time; with all time asked for, everything."""
    told = story(desk, ticket, tenant="initech", all_time=all_time)
    assert set(told.runs) == runs
    assert (told.texts_from is None) == (all_time or ticket == "OPS-400")


def test_a_search_that_takes_too_long_says_from_when_on_it_looked(desk, where, monkeypatch, capfd):
    """After some seconds no further step is begun: the day is told, and what to look for further back unless it may be a name."""
    monkeypatch.setattr(story_tickets, "PATIENCE_SECONDS", -1.0)
    told = story(desk, "OPS-400", tenant="initech")
    assert (told.runs, told.again) == ((), "OPS-400")
    day = 86_400 * 10**9
    assert 29 * day < time.time_ns() - told.texts_from < 31 * day
    assert any(utc_text(told.texts_from)[:10] in note for note in told.notes)
    assert story(desk, "nobody", tenant="initech").again == ""
    words = ["search", "OPS-400", "--tenant", "initech", "--json", "--lake", str(where)]
    run(words)  # 0 where an earlier search for it is on record already
    printed = json.loads(capfd.readouterr().out)
    assert (printed["trace_ids"], printed["texts_searched_from"] is None) == ([], False)
    assert run([*words, "--all-time"]) == 0
    printed = json.loads(capfd.readouterr().out)
    assert (printed["trace_ids"], printed["texts_searched_from"]) == ([APART], None)


def test_an_incident_is_found_by_its_id_in_its_own_tenant_alone(desk):
    """Typed as it stands in an alert; another tenant's stays unknown."""
    assert whats(story(desk, "i77"), Entry.INCIDENT) == ["high incident: It fails"]
    assert not story(desk, "i77", tenant="globex").lines


@pytest.mark.parametrize(("text", "tenant", "error"), [("", "acme", InputError), ("x-1", "nobody", NotFoundError)])
def test_what_cannot_be_asked_is_refused(desk, text, tenant, error):
    """An empty text and a tenant that is none say what was expected."""
    with pytest.raises(error):
        tell_story(desk._context, tenant, text)


def test_what_went_is_told_by_its_certificate(desk, where):
    """A record that was erased is found by its number: the certificate names it. One that nobody deleted is said to be missing."""
    record = next(line.record for line in story(desk, APART, tenant="globex").lines if line.entry is Entry.STEP)
    control = desk._context.control
    minimums = Bundle(KIND, {"test.yaml": 'retention:\n  - {name: base, tables: ["*"], keep: 400}\n'})
    apply(control, minimums, "user:test", replacing=control.policy_hash(KIND))
    desk.requests.erase(desk.viewer("officer"), "globex", OTHER, "their request", texts=False)
    second = desk.viewer("second-officer")
    (waiting,) = desk.requests.waiting(second, "globex")
    token = desk._context.vault.find("globex", OTHER)
    erasure = _check_running_erasure(desk, token)
    desk.requests.approve(second, "globex", waiting.matter, waiting.id)
    _check_ended_erasure(desk, token, erasure)
    told = story(desk, record, tenant="globex")
    assert told.found == (Kind.RECORD,)
    (line,) = (line for line in told.lines if line.entry is not Entry.ACCESS)
    assert line.entry is Entry.CERTIFICATE
    assert f"record {record} of spans" in line.what
    assert len(line.link) == 64
    assert any("no certificate" in note for note in story(desk, record, role="sre", tenant="globex").notes)


def _check_running_erasure(desk, token):
    """While it runs, a person's token leads to it, for those who may order one; returns its id."""
    (line,) = (line for line in story(desk, token, tenant="globex").lines if line.entry is Entry.REQUEST)
    assert line.outcome == "waits for a second person"
    events = [each.what for each in story(desk, token, tenant="globex").lines if each.entry is Entry.EVENT]
    assert f"erasure.requested erase subject {line.link}" in events
    told = story(desk, token, role="auditor", tenant="acme")
    assert any("subject.erase" in note for note in told.notes)
    return line.link


def _check_ended_erasure(desk, token, erasure):
    """Once the key is gone the token leads to no certificate, and says why; the erasure's id leads to those of rows and key."""
    told = story(desk, token, tenant="globex")
    assert not {line.entry for line in told.lines} & {Entry.CERTIFICATE, Entry.REQUEST}
    assert erasure not in str(told.to_json())
    assert GONE in told.notes
    by_id = story(desk, erasure, tenant="globex")
    certified = [line for line in by_id.lines if line.entry is Entry.CERTIFICATE]
    assert [line.what.partition(":")[0] for line in certified] == ["erasure certified", "key destroyed"]
    assert "approved by" in certified[0].who
    with desk._context.session(["globex"]) as session:
        (row,) = session.run_trusted(ENDED_REFERENCE, {"erasure": erasure}).to_pylist()
    by_reference = story(desk, row["reference"], tenant="globex")
    assert [line for line in by_reference.lines if line.entry is Entry.CERTIFICATE] == certified
