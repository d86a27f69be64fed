"""`slo_windows` over real tables: each record once, in its own window, whatever became of its file; and what goes wrong."""

import json

import pytest

from warehouse.derived.slo_windows import SLO_WINDOWS
from warehouse.derived.store import DerivedStore
from warehouse.errors import UnavailableError

OTHER = "edge-00ff00ff"
NOW_TOO_YOUNG = 4


@pytest.fixture
def slo_lake(slo_lakes, tmp_path):
    return slo_lakes.SloLake(tmp_path / "lake")


@pytest.fixture
def policy(slo_lakes):
    """An SLO whose indicator counts a record at once."""
    return slo_lakes.slo_policy(settle=None)


def test_events_are_counted_in_their_windows(slo_lake, policy):
    """Good, bad and neither, in windows of five minutes by the event's own time, with the rows that were counted."""
    slo_lake.write((0, "OK"), (4.99, "ERROR"), (5, "OK"), (7, None))
    counted = slo_lake.compute(policy)
    assert (counted.events, counted.windows, counted.late) == (4, 2, 0)
    assert slo_lake.windows() == [(0, 2, 1, 0), (5, 1, 1, 1)]
    first, second = sorted(slo_lake.rows().to_pylist(), key=lambda row: row["time_unix_nano"])
    assert (first["shard"], first["first_index"], first["last_index"]) == ("main-1a2b3c4d", 0, 1)
    assert (second["first_index"], second["last_index"]) == (2, 3)
    assert first["query"] == policy.slos[0].objectives[0].series.query_hash
    assert first["end_unix_nano"] - first["time_unix_nano"] == 300_000_000_000


def test_only_what_is_new_is_counted(slo_lake, policy):
    """A second run adds what came since, a third nothing; compaction between brings nothing back."""
    slo_lake.write((0, "OK"))
    slo_lake.compute(policy)
    slo_lake.write((1, "ERROR"))
    slo_lake.written.compact("spans", [
        {"log_index": i, "status_code": status, "time_unix_nano": slo_lake.noon} for i, status in enumerate(["OK", "ERROR"])
    ])  # fmt: skip
    assert slo_lake.compute(policy).events == 1
    assert slo_lake.compute(policy).events == 0
    assert slo_lake.windows() == [(0, 2, 1, 0)]


def test_a_late_record_changes_its_window_alone(slo_lake, policy):
    """What comes after its window ended and was counted is added there, and told to be late; other windows stay as they are."""
    slo_lake.write((0, "OK"), (10, "OK"))
    slo_lake.compute(policy, at=20)
    before = {row["time_unix_nano"]: row for row in slo_lake.rows().to_pylist()}
    slo_lake.write((2, "ERROR"), shard=OTHER)
    counted = slo_lake.compute(policy, at=600)
    assert (counted.events, counted.windows, counted.late) == (1, 1, 1)
    after = slo_lake.rows().to_pylist()
    assert slo_lake.windows() == [(0, 2, 1, 0), (10, 1, 1, 0)]
    assert [row for row in after if row["shard"] == "main-1a2b3c4d"] == list(before.values())
    assert [row["late"] for row in after if row["shard"] == OTHER] == [1]


def test_a_record_before_its_window_ended_is_not_late(slo_lake, policy):
    """A window that is still open when it is counted first takes more without any of it being late."""
    slo_lake.write((0, "OK"))
    slo_lake.compute(policy, at=1)
    slo_lake.write((2, "OK"))
    assert slo_lake.compute(policy, at=3).late == 0


def test_a_purge_takes_no_count_away(slo_lake, policy):
    """Rows that are gone from the lake stay counted, and what comes late into their window is added to them."""
    slo_lake.write((0, "OK"), (1, "ERROR"))
    slo_lake.compute(policy)
    slo_lake.written.compact("spans", [{"log_index": 0, "status_code": "OK"}])
    slo_lake.write((2, "ERROR"))
    slo_lake.compute(policy)
    assert slo_lake.windows() == [(0, 3, 1, 0)]


def test_young_records_wait(slo_lakes, slo_lake):
    """An indicator that settles leaves a record alone until it is that old, unless nothing is to come any more."""
    policy = slo_lakes.slo_policy(settle="5m")
    slo_lake.write((0, "OK"), (3, "OK"))
    assert slo_lake.compute(policy, at=NOW_TOO_YOUNG).events == 0
    assert slo_lake.compute(policy, at=6).events == 1
    assert slo_lake.compute(policy, at=6, settled=True).events == 1
    assert slo_lake.compute(policy, at=600).events == 0
    assert slo_lake.windows() == [(0, 2, 2, 0)]


def test_another_definition_begins_anew(slo_lakes, slo_lake, policy):
    """Another query is another series, counted from the beginning; the rows of the old one stay, and it goes on where it was."""
    slo_lake.write((0, "OK"), (1, "ERROR"))
    slo_lake.compute(policy)
    other = slo_lakes.slo_policy(settle=None, sql=slo_lakes.SQL.replace("= 'OK'", "<> 'NONE'"))
    assert slo_lake.compute(other).events == 2
    hashes = {row["query"]: row["good"] for row in slo_lake.rows().to_pylist()}
    assert sorted(hashes.values()) == [1, 2]
    assert len(hashes) == 2


def test_one_that_comes_back_counts_nothing_twice(slo_lakes, slo_lake, policy):
    """A series that is not in force for a while keeps its place: back again, it counts what came meanwhile, once."""
    slo_lake.write((0, "OK"))
    slo_lake.compute(policy)
    slo_lake.write((1, "OK"))
    slo_lake.compute(slo_lakes.slo_policy(settle=None, sql=slo_lakes.SQL.replace("= 'OK'", "<> 'NONE'")))
    slo_lake.write((2, "OK"))
    assert slo_lake.compute(policy).events == 2
    query = policy.slos[0].objectives[0].series.query_hash
    assert sum(row["total"] for row in slo_lake.rows().to_pylist() if row["query"] == query) == 3


def test_a_query_that_fails_is_told_and_tried_again(slo_lakes, slo_lake):
    """A series whose query fails is named and stays where it was; once it can run it has missed nothing."""
    failing = slo_lakes.slo_policy(settle=None, sql=slo_lakes.SQL.replace("status_code =", "error('down') ="))
    slo_lake.write((0, "OK"))
    counted = slo_lake.compute(failing)
    assert "down" in counted.problems["checkout"]
    assert slo_lake.windows() == []
    slo_lake.write((1, "OK"))
    assert slo_lake.compute(slo_lakes.slo_policy(settle=None)).events == 2


def test_tenants_are_counted_apart(slo_lake, policy):
    """Nothing of another tenant is counted."""
    slo_lake.write((0, "OK"))
    slo_lake.write((0, "ERROR"), tenant="globex")
    slo_lake.compute(policy)
    assert slo_lake.windows() == [(0, 1, 1, 0)]
    assert slo_lake.windows("globex") == []


def test_state_and_rows_fall_together(slo_lake, policy, monkeypatch):
    """A commit that fails leaves neither rows nor a later point: the next run counts everything once."""
    slo_lake.write((0, "OK"))

    def refuse(*_args, **_more):
        raise UnavailableError("no disk")

    with monkeypatch.context() as broken:
        broken.setattr("warehouse.delta.DeltaStore.rewrite", refuse)
        with pytest.raises(UnavailableError, match="no disk"):
            slo_lake.compute(policy)
    assert slo_lake.compute(policy).events == 1
    assert slo_lake.windows() == [(0, 1, 1, 0)]


def test_series_share_a_point(slo_lake, policy):
    """The state holds each point once, however many series were read up to it."""
    slo_lake.write((0, "OK"))
    slo_lake.compute(policy)
    with DerivedStore(slo_lake.lake, SLO_WINDOWS).updating("acme") as update:
        (group,) = json.loads(update.state)["groups"]
    assert group["series"] == [policy.slos[0].objectives[0].series.query_hash]


GOOD_BY_TOTAL = """\
apiVersion: openslo/v1
kind: SLI
metadata: {name: pairs}
spec:
  ratioMetric:
    PART: {metricSource: {type: muniment, spec: {sql: "select * from spans where status_code = 'STATUS'"}}}
    total: {metricSource: {type: muniment, spec: {sql: "select * from spans where status_code is not null -- all"}}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: pairs}
spec:
  service: shop
  indicatorRef: pairs
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.9}]
"""


@pytest.mark.parametrize(("part", "status"), [("good", "OK"), ("bad", "ERROR")])
def test_good_or_bad_of_total(slo_lake, part, status):
    """A ratio of two queries counts the events of each: good, or bad, of all."""
    from pipelines.slo.policy_compiler import compile_policy
    from warehouse.policies import Bundle

    text = GOOD_BY_TOTAL.replace("PART", part).replace("STATUS", status)
    slo_lake.write((0, "OK"), (1, "ERROR"), (2, "OK"), (3, None))
    slo_lake.compute(compile_policy(Bundle("slo", {"a.yaml": text})))
    assert slo_lake.windows() == [(0, 3, 2, 0)]
