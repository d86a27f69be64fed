"""A person is found in columns where asking each value in turn finds them, and nowhere else."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from retention.persons import IDENTITY_COLUMNS
from retention.subject_finds import AttributeTerm, SubjectTerms
from retention.subject_matching import match_named, match_texts, only_acts

TOKENS = ["sub_" + letter * 25 + "a" for letter in "bcde"]
VALUES = ["ada@example.org", 'Zoë "Z" O\'Neil', "a\\b"]
WORDS = st.sampled_from([*TOKENS, *VALUES])
TABLE = st.sampled_from(["spans", "audit_events", "logs"])
LISTS = st.lists(st.none() | st.lists(st.sampled_from(TOKENS), max_size=3), min_size=1, max_size=12)
MEMBERS = st.dictionaries(
    st.sampled_from(["n", "employee.number", 'q"uote', "ü"]),
    st.sampled_from(["1", "11", 'a"b', "ü"]) | st.integers(-1, 11) | st.booleans() | st.none(),
    max_size=4,
)


@settings(deadline=None)
@given(table=TABLE, lists=LISTS, words=st.lists(WORDS, min_size=1, max_size=3), data=st.data())
def test_columns_that_redaction_fills(rows, table, lists, words, data):
    """A row is found by a column exactly where this column is, or lists, one of the words."""
    cell = st.none() | WORDS
    columns = {
        name: data.draw(st.lists(cell, min_size=len(lists), max_size=len(lists))) for name in IDENTITY_COLUMNS[table]
    }
    batch = rows.ledgered(table, len(lists), "b", subjects=lists, **columns)
    found, clear = match_named(table, batch, SubjectTerms.of(words))
    for name, values in columns.items():
        expected = [value in words for value in values]
        assert found.get(name, np.zeros(len(lists), bool)).tolist() == expected
    expected = [any(word in words for word in each or ()) for each in lists]
    assert found.get("subjects", np.zeros(len(lists), bool)).tolist() == expected
    values = [word for word in words if word in VALUES]
    assert clear.tolist() == [any(columns[name][n] in values for name in columns) for n in range(len(lists))]


@settings(deadline=None)
@given(
    texts=st.lists(st.none() | st.lists(WORDS | st.text(max_size=4), max_size=4), min_size=1, max_size=8),
    word=WORDS,
    ascii_=st.booleans(),
    upper=st.booleans(),
)
def test_words_in_json(rows, texts, word, ascii_, upper):
    """A word is found in a JSON text exactly where one of its strings holds it, however JSON and case write it."""
    shown = [None if each is None else [text.upper() if upper else text for text in each] for each in texts]
    written = [None if each is None else json.dumps({"said": each}, ensure_ascii=ascii_) for each in shown]
    found, clear = match_texts(rows.ledgered("spans", len(texts), "b", attributes=written), SubjectTerms.of([word]))
    expected = [any(word.lower() in text.lower() for text in each or ()) for each in texts]
    assert found.get("attributes", np.zeros(len(texts), bool)).tolist() == expected
    assert clear.tolist() == (expected if word in VALUES else [False] * len(texts))


@settings(deadline=None)
@given(members=st.lists(MEMBERS, min_size=1, max_size=8), name=st.sampled_from(["n", "employee.number", 'q"uote', "ü"]),
       value=st.sampled_from(["1", "11", 'a"b', "ü"]) | st.integers(-1, 11) | st.booleans(), ascii_=st.booleans())  # fmt: skip
def test_attributes(rows, members, name, value, ascii_):
    """An attribute is found exactly where the object read from the JSON text has this member with this value of this type."""
    written = [json.dumps(each, ensure_ascii=ascii_) for each in members]
    terms = SubjectTerms(attributes=(AttributeTerm(name, value),))
    found, _ = match_texts(rows.ledgered("logs", len(members), "b", attributes=written), terms)
    expected = [name in each and type(each[name]) is type(value) and each[name] == value for each in members]
    assert found.get("attributes", np.zeros(len(members), bool)).tolist() == expected


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from([None, TOKENS[0], TOKENS[1]])] * 5), min_size=1, max_size=10))
def test_only_acts(rows, cases):
    """Who acts and is named in no other column, nor under another attribute, only acts."""
    actor, behalf, subject, resource, _more = zip(*cases, strict=True)
    attributes = [
        json.dumps(
            {"audit.actor.id": a, "audit.on_behalf_of": b} | ({"user.id": m} if m else {}), separators=(",", ":")
        )
        for a, b, _, _, m in cases
    ]
    batch = rows.ledgered(
        "audit_events", len(cases), "b", actor_id=list(actor), on_behalf_of=list(behalf), subject_id=list(subject),
        resource_id=list(resource), attributes=attributes, subjects=[[TOKENS[0]]] * len(cases),
    )  # fmt: skip
    expected = [TOKENS[0] in case[:2] and TOKENS[0] not in case[2:] for case in cases]
    assert only_acts(batch, SubjectTerms.of([TOKENS[0]])).tolist() == expected
