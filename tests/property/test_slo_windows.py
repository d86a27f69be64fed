"""Windows of SLOs: whatever the order in which records come and runs are made, the totals are the counts of the rows."""

import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

STATUSES = st.sampled_from(["OK", "ERROR", None])
EVENTS = st.lists(st.tuples(st.integers(-2_000, 2_000), STATUSES), min_size=1, max_size=12)
SHARDS = ("main-1a2b3c4d", "edge-00ff00ff")


def expected(events):
    """(window, total, good, not valid), counted by hand."""
    counts = Counter()
    for at, status in events:
        counts[at // 5 * 5, "valid" if status else "not"] += 1
        counts[at // 5 * 5, "good"] += status == "OK"
    return sorted(
        (at, counts[at, "valid"], counts[at, "good"], counts[at, "not"]) for at in {at // 5 * 5 for at, _ in events}
    )


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS, st.data())
def test_any_order_of_arrival_gives_the_same_windows(slo_lakes, events, data):
    """Totals of windows are counts of rows: in any order, split over shards and segments, with runs anywhere between."""
    policy = slo_lakes.slo_policy(settle=None)
    with tempfile.TemporaryDirectory() as folder:
        lake = slo_lakes.SloLake(Path(folder) / "lake")
        left = data.draw(st.permutations(events))
        while left:
            size = data.draw(st.integers(1, len(left)))
            lake.write(*left[:size], shard=data.draw(st.sampled_from(SHARDS)))
            left = left[size:]
            if data.draw(st.booleans()):
                lake.compute(policy, at=data.draw(st.integers(-3_000, 3_000)))
        lake.compute(policy)
        assert lake.windows() == expected(events)
        assert sum(total + not_valid for _, total, _, not_valid in lake.windows()) == len(events)
