"""Ids of persons become tokens wherever the decoder puts them, and only theirs."""

import pytest


@pytest.fixture
def vault(redacting):
    return redacting.MemoryVault()


@pytest.fixture
def engine(redacting, vault):
    return redacting.redactor(vault=vault)


def test_columns_and_members_get_the_same_token(redacting, engine, vault):
    """The same person has one token in a column, an attribute, a resource, an event and a link."""
    found = redacting.treat(
        engine,
        spans=[{
            "user_id": "bob", "attributes": {"user.id": "bob", "a": "x", "enduser.id": "bob"}, "resource": {"user.id": "bob"},
            "events": [{"name": "e", "attributes": {"user.id": "bob"}}], "links": [{"attributes": {"langfuse.user.id": "bob"}}],
        }],
    )  # fmt: skip
    token = vault.token("acme", "bob")
    assert redacting.column(found, "spans", "user_id") == [token]
    assert redacting.column(found, "spans", "attributes") == [f'{{"user.id":"{token}","a":"x","enduser.id":"{token}"}}']
    for name in ("resource", "events", "links"):
        assert f'":"{token}"' in redacting.column(found, "spans", name)[0]
    assert not any("bob" in text for text in redacting.all_texts(found))
    assert redacting.member(found, "spans", "redactions") == {"identity": 6}
    assert redacting.column(found, "spans", "subjects") == [[token]]


def test_tenants_have_tokens_of_their_own(redacting, engine, vault):
    """Rows of several tenants in one batch are told apart, shared texts and all."""
    rows = [
        {"tenant_id": tenant, "user_id": user, "attributes": {"user.id": user}, "resource": {"user.id": "root"}}
        for user in ("bob", "eve") for tenant in ("acme", "globex", "acme")
    ]  # fmt: skip
    found = redacting.treat(engine, spans=rows)
    for at, row in enumerate(rows):
        token, root = (vault.token(row["tenant_id"], value) for value in (row["user_id"], "root"))
        assert redacting.column(found, "spans", "user_id")[at] == token
        assert redacting.member(found, "spans", "attributes", at) == {"user.id": token}
        assert redacting.member(found, "spans", "resource", at) == {"user.id": root}
        assert redacting.column(found, "spans", "subjects")[at] == sorted({token, root})
    assert vault.token("acme", "bob") != vault.token("globex", "bob")


def test_each_value_is_asked_for_once(redacting, engine, vault):
    """A thousand records of one person cost the vault one question."""
    redacting.treat(engine, spans=[{"user_id": "bob", "attributes": {"user.id": "bob"}}] * 1000)
    assert vault.calls == [("acme", ["bob"])]


VALUES = [
    ("escapes", {"user.id": 'a"\\\n\té'}, 'a"\\\n\té'),
    ("a number", {"user.id": 12345}, "12345"),
    ("a fraction", {"user.id": -1.5}, "-1.5"),
    ("a long id", {"user.id": "x" * 200}, "x" * 200),
    ("beyond ASCII", {"user.id": "用户😀"}, "用户😀"),
    ("an address", {"user.id": "Bob@Example.org"}, "bob@example.org"),
    ("JSON", {"user.id": '{"a":1}'}, '{"a":1}'),
    ("a key of another case", {"userId": "bob"}, "bob"),
    ("a key with words before it", {"app.endUserId": "bob"}, "bob"),
    ("nested", {"who": {"user.id": "bob"}}, "bob"),
    ("in a list", {"user.id": ["bob"]}, "bob"),
    ("JSON in JSON", {"who": '{"user_id" : "bob"}'}, "bob"),
]


@pytest.mark.parametrize(("attributes", "value"), [pytest.param(*case[1:], id=case[0]) for case in VALUES])
def test_whatever_the_id_looks_like(redacting, engine, vault, attributes, value):
    """Escapes, numbers, long values and nested ones are exchanged like plain ones."""
    found = redacting.treat(engine, spans=[{"attributes": attributes}])
    token = vault.token("acme", value)
    assert redacting.column(found, "spans", "subjects") == [[token]]
    (text,) = redacting.column(found, "spans", "attributes")
    assert text.count(token) == 1
    assert redacting.member(found, "spans", "redactions") == {"identity": 1}


@pytest.mark.parametrize("value", ["", None, True, {}, []])
def test_no_value_no_token(redacting, engine, vault, value):
    """What names nobody stays as it is, and is not counted."""
    found = redacting.treat(engine, spans=[{"user_id": "" if value == "" else None, "attributes": {"user.id": value}}])
    assert redacting.member(found, "spans", "attributes") == {"user.id": value}
    assert redacting.column(found, "spans", "redactions") == [None]
    assert vault.calls == []


def test_a_value_too_long_for_a_name_is_masked(redacting, engine, vault):
    """An id of more than a thousand characters is none."""
    found = redacting.treat(engine, spans=[{"user_id": "x" * 1025}])
    assert redacting.column(found, "spans", "user_id") == ["[IDENTITY]"]
    assert vault.calls == []


def test_ours_already(redacting, engine, vault):
    """A record that comes again keeps its tokens and counts nothing; another tenant's token is a value like any."""
    mine, theirs = vault.token("acme", "bob"), vault.token("globex", "bob")
    vault.calls.clear()
    found = redacting.treat(engine, spans=[{"user_id": mine, "attributes": {"user.id": mine}}, {"user_id": theirs}])
    assert redacting.column(found, "spans", "user_id") == [mine, vault.token("acme", theirs)]
    assert redacting.column(found, "spans", "redactions") == [None, '{"identity":1}']
    assert redacting.column(found, "spans", "subjects")[0] == [mine]


def test_a_vault_out_of_reach_masks(redacting, engine, vault):
    """Nobody waits for the vault and no value is kept without it."""
    vault.is_down = True
    found = redacting.treat(
        engine, spans=[{"user_id": "bob", "attributes": {"user.id": "bob", "e": {"user.id": "bob"}}}]
    )
    assert redacting.column(found, "spans", "user_id") == ["[IDENTITY]"]
    assert redacting.member(found, "spans", "attributes") == {"user.id": "[IDENTITY]", "e": {"user.id": "[IDENTITY]"}}
    assert redacting.column(found, "spans", "subjects") == [None]
    assert redacting.member(found, "spans", "redactions") == {"identity": 3}
    assert redacting.column(found, "spans", "data_class") == ["confidential"]


ACTIONS = [("mask", "[IDENTITY]", 2), ("drop", None, 2), ("keep", "bob", 0)]


@pytest.mark.parametrize(("action", "expected", "count"), ACTIONS)
def test_the_policy_says_what_happens_to_ids(redacting, vault, action, expected, count):
    """Ids are masked, dropped or kept where the policy says so."""
    engine = redacting.redactor(f"identity: {action}", vault=vault)
    found = redacting.treat(engine, spans=[{"user_id": "bob", "attributes": {"user.id": "bob"}}])
    assert redacting.column(found, "spans", "user_id") == [expected]
    assert redacting.member(found, "spans", "attributes") == {"user.id": expected}
    assert redacting.column(found, "spans", "redactions") == [f'{{"identity":{count}}}' if count else None]
    assert vault.calls == []


ACTORS = [
    ("a user", "user", "key:k1", True),
    ("nobody said", None, "key:k1", True),
    ("an unknown type", "Person", "key:k1", True),
    ("an agent", "agent", "key:k1", False),
    ("an agent in capitals", "AGENT", "key:k1", False),
    ("a service", "service", "key:k1", False),
    ("Muniment's own user", "user", "user:bob", False),
    ("somebody in what a user imported", "user", "user:alice", True),
    ("Muniment itself", None, "muniment:collector", False),
]


@pytest.mark.parametrize(("kind", "recorded_by", "is_person"), [pytest.param(*case[1:], id=case[0]) for case in ACTORS])
def test_only_persons_who_act_get_tokens(redacting, engine, vault, kind, recorded_by, is_person):
    """An actor is exchanged where it may be a person; who acts on Muniment itself is named as it is."""
    found = redacting.treat(
        engine,
        audit_events=[{
            "actor_id": "bob", "actor_type": kind, "recorded_by": recorded_by, "on_behalf_of": "eve",
            "attributes": {"audit.actor.id": "bob", "audit.on_behalf_of": "eve"},
        }],
    )  # fmt: skip
    bob, eve = (vault.token("acme", name) for name in ("bob", "eve"))
    expected = bob if is_person else "bob"
    assert redacting.column(found, "audit_events", "actor_id") == [expected]
    assert redacting.member(found, "audit_events", "attributes") == {
        "audit.actor.id": expected,
        "audit.on_behalf_of": eve,
    }
    assert redacting.column(found, "audit_events", "on_behalf_of") == [eve]


def test_an_actor_that_is_no_person_is_searched(redacting, engine):
    """A service that calls itself by somebody's address does not keep it."""
    found = redacting.treat(engine, audit_events=[{"actor_id": "jane.doe@example.org", "actor_type": "service"}])
    assert redacting.column(found, "audit_events", "actor_id") == ["[EMAIL]"]


def test_ids_among_other_findings(redacting, engine, vault):
    """A cell that is treated with care has its ids exchanged once, and what else it holds too."""
    found = redacting.treat(
        engine,
        spans=[
            {"attributes": {"user.id": "bob", "note": "write to jane.doe@example.org"}},
            {"attributes": {"user.id": "bob"}},
        ],
    )
    token = vault.token("acme", "bob")
    assert redacting.member(found, "spans", "attributes") == {"user.id": token, "note": "write to [EMAIL]"}
    assert redacting.member(found, "spans", "redactions") == {"email": 1, "identity": 1}
    assert redacting.member(found, "spans", "attributes", 1) == {"user.id": token}


def test_rows_without_ids_are_left_alone(redacting, engine):
    """Only rows that hold an id change."""
    rows = [{"attributes": {"a": "x"}}, {"user_id": "bob"}, {"attributes": {"b": "y"}}]
    found = redacting.treat(engine, spans=rows)
    assert redacting.column(found, "spans", "attributes") == ['{"a":"x"}', None, '{"b":"y"}']
    assert redacting.column(found, "spans", "redactions") == [None, '{"identity":1}', None]
    assert redacting.column(found, "spans", "data_class") == ["internal", "confidential", "internal"]
