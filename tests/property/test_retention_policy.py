"""Properties of retention policies: time is counted without gaps, and every record there can be has exactly one rule."""

from hypothesis import given
from hypothesis import strategies as st

from retention.durations import Duration
from retention.patterns import matches, overlap
from retention.policy import RETAINED_TABLES
from retention.policy_compiler import compile_policy
from warehouse.policies import Bundle, PolicyError
from warehouse.tables import DATA_CLASSES

DAY = 86_400_000_000_000
durations = st.builds(Duration, st.integers(0, 1200), st.integers(1, 36_500)) | st.builds(
    Duration, st.integers(1, 1200), st.just(0)
)
instants = st.integers(-2 * 365 * DAY, 130 * 365 * DAY) | st.builds(
    lambda day, rest: day * DAY + rest,
    st.integers(0, 40_000),
    st.sampled_from([0, 1, 999, 1_000, DAY - 1_000, DAY - 1]),
)
BASE = "  - {name: base, tables: ['*'], keep: P100Y}\n  - {name: base-contents, tables: [contents], keep: 1}\n"


@given(durations, instants, instants)
def test_a_later_start_never_has_an_earlier_deadline(keep, one, other):
    """Deadlines keep the order of starts."""
    first, second = sorted((one, other))
    assert keep.deadline(first) <= keep.deadline(second)


@given(durations, instants, instants)
def test_horizon_and_deadline_say_the_same(keep, start, now):
    """Whether something is due can be asked from either end; the horizon never goes back in time."""
    assert (start <= keep.horizon(now)) == (keep.deadline(start) <= now)
    assert keep.horizon(now) <= keep.horizon(now + 1)
    assert keep.horizon(keep.deadline(start) - 1) < start <= keep.horizon(keep.deadline(start))


@given(durations, instants)
def test_a_duration_lasts_as_long_as_it_says(keep, start):
    """Between the fewest and the most days; its text is read back the same."""
    days = (keep.deadline(start) - start) / DAY
    assert keep.fewest_days <= days <= keep.most_days
    assert Duration.parse(str(keep)) == keep


@given(durations, durations, instants)
def test_never_shorter_is_never_shorter(one, other, start):
    """Where a duration is told never to be shorter than another, it is not, from wherever both count."""
    if not one.may_be_shorter_than(other):
        assert one.deadline(start) >= other.deadline(start)


patterns = st.text("ab*", min_size=1, max_size=6)


@given(patterns, patterns, st.text("ab", max_size=7))
def test_patterns_that_match_one_name_overlap(one, other, name):
    """No name matches two patterns that were said not to overlap."""
    if matches(one, name) and matches(other, name):
        assert overlap(one, other)


def entries():
    """Entries that may or may not go together."""
    some = lambda values: st.none() | st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)  # noqa: E731
    return st.lists(
        st.fixed_dictionaries({
            "tables": st.lists(st.sampled_from(["spans", "audit_events"]), min_size=1, max_size=2, unique=True),
            "tenants": some(["acme", "bank"]),
            "classes": some(["public", "restricted"]),
            "events": some(["x.*", "x.a*", "x.*b", "x.ab"]),
            "agents": some(["a", "b"]),
            "keep": st.integers(1, 3),
        }),
        max_size=5,
    )  # fmt: skip


def text_of(number, entry):
    tables = ["audit_events"] if entry["events"] else entry["tables"]
    said = [f"name: e{number}", f"tables: {tables}", f"keep: {entry['keep']}"]
    said += [f"{key}: {entry[key]}" for key in ("tenants", "classes", "events", "agents") if entry[key]]
    return f"  - {{{', '.join(said)}}}\n"


combinations = st.tuples(
    st.sampled_from(RETAINED_TABLES),
    st.sampled_from(["acme", "bank", "other", "_lake"]),
    st.none() | st.sampled_from(DATA_CLASSES),
    st.none() | st.sampled_from(["x.ab", "x.a", "x.b", "x.", "y", ""]),
    st.none() | st.sampled_from(["a", "b", "c"]),
)


@given(entries(), st.lists(combinations, min_size=1), st.randoms())
def test_resolution_is_total_and_files_have_no_order(found, asked, random):
    """A policy that compiles has one rule for whatever there is, the same however entries are ordered and spread over files."""
    texts = [text_of(number, entry) for number, entry in enumerate(found)]

    def outcome(order):
        files = {f"{at}.yaml": f"retention:\n{text}" for at, text in enumerate([*order, BASE])}
        try:
            policy = compile_policy(Bundle("retention", files))
        except PolicyError:
            return None
        return [
            policy.answer(
                policy.combination(table, tenant, data_class=data_class, event_name=event, agent=agent)
            ).rule.name
            for table, tenant, data_class, event, agent in asked
        ]

    shuffled = list(texts)
    random.shuffle(shuffled)
    first = outcome(texts)
    assert first == outcome(shuffled)
    assert first is None or len(first) == len(asked)


@given(entries(), combinations)
def test_no_other_rule_is_as_specific_as_the_one_that_decides(found, asked):
    """Of all rules that match, exactly one has the highest rank: ties never reach a record."""
    texts = "".join(text_of(number, entry) for number, entry in enumerate(found))
    try:
        policy = compile_policy(Bundle("retention", {"a.yaml": f"retention:\n{texts}{BASE}"}))
    except PolicyError:
        return
    table, tenant, data_class, event, agent = asked
    of = policy.combination(table, tenant, data_class=data_class, event_name=event, agent=agent)
    ranks = sorted(rule.scope.rank(of) for rule in policy.rules if rule.scope.matches(of))
    assert len(ranks) == 1 or ranks[-1] > ranks[-2]
    assert policy.answer(of).rule.scope.rank(of) == ranks[-1]
