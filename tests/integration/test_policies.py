"""Applied policies: kept whole and in order, taken over by running collectors, changed by those who may and on record."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from collectors.redact.detectors import DETECTORS
from collectors.redact.policy_compiler import KIND, default_bundle, strict_policy
from governance.access import Access
from muniment.policies import apply_bundle, apply_defaults, policy_status, policy_text, read_pending
from muniment.policy_kinds import KINDS, REDACTION, policy_kind
from muniment.policy_watch import PolicyWatch, read_policy
from warehouse.control import ControlStore
from warehouse.control.database import CONTROL, Database, parse_url
from warehouse.errors import (
    ConflictError,
    ControlUnavailableError,
    CorruptionError,
    DeniedError,
    NotFoundError,
    UnavailableError,
)
from warehouse.policies import Bundle, PolicyError, apply, current_hash, in_force, read_folder
from warehouse.principals import Principal, PrincipalKind

KNOWN = {detector.name: detector for detector in DETECTORS}
ALICE = Principal(PrincipalKind.LOCAL_USER, "alice")
KEEP = "redaction:\n  - {name: open, tenants: ['*'], default: keep}\n"
DROP = "redaction:\n  - {name: shut, tenants: ['*'], default: drop}\n"
BROKEN = "redaction:\n  - {name: open, tenants: ['*'], default: kep}\n"


def bundle(content, name="a.yaml"):
    return Bundle(KIND, {name: content})


class Now:
    """A clock that moves when told."""

    def __init__(self):
        self.nano = 1_000

    def __call__(self):
        return self.nano


@pytest.fixture
def clock():
    return Now()


@pytest.fixture
def control(control_url, clock):
    with ControlStore.open(control_url, clock=clock) as store:
        yield store


@pytest.fixture
def small(sqlite_url, clock):
    """A control store on SQLite alone, where the database makes no difference."""
    with ControlStore.open(sqlite_url, clock=clock) as store:
        yield store


def test_the_newest_is_in_force_and_all_are_kept(control, clock):
    """Each application is a revision; what was stored comes back byte for byte, and the history loses nothing."""
    assert (in_force(control, KIND), current_hash(control, KIND), control.policy_history()) == (None, None, [])
    odd = bundle("a: é\r\n\t☃ \U0001f600 \\u0000", "ü.yaml")
    first = apply(control, odd, "user:alice", replacing=None)
    clock.nano = 500  # another host's clock stands behind
    second = apply(control, bundle(KEEP), "user:bob", replacing=odd.content_hash)
    clock.nano = 2_000
    third = apply(control, odd, "user:alice", replacing=second.content_hash)
    assert in_force(control, KIND) == third
    assert dict(in_force(control, KIND).bundle.files) == dict(odd.files)
    assert current_hash(control, KIND) == odd.content_hash == first.content_hash
    assert [(each.revision, each.hash, each.applied_unix_nano, each.applied_by) for each in control.policy_history()] == [
        (3, odd.content_hash, 2_000, "user:alice"),
        (2, second.content_hash, 1_000, "user:bob"),
        (1, odd.content_hash, 1_000, "user:alice"),
    ]  # fmt: skip
    assert control.policy_history("slo") == []


def test_kinds_do_not_touch_each_other(control):
    """What is in force of one kind says nothing about another."""
    apply(control, bundle(KEEP), "user:alice", replacing=None)
    other = Bundle("slo", {"a.yaml": "slo: []\n"})
    apply(control, other, "user:alice", replacing=None)
    assert current_hash(control, KIND) == bundle(KEEP).content_hash
    assert in_force(control, "slo").bundle == other


def test_what_was_not_looked_at_is_not_replaced(control):
    """Somebody who saw another policy in force than there is changes nothing, nor does the same policy again."""
    apply(control, bundle(KEEP), "user:alice", replacing=None)
    announced = []
    for replacing in (None, "sha256:0"):
        with pytest.raises(ConflictError, match="changed meanwhile"):
            apply(control, bundle(DROP), "user:bob", replacing=replacing, announce=announced.append)
    with pytest.raises(ConflictError, match="in force already"):
        apply(control, bundle(KEEP), "user:bob", replacing=bundle(KEEP).content_hash, announce=announced.append)
    assert (announced, len(control.policy_history())) == ([], 1)


def test_of_two_who_apply_at_once_one_wins(control_url, clock):
    """Several who replace the same policy at the same instant: one is in force, the others are told, nothing is lost."""
    with ControlStore.open(control_url, clock=clock) as store:
        first = apply(store, bundle(KEEP), "user:alice", replacing=None)
        everybody_announced = threading.Barrier(4)

        def work(number):
            mine = bundle(DROP + f"# {number}\n")
            with ControlStore.open(control_url, clock=clock) as own:
                try:
                    apply(own, mine, f"user:u{number}", replacing=first.content_hash,
                          announce=lambda _applied: everybody_announced.wait(timeout=120))  # fmt: skip
                except ConflictError:
                    return None
                return mine.content_hash

        with ThreadPoolExecutor(4) as pool:
            won = [done for done in pool.map(work, range(4)) if done is not None]
        assert len(won) == 1
        assert current_hash(store, KIND) == won[0]
        assert [each.revision for each in store.policy_history()] == [2, 1]


def test_stored_files_that_were_changed_are_noticed(control, control_url):
    """Files that do not have the hash under which they were applied are corruption, not a policy."""
    apply(control, bundle(KEEP), "user:alice", replacing=None)
    for stored in ('{"a.yaml": "redaction: []"}', "{", "[1]", '{"a.yaml": 1}'):
        with Database(parse_url(control_url), pooled=False).write() as connection:
            connection.execute(text("update applied_policies set bundle = :stored"), {"stored": stored})
        with pytest.raises(CorruptionError, match="applied policy redaction"):
            in_force(control, KIND)


def test_a_database_of_the_first_schema_is_brought_up_with_its_content(control_url, clock):
    """What a database of revision r0001 holds stays, and policies can be applied afterwards."""
    url = parse_url(control_url)
    if url.database and control_url.startswith("sqlite"):
        Path(url.database).touch()
    engine = create_engine(url)
    config = Config(attributes={})
    config.set_main_option("script_location", str(CONTROL.migrations))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "r0001")
        connection.execute(text("insert into tenants (id, name, created_unix_nano) values ('acme', 'Acme', 7)"))
    engine.dispose()
    with ControlStore.open(control_url, clock=clock, create=False) as store:
        assert store.tenant("acme").created_unix_nano == 7
        assert apply(store, bundle(KEEP), "user:alice", replacing=None).revision == 1


# -- changes by principals


@pytest.fixture
def record():
    events = []
    return events, lambda name, tenant, **columns: events.append((name, tenant, columns))


def test_a_change_is_on_record_before_it_is_made(small, record):
    """`policy.changed` names kind, new hash and old hash, and stands before the policy is in force."""
    events, remember = record
    hashes = []

    def watch(name, tenant, **columns):
        hashes.append(current_hash(small, KIND))
        remember(name, tenant, **columns)

    access = Access(owner="alice")
    apply_bundle(small, access, ALICE, watch, kind=REDACTION, bundle=bundle(KEEP), replacing=None)
    apply_bundle(small, access, ALICE, watch, kind=REDACTION, bundle=bundle(DROP), replacing=bundle(KEEP).content_hash)
    assert hashes == [None, bundle(KEEP).content_hash]
    assert events[1] == (
        "policy.changed",
        "_lake",
        {
            "action": "apply", "resource_type": "policy", "resource_id": "redaction", "policy_id": "redaction",
            "policy_version": bundle(DROP).content_hash, "outcome": "success",
            "attributes": {"muniment.policy.old_hash": bundle(KEEP).content_hash},
        },
    )  # fmt: skip
    assert events[0][2]["attributes"] == {"muniment.policy.old_hash": "none"}


def test_what_cannot_be_recorded_is_not_applied(small):
    """Where the event is refused, the old policy stays in force."""

    def refuse(*_words, **_columns):
        raise UnavailableError("no shard")

    with pytest.raises(UnavailableError, match="no shard"):
        apply_bundle(small, Access(owner="alice"), ALICE, refuse, kind=REDACTION, bundle=bundle(KEEP), replacing=None)
    assert current_hash(small, KIND) is None


def test_a_change_that_fails_after_its_record_is_followed_by_a_failure(small, record):
    """When something else came into force in between, a second event says that the change was not made."""
    events, remember = record

    def beaten(name, tenant, **columns):
        remember(name, tenant, **columns)
        if len(events) == 1:
            apply(small, bundle(DROP), "user:bob", replacing=None)

    with pytest.raises(ConflictError):
        apply_bundle(small, Access(owner="alice"), ALICE, beaten, kind=REDACTION, bundle=bundle(KEEP), replacing=None)
    assert [columns["outcome"] for _, _, columns in events] == ["success", "failure"]
    assert current_hash(small, KIND) == bundle(DROP).content_hash


@pytest.mark.parametrize(
    ("principal", "content", "error"),
    [
        pytest.param(Principal(PrincipalKind.LOCAL_USER, "mallory"), KEEP, DeniedError, id="nobody"),
        pytest.param(Principal(PrincipalKind.LOCAL_USER, "auditor"), KEEP, DeniedError, id="may only read"),
        pytest.param(ALICE, BROKEN, PolicyError, id="broken"),
        pytest.param(ALICE, "", PolicyError, id="empty"),
    ],
)
def test_what_may_not_or_cannot_be_applied_is_refused(small, record, principal, content, error):
    """A principal without the right, or files that cannot be used: nothing is recorded, nothing applied."""
    events, remember = record
    access = Access(owner="alice", users={"auditor": ["auditor"]})
    with pytest.raises(error):
        apply_bundle(small, access, principal, remember, kind=REDACTION, bundle=bundle(content), replacing=None)
    assert (events, current_hash(small, KIND)) == ([], None)


def test_defaults_go_into_a_lake_that_has_none(lake, small, record):
    """The package's files are copied and applied once; a second time, and after a change, nothing happens."""
    events, remember = record
    access = Access(owner="alice")
    applied, *others = apply_defaults(lake, small, access, ALICE, remember)
    assert applied.bundle == default_bundle() == read_folder(lake, KIND)
    assert [each.bundle for each in others] == [read_folder(lake, kind) for kind in list(KINDS)[1:]]
    examples = sorted(file.name for file in (lake.policies / "retention" / "examples").iterdir())
    assert examples == ["hipaa.yaml", "pci_dss.yaml", "sec_17a_4.yaml"]
    assert [name for name, _, _ in events] == ["policy.changed"] * len(KINDS)
    (lake.policies / KIND / "strict.yaml").unlink()
    assert apply_defaults(lake, small, access, ALICE, remember) == []
    assert read_folder(lake, KIND).files == {}


def test_defaults_leave_files_of_others_alone(lake, small, record):
    """A folder with files keeps them as they are; the package's policy is in force and the status says that they differ."""
    (lake.policies / KIND / "mine.yaml").write_text(KEEP)
    (lake.policies / KIND / ".#mine.yaml").write_text("an editor's")
    apply_defaults(lake, small, Access(owner="alice"), ALICE, record[1])
    assert read_folder(lake, KIND) == bundle(KEEP, "mine.yaml")
    status = policy_status(lake, small)[0]
    assert (status["hash"], status["folder_differs"], status["problem"]) == (default_bundle().content_hash, True, None)
    assert "muniment policy diff redaction" in policy_text(status)


def test_status_tells_of_none_applied_and_of_one_that_cannot_be_used(lake, small, sqlite_url):
    """Without an applied policy the package's own holds; one that is broken or was changed by hand is a problem."""
    status = policy_status(lake, small)[0]
    assert (status["hash"], status["folder_differs"]) == (None, True)
    assert "the package's own holds" in policy_text(status)
    apply(small, bundle(BROKEN), "user:alice", replacing=None)
    status = policy_status(lake, small)[0]
    assert status["problem"].startswith("a.yaml:2: redaction[0].default: got 'kep'")
    with Database(parse_url(sqlite_url), pooled=False).write() as connection:
        connection.execute(text("update applied_policies set bundle = '{}'"))
    status = policy_status(lake, small)[0]
    assert "expected files with the hash" in status["problem"]


def test_pending_says_in_words_what_would_change(lake, small):
    """The diff names files and lines, the words name tenants, detectors, tables and rules."""
    before = "redaction:\n  - {name: a, tenants: ['*'], detectors: {email: token}}\n"
    after = """redaction:
  - name: a
    tenants: ["*"]
    detectors: {email: keep, card: partial}
    classes: {email: public}
    tables: {logs: {detectors: {ip: drop}}}
    identity: mask
    attributes: [{keys: [a.b], action: drop}]
  - {name: b, tenants: [acme], custom: [{name: e, pattern: 'E-[0-9]', trigger: 'E-'}]}
"""
    apply(small, bundle(before), "user:alice", replacing=None)
    (lake.policies / KIND / "a.yaml").write_text(after)
    pending = read_pending(lake, small, REDACTION)
    assert pending.differs
    assert pending.changes == (
        "acme: policy a → b",
        "acme: email token → mask",
        "acme: detector e added",
        "every other tenant: identity token → mask",
        "every other tenant: email token → keep",
        "every other tenant: class of email confidential → public",
        "every other tenant: card mask → partial",
        "every other tenant: ip mask → drop in logs",
        "every other tenant: attribute rule for a.b added",
    )
    assert pending.difference.summary() == "a.yaml changed (+8 -1 lines)"
    assert pending.difference.unified.startswith("--- in force/a.yaml\n+++ folder/a.yaml\n@@ -1,2 +1,9 @@\n")


def test_only_kinds_that_exist_can_be_named():
    """A kind that this version does not know is not found, with those that it does."""
    with pytest.raises(NotFoundError, match=r"expected redaction, retention.*, got 'nonsense'"):
        policy_kind("nonsense")


# -- hot reload


@pytest.fixture
def watch(small, clock):
    """A watch that began with the strict policy, and what it handed on."""
    used = []
    watched = PolicyWatch(
        small, KNOWN, strict_policy(KNOWN), use=used.append, poll_seconds=0.01, clock=clock
    )  # fmt: skip
    yield watched, used
    watched.stop()


def test_the_watch_takes_over_what_comes_into_force(small, watch, clock):
    """A policy that was applied is compiled and handed on once, and the state names it."""
    watched, used = watch
    assert not watched.look()
    apply(small, bundle(KEEP), "user:alice", replacing=None)
    clock.nano = 9_000
    assert watched.look()
    assert not watched.look()
    assert [policy.content_hash for policy in used] == [bundle(KEEP).content_hash]
    assert used[0].others.action("email", "spans").value == "keep"
    assert watched.state() == {"hash": bundle(KEEP).content_hash, "since_unix_nano": 9_000, "problems": []}


def test_a_broken_policy_keeps_the_old_and_says_so(small, watch, caplog):
    """What cannot be used is named once in the log and as long as it lasts in the state; the next good one ends it."""
    watched, used = watch
    apply(small, bundle(BROKEN), "user:alice", replacing=None)
    caplog.set_level(logging.INFO)
    assert [watched.look(), watched.look()] == [False, False]
    (problem,) = watched.problems()
    assert f"redaction policy {default_bundle().content_hash} stays in use" in problem
    assert f"({bundle(BROKEN).content_hash}) cannot be used: a.yaml:2: redaction[0].default: got 'kep'" in problem
    assert [entry.message for entry in caplog.records] == [problem]
    assert used == []
    apply(small, bundle(DROP), "user:alice", replacing=bundle(BROKEN).content_hash)
    assert watched.look()
    assert watched.problems() == []


def test_a_broken_policy_that_is_taken_back_is_no_problem_any_more(small, watch):
    """When the one in use is applied again, nothing is handed on and nothing is wrong."""
    watched, used = watch
    apply(small, bundle(BROKEN), "user:alice", replacing=None)
    watched.look()
    apply(small, default_bundle(), "user:alice", replacing=bundle(BROKEN).content_hash)
    assert (watched.look(), watched.problems(), used) == (False, [], [])


def test_an_unreachable_database_keeps_the_old(small, watch, sqlite_url):
    """While the control database is gone the old policy stays and the state says so; once it is back all goes on."""
    watched, used = watch
    path = Path(parse_url(sqlite_url).database)
    away = path.rename(f"{path}.away")
    assert not watched.look()
    assert "stays in use, unasked: control database" in watched.problems()[0]
    away.rename(path)
    apply(small, bundle(KEEP), "user:alice", replacing=None)
    assert watched.look()
    assert (watched.problems(), len(used)) == ([], 1)


def test_a_receiver_of_policies_that_raises_is_asked_again(small, clock):
    """Where the new policy cannot be taken over, the old counts as in use, and the new is tried until it can."""
    answers = iter([RuntimeError("no room"), None])

    def use(_policy):
        if (error := next(answers)) is not None:
            raise error

    watched = PolicyWatch(small, KNOWN, strict_policy(KNOWN), use=use, poll_seconds=1.0, clock=clock)
    apply(small, bundle(KEEP), "user:alice", replacing=None)
    assert not watched.look()
    assert "the newer one cannot be used: RuntimeError: no room" in watched.problems()[0]
    assert watched.look()
    assert watched.problems() == []


def test_the_thread_looks_until_it_is_stopped(small, watch):
    """Started, the watch takes over by itself; stopped, it does no more. Stopping twice, or unstarted, is harmless."""
    watched, used = watch
    watched.start()
    apply(small, bundle(KEEP), "user:alice", replacing=None)
    deadline = time.monotonic() + 120
    while not used and time.monotonic() < deadline:
        time.sleep(0.005)
    watched.stop()
    watched.stop()
    apply(small, bundle(DROP), "user:alice", replacing=bundle(KEEP).content_hash)
    assert [policy.content_hash for policy in used] == [bundle(KEEP).content_hash]


def test_reading_the_policy_at_start(small, sqlite_url):
    """With none applied the strict one; with a broken one, or without a database, an error and no guess."""
    assert read_policy(small, KNOWN).content_hash == default_bundle().content_hash
    apply(small, bundle(BROKEN), "user:alice", replacing=None)
    with pytest.raises(PolicyError, match="got 'kep'"):
        read_policy(small, KNOWN)
    Path(parse_url(sqlite_url).database).unlink()
    with pytest.raises(ControlUnavailableError):
        read_policy(small, KNOWN)
