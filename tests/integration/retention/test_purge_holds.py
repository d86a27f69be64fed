"""Holds against a purge that runs: placed before its commits they win, and after them they are told that they came too late."""

import threading

import pytest

from muniment.purging import apply_plan, purge_due
from muniment.retaining import make_plan
from retention.holds import HoldScope, scope_text
from retention.purge import HeldMeanwhileError
from tests.grids import strided
from warehouse.errors import ConflictError

WHO = {"reason": "why", "owner": "legal", "by": "user:alice"}
BOT = HoldScope(agents=("bot-2",))
BEFORE = ["prepared", "intent written", "intent copied", "intended"]
AFTER = ["committed", "cleaned", "searched", "certificate written", "certificate recorded", "certified"]


def place(context, scope=BOT, tenant="acme", **more):
    return context.control.place_hold(tenant, scope_text(scope), **WHO, **more)


def held_keys(purging, lake, agent="bot-2", tenant="acme"):
    """What names the records of an agent, and their contents."""
    owners = [
        (table, row)
        for table in ("spans", "audit_events")
        for row in purging.rows.read_table(lake, table).to_pylist()
        if row["tenant_id"] == tenant and agent in {row.get("agent_id"), row.get("actor_id")}
    ]
    places = {(row["shard"], row["log_index"]) for _, row in owners}
    parts = purging.rows.read_table(lake, "contents").to_pylist()
    return {purging.key_of(table, row) for table, row in owners} | {
        purging.key_of("contents", row)
        for row in parts
        if row["tenant_id"] == tenant and (row["shard"], row["owner_index"]) in places
    }


class PlaceAt:
    """Places a hold once a purge of acme is at a step: from a thread, which a purge under its lock makes wait.

    The purge goes on once the hold is placed, or waits: it has announced itself, and then comes to nothing for a second.
    """

    def __init__(self, context, step, scope=BOT, *, seconds=60):
        self._context, self._step, self._scope, self._seconds = context, step, scope, seconds
        self._thread, self.placed, self.waited = None, None, None
        self._announced = threading.Event()

    def __call__(self, tenant, what):
        if (tenant, what) == ("acme", self._step):
            self._thread = threading.Thread(target=self._place)
            self._thread.start()
            assert self._announced.wait(60)
            self._thread.join(self._seconds)
            self.waited = self._thread.is_alive()

    def _place(self):
        self.placed = place(self._context, self._scope, announce=lambda _hold: self._announced.set())

    def end(self):
        self._thread.join(60)
        return self.placed


@pytest.mark.parametrize("step", strided(BEFORE, "intent written", "intended"))
def test_a_hold_placed_before_the_commits_wins(purging, open_copy, step):
    """Nothing of it goes; the next apply finishes the intent without it and lists it as kept; released, it goes with the one after."""
    context = open_copy()
    lake = context.lake
    before, held = purging.keys(lake), held_keys(purging, lake)
    expected = purging.staying(lake, context.clock()) & before
    due = held - expected
    assert due
    hook = PlaceAt(context, step)
    with pytest.raises(HeldMeanwhileError, match="holds placed meanwhile keep some of it"):
        purge_due(context, "acme", step=hook)
    hold = hook.end().hold
    assert (hook.waited, purging.keys(lake)) == (False, before)
    assert purging.findings(purging.verify(lake)) == []
    (finished,) = purge_due(context, "acme")
    assert finished.resumed
    of_acme = {each for each in before if each[1] == "acme"}
    assert purging.keys(lake, tenant="acme") == of_acme & (expected | held)
    assert finished.holds == (hold.id,)
    kept = {"spans": 0, "audit_events": 0, "contents": 0}
    for each in due:
        kept[each[0]] += 1
    details = finished.certificate.document.details
    assert details["kept_by_holds"] == {
        "holds": [hold.id], "rows": {table: count for table, count in kept.items() if count},
    }  # fmt: skip
    named = {
        ("spans", run.tenant, run.shard, index)
        for run in finished.kept.runs
        if run.table == "spans"
        for index in range(run.first, run.last + 1)
    }
    assert named == {each for each in due if each[0] == "spans"}
    assert purging.findings(purging.verify(lake)) == []
    context.control.release_hold(hold.id, by="user:alice", reason="settled")
    (after,) = purge_due(context, "acme")
    assert (after.resumed, after.holds) == (False, ())
    assert purging.keys(lake, tenant="acme") == of_acme & expected
    assert not due & purging.keys_on_disk(lake).keys()
    assert purging.findings(purging.verify(lake)) == []


@pytest.mark.parametrize("step", ["contents committed", "spans committed"])
def test_a_hold_placed_amid_the_commits_waits_and_is_told(purging, open_copy, step):
    """It waits for the deletion to end, and its answer names that; what was deleted is deleted, to the last row."""
    context = open_copy()
    expected = purging.staying(context.lake, context.clock()) & purging.keys(context.lake)
    hook = PlaceAt(context, step, seconds=1)
    (done,) = purge_due(context, "acme", step=hook)
    placed = hook.end()
    assert hook.waited
    assert [done.purge_id in deletion.what for deletion in placed.came_after] == [True]
    assert purging.keys(context.lake, tenant="acme") == {each for each in expected if each[1] == "acme"}
    assert done.holds == ()


@pytest.mark.parametrize("step", strided(AFTER, "committed", "certificate recorded"))
def test_a_hold_placed_after_the_commits_changes_nothing(purging, open_copy, step):
    """What was deleted before it was placed stays deleted, and it is in force for all that is left."""
    context = open_copy()
    hook = PlaceAt(context, step)
    (done,) = purge_due(context, "acme", step=hook)
    assert hook.end().came_after == ()
    assert done.holds == ()
    left = held_keys(purging, context.lake)
    context.control.close()
    later = open_copy(days=300)
    purge_due(later, "acme")
    assert held_keys(purging, later.lake) == left


def test_a_hold_on_other_rows_is_not_in_the_way(purging, open_copy):
    """A hold placed before the commits that keeps nothing of what goes stops nothing."""
    context = open_copy()
    expected = purging.staying(context.lake, context.clock()) & purging.keys(context.lake)
    hook = PlaceAt(context, "intended", HoldScope(agents=("nobody",)))
    (done,) = purge_due(context, "acme", step=hook)
    assert (done.resumed, done.holds) == (False, ())
    assert purging.keys(context.lake, tenant="acme") == {each for each in expected if each[1] == "acme"}


def test_overlapping_holds_stand_alone(purging, open_copy):
    """Of two holds on the same rows the release of one leaves them kept by the other; of both, they go."""
    context = open_copy()
    lake = context.lake
    held = held_keys(purging, lake)
    one, other = place(context).hold, place(context, HoldScope(agents=("bot-2", "bot-1"))).hold
    purge_due(context, "acme")
    assert held <= purging.keys(lake)
    context.control.release_hold(one.id, by="user:alice", reason="settled")
    assert purge_due(context, "acme") == []
    assert held <= purging.keys(lake)
    context.control.release_hold(other.id, by="user:alice", reason="settled")
    purge_due(context, "acme")
    assert held & purging.keys(lake) == held & purging.staying(lake, context.clock())


def test_a_plan_knows_the_holds_that_it_was_made_with(purging, open_copy):
    """A hold placed between plan and apply makes the plan stale: nothing goes."""
    context = open_copy()
    found, before = make_plan(context, "acme"), purging.keys(context.lake)
    place(context)
    with pytest.raises(ConflictError, match="its inputs changed: holds were placed"):
        apply_plan(context, found)
    assert purging.keys(context.lake) == before
