"""Boundary instants on a real lake: a row is kept to the last nanosecond before its deadline, and goes at it."""

import datetime as dt
import json
import random

import pytest

from muniment.purging import purge_due
from muniment.retaining import make_plan
from retention.holds import HoldScope, scope_text

SECOND, HOUR, DAY = 1_000_000_000, 3_600_000_000_000, 86_400_000_000_000
FLOORED = """
retention:
  - {name: base, tables: ["*"], keep: 10}
  - {name: floor, tables: [spans, audit_events, logs], tenants: [beta], minimum: 10, citation: a law}
"""


def instant(text):
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()) * SECOND


def lake_of(purging, folder, rule, placed):
    """A lake with one span for each (own time, receipt), and an audit event with the same; in acme and beta."""
    context = purging.new_lake(folder, policy=rule)
    batches = []
    for tenant in purging.TENANTS:
        times = {
            "time": [own for own, _ in placed],
            "received_unix_nano": [received for _, received in placed],
        }
        batches.append(
            purging.rows.treated(
                spans=purging.rows.ledgered("spans", len(placed), "b", tenant=tenant, **times),
                audit_events=purging.rows.ledgered("audit_events", len(placed), "b", tenant=tenant, **times),
            )
        )
    purging.write(context, *batches)
    context.control.close()
    return context.lake


def left(purging, lake, table, tenant="acme"):
    """Numbers of the rows that are left, in the order in which they were placed."""
    return sorted(
        json.loads(row["attributes"])["n"]
        for row in purging.rows.read_table(lake, table).to_pylist()
        if row["tenant_id"] == tenant and not purging.is_own(row)
    )


def purge_at(purging, lake, now):
    context = purging.open_context(lake.path)
    context.clock = lambda: now
    try:
        return purge_due(context)
    finally:
        context.control.close()


CASES = [
    ("days of 24 hours", "10", "2026-03-24T12:00:00", "2026-04-03T12:00:00"),
    ("a month", "P1M", "2026-01-15T10:00:00", "2026-02-15T10:00:00"),
    ("a month without that day", "P1M", "2026-01-30T10:00:00", "2026-03-01T00:00:00"),
    ("a leap day's month", "P1M", "2028-01-29T01:00:00", "2028-02-29T01:00:00"),
    ("a leap day's year", "P1Y", "2028-02-29T10:00:00", "2029-03-01T00:00:00"),
]


@pytest.mark.parametrize(("keep", "since", "until"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_kept_to_the_last_nanosecond_and_due_from_the_next_instant(purging, tmp_path, keep, since, until):
    """One nanosecond before the deadline the row stays, at the deadline it goes, and its neighbour of a nanosecond later stays."""
    start, end = instant(since), instant(until)
    rule = f"retention:\n  - {{name: base, tables: ['*'], keep: {keep}}}\n"
    # where a month has no such day, all of that day ends at the same instant: the neighbour is the next month's first
    after = start + 1 if until[11:] == since[11:] else instant(until)
    lake = lake_of(purging, tmp_path / "lake", rule, [(start, start), (after, after)])
    assert purge_at(purging, lake, end - 1) == []
    assert left(purging, lake, "spans") == left(purging, lake, "audit_events") == [0, 1]
    assert len(purge_at(purging, lake, end)) == len(purging.TENANTS)
    assert left(purging, lake, "spans") == left(purging, lake, "audit_events") == [1]


def test_a_sender_does_not_choose_when_its_evidence_goes(purging, tmp_path):
    """Old or future claims move no audit event; a claim of the past takes a span early only where no minimum holds."""
    received = instant("2026-06-01T12:00:00")
    claims = [received, received - HOUR, received + HOUR, received - 3000 * DAY, received + 3000 * DAY]
    lake = lake_of(purging, tmp_path / "lake", FLOORED, [(own, received) for own in claims])
    purge_at(purging, lake, received + 1)
    assert left(purging, lake, "audit_events") == [0, 1, 2, 3, 4]
    assert left(purging, lake, "spans") == [0, 1, 2, 4]
    assert left(purging, lake, "spans", "beta") == [0, 1, 2, 3, 4]
    purge_at(purging, lake, received + 10 * DAY - HOUR)
    assert left(purging, lake, "spans") == [0, 2, 4]
    purge_at(purging, lake, received + 10 * DAY - 1)
    assert left(purging, lake, "spans") == [0, 2, 4]
    assert left(purging, lake, "audit_events") == [0, 1, 2, 3, 4]
    assert left(purging, lake, "spans", "beta") == [0, 1, 2, 3, 4]
    purge_at(purging, lake, received + 10 * DAY)
    for table in ("spans", "audit_events"):
        for tenant in purging.TENANTS:
            assert left(purging, lake, table, tenant) == []
    assert purging.findings(purging.verify(lake)) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(6))
def test_random_lakes_keep_what_an_oracle_keeps(purging, tmp_path, seed):
    """Random records, holds and clocks: what is left is what counting row by row keeps, and planning again finds nothing due."""
    pick = random.Random(seed)
    context = purging.new_lake(tmp_path / "lake")
    for _ in range(pick.randint(1, 3)):
        purging.write(
            context,
            *(
                purging.batch(
                    pick.randrange(10**6),
                    purging.rows.NOW - pick.randrange(90 * DAY),
                    tenant=pick.choice(purging.TENANTS),
                )
                for _ in range(pick.randint(2, 8))
            ),
            shard=pick.choice(["main", "side"]),
        )
    context.control.close()
    for days in sorted(pick.sample(range(-10, 120), 3)):
        context = purging.open_context(tmp_path / "lake", days=days)
        holds = []
        for tenant in pick.sample(purging.TENANTS, pick.randint(0, 2)):
            scope = HoldScope(agents=(pick.choice(["bot-1", "bot-2"]),))
            placed = context.control.place_hold(tenant, scope_text(scope), reason="r", owner="o", by="user:alice").hold
            holds.append((tenant, scope.agents[0], placed.id))
        before = purging.keys(context.lake, own=True)
        held = set().union(*(held_keys(purging, context.lake, tenant, agent) for tenant, agent, _ in holds))
        expected = before & (purging.staying(context.lake, context.clock()) | held)
        purge_due(context)
        left_now = purging.keys(context.lake, own=True) & before
        assert left_now == expected
        assert make_plan(context, None).is_empty
        assert purging.findings(purging.verify(context.lake)) == []
        for _, _, hold in holds:
            context.control.release_hold(hold, by="user:alice", reason="settled")
        context.control.close()


def held_keys(purging, lake, tenant, agent):
    """What names the records of an agent, and their contents."""
    found = set()
    for table in ("spans", "audit_events"):
        for row in purging.rows.read_table(lake, table).to_pylist():
            # whoever acted under that name, of whatever type: a hold keeps rather too much (docs/design/holds.md)
            mine = agent in {row.get("agent_id"), row.get("actor_id")}
            if mine and row["tenant_id"] == tenant:
                found.add(purging.key_of(table, row))
    places = {key[2:] for key in found}
    return found | {
        purging.key_of("contents", row)
        for row in purging.rows.read_table(lake, "contents").to_pylist()
        if row["tenant_id"] == tenant and (row["shard"], row["owner_index"]) in places
    }
