"""Sessions that begin at a read point: every row is seen once, in whatever order it came and whatever files became of it."""

import json
import random

import pytest

from warehouse.query import ReadPoint

NAMES = "select name from spans order by name"
OTHER = "edge-00ff00ff"


def step(lake, point, **more):
    """Names of the spans new since a point, and the next point, by way of its JSON."""
    with lake.session("acme", since=point, **more) as session:
        found = session.query(NAMES).column("name").to_pylist()
        return found, ReadPoint.from_json(json.loads(json.dumps(session.read_point().to_json())))


def test_each_row_is_new_once(query_lake):
    """A session at the last one's point sees what came since, and one after it nothing."""
    query_lake.write("spans", [{"name": "a"}, {"name": "b"}], segment=1)
    found, point = step(query_lake, ReadPoint())
    assert found == ["a", "b"]
    query_lake.write("spans", [{"name": "c"}], segment=2)
    query_lake.write("spans", [{"name": "d", "log_index": 0}], segment=1, shard=OTHER)
    found, point = step(query_lake, point)
    assert found == ["c", "d"]
    assert step(query_lake, point)[0] == []


def test_rewritten_files_bring_nothing_back(query_lake):
    """Rows that compaction moved between two sessions are seen once: those read before are not new, the others are."""
    query_lake.write("spans", [{"name": "a"}], segment=1)
    _, point = step(query_lake, ReadPoint())
    query_lake.write("spans", [{"name": "b"}], segment=2)
    query_lake.compact("spans", [{"name": "a", "log_index": 0}, {"name": "b", "log_index": 1}])
    found, point = step(query_lake, point)
    assert found == ["b"]
    assert len(point.rewritten) == 1
    query_lake.compact("spans", [{"name": "b", "log_index": 1}])
    assert step(query_lake, point)[0] == []


def test_only_files_that_can_hold_new_rows_are_opened(query_lake):
    """A file whose rows were all read may be gone: the session does not look into it."""
    query_lake.write("spans", [{"name": "a"}], segment=1)
    (old,) = query_lake.write("spans", [{"name": "b"}], segment=2)
    _, point = step(query_lake, ReadPoint())
    query_lake.write("spans", [{"name": "c"}], segment=3)
    old.write_bytes(b"no Parquet any more")
    assert step(query_lake, point)[0] == ["c"]


def test_everything_is_there_under_another_name(query_lake):
    """all_spans holds every row, spans the new ones, and the tables that a caller gives are there too."""
    import pyarrow as pa

    query_lake.write("spans", [{"name": "a"}], segment=1)
    _, point = step(query_lake, ReadPoint())
    query_lake.write("spans", [{"name": "b"}], segment=2)
    given = {"registry": pa.table({"agent_id": ["x"]})}
    with query_lake.session("acme", since=point, extra=given) as session:
        assert session.query("select name from all_spans order by name").column("name").to_pylist() == ["a", "b"]
        assert session.query("select s.name, r.agent_id from spans s, registry r").to_pylist() == [
            {"name": "b", "agent_id": "x"}
        ]


def test_rows_of_one_request_are_new_together(query_lake):
    """What a point counts by is the shard's log, not a table: a table that had nothing new loses nothing later."""
    query_lake.write("spans", [{"name": "a", "log_index": 5}], segment=1)
    _, point = step(query_lake, ReadPoint())
    query_lake.write("logs", [{"body": "x", "log_index": 6}], segment=2)
    query_lake.write("contents", [{"body": "y", "owner_index": 6}], segment=2)
    query_lake.write("metrics", [{"name": "m", "segment": 2, "row": 0}], segment=2)
    with query_lake.session("acme", since=point) as session:
        assert session.query("select body from logs").column("body").to_pylist() == ["x"]
        assert session.query("select body from contents").column("body").to_pylist() == ["y"]
        assert session.query("select name from metrics").column("name").to_pylist() == ["m"]
        point = session.read_point()
    with query_lake.session("acme", since=point) as session:
        for table in ("spans", "logs", "contents", "metrics", "audit_events"):
            assert session.query(f"select * from {table}").num_rows == 0


def test_rows_received_lately_wait(query_lake):
    """With a horizon, a row received at or after it is left, with what its shard recorded later, until its time has come."""
    rows = [{"name": name, "log_index": i, "received_unix_nano": at} for i, (name, at) in enumerate(
        [("a", 10), ("b", 20), ("c", 15)]
    )]  # fmt: skip
    query_lake.write("spans", rows, segment=1)
    query_lake.write("spans", [{"name": "o", "log_index": 0, "received_unix_nano": 5}], segment=1, shard=OTHER)
    found, point = step(query_lake, ReadPoint(), received_before=20)
    assert found == ["a", "o"]
    found, point = step(query_lake, point, received_before=20)
    assert found == []
    query_lake.compact("spans", [row for row in rows if row["name"] != "a"])
    found, point = step(query_lake, point, received_before=21)
    assert found == ["b", "c"]
    assert step(query_lake, point, received_before=99)[0] == []


def test_a_receipt_from_the_future_holds_nothing_up(query_lake):
    """A row received while a clock was a day ahead, and what came after it, are seen once the clock is right; a host's small lead waits."""
    day, second, now = 86_400 * 10**9, 10**9, 10**18
    rows = [{"name": name, "log_index": i, "received_unix_nano": at} for i, (name, at) in enumerate(
        [("a", now + day), ("b", now - 90 * second), ("c", now + 20 * second)]
    )]  # fmt: skip
    query_lake.write("spans", rows, segment=1)
    found, point = step(query_lake, ReadPoint(), received_before=now - 60 * second, now_unix_nano=now)
    assert found == ["a", "b"]
    later = now + 90 * second
    assert step(query_lake, point, received_before=later - 60 * second, now_unix_nano=later)[0] == ["c"]


@pytest.mark.parametrize("seed", range(5))
def test_any_chain_of_sessions_sees_every_row_once(query_lake, seed):
    """Whatever comes in whatever order, with compaction between and horizons that move: together each row exactly once."""
    rng = random.Random(seed)
    point, seen, live, index = ReadPoint(), [], [], 0
    for segment in range(1, 26):
        rows = []
        for _ in range(rng.randrange(1, 4)):
            rows.append(
                {"name": f"{index:03d}", "log_index": index, "received_unix_nano": index + rng.randrange(-3, 4)}
            )
            index += 1
        query_lake.write("spans", rows, segment=segment)
        live += rows
        if rng.random() < 0.3:
            query_lake.compact("spans", live)
        if rng.random() < 0.6:
            found, point = step(query_lake, point, received_before=index - rng.randrange(6))
            seen += found
    found, _ = step(query_lake, point)
    assert sorted(seen + found) == [row["name"] for row in live]
    assert seen + found == sorted(seen + found)


def test_a_point_is_of_one_tenant_and_every_table(query_lake):
    """A session at a point refuses several tenants, and a choice of tables that would leave rows unseen."""
    for more in ({"tenants": ("acme", "globex")}, {"tenants": ("acme",), "tables": ["spans"]}):
        tenants = more.pop("tenants")
        with (
            pytest.raises(ValueError, match="expected one tenant and every table"),
            query_lake.session(*tenants, since=ReadPoint(), **more),
        ):
            pass
