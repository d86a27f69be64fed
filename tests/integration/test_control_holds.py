"""Holds in the control database, and the lock that deleting shares with placing and releasing them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from warehouse.clock import system_clock
from warehouse.control import ControlStore
from warehouse.errors import (
    ConflictError,
    ControlUnavailableError,
    DeniedError,
    InputError,
    MunimentError,
    NotFoundError,
)

SCOPE = '{"agents":["a"]}'
WHO = {"reason": "why", "owner": "legal", "by": "user:alice"}

DELETE = """
import sys
from warehouse.clock import system_clock
from warehouse.control import ControlStore
with ControlStore.open(sys.argv[1], clock=system_clock, create=False) as store:
    with store.deleting("plan 1", ["acme"]) as deletion:
        print(len(deletion.holds), flush=True)
        sys.stdin.readline()
        deletion.expect_alive()
print("ended", flush=True)
"""
"""A process that deletes: says how many holds it found under the lock, and ends when told."""


class Deleter:
    """The process, in a group of its own, holding the lock."""

    def __init__(self, url):
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", DELETE, url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.holds = int(self.process.stdout.readline())

    def end(self):
        """Let it leave the block, and wait for that."""
        out, _ = self.process.communicate("\n", timeout=240)
        return out.strip()

    def kill(self):
        """End it in the middle of the block."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=240)


@pytest.fixture
def deleter(control, control_url):
    """Starts processes that delete; what is left of them ends with the test."""
    started = []

    def start():
        started.append(Deleter(control_url))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.kill()


@pytest.fixture
def control(control_url):
    with ControlStore.open(control_url, clock=system_clock) as store:
        store.add_tenant("acme")
        store.add_tenant("globex")
        yield store


def place(store, tenant="acme", **options):
    return store.place_hold(tenant, SCOPE, **{**WHO, **options})


def waiting(pool, action):
    """Start an action in a thread and see that it does not come back by itself, once it announced what it waits to do."""
    announced = threading.Event()
    future = pool.submit(action, lambda *_: announced.set())
    assert announced.wait(60)
    time.sleep(0.5)
    assert not future.done()
    return future


def test_a_hold_comes_back_as_it_was_placed(control):
    """What was placed is listed, in order and by tenant, until it is released; then it is still there to be shown."""
    first = place(control, case_reference="case 7").hold
    second = place(control, "globex").hold
    assert control.hold(first.id) == first
    assert (first.scope, first.case_reference, first.owner, first.placed_by) == (SCOPE, "case 7", "legal", "user:alice")
    assert control.list_holds() == [first, second]
    assert control.list_holds("globex") == [second]
    released = control.release_hold(first.id, by="user:bob", reason="closed")
    assert not released.in_force
    assert control.list_holds() == [second]
    assert control.list_holds(released=True) == [released, second]


def test_a_released_hold_releases_no_other(control):
    """Two holds with one scope are two cases: the release of one leaves the other in force."""
    first, second = place(control).hold, place(control).hold
    control.release_hold(first.id, by="user:alice", reason="closed")
    with control.deleting("plan", ["acme"]) as deletion:
        assert deletion.holds == (second,)


def test_a_second_principal_approves_what_a_first_asked_for(control):
    """A hold stays in force from the asking to the approval, which is another's; it names both."""
    hold = place(control).hold
    with pytest.raises(ConflictError, match="got none to approve"):
        control.approve_release(hold.id, by="user:bob")
    asked = control.ask_release(hold.id, by="user:alice", reason="closed")
    assert asked.in_force
    assert asked.release_pending
    with pytest.raises(ConflictError, match="user:alice asked for its release already"):
        control.ask_release(hold.id, by="user:bob", reason="closed")
    with pytest.raises(DeniedError, match="another principal than user:alice"):
        control.approve_release(hold.id, by="user:alice")
    assert control.list_holds() == [asked]
    released = control.approve_release(hold.id, by="user:bob")
    assert (released.release_asked_by, released.released_by, released.release_reason) == (
        "user:alice", "user:bob", "closed",
    )  # fmt: skip
    for again in (
        lambda: control.approve_release(hold.id, by="user:carol"),
        lambda: control.release_hold(hold.id, by="user:bob", reason="x"),
        lambda: control.ask_release(hold.id, by="user:bob", reason="x"),
    ):
        with pytest.raises(ConflictError, match="released already"):
            again()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"tenant": "nobody"}, NotFoundError),
        ({"reason": ""}, InputError),
        ({"reason": "x" * 1001}, InputError),
        ({"owner": " "}, InputError),
        ({"case_reference": "a\nb"}, InputError),
        ({"by": ""}, InputError),
    ],
)
def test_what_cannot_be_a_hold_is_refused(control, options, error):
    """A hold needs a tenant that is there, a reason and an owner, in printable text; nothing is announced or stored."""
    announced = []
    with pytest.raises(error):
        place(control, **options, announce=announced.append)
    assert (announced, control.list_holds()) == ([], [])


def test_an_unknown_hold_is_not_found(control):
    """Showing, asking, approving and releasing name what was given."""
    for ask in (
        lambda: control.hold("h0"),
        lambda: control.ask_release("h0", by="u", reason="r"),
        lambda: control.approve_release("h0", by="u"),
        lambda: control.release_hold("h0", by="u", reason="r"),
    ):
        with pytest.raises(NotFoundError, match="'h0'"):
            ask()


def test_what_cannot_be_recorded_changes_nothing(control):
    """Where announcing raises, a hold is neither placed nor asked to be released nor released."""

    def refuse(_hold):
        raise ControlUnavailableError("cannot record")

    hold = place(control).hold
    for act in (
        lambda: place(control, announce=refuse),
        lambda: control.ask_release(hold.id, by="u", reason="r", announce=refuse),
        lambda: control.release_hold(hold.id, by="u", reason="r", announce=refuse),
    ):
        with pytest.raises(MunimentError, match="cannot record"):
            act()
    assert control.list_holds(released=True) == [hold]


def test_a_hold_placed_before_is_seen_by_a_deletion_in_another_process(control, deleter):
    """Once placing returned, whoever deletes afterwards finds the hold under the lock."""
    place(control)
    assert deleter().holds == 1


def test_a_hold_waits_for_a_deletion_and_says_that_it_came_too_late(control, deleter):
    """Placed while another process deletes, a hold is in force only afterwards, and names the deletion and its time."""
    running = deleter()
    assert running.holds == 0
    announced = []
    with ThreadPoolExecutor(2) as pool:
        mine = waiting(pool, lambda told: place(control, announce=lambda hold: (announced.append(hold), told())))
        others = waiting(pool, lambda told: place(control, "globex", announce=told))
        assert control.list_holds() == []
        assert running.end() == "ended"
        placed, elsewhere = mine.result(60), others.result(60)
    (deletion,) = placed.came_after
    assert (deletion.what, deletion.tenants) == ("plan 1", ("acme",))
    assert deletion.began_unix_nano <= deletion.ended_unix_nano <= placed.hold.placed_unix_nano
    assert [hold.id for hold in announced] == [placed.hold.id]
    assert elsewhere.came_after == ()
    assert place(control).came_after == ()
    assert control.list_deletions() == [deletion]


RACE = """
import json, sys
from warehouse.clock import system_clock
from warehouse.control import ControlStore
with ControlStore.open(sys.argv[1], clock=system_clock, create=False) as store:
    for number in range(8):
        with store.deleting(f"{sys.argv[2]} {number}", ["acme"]) as deletion:
            seen = sorted(hold.id for hold in deletion.holds)
        print(json.dumps([f"{sys.argv[2]} {number}", seen]), flush=True)
"""


def test_no_hold_and_no_deletion_miss_each_other(control, control_url):
    """Whatever way placing and deleting interleave, each deletion saw a hold, or the hold names it, or came after it."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", RACE, control_url, name],
            stdout=subprocess.PIPE, text=True, start_new_session=True,
        )
        for name in ("a", "b")
    ]  # fmt: skip
    placed = []
    while any(racer.poll() is None for racer in racers) and len(placed) < 200:
        known = []
        # What ended before placing began is known when the hold is announced; the rest must come with the answer.
        answer = place(control, announce=lambda _hold, known=known: known.extend(control.list_deletions()))
        placed.append((answer, {deletion.what for deletion in known}))
    seen_by = dict(json.loads(line) for racer in racers for line in racer.communicate(timeout=240)[0].splitlines())
    assert [racer.returncode for racer in racers] == [0, 0]
    order = [deletion.what for deletion in control.list_deletions()]
    assert sorted(order) == sorted(seen_by)
    assert len(order) == 16
    for answer, known in placed:
        unseen = [what for what in order if answer.hold.id not in seen_by[what]]
        too_late = {deletion.what for deletion in answer.came_after}
        assert unseen == order[: len(unseen)]
        assert too_late <= set(unseen) <= too_late | known


def test_a_release_waits_for_a_deletion(control, deleter):
    """A hold is not taken away under a deletion that has read it."""
    hold = place(control).hold
    running = deleter()
    with ThreadPoolExecutor(1) as pool:
        release = waiting(
            pool, lambda told: control.release_hold(hold.id, by="user:alice", reason="closed", announce=told)
        )
        assert control.hold(hold.id).in_force
        running.end()
        assert not release.result(60).in_force


def test_a_deletion_waits_for_a_deletion(control, deleter):
    """Two deletions never overlap, and are counted in their order."""
    running = deleter()

    def delete(told):
        told()
        with control.deleting("plan 2", ["globex"]):
            return [deletion.what for deletion in control.list_deletions()]

    with ThreadPoolExecutor(1) as pool:
        second = waiting(pool, delete)
        running.end()
        assert second.result(60) == ["plan 1"]
    assert [(each.number, each.what) for each in control.list_deletions()] == [(1, "plan 1"), (2, "plan 2")]


def test_a_crash_under_the_lock_frees_it(control, deleter):
    """A process killed while it deletes leaves no lock and no note of an end."""
    running = deleter()
    with ThreadPoolExecutor(1) as pool:
        mine = waiting(pool, lambda told: place(control, announce=told))
        running.kill()
        assert mine.result(60).came_after == ()
    assert deleter().holds == 1
    assert control.list_deletions() == []


def test_waiting_has_an_end(control, deleter):
    """A deletion that does not end makes placing a hold unavailable, and the hold is not in force."""
    running = deleter()
    with pytest.raises(ControlUnavailableError):
        place(control, wait_seconds=0.3)
    with pytest.raises(ControlUnavailableError), control.deleting("plan", ["acme"], wait_seconds=0.3):
        pytest.fail("two deletions at once")
    running.end()
    assert control.list_holds(released=True) == []
    assert place(control).hold.in_force


def test_a_deletion_that_raises_is_not_noted(control):
    """Where the block raises, its lock is free and nothing says that it ended."""
    with pytest.raises(ConflictError, match="held"), control.deleting("plan", ["acme"]):
        raise ConflictError("held")
    assert control.list_deletions() == []
    assert place(control).came_after == ()


def test_others_read_while_a_deletion_runs(control, deleter):
    """Receivers go on asking for keys meanwhile."""
    secret = control.issue_key("acme").secret_text
    deleter()
    assert control.authenticate(secret).tenant_id == "acme"


def delete_after(store, event):
    """Begin a deletion, let something happen to its lock, and see whether it may still commit."""
    with store.deleting("plan", ["acme"]) as deletion:
        deletion.expect_alive()
        event()
        deletion.expect_alive()


def test_a_lock_lost_with_its_file_is_noticed(sqlite_url, tmp_path):
    """Before it commits, a deletion learns that the database it locked is not the lake's any more."""
    with ControlStore.open(sqlite_url, clock=system_clock) as store:
        store.add_tenant("acme")
        (tmp_path / "copy").write_bytes((tmp_path / "control.db").read_bytes())
        with pytest.raises(ControlUnavailableError, match="replaced"):
            delete_after(store, lambda: (tmp_path / "copy").replace(tmp_path / "control.db"))
        assert store.list_deletions() == []


def test_a_lock_lost_with_its_connection_is_noticed(postgres_database_url, postgres_server):
    """Before it commits, a deletion learns that the server ended its session, and with it its lock."""
    name = postgres_database_url.rpartition("/")[2]
    end_sessions = f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
    with ControlStore.open(postgres_database_url, clock=system_clock) as store:
        store.add_tenant("acme")
        with pytest.raises(ControlUnavailableError):
            delete_after(store, lambda: postgres_server.execute(end_sessions))
        assert store.list_deletions() == []
