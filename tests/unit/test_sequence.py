"""Sequencing: indices without gaps, contents with their owners, digests that anybody can compute again."""

import hashlib
import json

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse.sequence import sequence
from warehouse.tables import TABLES

LEDGERED = ("spans", "audit_events", "logs")
TENANTS = st.sampled_from(["acme", "globex", "_lake", "t-3"])
PARTS = st.sampled_from(["prompt", "events/0/gen_ai.content", 'quo"te', "back\\slash", "new\nline", "größe"])


def counted_bytes():
    """Bytes that never repeat, so that two salts can be told apart."""
    state = [0]

    def give(size):
        state[0] += 1
        return hashlib.shake_128(str(state[0]).encode()).digest(size)

    return give


def run(records, **changes):
    given_values = {
        "shard": "main-1a2b3c4d", "segment": 3, "metric_row": 0, "next_index": {}, "random_bytes": counted_bytes(),
    }  # fmt: skip
    return sequence(records, **{**given_values, **changes})


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tenants=st.fixed_dictionaries({name: st.lists(TENANTS, max_size=8) for name in LEDGERED}),
    starts=st.dictionaries(TENANTS, st.integers(0, 10**12)),
    data=st.data(),
)
def test_each_tenant_counts_on_and_contents_stay_with_their_owners(rows, tenants, starts, data):
    """Any mix of tenants and tables: indices are next to next+n-1, contents point to owners, digests are recomputable."""
    tables = {name: rows.ledgered(name, len(given_), name, tenant=given_) for name, given_ in tenants.items()}
    owners = [
        (name, data.draw(st.integers(0, len(given_) - 1)), data.draw(PARTS))
        for name, given_ in tenants.items()
        if given_
        for _ in range(data.draw(st.integers(0, 4)))
    ]
    owners = data.draw(st.permutations(owners))
    tables["contents"] = rows.contents(
        [owner for _, owner, _ in owners],
        [part for *_, part in owners],
        owner_table=[name for name, *_ in owners],
        tag="t",
    )
    done = run(rows.records(**tables), next_index=starts)
    given_rows = [(name, number, tenant) for name in LEDGERED for number, tenant in enumerate(tenants[name])]
    expected, after = {}, dict(starts)
    for name, number, tenant in given_rows:
        expected[name, number] = after.get(tenant, 0)
        after[tenant] = expected[name, number] + 1
    assert done.next_index == after
    for name, number, tenant in given_rows:
        row = done.tables[name].slice(number, 1).to_pylist()[0]
        assert (row["log_index"], row["tenant_id"], row["shard"]) == (expected[name, number], tenant, "main-1a2b3c4d")
    parts = done.tables["contents"].to_pylist() if owners else []
    digests = {}
    for (name, owner, part), row in zip(owners, parts, strict=True):
        assert (row["owner_index"], row["owner_table"], row["part"]) == (expected[name, owner], name, part)
        salted = row["body_salt"] + f"t|{owner}|{part}".encode()
        digests.setdefault((name, owner), []).append([part, hashlib.sha256(salted).hexdigest()])
    for name, number, _ in given_rows:
        text = done.tables[name].column("content_digests")[number].as_py()
        assert (json.loads(text) if text else None) == digests.get((name, number))


def test_every_row_and_every_part_has_a_salt_of_its_own(rows):
    """Salts are 16 bytes from the source of randomness, and no two are the same."""
    done = run(
        rows.records(
            spans=rows.ledgered("spans", 5, "a"),
            logs=rows.ledgered("logs", 5, "a"),
            contents=rows.contents([0, 0, 4], ["a", "b", "a"]),
        )
    )
    salts = [
        salt
        for name, column in (("spans", "salt"), ("logs", "salt"), ("contents", "body_salt"))
        for salt in done.tables[name].column(column).to_pylist()
    ]
    assert len(set(salts)) == 13
    assert {len(salt) for salt in salts} == {16}


def test_whole_rows_have_the_tables_schema_and_keep_what_was_decoded(rows):
    """Sequencing adds the assigned columns and changes no other."""
    tables = {
        "spans": rows.ledgered("spans", 3, "a"),
        "audit_events": rows.ledgered("audit_events", 2, "a"),
        "logs": rows.ledgered("logs", 2, "a"),
        "contents": rows.contents([1], ["a"]),
        "metrics": rows.metrics(4, "a"),
    }
    done = run(rows.records(**tables))
    for name, batch in done.tables.items():
        assert batch.schema == TABLES[name].schema
        kept = set(tables[name].schema.names) - {"owner_index"}
        assert batch.select(sorted(kept)).equals(tables[name].select(sorted(kept)))


def test_metric_rows_count_on_within_their_segment(rows):
    """A metric point's row number goes on where the group before it ended; metrics take no log index."""
    done = run(rows.records(metrics=rows.metrics(3, "a")), metric_row=7, next_index={"acme": 5})
    assert done.tables["metrics"].column("row").to_pylist() == [7, 8, 9]
    assert done.tables["metrics"].column("segment").to_pylist() == [3, 3, 3]
    assert (done.metric_rows, done.next_index) == (3, {"acme": 5})


def bad_records(rows):
    """Rows that would stop a commit or break a proof, by name."""
    spans = rows.ledgered("spans", 2, "a")
    day = spans.schema.get_field_index("day")
    return {
        "unknown table": ({"spam": spans}, r"table: expected one of contents, .*, got 'spam'"),
        "schema": ({"spans": spans.drop_columns(["name"])}, "spans: expected the table's decoded schema"),
        "no tenant": ({"spans": rows.ledgered("spans", 2, "a", tenant=["acme", None])}, "a tenant_id in every row, got 1"),
        "no day": ({"spans": spans.set_column(day, "day", pa.nulls(2, pa.date32()))}, "a day in every row, got 2"),
        "before 1970": (
            {"spans": spans.set_column(day, "day", pa.array([-1, 0], pa.int32()).cast(pa.date32()))},
            "expected days from 1970 on, got -1 to 0",
        ),
        "no such owner": ({"spans": spans, "contents": rows.contents([2], ["a"])}, "owners among 2 spans, got rows 2 to 2"),
        "negative owner": ({"spans": spans, "contents": rows.contents([-1], ["a"])}, "got rows -1 to -1"),
        "owner elsewhere": (
            {"spans": spans, "contents": rows.contents([0], ["a"], owner_table="logs")},
            "an owner for each part, got 1 without one",
        ),
        "no body": (
            {"spans": spans, "contents": rows.contents([0], ["a"]).set_column(
                TABLES["contents"].decoded_schema.get_field_index("body"), "body", pa.nulls(1, pa.string())
            )},
            "a value of body in every row, got 1 without",
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "unknown table", "schema", "no tenant", "no day", "before 1970", "no such owner", "negative owner",
        "owner elsewhere", "no body",
    ],
)  # fmt: skip
def test_rows_that_no_commit_could_take_are_refused_before_they_are_kept(rows, name):
    """A batch that would hold up the shard's commits, or lose a content's owner, is refused with what was expected."""
    tables, expected = bad_records(rows)[name]
    with pytest.raises(ValueError, match=expected):
        run(rows.records(**tables))
