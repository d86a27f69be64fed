"""Whatever is sent: planted personal data is gone, the fast way equals the careful one, and the rest is untouched."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.redact.assembly import assemble
from collectors.redact.engine import PolicyRedactor
from collectors.redact.group import GroupTreatment
from collectors.redact.tokens import TokenBook
from warehouse.treated import RecordSet

PLANTED = (
    "jane.doe@example.org", "O'Neil+x@mail.example.co.uk", "4111 1111 1111 1111", "5500-0055-5555-5559", "4012888888881881",
    "DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "536-90-4399", "+1 415 555 0173", "+49 30 901820",
    "sk-proj-Zt8Qw3Er5Ty7Ui9Op1As3Df5Gh7Jk9Lz", "AKIAQ3EGRIJ7XHTPLWZA", "ghp_x8Kd02LmQpZv7Yt5Rw3Nc9Bf1Hs6Jg4Ae2Uo",
)  # fmt: skip
EDGES = (
    " ",
    "\n",
    "\t",
    ", ",
    ": ",
    "(",
    '"',
    "'",
    "<b>",
    "\u2014 ",
    " é ",
    "\\ ",
    " 用户 ",
    "😀 ",
    ' {"a": "',
    " \u00a0",
    "; ",
)
"""What may stand right before or behind a planted value: no letter, digit or sign that would make it another one."""
WORDS = (
    "the",
    "weather",
    "user",
    "is",
    "model",
    "gpt-5",
    "12",
    "2026-11-23",
    "ideas",
    "Paris",
    "ünïcode",
    "{",
    "}",
    "[1]",
    "a/b",
    "100%",
)

fillers = st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)
noise = st.text(st.characters(codec="utf-8"), max_size=20)
planted = st.sampled_from(PLANTED)
edges = st.sampled_from(EDGES)


@st.composite
def sentences(draw):
    """A text with one value in it, and the value."""
    value = draw(planted)
    before, behind = draw(fillers | noise), draw(fillers | noise)
    return before + draw(edges) + value + draw(
        st.sampled_from([edge for edge in EDGES if edge[0] != "'"])
    ) + behind, value


keys = st.sampled_from(["note", "a", "input", "x.y", "message", "result", "params"])
names = st.sampled_from(["trace.id", "gen_ai.request.model", "tool.name", "session.id", "createdAt"])


@st.composite
def nests(draw, leaf):
    """A text somewhere in nested values, with harmless ones around it, and perhaps in JSON in JSON."""
    value = leaf
    for _ in range(draw(st.integers(0, 3))):
        form = draw(st.sampled_from(["list", "object", "text", "ascii", "key"]))
        if form == "list":
            value = [draw(fillers), 7, value, {draw(names): draw(fillers)}]
        elif form == "object":
            value = {draw(names): "abc", draw(keys): value, "n": 1.5}
        elif form == "key" and isinstance(value, str):
            value = {value: draw(fillers)}
        else:
            value = json.dumps({draw(keys): value, "z": None}, ensure_ascii=form == "ascii")
    return value


PLACES = (
    "attributes",
    "resource",
    "envelope",
    "events",
    "links",
    "name",
    "status_message",
    "contents",
    "body",
    "exemplars",
    "description",
)


@st.composite
def record_sets(draw, redacting):
    """Rows with values planted in some places; the set and the values."""
    found = []
    spans, logs, metrics, contents = [], [], [], []
    for row in range(draw(st.integers(1, 4))):
        place = draw(st.sampled_from(PLACES))
        text, value = draw(sentences())
        found.append(value)
        span = {
            "attributes": {"gen_ai.request.model": "gpt-5", "n": row},
            "name": "chat",
            "user_id": draw(st.sampled_from([None, "bob"])),
        }
        nested = draw(nests(text))
        if place in {"attributes", "resource", "envelope"}:
            span[place] = {"service.id": "abc", draw(keys): nested}
        elif place in {"events", "links"}:
            span[place] = [{"name": "e", "attributes": {draw(keys): nested}}]
        elif place in {"name", "status_message"}:
            span[place] = text
        elif place == "contents":
            body = nested if isinstance(nested, str) else json.dumps(nested, ensure_ascii=draw(st.booleans()))
            contents.append({"owner_table": "spans", "owner_index": row, "part": "gen_ai.prompt", "body": body})
        elif place == "body":
            logs.append({"body": nested if isinstance(nested, str) else json.dumps(nested)})
        else:
            metrics.append(
                {place: [{"filteredAttributes": {"a": nested}}] if place == "exemplars" else text, "name": "m"}
            )
        spans.append(span)
    spans += [{"attributes": {"k": draw(fillers)}, "status_message": draw(fillers) or None} for _ in range(2)]
    given = {"spans": spans, "logs": logs, "metrics": metrics, "contents": contents}
    return RecordSet({name: redacting.rows(name, rows) for name, rows in given.items() if rows}), found


def everything(texts):
    """Texts, and what JSON among them says at every depth."""
    for text in texts:
        yield text
        if text[:1] in {"{", "["}:
            try:
                value = json.loads(text)
            except ValueError:
                continue
            yield from everything(_strings(value))


def _strings(value):
    if isinstance(value, dict):
        for key, child in value.items():
            yield key
            yield from _strings(child)
    elif isinstance(value, list):
        for child in value:
            yield from _strings(child)
    elif isinstance(value, str):
        yield value


@pytest.fixture(scope="module")
def vault(redacting):
    return redacting.MemoryVault()


@pytest.fixture(scope="module")
def engine(redacting, vault):
    return redacting.redactor(vault=vault)


ROUNDS = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@ROUNDS
@given(data=st.data())
def test_planted_values_do_not_survive(redacting, engine, data):
    """No planted value stands in any output column, nor in what its JSON says."""
    records, values = data.draw(record_sets(redacting))
    for text in everything(redacting.all_texts(engine.redact(records))):
        assert not [value for value in values if value in text], text


def careful(engine: PolicyRedactor, records: RecordSet) -> RecordSet:
    """The same records, each cell by itself and every detector on it."""
    compiled = engine._compiled

    class Everyone(type(compiled.patterns)):
        are_compiled = False

        def __init__(self):
            self.__dict__.update(compiled.patterns.__dict__)

        def detectors_for(self, text):
            return self.detectors

    patterns = Everyone()
    group = GroupTreatment(compiled.policy, patterns, TokenBook(engine._vault), 5.0)
    treated = group.treat(records.tables)
    assert group.is_small
    return assemble(records, treated, compiled.policy)


@ROUNDS
@given(data=st.data())
def test_the_fast_way_is_the_careful_one(redacting, engine, data):
    """What a scan leaves out, no detector would have found."""
    records, _ = data.draw(record_sets(redacting))
    fast, slow = engine.redact(records), careful(engine, records)
    assert fast.tables.keys() == slow.tables.keys()
    for name, batch in fast.tables.items():
        assert batch.to_pylist() == slow.tables[name].to_pylist()


@ROUNDS
@given(data=st.data())
def test_rows_keep_number_order_and_bytes(redacting, engine, data):
    """Only the classification of an untouched row is new; no row is lost or moved."""
    records, _ = data.draw(record_sets(redacting))
    treated = engine.redact(records)
    classified = {"data_class", "categories", "redactions", "redaction_policy", "subjects"}
    for name, before in records.tables.items():
        after = treated.tables[name]
        after.validate(full=True)
        assert after.num_rows == before.num_rows
        others = [field for field in before.schema.names if field not in classified]
        whole = [
            at
            for at in range(before.num_rows)
            if "redactions" in after.schema.names and not after["redactions"][at].as_py()
        ]
        rows = pa.array(np.array(whole, np.int64))
        assert after.select(others).take(rows).equals(before.select(others).take(rows))
        if name == "spans":
            assert after["attributes"].to_pylist()[-2:] == before["attributes"].to_pylist()[-2:]


@ROUNDS
@given(data=st.data())
def test_treating_again_changes_nothing(redacting, engine, data):
    """Masks are no personal data, tokens stay tokens."""
    records, _ = data.draw(record_sets(redacting))
    once = engine.redact(records)
    again = engine.redact(replace(once, requests=()))
    classified = {"data_class", "categories", "redactions", "redaction_policy", "subjects"}
    for name, batch in once.tables.items():
        for field in batch.schema.names:
            if field not in classified:
                assert again.tables[name].column(field).to_pylist() == batch.column(field).to_pylist()
