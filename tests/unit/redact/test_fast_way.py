"""What the scan decides without looking at a text, decided right."""

import json

import pytest

from collectors.redact.detector import NUMBERS
from collectors.redact.detectors import BY_NAME
from collectors.redact.patterns import Patterns


@pytest.fixture(scope="module")
def engine(redacting):
    number = redacting.detector("num", r"\d{9,}", triggers=(NUMBERS,))
    return redacting.redactor(detectors={"num": number}, vault=redacting.MemoryVault())


def test_texts_whose_digits_touch_are_all_treated(redacting, engine):
    """Bodies that are numbers lie side by side in the buffer: each is treated."""
    found = redacting.treat(engine, logs=[{"body": "123456789"}] * 4 + [{"body": "x"}])
    assert redacting.column(found, "logs", "body") == ["[NUM]"] * 4 + ["x"]


NUMBERED = [
    ("a name's value", {"x.id": "123456789012"}, {"x.id": "123456789012"}),
    ("a number under a name", {"createdAt": 123456789012}, {"createdAt": 123456789012}),
    ("behind an object in a list", {"a": [{"id": 1}, "123456789012"]}, {"a": [{"id": 1}, "[NUM]"]}),
    ("behind an object in a list, as a number", {"a": [{"id": 1}, 123456789012]}, {"a": [{"id": 1}, "[NUM]"]}),
    ("a key", {"id": "x", "123456789012": "v"}, {"id": "x", "[NUM]": "v"}),
    ("JSON under a name", {"x.id": '{"a" : "123456789012"}'}, {"x.id": '{"a" : "[NUM]"}'}),
    ("a text", {"a": "123456789012"}, {"a": "[NUM]"}),
]


@pytest.mark.parametrize(("given", "expected"), [pytest.param(*case[1:], id=case[0]) for case in NUMBERED])
def test_numbers_stay_only_where_a_name_stands(redacting, engine, given, expected):
    """The key before a number in the bytes need not be the one that it stands under."""
    found = redacting.treat(engine, spans=[{"attributes": given}])
    assert redacting.member(found, "spans", "attributes") == expected


ESCAPED = [
    ("slashes", r'{"u":"http:\/\/bob:s3cretpass99@host\/x"}'),
    ("letters", '{"u":"\\u0062ob:\\u0073 jane.doe\\u0040example.org"}'),
    (
        "full-width digits",
        json.dumps({"u": "card " + "".join(chr(0xFEE0 + ord(digit)) for digit in "4111111111111111")}),
    ),
    ("no width", json.dumps({"u": "card 4111\u200b1111\u200b1111\u200b1111"})),
]


@pytest.mark.parametrize("text", [pytest.param(case[1], id=case[0]) for case in ESCAPED])
def test_escapes_hide_nothing(redacting, text):
    """A trigger that only the unescaped text holds is found all the same."""
    found = redacting.treat(redacting.redactor(), spans=[{"attributes": {"a": text}}])
    (counts,) = redacting.column(found, "spans", "redactions")
    assert counts is not None
    assert "withheld" not in counts


def test_compiling_takes_no_text_s_time(redacting):
    """The first scan compiles all that texts need: no text is withheld because patterns had to be made first."""
    patterns = Patterns({"email": BY_NAME["email"]})
    assert not patterns.are_compiled
    patterns.scan_texts(b"x")
    assert patterns.are_compiled


def test_an_actor_in_a_shared_resource_is_a_person(redacting):
    """Rows that share a resource do not agree on who acts: the id in it is nobody's to keep."""
    rows = [
        {"actor_type": kind, "resource": {"audit.actor.id": "bob", "note": "jane.doe@example.org"}}
        for kind in ("agent", "user")
    ]
    found = redacting.treat(redacting.redactor(vault=redacting.MemoryVault()), audit_events=rows)
    assert not any("bob" in text for text in redacting.all_texts(found))


def test_a_digest_that_a_sender_gives_is_searched(redacting):
    """Every column that a sender fills is looked at."""
    rows = [{"action_digest": "jane.doe@example.org"}, {"action_digest": "ab" * 32}]
    found = redacting.treat(redacting.redactor(), audit_events=rows)
    assert redacting.column(found, "audit_events", "action_digest") == ["[EMAIL]", "ab" * 32]
