"""Which incident a match belongs to: the same ones however they are cut into rounds, and in whatever order they come."""

from itertools import pairwise

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipelines.incidents.columns import MATCH_SCHEMA
from pipelines.incidents.grouping import Known, group_matches, key_hash

COOLDOWN = 10


def table(matches):
    """Matches given as (key, time, log index)."""
    rows = [
        {"time_unix_nano": time, "source_table": "spans", "shard": "main", "log_index": index, "key": key}
        for key, time, index in matches
    ]
    return pa.Table.from_pylist(rows, schema=MATCH_SCHEMA)


class Store:
    """Incidents in memory, as the control database keeps them."""

    def __init__(self):
        self.incidents = {}

    def round(self, matches):
        """Take what one evaluation of a rule returned."""
        known = {}
        for name, (key, first, last, rows) in self.incidents.items():
            known.setdefault(key_hash(key), []).append(Known(name, first, last, frozenset(rows)))
        for group in group_matches(table(matches), known, cooldown=COOLDOWN):
            rows = {(r["source_table"], r["shard"], r["log_index"]) for m in group.matches for r in m.to_pylist()}
            name = group.id or f"i{len(self.incidents)}-{min(rows)}"
            for other in group.merged:
                rows |= self.incidents.pop(other)[3]
            rows |= self.incidents.get(name, (None, 0, 0, set()))[3]
            self.incidents[name] = (group.key, group.first, group.last, rows)

    def found(self):
        """All incidents: key, first, last, records."""
        return sorted((key, first, last, sorted(rows)) for key, first, last, rows in self.incidents.values())


def expected(matches):
    """What belongs together, by the rule's own words: within the cool-down of another."""
    found = []
    for key in sorted({key for key, _, _ in matches}):
        mine = sorted((time, index) for of, time, index in matches if of == key)
        clusters = [[mine[0]]]
        for before, match in pairwise(mine):
            clusters.append([match]) if match[0] - before[0] > COOLDOWN else clusters[-1].append(match)
        found += [
            (key, cluster[0][0], cluster[-1][0], sorted(("spans", "main", index) for _, index in cluster))
            for cluster in clusters
        ]
    return sorted(found)


@st.composite
def histories(draw):
    """Matches in the order in which they come, and where rounds end; some rounds see again what an earlier one saw."""
    times = draw(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 120)), min_size=1, max_size=25))
    matches = [(key, time, index) for index, (key, time) in enumerate(times)]
    cuts = sorted(draw(st.sets(st.integers(1, len(matches)), max_size=8)) | {len(matches)})
    again = draw(st.integers(0, 3))
    return matches, [matches[max(0, begin - again) : end] for begin, end in zip([0, *cuts], cuts, strict=False)]


@given(histories())
def test_rounds_and_order_do_not_matter(history):
    """What is late, seen twice, or bridges two incidents ends where it would have in one round over all."""
    matches, rounds = history
    store, whole = Store(), Store()
    for each in rounds:
        store.round(each)
    whole.round(matches)
    assert store.found() == whole.found() == expected(matches)


@given(st.integers(-30, 60), st.integers(0, 40))
def test_what_happened_after_the_end_opens_again(time, ended):
    """A match within the cool-down of a closed incident joins it, and opens it again only where it happened after the closing."""
    there = {key_hash("a"): [Known("i1", 0, 20, frozenset(), ended_unix_nano=ended, closed=True)]}
    (group,) = group_matches(table([("a", time, 7)]), there, cooldown=COOLDOWN)
    near = -COOLDOWN <= time <= 20 + COOLDOWN
    assert group.id == ("i1" if near else None)
    assert group.reopens == (near and time > ended)


def test_a_match_without_a_record_is_told_only_where_it_lasts_longer():
    """Something absent that is seen again within what is known of it changes nothing."""
    there = {key_hash("a"): [Known("i1", 0, 20)]}
    inside, after = table([("a", 15, None)]), table([("a", 25, None)])
    assert group_matches(inside, there, cooldown=COOLDOWN) == []
    (group,) = group_matches(after, there, cooldown=COOLDOWN)
    assert (group.id, group.first, group.last) == ("i1", 0, 25)


def test_an_open_incident_goes_before_a_closed_one():
    """Where both are near, the match joins the one that somebody still works on; the closed one stays as it is."""
    there = {key_hash("a"): [Known("old", 0, 20, ended_unix_nano=20, closed=True), Known("new", 35, 40)]}
    (group,) = group_matches(table([("a", 28, 7)]), there, cooldown=COOLDOWN)
    assert (group.id, group.merged, group.reopens) == ("new", [], False)
