"""Plans, on snapshots made by hand: what goes whole, what is rewritten, what stays and why, and when a plan is stale."""

import datetime as dt
import json
from dataclasses import replace

import pytest

from retention.durations import Duration
from retention.holding import NoHolds
from retention.lake_state import Bounds, Cohort, FileState, LakeSnapshot, Owner
from retention.plan import encode_plan, plan, read_plan, stale_reasons
from retention.policy_compiler import compile_policy
from warehouse.errors import InputError
from warehouse.policies import Bundle

DAY, HOUR, MICRO = 86_400_000_000_000, 3_600_000_000_000, 1_000
NOW = 1_795_392_000_000_000_000 + 12 * HOUR  # 2026-11-23T12:00:00Z
RULES = """
retention:
  - {name: base, tables: ["*"], keep: 90}
  - {name: parts, tables: [contents], keep: 30}
  - {name: shop, tables: [spans], tenants: [shop], keep: 90, minimum: 90, citation: a law}
"""


def compiled(*lines):
    text = RULES + "".join(f"  - {{{line}}}\n" for line in lines)
    return compile_policy(Bundle("retention", {"a.yaml": text}))


POLICY = compiled()


def day_of(instant):
    return dt.datetime.fromtimestamp(instant // 1_000_000_000, dt.UTC).date().isoformat()


def file(own, *, table="spans", tenant="acme", received=None, path=None, rows=10, **more):
    """A file whose records' own times are between two instants, received then too unless told otherwise."""
    own = Bounds(*own)
    received = own if received is None else Bounds(*received)
    day = day_of(own.least)
    path = path or f"tenant_id={tenant}/day={day}/{table}-{own.least}-{received.least}.parquet"
    return FileState(path, table, tenant, day, rows, 1000, own, received, **more)


def planned(*files, policy=POLICY, holds=None, now=NOW):
    return plan(LakeSnapshot(files), policy, holds or NoHolds(), now)


def shape(found):
    """(table, whole, files dropped, files rewritten) of each partition."""
    return [(each.table, each.whole, len(each.drop), len(each.rewrite)) for each in found.partitions]


def test_an_empty_lake_has_nothing_due():
    """No file, no partition, nothing kept; the horizons of every rule stand there all the same."""
    found = planned()
    assert (found.is_empty, found.kept, found.files) == (True, (), {})
    horizons = {each.name: int(each.through_unix_nano) for each in found.horizons}
    assert horizons == {"base": NOW - 90 * DAY, "parts": NOW - 30 * DAY, "shop": NOW - 90 * DAY}


DUE = NOW - 90 * DAY
BOUNDARIES = [
    ("the last record is due at its deadline", "spans", (DUE - 1, DUE), None, [("spans", True, 1, 0)]),
    ("a nanosecond before its deadline it is not", "spans", (DUE - 1, DUE + 1), None, "unread"),
    ("a microsecond before", "spans", (DUE - 1, DUE + MICRO), None, "unread"),
    ("none is due", "spans", (DUE + 1, DUE + 2), None, []),
    ("a clock an hour slow: counted from the own time", "spans", (DUE, DUE), (DUE + HOUR, DUE + HOUR), [("spans", True, 1, 0)]),
    ("a clock an hour fast: never counted from later than receipt", "spans", (DUE + HOUR, DUE + HOUR), (DUE, DUE), [("spans", True, 1, 0)]),
    ("an hour fast and received a nanosecond later", "spans", (DUE + HOUR, DUE + HOUR), (DUE + 1, DUE + 1), []),
    ("from the future", "spans", (NOW + 900 * DAY, NOW + 900 * DAY), (DUE, DUE), [("spans", True, 1, 0)]),
    ("audit events count from receipt, however old they say to be", "audit_events", (DUE - 80 * DAY, DUE - 80 * DAY), (DUE + 1, DUE + 1), []),
    ("audit events are read, as some never expire", "audit_events", (DUE, DUE), (DUE, DUE), "unread"),
    ("metric points", "metrics", (DUE, DUE), None, [("metrics", True, 1, 0)]),
    ("quarantine", "quarantine", (DUE, DUE), None, [("quarantine", True, 1, 0)]),
    ("contents are due sooner", "contents", (DUE + 60 * DAY, DUE + 60 * DAY), None, [("contents", True, 1, 0)]),
    ("contents a nanosecond before", "contents", (DUE + 60 * DAY + 1, DUE + 60 * DAY + 1), None, []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "own", "received", "expected"), [pytest.param(*case[1:], id=case[0]) for case in BOUNDARIES]
)
def test_boundary_instants(table, own, received, expected):
    """Due at the deadline and not a nanosecond before it, from the own time or the receipt, whichever is earlier."""
    found = planned(file(own, table=table, received=received))
    if expected == "unread":
        (partition,) = found.partitions
        assert (partition.whole, partition.rewrite[0].rows_due) == (False, None)
    else:
        assert shape(found) == expected


def cohort(table="spans", *, age=DUE, received=None, rows=5, tenant="acme", holds=(), owner=None, event=None):
    age = age if isinstance(age, tuple) else (age, age)
    received = received if isinstance(received, tuple) else (received or age[0], received or age[1])
    combination = POLICY.combination(table, tenant, event_name=event)
    return Cohort(combination, rows, Bounds(*age), Bounds(*received), holds, owner)


def test_a_day_goes_whole_only_when_all_of_it_is_due():
    """One file with a row that is not due keeps the partition: files all due go as they are, the other one is rewritten."""
    old = file((DUE - HOUR, DUE - HOUR))
    mixed = file((DUE - HOUR, DUE + HOUR), path="mixed", cohorts=(cohort(rows=4), cohort(age=DUE + 1, rows=6)))
    young = file((DUE + 1, DUE + 1))
    assert shape(planned(old)) == [("spans", True, 1, 0)]
    assert shape(planned(old, young)) == [("spans", False, 1, 0)]
    (partition,) = planned(old, mixed).partitions
    assert (partition.whole, partition.rewrite[0].rows_due, partition.rewrite[0].rules) == (False, 4, {"base": 4})
    unsettled = replace(old, path="other", settled=False)
    assert shape(planned(old, unsettled)) == [("spans", False, 1, 0)]
    assert planned(unsettled).is_empty


def test_all_cohorts_due_is_a_file_that_goes_whole():
    """Files that were read and of which every row is due are dropped, not rewritten."""
    read = file((DUE - 9, DUE), table="audit_events", cohorts=(cohort("audit_events", rows=10),))
    assert shape(planned(read)) == [("audit_events", True, 1, 0)]


def test_evidence_of_deletion_stays():
    """An audit file with a certificate in it is rewritten around it, for ever."""
    cohorts = (cohort("audit_events", rows=9), cohort("audit_events", rows=1, event="retention.purged"))
    (partition,) = planned(file((DUE - 9, DUE), table="audit_events", cohorts=cohorts), now=NOW + 9000 * DAY).partitions
    assert (partition.whole, partition.rewrite[0].rows_due) == (False, 9)


def test_what_a_minimum_refuses_is_listed():
    """Minimums count from receipt: a record that was late is kept past its rule, and the plan says by which law."""
    late = cohort(age=DUE, received=DUE + 1, tenant="shop", rows=3)
    free = cohort(age=DUE, received=DUE, tenant="shop", rows=7)
    found = planned(file((DUE, DUE), received=(DUE, DUE + 1), tenant="shop", cohorts=(late, free)))
    (kept,) = found.kept
    assert (kept.by, kept.name, kept.reason, kept.rows, kept.exact) == ("minimum", "shop", "a law", 3, True)
    assert found.partitions[0].rewrite[0].rows_due == 7


class OneHold:
    """A hold on everything of a tenant, as the protocol says it."""

    content_hash = "sha256:one"

    def may_keep(self, table, tenant_id, day):
        return ("case-1",) if tenant_id == "acme" else ()

    def columns(self, table, tenant_id):
        return ()


def test_what_a_hold_keeps_is_listed():
    """Rows under a hold stay; a file that a hold may touch is never dropped unread; other tenants are not concerned."""
    old = file((DUE, DUE))
    (partition,) = planned(old, holds=OneHold()).partitions
    assert (partition.drop, partition.rewrite[0].rows_due) == ((), None)
    held = replace(old, cohorts=(cohort(rows=2, holds=("case-1",)), cohort(rows=8)))
    found = planned(held, holds=OneHold())
    assert [(each.by, each.name, each.rows) for each in found.kept] == [("hold", "case-1", 2)]
    assert found.partitions[0].rewrite[0].rows_due == 8
    assert planned(replace(old, cohorts=(cohort(rows=10, holds=("case-1",)),)), holds=OneHold()).is_empty
    assert shape(planned(file((DUE, DUE), tenant="bank"), holds=OneHold())) == [("spans", True, 1, 0)]


def owned(event=None, *, age=DUE, table="spans", policy=POLICY):
    return Owner(policy.combination(table, "acme", event_name=event), Bounds(age, age), Bounds(age, age))


def test_contents_go_with_their_records():
    """Contents go at the latest with their record; by a rule for the contents of some records before it."""
    policy = compiled("name: debug, tables: [logs], events: ['debug.*'], keep: 3, action: contents")
    young = NOW - 10 * DAY
    cohorts = (
        cohort("contents", age=young, rows=1, owner=owned("debug.dump", age=young, table="logs", policy=policy)),
        cohort("contents", age=young, rows=2, owner=owned("other", age=young, table="logs", policy=policy)),
        cohort("contents", age=young, rows=3),
    )
    files = (file((young, young), table="contents", cohorts=cohorts), file((young, young), table="logs"))
    (partition,) = planned(*files, policy=policy).partitions
    assert (partition.table, partition.rewrite[0].rows_due, partition.rewrite[0].rules) == ("contents", 1, {"debug": 1})
    with_old_owner = cohort("contents", age=young, owner=owned(age=DUE), rows=4)
    files = (
        file((DUE, young), cohorts=(cohort(rows=1),)),
        file((DUE, young), table="contents", cohorts=(with_old_owner,), rows=4),
    )
    assert {each.table: each.drop[0].rules for each in planned(*files).partitions if each.drop}["contents"] == {
        "base": 4
    }


def test_a_snapshot_of_another_moment_is_never_taken_for_exact():
    """Cohorts that the clock has moved into are counted as unknown, not as due."""
    found = planned(file((DUE, NOW), cohorts=(cohort(age=(DUE, DUE + 5)),)))
    assert found.partitions[0].rewrite[0].rows_due is None


def test_the_same_inputs_give_the_same_plan():
    """Files in another order are the same plan, byte for byte; another clock is another one."""
    files = [file((DUE - n * DAY, DUE - n * DAY)) for n in range(4)] + [file((DUE, DUE), table="metrics")]
    assert planned(*files) == planned(*reversed(files))
    assert (
        planned(*files).content_hash
        == planned(*reversed(files)).content_hash
        != planned(*files, now=NOW + 1).content_hash
    )


def test_what_makes_a_plan_stale():
    """Another policy, other holds, a file that is gone; never a new file, in the same partition or elsewhere."""
    old = file((DUE, DUE))
    found = planned(old)
    inputs = {"policy_hash": POLICY.content_hash, "holds_hash": NoHolds().content_hash, "live": {"spans": [old.path]}}
    assert stale_reasons(found, **inputs) == []
    assert stale_reasons(found, **inputs | {"live": {"spans": [old.path, "new"], "logs": ["new"]}}) == []
    assert "another retention policy" in stale_reasons(found, **inputs | {"policy_hash": "sha256:x"})[0]
    assert "holds were placed" in stale_reasons(found, **inputs | {"holds_hash": "sha256:x"})[0]
    assert stale_reasons(found, **inputs | {"live": {}}) == [
        f"spans: 1 of 1 files are not live any more, such as {old.path}"
    ]


def test_a_plan_s_file_is_read_back_and_changes_are_found():
    """A plan comes back as it was written; one that was edited, or is none, is refused."""
    found = planned(file((DUE, DUE)), file((DUE, DUE), table="metrics"))
    content = encode_plan(found)
    assert read_plan(content) == found
    assert json.loads(content)["now_unix_nano"] == str(NOW)
    for wrong in (
        b"{}",
        b"[]",
        b"x",
        content.replace(b":10,", b": 10,"),
        content.replace(b'"whole":true', b'"whole":1'),
    ):
        with pytest.raises(InputError, match="plan: "):
            read_plan(wrong)


def test_horizons_are_those_of_the_durations():
    """A plan states up to which instant each rule reaches, in nanoseconds."""
    policy = compiled("name: audit, tables: [audit_events], tenants: [acme], keep: P6M")
    horizon = next(each for each in planned(policy=policy).horizons if each.name == "audit")
    assert (int(horizon.through_unix_nano), horizon.counts_from) == (Duration(6, 0).horizon(NOW), "receipt")
