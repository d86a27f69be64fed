"""What holds keep, in columns, against the same rules asked row by row."""

import json
from datetime import date
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.hold_matching import match_family, matches, needed_columns
from retention.holds import Cover, Hold, HoldScope, covers_partition, day_start
from retention.persons import IDENTITY_COLUMNS
from warehouse.tables import TABLES

TOKENS = tuple(f"sub_{letter * 26}" for letter in "abc")
TRACES = tuple(digit * 32 for digit in "12")
AGENTS = ("bill.ing", 'qu"o\\te (a|b)*', "réné")
CONVERSATIONS = ("c1", "c2")
CLASSES = ("internal", "restricted")
EVENTS = ("approval.granted", "approval.denied", "tool.changed")
DAY = date(2024, 2, 29)
START = day_start(DAY)
TIMES = (START - 1, START, START + 5, START + 86_400 * 10**9 - 1, START + 86_400 * 10**9)

maybe = {
    "agent": st.sampled_from([None, *AGENTS]),
    "trace": st.sampled_from([None, *TRACES]),
    "conversation": st.sampled_from([None, *CONVERSATIONS]),
    "class": st.sampled_from([None, *CLASSES]),
    "event": st.sampled_from([None, *EVENTS]),
    "subjects": st.none() | st.lists(st.sampled_from(TOKENS), max_size=2),
    "time": st.sampled_from([None, *TIMES]),
}
json_texts = st.builds(
    lambda agent, other, ascii_: json.dumps({"gen_ai.agent.id": agent, "x": [other, {"y": 1}]}, ensure_ascii=ascii_),
    maybe["agent"],
    st.sampled_from([None, *AGENTS, *CONVERSATIONS, "billXing", "c"]),
    st.booleans(),
)
BY_NAME = {
    "agent_id": maybe["agent"], "agent_name": maybe["agent"], "actor_id": maybe["agent"], "on_behalf_of": maybe["agent"],
    "resource_id": maybe["agent"], "trace_id": maybe["trace"], "conversation_id": maybe["conversation"],
    "data_class": maybe["class"], "event_name": maybe["event"], "subjects": maybe["subjects"],
    "user_id": st.none() | st.sampled_from(TOKENS), "subject_id": st.none() | st.sampled_from(TOKENS),
    "time_unix_nano": maybe["time"], "end_unix_nano": maybe["time"], "received_unix_nano": st.sampled_from(TIMES),
    "attributes": st.none() | json_texts, "resource": st.none() | json_texts,
    "exemplars": st.none() | st.builds(lambda t: json.dumps([{"trace_id": t}]), maybe["trace"]),
}  # fmt: skip
MOST = {
    "audit_events": ("actor_id", "on_behalf_of", "resource_id"),
    "spans": ("agent_id", "agent_name"),
    "contents": ("agent_id",),
}


@st.composite
def scopes(draw):
    """Any combination of criteria."""
    few = {"max_size": 2, "unique": True}
    first, last = draw(st.sampled_from([None, *TIMES])), draw(st.sampled_from([None, *TIMES]))
    if first is not None and last is not None and last < first:
        first, last = last, first
    return HoldScope(
        subjects=tuple(draw(st.lists(st.sampled_from(TOKENS), **few))),
        agents=tuple(draw(st.lists(st.sampled_from(AGENTS), **few))),
        traces=tuple(draw(st.lists(st.sampled_from(TRACES), **few))),
        conversations=tuple(draw(st.lists(st.sampled_from(CONVERSATIONS), **few))),
        data_classes=tuple(draw(st.lists(st.sampled_from(CLASSES), **few))),
        events=tuple(draw(st.lists(st.sampled_from(["approval.*", "*.granted", "tool.changed", "x*"]), **few))),
        tables=tuple(draw(st.lists(st.sampled_from(list(TABLES)), **few))),
        first_unix_nano=first,
        last_unix_nano=last,
    )


def row_of(draw, table, place):
    """One row: shard and index by its place, the rest drawn."""
    names = {column.name for column in TABLES[table].columns}
    row = {name: draw(strategy) for name, strategy in BY_NAME.items() if name in names}
    return row | {"shard": f"s{place % 2}", ("owner_index" if table == "contents" else "log_index"): place // 2}


def as_columns(table, rows, scope):
    """The rows as deletion reads them: only the columns that the scope needs."""
    names = needed_columns(scope, table)
    schema = pa.schema([TABLES[table].schema.field(name) for name in names])
    whole = pa.Table.from_pylist([{name: row[name] for name in names} for row in rows], schema=schema)
    if not names:
        return pa.table({"n": list(range(len(rows)))})
    # A slice in several chunks: what is read is seldom one array that begins at its beginning.
    padded = pa.concat_tables([whole.slice(0, 1), whole, whole.slice(0, 1)])
    return padded.slice(min(1, len(rows)), len(rows))


def says(row, table):
    """The criteria, as functions of their values, that a row can answer; the others are false."""

    def text_has(value, *names):
        forms = {json.dumps(value), json.dumps(value, ensure_ascii=False)}
        return any(form in (row.get(name) or "") for name in names for form in forms)

    texts = ("attributes", "resource") if table in {"audit_events", "logs", "metrics"} else ()
    return {
        "agents": lambda v: v in [row[n] for n in MOST.get(table, ())] or text_has(v, *texts),
        "traces": lambda v: text_has(v, "exemplars") if table == "metrics" else v == row["trace_id"],
        "conversations": lambda v: v == row.get("conversation_id") or text_has(v, *texts),
        "data_classes": lambda v: v == row.get("data_class"),
        "events": lambda v: fnmatchcase(row.get("event_name") or "", v),
        "subjects": lambda v: (
            v in (row["subjects"] or []) or any(row.get(name) == v for name in IDENTITY_COLUMNS[table])
        ),
    }


def in_time(row, table, scope):
    first = -1 if scope.first_unix_nano is None else scope.first_unix_nano
    last = 2**63 if scope.last_unix_nano is None else scope.last_unix_nano
    begin = row["time_unix_nano"]
    if begin is None:
        return True
    end = max(begin, row.get("end_unix_nano") or begin) if table == "spans" else begin
    received = table != "contents" and first <= row["received_unix_nano"] <= last
    return (begin <= last and end >= first) or received


def criteria(row, table, scope):
    """Each criterion given, and whether this row meets it."""
    found = {
        name: any(answer(value) for value in getattr(scope, name))
        for name, answer in says(row, table).items()
        if getattr(scope, name)
    }
    if scope.limits_time:
        found["time"] = in_time(row, table, scope)
    return found


def names(scope, table):
    return not scope.tables or table in scope.tables


@given(data=st.data(), table=st.sampled_from(list(TABLES)), scope=scopes())
def test_masks_equal_the_rule_asked_row_by_row(data, table, scope):
    """Over every table and any scope, the mask says of each row what the rule says of it."""
    rows = [row_of(data.draw, table, place) for place in range(data.draw(st.integers(0, 6)))]
    mask = matches(Hold("h", "acme", scope), table, "acme", as_columns(table, rows, scope))
    assert mask.dtype == np.bool_
    assert mask.tolist() == [names(scope, table) and all(criteria(row, table, scope).values()) for row in rows]
    assert not matches(Hold("h", "globex", scope), table, "acme", as_columns(table, rows, scope)).any()


@given(data=st.data(), table=st.sampled_from(["spans", "logs", "audit_events"]), scope=scopes())
def test_a_record_and_its_parts_are_kept_as_one(data, table, scope):
    """What one of them says counts for all; parts without a record are asked alone; tables named decide what is kept."""
    owners = [row_of(data.draw, table, place) for place in range(data.draw(st.integers(0, 4)))]
    parts = [row_of(data.draw, "contents", place) for place in data.draw(st.lists(st.integers(0, 5), max_size=5))]
    kept, kept_parts = match_family(
        Hold("h", "acme", scope), table, "acme", as_columns(table, owners, scope), as_columns("contents", parts, scope)
    )
    families = {(owner["shard"], owner["log_index"]): [criteria(owner, table, scope)] for owner in owners}
    for part in parts:
        families.setdefault((part["shard"], part["owner_index"]), []).append(criteria(part, "contents", scope))
    orphans = {(part["shard"], part["owner_index"]) for part in parts} - {(o["shard"], o["log_index"]) for o in owners}

    def held(members):
        return all(any(member[name] for member in members) for name in members[0])

    expected_parts = [
        names(scope, "contents")
        and held(
            [criteria(part, "contents", scope)]
            if (part["shard"], part["owner_index"]) in orphans
            else families[part["shard"], part["owner_index"]]
        )
        for part in parts
    ]
    with_parts = {
        (part["shard"], part["owner_index"]) for part, flag in zip(parts, expected_parts, strict=True) if flag
    }
    assert kept_parts.tolist() == expected_parts
    assert kept.tolist() == [
        held(families[owner["shard"], owner["log_index"]])
        if names(scope, table)
        else (owner["shard"], owner["log_index"]) in with_parts
        for owner in owners
    ]


@given(data=st.data(), table=st.sampled_from(list(TABLES)), scope=scopes())
def test_what_a_partition_tells_unread_is_true_of_its_rows(data, table, scope):
    """NOTHING means that no row is kept, EVERYTHING that each one is, in any partition of the day."""
    rows = [row_of(data.draw, table, place) for place in range(data.draw(st.integers(1, 5)))]
    for row in rows:
        row["time_unix_nano"] = data.draw(st.sampled_from(TIMES[1:4]))
    hold = Hold("h", "acme", scope)
    mask = matches(hold, table, "acme", as_columns(table, rows, scope))
    cover = covers_partition(hold, table, "acme", DAY)
    assert cover is not Cover.NOTHING or not mask.any()
    assert cover is not Cover.EVERYTHING or mask.all()


def test_many_long_values_are_asked():
    """Values that no single pattern could hold together are found in text, and what is like them is not."""
    values = tuple(f"{number:04d}" + "é" * 996 for number in range(100))
    wanted = [values[0], values[99], values[50][:-1], "0050", None]
    text = pa.array([json.dumps({"a": [value]}) for value in wanted])
    rows = pa.table(
        {"attributes": text, "resource": pa.nulls(5, pa.string()), "shard": ["s"] * 5, "log_index": range(5)}
    )
    mask = matches(Hold("h", "acme", HoldScope(conversations=values)), "logs", "acme", rows)
    assert mask.tolist() == [True, True, False, False, False]


def test_a_log_index_beyond_counting_is_refused():
    """An index so large that two records could be taken for one is an error, not a guess."""
    owners = pa.table({"shard": ["s"], "log_index": [2**44]})
    parts = pa.table({"shard": ["s"], "owner_index": [1]})
    with pytest.raises(ValueError, match=r"below 2\^44"):
        match_family(Hold("h", "acme", HoldScope(everything=True)), "spans", "acme", owners, parts)
