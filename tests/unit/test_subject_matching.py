"""In which rows a person stands: columns that redaction fills, any text, attributes that a policy keeps, and who only acted."""

import json

import numpy as np
import pytest

from retention.subject_finds import AttributeTerm, SubjectTerms
from retention.subject_matching import match_named, match_texts, only_acts, spellings_of
from warehouse.errors import InputError

TOKEN = "sub_vrngydrr3ln74lrifoxdwt26nq"
OTHER = "sub_" + "b" * 25 + "a"
VALUE = "Zoë.O'Neil@example.org"


def positions(found):
    """Positions by column."""
    return {name: np.flatnonzero(mask).tolist() for name, mask in found.items()}


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("spans", "user_id"),
        ("audit_events", "actor_id"),
        ("audit_events", "on_behalf_of"),
        ("audit_events", "subject_id"),
        ("audit_events", "resource_id"),
    ],
)
def test_identity_columns(rows, table, column):
    """A token that is the whole of an identity column is found there, one that is part of it is not."""
    batch = rows.ledgered(table, 4, "b", **{column: [TOKEN, OTHER, None, f"x{TOKEN}"]})
    found, clear = match_named(table, batch, SubjectTerms.of([TOKEN]))
    assert positions(found) == {column: [0]}
    assert not clear.any()


@pytest.mark.parametrize("table", ["spans", "audit_events", "logs"])
def test_subjects_column(rows, table):
    """A token is found wherever it stands in a row's list, next to rows without a list and with an empty one."""
    lists = [None, [OTHER, TOKEN], [], [TOKEN], [OTHER]]
    found, _ = match_named(table, rows.ledgered(table, 5, "b", subjects=lists), SubjectTerms.of([TOKEN]))
    assert positions(found) == {"subjects": [1, 3]}


def test_value_instead_of_token(rows):
    """A raw value in an identity column is found, and said to be in the clear."""
    batch = rows.ledgered("spans", 3, "b", user_id=[TOKEN, VALUE, None])
    found, clear = match_named("spans", batch, SubjectTerms.of([TOKEN, VALUE]))
    assert positions(found) == {"user_id": [0, 1]}
    assert np.flatnonzero(clear).tolist() == [1]


def test_older_file(rows):
    """A file from before a column came into its table is searched by the columns that it has."""
    batch = rows.ledgered("spans", 2, "b", subjects=[[TOKEN], None]).drop_columns(["user_id"])
    found, _ = match_named("spans", batch, SubjectTerms.of([TOKEN]))
    assert positions(found) == {"subjects": [0]}


@pytest.mark.parametrize("ascii_", [True, False])
@pytest.mark.parametrize("spelling", [VALUE, VALUE.lower(), VALUE.upper(), VALUE.replace("ë", "e\u0308")])
def test_value_in_a_text(rows, ascii_, spelling):
    """A value is found in JSON and plain text, in either case, composed or decomposed, escaped or not."""
    texts = [json.dumps({"note": f"ask {spelling}, please"}, ensure_ascii=ascii_), '{"note":"nobody"}', None]
    found, clear = match_texts(rows.ledgered("spans", 3, "b", attributes=texts), SubjectTerms.of([VALUE]))
    assert positions(found) == {"attributes": [0]}
    assert np.flatnonzero(clear).tolist() == [0]


def test_token_in_a_text_is_not_in_the_clear(rows):
    """A token inside of a text is found in it; only values are in the clear."""
    batch = rows.ledgered("logs", 2, "b", body=[f"user {TOKEN} said no", "nothing"])
    found, clear = match_texts(batch, SubjectTerms.of([TOKEN, VALUE]))
    assert positions(found) == {"body": [0]}
    assert not clear.any()


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('{"employee.number":"4711"}', True),
        ('{"a":1,"employee.number":"4711","b":2}', True),
        ('{"employee.number" : "4711" }', True),
        ('{"deep":{"employee.number":"4711"}}', True),
        ('{"employee.number":4711}', False),
        ('{"employee.number":"47110"}', False),
        ('{"employee.number":"4711","x":0}', True),
        ('{"my.employee.number":"4711"}', False),
        ('{"note":"\\"employee.number\\":\\"4711\\","}', False),
        ('{"employeexnumber":"4711"}', False),
    ],
)
def test_attribute(rows, attributes, expected):
    """An attribute is found where a JSON object has this member with exactly this value."""
    terms = SubjectTerms(attributes=(AttributeTerm("employee.number", "4711"),))
    found, _ = match_texts(rows.ledgered("spans", 1, "b", attributes=[attributes]), terms)
    assert positions(found) == ({"attributes": [0]} if expected else {})


@pytest.mark.parametrize(("text", "expected"), [('{"n":12}', True), ('{"n":12,"m":1}', True), ('{"n":123}', False)])
def test_number_attribute(rows, text, expected):
    """A number ends where its digits end."""
    terms = SubjectTerms(attributes=(AttributeTerm("n", 12),))
    found, _ = match_texts(rows.ledgered("logs", 1, "b", attributes=[text]), terms)
    assert bool(found) is expected


def test_only_acts(rows):
    """An event stays where the person is its actor, or for whom it was done, and stands nowhere else, content attributes included."""
    acting = json.dumps({"audit.actor.id": TOKEN, "audit.on_behalf_of": TOKEN}, separators=(",", ":"))
    more = json.dumps({"audit.actor.id": TOKEN, "user.id": TOKEN}, separators=(",", ":"))
    cases = [
        ({"actor_id": TOKEN, "attributes": acting}, True),
        ({"on_behalf_of": TOKEN, "attributes": acting}, True),
        ({"actor_id": TOKEN, "subject_id": TOKEN, "attributes": acting}, False),
        ({"actor_id": TOKEN, "resource_id": TOKEN, "attributes": acting}, False),
        ({"actor_id": TOKEN, "body": f"{TOKEN} left", "attributes": acting}, False),
        ({"actor_id": TOKEN, "attributes": more}, False),
        ({"subject_id": TOKEN, "attributes": "{}"}, False),
        ({"actor_id": OTHER, "attributes": "{}"}, False),
    ]
    names = {name for values, _ in cases for name in values}
    batch = rows.ledgered(
        "audit_events",
        len(cases),
        "b",
        subjects=[[TOKEN]] * len(cases),
        **{name: [values.get(name) for values, _ in cases] for name in names},
    )
    assert only_acts(batch, SubjectTerms.of([TOKEN])).tolist() == [expected for _, expected in cases]


def test_terms():
    """Words are told apart into tokens and values; none, or an empty one, is refused."""
    terms = SubjectTerms.of([TOKEN, VALUE, TOKEN])
    assert (terms.tokens, terms.values) == ((TOKEN,), (VALUE,))
    for words in ([], [" "]):
        with pytest.raises(InputError):
            SubjectTerms.of(words)


def test_spellings_hold_the_json_forms():
    """What JSON escapes is searched for as JSON writes it."""
    assert {'a"b', 'a\\"b'} <= set(spellings_of('a"b'))
    assert "zo\\u00eb" in spellings_of("zoë")
