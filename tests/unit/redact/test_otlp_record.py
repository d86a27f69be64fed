"""A refused record goes to quarantine treated as its row would have been, and can be sent again."""

import json

import pytest

MAIL, CARD = "jane.doe@example.org", "4111 1111 1111 1111"


def text(value):
    return {"stringValue": value}


def record(attributes, **span):
    """A one-span request in OTLP/JSON."""
    pairs = [{"key": key, "value": value} for key, value in attributes.items()]
    return json.dumps({
        "resourceSpans": [{
            "resource": {"attributes": pairs},
            "scopeSpans": [{"scope": {"name": "s"}, "spans": [{
                "traceId": "31" * 16, "spanId": "32" * 8, "name": "chat", "startTimeUnixNano": "1795392000000000000",
                "attributes": pairs, **span,
            }]}],
        }]
    })  # fmt: skip


@pytest.fixture
def vault(redacting):
    return redacting.MemoryVault()


@pytest.fixture
def treat(redacting, vault):
    engine = redacting.redactor(vault=vault)
    return lambda given: json.loads(engine.redact_record("acme", given))


def span_of(found):
    return found["resourceSpans"][0]["scopeSpans"][0]["spans"][0]


VALUES = [
    ("text", text(f"write to {MAIL}"), text("write to [EMAIL]")),
    ("nothing found", text("hello"), text("hello")),
    ("a number", {"intValue": "4111111111111111"}, text("[CARD]")),
    ("a number as JSON writes it", {"intValue": 4111111111111111}, text("[CARD]")),
    ("other numbers", {"intValue": "17"}, {"intValue": "17"}),
    ("a fraction", {"doubleValue": 0.5}, {"doubleValue": 0.5}),
    ("a flag", {"boolValue": True}, {"boolValue": True}),
    ("bytes", {"bytesValue": "amFuZS5kb2VAZXhhbXBsZS5vcmc="}, text("[BYTES]")),
    ("a list", {"arrayValue": {"values": [text(MAIL), {"intValue": "1"}]}}, {"arrayValue": {"values": [text("[EMAIL]"), {"intValue": "1"}]}}),
    (
        "members", {"kvlistValue": {"values": [{"key": "password", "value": text("x")}, {"key": MAIL, "value": text("y")}]}},
        {"kvlistValue": {"values": [{"key": "password", "value": text("[SECRET]")}, {"key": "[EMAIL]", "value": text("y")}]}},
    ),
    ("JSON", text('{"password": "x", "n":1.0}'), text('{"password": "[SECRET]", "n":1.0}')),
    ("no value", {}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), [pytest.param(*case[1:], id=case[0]) for case in VALUES])
def test_values_are_treated_by_their_kind(treat, value, expected):
    """Texts and numbers are searched at every depth; what is no text keeps its kind unless something was found."""
    found = treat(record({"note": value}))
    assert span_of(found)["attributes"] == [{"key": "note", "value": expected}]
    assert found["resourceSpans"][0]["resource"]["attributes"] == [{"key": "note", "value": expected}]


def test_fields_outside_attributes_are_treated(treat):
    """Names, messages, events, links and bodies are searched; ids and times stay whole."""
    pair = [{"key": "note", "value": text(MAIL)}]
    found = span_of(treat(record(
        {}, name=f"chat {MAIL}", status={"message": f"no {CARD}", "code": 2}, traceState=f"a={MAIL}",
        events=[{"name": f"e {MAIL}", "timeUnixNano": "1795392000000000001", "attributes": pair}],
        links=[{"traceId": "33" * 16, "attributes": pair}],
    )))  # fmt: skip
    masked = [{"key": "note", "value": text("[EMAIL]")}]
    assert (found["traceId"], found["spanId"]) == ("31" * 16, "32" * 8)
    assert found["startTimeUnixNano"] == "1795392000000000000"
    assert (found["name"], found["status"], found["traceState"]) == (
        "chat [EMAIL]", {"message": "no [CARD]", "code": 2}, "a=[EMAIL]",
    )  # fmt: skip
    assert found["events"] == [{"name": "e [EMAIL]", "timeUnixNano": "1795392000000000001", "attributes": masked}]
    assert found["links"] == [{"traceId": "33" * 16, "attributes": masked}]


@pytest.mark.parametrize("body", [text(MAIL), {"kvlistValue": {"values": [{"key": "a", "value": text(MAIL)}]}}])
def test_bodies_of_logs_are_treated(treat, body):
    """A log's body is a value like an attribute's."""
    found = treat(json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": body, "eventName": MAIL}]}]}]}))
    assert MAIL not in json.dumps(found)
    assert "[EMAIL]" in json.dumps(found)


def test_persons_become_tokens(treat, vault):
    """Ids are exchanged as in rows, so that a replayed record joins those that were kept."""
    found = span_of(
        treat(record({"user.id": text("bob"), "note": text('{"user.id":"bob"}'), "count": {"intValue": "3"}}))
    )
    token = vault.token("acme", "bob")
    assert [pair["value"] for pair in found["attributes"]] == [
        text(token),
        text(f'{{"user.id":"{token}"}}'),
        {"intValue": "3"},
    ]
    again = span_of(treat(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [found]}]}]})))
    assert again == found


def test_a_policy_that_drops_a_value_leaves_the_key(redacting):
    """An attribute without a value is OTLP still."""
    engine = redacting.redactor("attributes: [{keys: [note], action: drop}]")
    found = span_of(json.loads(engine.redact_record("acme", record({"note": text(MAIL)}))))
    assert found["attributes"] == [{"key": "note", "value": {}}]


@pytest.mark.parametrize(
    "given", ["", "no JSON " + MAIL, '{"a":', "[" * 100_000], ids=["empty", "text", "torn", "deep"]
)
def test_what_is_no_record_is_withheld(redacting, given):
    """A text that cannot be read is not kept."""
    assert json.loads(redacting.redactor().redact_record("acme", given)) == {"withheld": "[WITHHELD]"}


STRANGE = [
    {"resourceSpans": None}, {"resourceSpans": [{"resource": {"attributes": MAIL}}]}, [MAIL], {MAIL: MAIL},
    {"key": "note", "value": MAIL}, {"key": 1, "value": MAIL}, {"key": "a", "value": {"arrayValue": None}},
    {"key": "a", "value": {"arrayValue": [MAIL]}}, {"key": "a", "value": {"kvlistValue": {"values": [MAIL, None]}}},
    {"key": "a", "value": {"kvlistValue": MAIL}}, {"key": "a", "value": {"arrayValue": {"values": None}}},
    {"key": "a", "value": {"otherValue": {"text": MAIL}}}, {"key": "a", "value": {"stringValue": [MAIL]}},
    {"key": "a", "value": {"stringValue": "x", "note": MAIL}}, {"key": "a", "value": {"boolValue": MAIL}},
    {"key": "a", "value": {"arrayValue": {"values": [], "more": MAIL}}}, {"body": [MAIL]}, {"traceId": MAIL},
    {"scope": {"name": [MAIL]}}, {"key": "a", "value": {"kvlistValue": {"values": [{"key": MAIL}]}}},
]  # fmt: skip


@pytest.mark.parametrize("given", STRANGE, ids=json.dumps)
def test_what_is_no_otlp_holds_nothing_either(redacting, given):
    """Whatever a sender makes of the format: nothing that is found stays."""
    found = redacting.redactor().redact_record("acme", json.dumps({"resourceSpans": [given]}))
    assert MAIL not in found
    json.loads(found)


def test_members_of_a_secret_are_secret_in_quarantine_too(treat):
    """What stands above a value counts here as it does in a row."""
    members = {"kvlistValue": {"values": [{"key": "value", "value": text("qKzndEse3V")}]}}
    (found,) = span_of(treat(record({"password": members})))["attributes"]
    assert found["value"]["kvlistValue"]["values"] == [{"key": "value", "value": text("[SECRET]")}]
