"""Properties of plans: time only adds to them, nothing goes whole that holds a row that stays, order does not matter."""

from hypothesis import given
from hypothesis import strategies as st

from retention.explanation import Times, explain
from retention.holding import NoHolds
from retention.lake_state import Bounds, Cohort, FileState, LakeSnapshot, Owner
from retention.plan import encode_plan, plan, read_plan
from retention.policy_compiler import compile_policy
from retention.verdict import CONTENTS
from warehouse.policies import Bundle

DAY = 86_400_000_000_000
START = 20_000 * DAY
POLICY = compile_policy(
    Bundle(
        "retention",
        {
            "a.yaml": """
retention:
  - {name: base, tables: ["*"], keep: 20}
  - {name: parts, tables: [contents], keep: 5}
  - {name: acme, tables: [spans, logs], tenants: [acme], keep: P1M}
  - {name: restricted, tables: [spans], classes: [restricted], keep: 40}
  - {name: debug, tables: [logs], events: ["debug.*"], keep: 3, action: contents}
  - {name: floor, tables: [spans], classes: [restricted], minimum: 30, citation: a law}
"""
        },
    )
)
instants = st.integers(START, START + 60 * DAY)
clocks = st.integers(START, START + 140 * DAY)


@st.composite
def snapshots(draw):
    """Files of one or two rows whose every cohort is one instant, as exact as a cohort can be."""
    files = []
    for number in range(draw(st.integers(0, 6))):
        table = draw(st.sampled_from(["spans", "logs", "audit_events", "contents", "metrics"]))
        tenant = draw(st.sampled_from(["acme", "bank"]))
        day = draw(st.integers(0, 3))
        cohorts = []
        owners = []
        for _ in range(draw(st.integers(1, 2))):
            own = START + day * DAY + draw(st.integers(0, DAY - 1))
            received = own + draw(st.integers(-40, 40)) * DAY // 8
            age = received if table == "audit_events" else min(own, received)
            owner = None
            if table == CONTENTS and draw(st.booleans()):
                name = draw(st.sampled_from(["spans", "logs"]))
                event = draw(st.sampled_from([None, "debug.x"])) if name == "logs" else None
                of = POLICY.combination(name, tenant, event_name=event)
                owner = Owner(of, Bounds(age, age), Bounds(received, received))
                owners.append((name, own, Cohort(of, 1, owner.age, owner.received, (), None)))
            data_class = draw(st.sampled_from([None, "restricted"])) if table == "spans" else None
            event = draw(st.sampled_from(["a.b", "key.rotated"])) if table == "audit_events" else None
            of = POLICY.combination(table, tenant, data_class=data_class, event_name=event)
            cohorts.append((own, Cohort(of, 1, Bounds(age, age), Bounds(received, received), (), owner)))
        own_times = [own for own, _ in cohorts]
        received = [cohort.received.least for _, cohort in cohorts]
        files.append(
            FileState(
                f"{number}", table, tenant, str(day), len(cohorts), 100, Bounds(min(own_times), max(own_times)),
                Bounds(min(received), max(received)), cohorts=tuple(cohort for _, cohort in cohorts),
            )
        )  # fmt: skip
        # the records that contents belong to are there too: the same day, and received when their contents were
        files += [
            FileState(
                f"{number}-owner-{at}",
                name,
                tenant,
                str(day),
                1,
                100,
                Bounds(own, own),
                cohort.received,
                cohorts=(cohort,),
            )
            for at, (name, own, cohort) in enumerate(owners)
        ]
    return LakeSnapshot(tuple(files))


def due_rows(found):
    """How many rows of each file are due."""
    return {
        (partition.table, file.path): file.rows_due
        for partition in found.partitions
        for file in (*partition.drop, *partition.rewrite)
    }


def stays(cohort, now):
    """Whether a cohort of one instant stays, counted by deadlines instead of horizons."""
    answer = POLICY.answer(cohort.combination)
    if answer.rule is None or any(each.keep.deadline(cohort.received.least) > now for each in answer.minimums):
        return True
    gone = answer.rule.keep.deadline(cohort.age.least) <= now
    if cohort.owner is not None:
        owner = POLICY.answer(cohort.owner.combination)
        gone |= owner.rule.keep.deadline(cohort.owner.age.least) <= now
        gone |= owner.contents_rule is not None and owner.contents_rule.keep.deadline(cohort.owner.age.least) <= now
    return not gone


@given(snapshots(), clocks)
def test_exactly_what_is_past_its_deadline_is_due(snapshot, now):
    """Each row of each file is planned if and only if its deadlines have come; a file all of which is due is dropped whole."""
    found = due_rows(plan(snapshot, POLICY, NoHolds(), now))
    for file in snapshot.files:
        due = sum(not stays(cohort, now) for cohort in file.cohorts)
        assert found.get((file.table, file.path), 0) == due


@given(snapshots(), clocks)
def test_explanations_agree_with_plans(snapshot, now):
    """A record of any table but contents is due in an explanation exactly when a plan takes it."""
    for file in snapshot.files:
        for cohort in file.cohorts:
            if file.table != CONTENTS:
                times = Times(cohort.age.least, cohort.received.least)
                assert explain(POLICY, cohort.combination, times=times).is_due(now) == (not stays(cohort, now))


@given(snapshots(), clocks, clocks)
def test_time_only_adds(snapshot, one, other):
    """What is due stays due."""
    first, second = sorted((one, other))
    before, after = (due_rows(plan(snapshot, POLICY, NoHolds(), now)) for now in (first, second))
    assert all(after.get(place, 0) >= rows for place, rows in before.items())


@given(snapshots(), clocks)
def test_whole_days_hold_nothing_that_stays(snapshot, now):
    """A partition goes whole only when every row of every file in it is past its deadline."""
    for partition in plan(snapshot, POLICY, NoHolds(), now).partitions:
        files = [
            file
            for file in snapshot.files
            if (file.table, file.tenant_id, file.day) == (partition.table, partition.tenant, partition.day)
        ]
        assert partition.whole == (not any(stays(cohort, now) for file in files for cohort in file.cohorts))


@given(snapshots(), clocks, st.randoms())
def test_a_plan_is_a_function_of_its_inputs(snapshot, now, random):
    """The same files in another order give the same bytes, which read back as the same plan."""
    files = list(snapshot.files)
    random.shuffle(files)
    first, second = (plan(each, POLICY, NoHolds(), now) for each in (snapshot, LakeSnapshot(tuple(files))))
    assert encode_plan(first) == encode_plan(second)
    assert read_plan(encode_plan(first)) == first
