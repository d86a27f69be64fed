"""What stands in place of a text: each action, field rules, values that are what their key says, and what cannot be searched."""

import base64
import json
from types import SimpleNamespace

import pytest

MAIL, CARD = "jane.doe@example.org", "4111 1111 1111 1111"


@pytest.fixture
def vault(redacting):
    return redacting.MemoryVault()


def treated(redacting, engine, attributes, **columns):
    """The attributes of one span as they come out, and the whole result."""
    found = redacting.treat(engine, spans=[{"attributes": attributes, **columns}])
    return redacting.member(found, "spans", "attributes"), found


ACTIONS = [
    ("keep", f"to {MAIL}!", None),
    ("mask", "to [EMAIL]!", {"email": 1}),
    ("token", "to TOKEN!", {"email": 1}),
    ("drop", None, {"email": 1}),
    ("drop_contents", "to [EMAIL]!", {"email": 1}),
]


@pytest.mark.parametrize(("action", "expected", "counts"), ACTIONS)
def test_actions_on_a_match(redacting, vault, action, expected, counts):
    """Only the match gives way, unless the value goes as a whole; a kept match classifies without a count."""
    engine = redacting.redactor(f"detectors: {{email: {action}}}", vault=vault)
    found, records = treated(redacting, engine, {"note": f"to {MAIL}!", "other": "x"})
    assert found == {"note": expected and expected.replace("TOKEN", vault.token("acme", MAIL)), "other": "x"}
    (text,) = redacting.column(records, "spans", "redactions")
    assert (text and json.loads(text)) == counts
    assert redacting.column(records, "spans", "data_class") == ["confidential"]
    assert redacting.column(records, "spans", "categories") == ['["pii"]']


def test_partial_keeps_what_the_detector_says(redacting):
    """The last digits of a card say which one it was, and no more."""
    found, _ = treated(redacting, redacting.redactor("detectors: {card: partial}"), {"note": f"by {CARD}."})
    assert found == {"note": "by ****1111."}


def test_a_rejected_record_is_nowhere_but_in_rejected(redacting):
    """The row is named with what was found; the others stay in order, contents follow their owners."""
    engine = redacting.redactor("detectors: {card: reject}")
    texts = ["a", CARD, "b", "c"]
    contents = [
        {"owner_table": "spans", "owner_index": row, "part": "p", "body": f"of {row}" if row != 2 else CARD}
        for row in range(4)
    ]
    found = redacting.treat(
        engine,
        spans=[{"status_message": text} for text in texts],
        contents=redacting.rows("contents", contents),
        logs=[{"body": "x"}],
    )
    assert [(row.table, row.row, row.reason, row.tenant_id) for row in found.rejected] == [
        ("spans", 1, "card", "acme"), ("spans", 2, "card", "acme"),
    ]  # fmt: skip
    assert redacting.column(found, "spans", "status_message") == ["a", "c"]
    assert redacting.column(found, "contents", "body") == ["of 0", "of 3"]
    assert redacting.column(found, "contents", "owner_index") == [0, 1]
    assert redacting.column(found, "logs", "body") == ["x"]


def test_a_set_of_which_nothing_stays_is_empty(redacting):
    """Tables without a row are left out."""
    found = redacting.treat(redacting.redactor("detectors: {card: reject}"), spans=[{"status_message": CARD}])
    assert found.tables == {}
    assert len(found.rejected) == 1


@pytest.mark.parametrize("place", ["attributes", "contents"])
def test_drop_contents_takes_all_contents_of_the_record(redacting, place):
    """One match anywhere in a record is enough, and no other record loses its contents."""
    engine = redacting.redactor("detectors: {card: drop_contents}")
    bodies = [CARD if place == "contents" else "plain", "other", "of another"]
    found = redacting.treat(
        engine,
        spans=[{"attributes": {"n": CARD if place == "attributes" else "x"}}, {}],
        contents=redacting.rows(
            "contents",
            [
                {"owner_table": "spans", "owner_index": o, "part": "p", "body": b}
                for o, b in zip((0, 0, 1), bodies, strict=True)
            ],
        ),
    )
    assert redacting.column(found, "contents", "body") == ["of another"]
    assert redacting.column(found, "spans", "redactions") == ['{"card":1}', None]


def test_contents_may_be_dropped_altogether(redacting):
    """`contents: drop` keeps none, and what was in them still classifies their record."""
    found = redacting.treat(
        redacting.redactor("contents: drop"),
        spans=[{}],
        contents=redacting.rows("contents", [{"owner_table": "spans", "owner_index": 0, "part": "p", "body": CARD}]),
    )
    assert "contents" not in found.tables
    assert redacting.column(found, "spans", "data_class") == ["restricted"]


RULES = [
    ("mask", "{keys: [note], action: mask}", {"note": "hello"}, {"note": "[REDACTED]"}, {"field": 1}),
    ("drop", "{keys: [note], action: drop}", {"note": "hello"}, {"note": None}, {"field": 1}),
    ("keep", "{keys: [note], action: keep}", {"note": MAIL}, {"note": MAIL}, None),
    ("token", "{keys: [note], action: token}", {"note": "bob"}, {"note": "TOKEN"}, {"identity": 1}),
    ("a number", "{keys: [note], action: mask}", {"note": 12}, {"note": "[REDACTED]"}, {"field": 1}),
    ("a pattern", "{keys: ['n?t*'], action: drop}", {"note": "x", "nut": "y", "net.a": "z", "no": "k"}, {"note": None, "nut": None, "net.a": None, "no": "k"}, {"field": 3}),
    ("one of several letters", "{keys: ['x[0-9]'], action: drop}", {"x1": "a", "xy": "b"}, {"x1": None, "xy": "b"}, {"field": 1}),
    ("all but some letters", "{keys: ['x[!0-9]'], action: drop}", {"x1": "a", "xy": "b"}, {"x1": "a", "xy": None}, {"field": 1}),
    ("what lies below", "{keys: [note], action: drop}", {"note": {"a": ["x", 1]}}, {"note": {"a": [None, None]}}, {"field": 2}),
    ("a nested key", "{keys: [note], action: drop}", {"a": {"note": "x"}}, {"a": {"note": None}}, {"field": 1}),
    ("JSON in a text", "{keys: [note], action: drop}", {"a": '{"note" : "x"}'}, {"a": '{"note" : null}'}, {"field": 1}),
    ("a detector's word", "{keys: [note], detectors: {email: keep}}", {"note": MAIL, "b": MAIL}, {"note": MAIL, "b": "[EMAIL]"}, {"email": 1}),
    ("an id", "{keys: [user.id], action: drop}", {"user.id": "bob"}, {"user.id": None}, {"field": 1}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "given", "expected", "counts"), [pytest.param(*case[1:], id=case[0]) for case in RULES]
)
def test_rules_for_fields_come_first(redacting, vault, rule, given, expected, counts):
    """A value whose key the policy names is treated as the policy says, whatever is in it."""
    found, records = treated(redacting, redacting.redactor(f"attributes: [{rule}]", vault=vault), given)
    assert found == json.loads(json.dumps(expected).replace("TOKEN", vault.token("acme", "bob")))
    (text,) = redacting.column(records, "spans", "redactions")
    assert (text and json.loads(text)) == counts


def test_a_rule_may_only_classify(redacting):
    """Class and categories of a field hold for its record although nothing is changed."""
    engine = redacting.redactor("attributes: [{keys: [diagnosis], class: restricted, categories: [phi]}]")
    found, records = treated(redacting, engine, {"diagnosis": "J45"})
    assert found == {"diagnosis": "J45"}
    assert redacting.column(records, "spans", "data_class") == ["restricted"]
    assert redacting.column(records, "spans", "categories") == ['["phi"]']


@pytest.mark.parametrize(("name", "key"), [("status_message", "status_message"), ("tool_name", "tool_name")])
def test_rules_name_columns_too(redacting, name, key):
    """A column is a field like an attribute."""
    engine = redacting.redactor(f"attributes: [{{keys: [{key}], action: mask}}]")
    found = redacting.treat(engine, spans=[{name: "hello"}, {name: None}])
    assert redacting.column(found, "spans", name) == ["[REDACTED]", None]


def test_parts_of_contents_are_fields(redacting):
    """A content is named by its part."""
    engine = redacting.redactor("attributes: [{keys: [gen_ai.prompt], action: mask}]")
    bodies = [
        {"owner_table": "spans", "owner_index": 0, "part": part, "body": "hello"} for part in ("gen_ai.prompt", "other")
    ]
    found = redacting.treat(engine, spans=[{}], contents=redacting.rows("contents", bodies))
    assert redacting.column(found, "contents", "body") == ["[REDACTED]", "hello"]


KEYED = [
    ("password", {"password": "hunter2"}, "[SECRET]"), ("pass of a database", {"dbPass": "x y"}, "[SECRET]"), ("answer", {"security_answer": "Rex"}, "[SECRET]"), ("ssn", {"ssn": "nearly one"}, "[SSN]"), ("iban", {"iban": "x1"}, "[IBAN]"),
    ("words before it", {"db.password": "x"}, "[SECRET]"), ("words run together", {"dbUserPassword": "x"}, "[SECRET]"),
    ("a phone as a number", {"phone": 4155550100}, "[PHONE]"), ("a phone of camels", {"homePhoneNumber": "4155550100"}, "[PHONE]"),
    ("an address", {"email": "not one"}, "[EMAIL]"), ("a birthday", {"date_of_birth": "1 May"}, "[DATE_OF_BIRTH]"),
    ("a name", {"firstName": "Jo"}, "[PERSON]"), ("authorization", {"authorization": "Basic x"}, "[SECRET]"),
]  # fmt: skip


@pytest.mark.parametrize(("attributes", "expected"), [pytest.param(*case[1:], id=case[0]) for case in KEYED])
@pytest.mark.parametrize("levels", range(5))
def test_keys_that_say_what_their_values_are(redacting, attributes, expected, levels):
    """The key is enough, however deep in JSON of JSON it stands."""
    given = attributes
    for _ in range(levels):
        given = {"a": json.dumps(given)}
    found, records = treated(redacting, redacting.redactor(), given)
    for _ in range(levels):
        found = json.loads(found["a"])
    assert found == dict.fromkeys(attributes, expected)
    assert sum(redacting.member(records, "spans", "redactions").values()) == 1


UNTOUCHED = [
    {"max_tokens": 4096, "completion_token": 3, "access_token": 7}, {"gen_ai.usage.input_tokens": 12}, {"eos_token": "</s>"},
    {"tool.name": "John Smith"}, {"model": "Dr Phil"}, {"trace.id": "4155550132"}, {"lifespan": "x"}, {"tokens": "abc"},
    {"createdAt": "2026-01-02T03:04:05Z"}, {"is_active": True, "nothing": None},
]  # fmt: skip


@pytest.mark.parametrize("attributes", UNTOUCHED, ids=json.dumps)
def test_names_numbers_and_counts_stay(redacting, attributes):
    """Counts called tokens, names of technical things and ids are not taken for personal data."""
    found, records = treated(redacting, redacting.redactor(), attributes)
    assert found == attributes
    assert redacting.column(records, "spans", "redactions") == [None]


def broken(text):
    if "kaboom" in text:
        raise RuntimeError(f"fails on {text}")
    return []


def test_a_detector_that_fails_withholds_its_text(redacting, caplog):
    """What could not be searched is not kept, and nothing else suffers; the text stands in no log."""
    engine = redacting.redactor(detectors=redacting.named(redacting.detector("bad", "boom", find=broken)))
    found, records = treated(
        redacting, engine, {"a": "kaboom 1", "b": {"c": "kaboom 2"}, "d": "boom", "e": MAIL}, status_message="kaboom 3"
    )
    assert found == {"a": "[WITHHELD]", "b": {"c": "[WITHHELD]"}, "d": "boom", "e": "[EMAIL]"}
    assert redacting.column(records, "spans", "status_message") == ["[WITHHELD]"]
    assert redacting.member(records, "spans", "redactions") == {"email": 1, "withheld": 3}
    assert redacting.column(records, "spans", "data_class") == ["restricted"]
    assert "kaboom" not in caplog.text


def test_keys_that_cannot_be_searched_are_withheld(redacting):
    """A key is a text too."""
    engine = redacting.redactor(detectors=redacting.named(redacting.detector("bad", "boom", find=broken)))
    assert treated(redacting, engine, {"kaboom": "x"})[0] == {"[WITHHELD]": "x"}


def test_a_text_that_takes_too_long_is_withheld(redacting, monkeypatch):
    """Time is taken for each text: the next one has its own."""
    passed = [0.0]
    monkeypatch.setattr("collectors.redact.treatment.time", SimpleNamespace(monotonic=lambda: passed[0]))

    def slow(text):
        passed[0] += 1.5 if "slow" in text else 0
        return []

    engine = redacting.redactor(
        detectors=redacting.named(redacting.detector("lazy", "zzz", find=slow)), text_seconds=1.0
    )
    found = redacting.treat(engine, logs=[{"body": "zzz slow"}, {"body": "zzz"}, {"body": "slow"}])
    assert redacting.column(found, "logs", "body") == ["[WITHHELD]", "zzz", "slow"]
    assert redacting.column(found, "logs", "redactions") == ['{"withheld":1}', None, None]


@pytest.mark.parametrize("name", ["attributes", "resource", "events", "links"])
def test_json_that_fails_as_a_whole_stays_json(redacting, name):
    """Whoever reads the column later still finds an object or a list in it."""
    given = f'{{"a":"{MAIL}\\q"}}' if name in {"attributes", "resource"} else f'["{MAIL}\\q"]'
    found = redacting.treat(redacting.redactor(), spans=[{name: given}])
    (text,) = redacting.column(found, "spans", name)
    assert MAIL not in text
    assert isinstance(json.loads(text), dict if given[0] == "{" else list)


def test_what_lies_too_deep_is_withheld(redacting):
    """JSON in JSON in JSON ends somewhere; nesting that no parser follows too."""
    given = {"user.id": "bob"}
    for _ in range(10):
        given = {"a": json.dumps(given)}
    for attributes in (given, {"a": "[" * 2000 + '{"user.id":"bob"}' + "]" * 2000}):
        _, records = treated(redacting, redacting.redactor(), attributes)
        assert redacting.member(records, "spans", "redactions") == {"withheld": 1}
        assert not any("bob" in text for text in redacting.all_texts(records))


def test_a_cell_whose_second_treatment_finds_more_is_treated_still(redacting, vault):
    """Time or chance may let a detector find in the second round what it missed in the first: nobody waits for a third."""
    seen = []

    def flaky(text):
        if "EMP-7" not in text:
            return []
        seen.append(text)
        if len(seen) == 1:
            raise TimeoutError
        return [redacting.Match(0, 5)]

    detectors = redacting.named(redacting.detector("emp", "EMP-", find=flaky))
    engine = redacting.redactor("detectors: {emp: token}", vault=vault, detectors=detectors)
    found, _ = treated(redacting, engine, {"a": {"user.id": "bob"}, "b": "EMP-7"})
    assert "EMP-7" not in json.dumps(found)
    assert len(seen) == 2


def test_a_value_that_was_masked_before_is_left(redacting):
    """A record that comes again counts nothing."""
    engine = redacting.redactor()
    first, records = treated(redacting, engine, {"password": "x", "note": f"{MAIL} {CARD}"})
    again, records = treated(redacting, engine, first)
    assert again == first
    assert redacting.column(records, "spans", "redactions") == [None]


def test_explain_tells_offsets(redacting):
    """`muniment redact test` shows where what was found stood, and what stands there now."""
    engine = redacting.redactor()
    new, findings = engine.explain("acme", f"to {MAIL} now")
    assert new == "to [EMAIL] now"
    (found,) = findings.details
    assert (found.start, found.end, found.detector, found.action, found.replacement) == (
        3,
        3 + len(MAIL),
        "email",
        "mask",
        "[EMAIL]",
    )
    new, findings = engine.explain("acme", json.dumps({"a": {"b": MAIL}}))
    assert json.loads(new) == {"a": {"b": "[EMAIL]"}}
    assert findings.details[0].path == ("a", "b")


def test_a_small_group_needs_no_scan(redacting):
    """A few records are treated by every detector, before anything is compiled, with the same result."""
    row = {
        "attributes": {"user.id": "bob", "password": "x", "n": MAIL, "tool.name": "John Smith"},
        "status_message": CARD,
    }
    small, large = (
        redacting.treat(redacting.redactor(vault=redacting.MemoryVault(), small=small), spans=[row])
        for small in (True, False)
    )
    assert small.tables["spans"].equals(large.tables["spans"])


BYTES = [
    ("a text", f"to {MAIL}".encode(), b"to [EMAIL]"),
    ("nothing found", b"hello", b"hello"),
    ("no text", b"\xff\x00\xfe", b"\xff\x00\xfe"),
    ("a text among bytes", b"\xff " + CARD.encode() + b" \xfe", b"\xff [CARD] \xfe"),
    ("JSON", b'{"password" : "x"}', b'{"password" : "[SECRET]"}'),
]


@pytest.mark.parametrize(("given", "expected"), [pytest.param(*case[1:], id=case[0]) for case in BYTES])
def test_bytes_are_looked_into(redacting, given, expected):
    """An attribute of bytes hides nothing that a text would not."""
    value = {"a": {"$bytes": base64.b64encode(given).decode()}}
    found, _ = treated(redacting, redacting.redactor(), value)
    assert base64.b64decode(found["a"]["$bytes"]) == expected


def test_bytes_that_are_none_are_a_text(redacting):
    """Whoever calls a text bytes does not get it past the detectors."""
    assert treated(redacting, redacting.redactor(), {"$bytes": MAIL})[0] == {"$bytes": "[EMAIL]"}


PROSE = "please call the customer back today on +1 415 555 0173 about the late delivery"


def test_prose_in_place_of_a_name_is_searched(redacting):
    """A whole sentence under a key of names is no name: everybody looks at it, in attributes and in columns."""
    found, records = treated(
        redacting, redacting.redactor(), {"tool.name": PROSE, "model": "+1 415 555 0173"}, tool_name=PROSE
    )
    masked = PROSE.replace("+1 415 555 0173", "[PHONE]")
    assert found == {"tool.name": masked, "model": "+1 415 555 0173"}
    assert redacting.column(records, "spans", "tool_name") == [masked]


def test_keys_that_are_json_are_looked_into(redacting):
    """A key with escapes says what it says unescaped."""
    found, _ = treated(redacting, redacting.redactor(), {json.dumps({"note": f"\u00a0{CARD}", "password": "x"}): 1})
    assert [json.loads(key) for key in found] == [{"note": "\u00a0[CARD]", "password": "[SECRET]"}]


COLUMN_RULES = [
    ("an attribute's rule reaches its column", "{keys: [gen_ai.agent.name], action: drop}", "agent_name", None),
    ("one that keeps does not", "{keys: [user.id], action: keep}", "user_id", "TOKEN"),
    ("the column's own does", "{keys: [user_id], action: keep}", "user_id", "bob"),
    ("an id may be dropped", "{keys: [user.id], action: drop}", "user_id", None),
]


@pytest.mark.parametrize(("rule", "name", "expected"), [pytest.param(*case[1:], id=case[0]) for case in COLUMN_RULES])
def test_rules_reach_the_columns_that_attributes_fill(redacting, vault, rule, name, expected):
    """What is not to be kept of an attribute is not kept in the column that it filled either."""
    engine = redacting.redactor(f"attributes: [{rule}]", vault=vault)
    found = redacting.treat(engine, spans=[{name: "bob", "attributes": {}}])
    (value,) = redacting.column(found, "spans", name)
    assert value == (vault.token("acme", "bob") if expected == "TOKEN" else expected)


@pytest.mark.parametrize("key", ["user_id", "user.id"])
def test_a_rule_about_ids_may_reject_the_record(redacting, vault, key):
    """The column of ids is enough for it."""
    engine = redacting.redactor(f"attributes: [{{keys: [{key}], action: reject, class: restricted}}]", vault=vault)
    found = redacting.treat(engine, spans=[{"user_id": "bob", "attributes": {}}, {"name": "stays", "attributes": {}}])
    assert [(row.table, row.row) for row in found.rejected] == [("spans", 0)]
    assert redacting.column(found, "spans", "name") == ["stays"]


@pytest.mark.parametrize(
    ("given", "expected"), [({"passcode": 4821}, {"passcode": "[SECRET]"}), ({"api_token": 4821}, {"api_token": 4821})]
)
def test_a_number_may_be_a_secret(redacting, given, expected):
    """A passcode is one; a number of tokens is none."""
    assert treated(redacting, redacting.redactor(), given)[0] == expected


NESTED = [
    ("a secret's members", {"password": {"value": "qKzndEse3V", "hint": {"a": "x"}}}, {"password": {"value": "[SECRET]", "hint": {"a": "[SECRET]"}}}),
    ("beside it nothing", {"credentials": {"pass": "hunter2x"}, "note": "hello"}, {"credentials": {"pass": "[SECRET]"}, "note": "hello"}),
    ("a person's id below the person", {"user": {"id": "bob", "plan": "pro"}}, {"user": {"id": "TOKEN", "plan": "pro"}}),
    ("an id of something else", {"order": {"id": "bob"}}, {"order": {"id": "bob"}}),
    ("a user by other names", {"gen_ai.user": "bob", "uid": "bob", "enduser.pseudo.id": "bob"}, {"gen_ai.user": "TOKEN", "uid": "TOKEN", "enduser.pseudo.id": "TOKEN"}),
    ("one-time codes", {"otp": "481516", "pin": 4815}, {"otp": "[SECRET]", "pin": "[SECRET]"}),
]  # fmt: skip


@pytest.mark.parametrize("small", [True, False], ids=["without a scan", "scanned"])
@pytest.mark.parametrize(("given", "expected"), [pytest.param(*case[1:], id=case[0]) for case in NESTED])
def test_what_stands_above_a_value_counts(redacting, vault, given, expected, small):
    """Members of a secret are secret, and an id below a person is that person's."""
    found, _ = treated(redacting, redacting.redactor(vault=vault, small=small), given)
    assert found == json.loads(json.dumps(expected).replace("TOKEN", vault.token("acme", "bob")))
