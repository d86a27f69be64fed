"""Every record says how carefully it has to be handled, and why."""

import pytest


@pytest.fixture
def vault(redacting):
    return redacting.MemoryVault()


def classified(redacting, engine, row, table="spans"):
    """(class, categories, counts) of one row."""
    found = redacting.treat(engine, **{table: [row]})
    return tuple(redacting.column(found, table, name)[0] for name in ("data_class", "categories", "redactions"))


FOUND = [
    ("nothing", {"attributes": {"a": "x"}}, "internal", None, None),
    ("an address", {"status_message": "a@example.org"}, "confidential", '["pii"]', '{"email":1}'),
    ("a card", {"status_message": "4111 1111 1111 1111"}, "restricted", '["pci"]', '{"card":1}'),
    ("a password", {"attributes": {"password": "x"}}, "restricted", '["secret"]', '{"secret":1}'),
    ("an id", {"user_id": "bob"}, "confidential", '["pii"]', '{"identity":1}'),
    (
        "several in several places",
        {"status_message": "a@example.org b@example.org", "attributes": {"password": "x", "n": "4111 1111 1111 1111"}, "user_id": "bob"},
        "restricted", '["pci","pii","secret"]', '{"card":1,"email":2,"identity":1,"secret":1}',
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "data_class", "categories", "counts"), [pytest.param(*case[1:], id=case[0]) for case in FOUND]
)
def test_what_is_found_classifies(redacting, vault, row, data_class, categories, counts):
    """The highest class wins, categories and counts are told sorted."""
    assert classified(redacting, redacting.redactor(vault=vault), row) == (data_class, categories, counts)


DECLARED = [
    ("public is no lower", {"dataclassification": "public"}, "internal", None),
    ("internal", {"dataclassification": "internal"}, "internal", None),
    ("confidential", {"cloudevents.dataclassification": "Confidential"}, "confidential", None),
    ("restricted", {"dataclassification": "restricted"}, "restricted", None),
    ("an unknown word", {"dataclassification": "eyes only"}, "restricted", None),
    ("no text", {"dataclassification": 7}, "restricted", None),
    ("as HTTP headers spell it", {"ce-dataclassification": "sensitive"}, "confidential", None),
    ("a law", {"dataregulation": "GDPR"}, "confidential", '["pii"]'),
    ("several laws", {"cloudevents.dataregulation": "gdpr, HIPAA;PCI-DSS"}, "restricted", '["pci","phi","pii"]'),
    ("a law of somewhere", {"dataregulation": "PIPEDA"}, "confidential", '["pii"]'),
    ("no law", {"dataregulation": " , "}, "internal", None),
    ("below another key it declares nothing", {"a": {"dataclassification": "restricted"}}, "internal", None),
]


@pytest.mark.parametrize(("attributes", "data_class", "categories"), [pytest.param(*c[1:], id=c[0]) for c in DECLARED])
@pytest.mark.parametrize("place", ["attributes", "resource"])
def test_senders_declare_a_class(redacting, attributes, data_class, categories, place):
    """CloudEvents' attributes raise a record's class, never lower it, and are kept."""
    engine = redacting.redactor()
    assert classified(redacting, engine, {place: attributes}) == (data_class, categories, None)
    found = redacting.treat(engine, spans=[{place: attributes}])
    assert redacting.member(found, "spans", place) == attributes


def test_a_declared_class_never_lowers_what_was_found(redacting):
    """A card stays restricted, whatever its sender calls it."""
    row = {"attributes": {"dataclassification": "public", "n": "4111 1111 1111 1111"}}
    assert classified(redacting, redacting.redactor(), row)[0] == "restricted"


def test_a_shared_resource_classifies_every_row(redacting):
    """What a resource declares and holds counts for each record below it."""
    resource = {"dataclassification": "restricted", "owner": "a@example.org"}
    found = redacting.treat(redacting.redactor(), logs=[{"resource": resource}] * 3 + [{"resource": {"a": "x"}}])
    assert redacting.column(found, "logs", "data_class") == ["restricted"] * 3 + ["internal"]
    assert redacting.column(found, "logs", "redactions") == ['{"email":1}'] * 3 + [None]
    assert "a@example.org" not in "".join(redacting.all_texts(found))


def contents(redacting, *given):
    """Contents as (owner's table, owner's row, body)."""
    return redacting.rows(
        "contents",
        [
            {"owner_table": table, "owner_index": row, "part": "gen_ai.prompt", "body": body}
            for table, row, body in given
        ],
    )


def test_contents_tell_their_owner(redacting, vault):
    """That a restricted text went to a model is told by the record that it belongs to."""
    found = redacting.treat(
        redacting.redactor(vault=vault),
        spans=[{}, {"user_id": "bob"}, {}],
        logs=[{}],
        contents=contents(
            redacting, ("spans", 0, "4111 1111 1111 1111"), ("spans", 0, "a@example.org"), ("spans", 1, '{"user.id":"eve"}'),
            ("logs", 0, "plain"), ("spans", 2, "plain"),
        ),
    )  # fmt: skip
    assert redacting.column(found, "spans", "data_class") == ["restricted", "confidential", "internal"]
    assert redacting.column(found, "spans", "categories") == ['["pci","pii"]', '["pii"]', None]
    assert redacting.column(found, "spans", "redactions") == ['{"card":1,"email":1}', '{"identity":2}', None]
    assert redacting.column(found, "spans", "subjects") == [
        None, sorted(vault.token("acme", name) for name in ("bob", "eve")), None,
    ]  # fmt: skip
    assert redacting.column(found, "logs", "data_class") == ["internal"]
    assert redacting.column(found, "contents", "data_class") == ["restricted", *["confidential"] * 4]
    assert redacting.column(found, "contents", "body")[2] == f'{{"user.id":"{vault.token("acme", "eve")}"}}'


def test_subjects_are_sorted_and_told_once(redacting, vault):
    """Each person of a row once, in order, and nobody of another row."""
    users = [["eve", "bob", "bob", "zoe"], [], ["bob"]]
    found = redacting.treat(
        redacting.redactor(vault=vault),
        spans=[
            {"user_id": (names or [None])[0], "attributes": {"a": [{"user.id": name} for name in names]}}
            for names in users
        ],
    )
    expected = [sorted({vault.token("acme", name) for name in names}) or None for names in users]
    assert redacting.column(found, "spans", "subjects") == expected


def test_each_row_names_the_policy_that_treated_it(redacting):
    """Tenants with different policies have different hashes in one batch; both policies' own classes hold."""
    engine = redacting.redactor("""
- {name: bank, tenants: [bank], default_class: public, contents_class: restricted, classes: {email: restricted}}
- {name: others, tenants: ["*"], default_class: confidential}
""")
    rows = [
        {"tenant_id": tenant, "status_message": text} for tenant in ("bank", "acme") for text in ("x", "a@example.org")
    ]
    found = redacting.treat(engine, spans=rows)
    hashes = redacting.column(found, "spans", "redaction_policy")
    assert hashes == [engine.policy.for_tenant(row["tenant_id"]).hash for row in rows]
    assert redacting.column(found, "spans", "data_class") == ["public", "restricted", "confidential", "confidential"]


@pytest.mark.parametrize("table", ["spans", "logs", "audit_events"])
def test_every_ledgered_table_is_classified(redacting, table):
    """No row is without class and policy."""
    found = redacting.treat(redacting.redactor(), **{table: [{"attributes": {"a": "b"}}] * 3})
    assert redacting.column(found, table, "data_class") == ["internal"] * 3
    assert all(redacting.column(found, table, "redaction_policy"))
