"""Answers that the desk keeps: given again only to whom, and as long as, they are the lake's own."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pyarrow.compute as pc
import pytest

from muniment.cli.app import run
from muniment.desk import LakeDesk, open_desk
from muniment.wiring import CommandContext
from tests.template import init_lake
from warehouse.errors import UnavailableError
from warehouse.principals import Principal
from warehouse.query import open_session
from warehouse.questions.audit_events import EventFilter


def record(lake, tenant, name):
    """Import one audit event of a tenant."""
    file = lake.parent / "events.jsonl"
    events = [
        {
            "timeUnixNano": "1795392000000000000",
            "eventName": name,
            "attributes": [{"key": "event.name", "value": {"stringValue": name}}],
        }
    ]
    file.write_text(json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": events}]}]}))
    assert run(["import", str(file), "--tenant", tenant, "--lake", str(lake)]) == 0


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Two tenants with an event each."""
    folder = init_lake(tmp_path_factory.mktemp("answers") / "lake", "acme", "globex")
    for tenant, name in (("acme", "handoff.requested"), ("globex", "approval.denied")):
        record(folder, tenant, name)
    return folder


@pytest.fixture
def desk(lake):
    return open_desk(lake)


@pytest.fixture
def opened(monkeypatch):
    """The tenants over which sessions are opened, one each time."""
    seen = []

    def spied(*where, tenants, **more):
        seen.append(tuple(tenants))
        return open_session(*where, tenants=tenants, **more)

    monkeypatch.setattr("warehouse.query.open_session", spied)
    return seen


def names(desk, tenant):
    return {each["event_name"] for each in desk.events(desk.viewer(None), tenant, EventFilter()).to_pylist()}


def test_the_same_question_is_read_once(desk, opened):
    """While no file of the tenant changes, rows are read once; another filter is another question."""
    desk.events(desk.viewer(None), "acme", EventFilter())  # that somebody looks is a record of the tenant's
    read = len(opened)
    first = desk.events(desk.viewer(None), "acme", EventFilter(text="no such"))
    again = desk.events(desk.viewer(None), "acme", EventFilter(text="no such"))
    assert len(opened) - read == 1
    assert first is again
    desk.events(desk.viewer(None), "acme", EventFilter(text="another"))
    assert len(opened) - read == 2


def test_a_new_record_is_seen_at_once(desk, lake):
    """A file more makes the answer another one."""
    assert "gate.evaluated" not in names(desk, "acme")
    record(lake, "acme", "gate.evaluated")
    assert "gate.evaluated" in names(desk, "acme")


def test_tenants_never_share_an_answer(desk):
    """The same question about two tenants, in turns, gives each their own."""
    for _ in range(2):
        assert "approval.denied" not in names(desk, "acme")
        assert "handoff.requested" not in names(desk, "globex")
        assert "approval.denied" in names(desk, "globex")


def test_somebody_else_never_gets_what_was_read_for_another(desk):
    """Principals, and what each may see, have answers of their own."""
    context = desk._context
    mine = context.principal
    bound = Principal(mine.kind, mine.id, frozenset({"globex"}))
    given = [
        desk._answers.ask(each, "globex", ("audit_events",), ("who",), lambda session: session.principal)
        for each in (context, desk._context_of(bound), context)
    ]
    assert given == [mine, bound, mine]


def test_warming_up_shows_and_records_nothing(lake, desk):
    """What a server does before anybody asks leaves no record that somebody looked, and changes no answer."""
    before = [names(desk, tenant) for tenant in ("acme", "globex")]
    cold = open_desk(lake)
    cold.warm()
    assert not cold._views._recorded
    assert [names(cold, tenant) for tenant in ("acme", "globex")] == before


def test_what_was_prepared_is_given_once_the_view_is_recorded(lake, opened, monkeypatch):
    """The first view of runs reads no row, is recorded all the same, and is refused where it cannot be."""
    cold = open_desk(lake)
    cold.warm()
    viewer, read = cold.viewer(None), len(opened)
    assert cold.recent_traces(viewer, "acme", 200).num_rows == 0
    assert len(opened) == read
    viewed = cold.events(viewer, "acme", EventFilter(names=("record.viewed",))).to_pylist()
    assert "traces" in {each["resource_id"] for each in viewed}
    monkeypatch.setattr(CommandContext, "record", refuse)
    for ask in (cold.overview, cold.retention, lambda *who: cold.agents(*who, 30)):
        with pytest.raises(UnavailableError):
            ask(viewer, "acme")


def refuse(*_, **__):
    raise UnavailableError("no space left")


def test_nothing_of_tenants_is_prepared_where_people_sign_in(lake, monkeypatch):
    """Where a provider says who people are nobody is the local user: no answer is read for one."""
    cold = open_desk(lake)
    monkeypatch.setattr(LakeDesk, "asks_sign_in", property(lambda _: True))
    cold.warm()
    assert not cold._answers._kept


def test_activity_has_a_row_for_each_day_of_runs_or_events(desk):
    """A day with events alone counts no runs, and its cost is unknown."""
    (row,) = (
        desk.activity(desk.viewer(None), "globex", 36_500).filter(pc.field("day") == date(2026, 11, 23)).to_pylist()
    )
    assert row == {
        "day": date(2026, 11, 23), "runs": 0, "spans": 0, "errors": 0, "tokens": 0, "cost_microusd": None, "events": 1,
    }  # fmt: skip


def test_answers_stay_while_the_lake_has_their_files(desk, lake, monkeypatch, opened):
    """However long nobody asks, an answer that is looked after is given again; one whose files went is gone from memory."""
    for tenant in ("acme", "globex"):
        names(desk, tenant)  # that somebody looks is a record of the tenant's
        names(desk, tenant)
    context, read, start = desk._context, len(opened), desk._context.clock()
    for seconds in (500, 1_000, 1_500):
        desk._answers.look(desk.lake, start + seconds * 10**9)
    monkeypatch.setattr(context, "clock", lambda: start + 1_900 * 10**9)
    ask = [context, "acme", EventFilter()]
    assert desk._answers.events(*ask) is desk._answers.events(*ask)
    assert len(opened) == read
    record(lake, "acme", "approval.granted")
    desk._answers.look(desk.lake, start + 2_000 * 10**9)
    assert {key[1] for key in desk._answers._kept} == {"globex"}
    monkeypatch.setattr(context, "clock", lambda: start + 9_000 * 10**9)
    desk._answers.events(context, "globex", EventFilter())
    assert len(opened) == read + 1  # nobody looked after it for too long


def test_answers_are_asked_ahead_where_somebody_looked(desk, monkeypatch, opened):
    """Of the tenant at which the local user looked, and of no other; nobody is recorded for it; with a sign-in for nobody."""
    desk.recent_traces(desk.viewer(None), "acme", 200)
    viewed, read = dict(desk._views._recorded), len(opened)
    monkeypatch.setattr(LakeDesk, "asks_sign_in", property(lambda _: True))
    desk.tend()
    assert len(opened) == read
    monkeypatch.undo()
    desk.tend()
    asked = {key[1:2] + key[4][:1] for key in desk._answers._kept}
    assert {("acme", "data map"), ("acme", "agents"), ("acme", "events")} <= asked
    assert {tenant for tenant, _ in asked} == {"acme"}
    assert desk._views._recorded == viewed


def test_who_asks_the_same_at_once_is_given_one_answer(desk):
    """One reads the lake, the others wait for it."""
    read = []

    def slow(session):
        read.append(session)
        begun.set()
        assert go_on.wait(60)
        return object()

    begun, go_on = threading.Event(), threading.Event()
    with ThreadPoolExecutor(3) as pool:
        asked = [
            pool.submit(desk._answers.ask, desk._context, "globex", ("audit_events",), ("slow",), slow)
            for _ in range(3)
        ]
        assert begun.wait(60)
        go_on.set()
        assert len({id(each.result()) for each in asked}) == 1
    assert len(read) == 1
