"""A JSON text keeps every byte that was not asked to change."""

import json

import pytest

from collectors.redact.json_text import is_json, rewrite


def leaves(text):
    """Every leaf as (kind, path, text)."""
    found = []

    def note(leaf):
        found.append(("key" if leaf.is_key else "number" if leaf.is_number else "text", leaf.path, leaf.text))
        return leaf.text

    assert rewrite(text, note) is text
    return found


SAME = [
    '{"b":1,"a":2,"b":3}',
    '{ "a" :\t1.0e+3 ,\r\n "b" : [ 1.50, -0, 1E400, 123456789012345678901234567890 ] }',
    '{"a":"\\u00e9\\/\\ud83d\\ude00\\n","é":"\\"quoted\\"","":""}',
    "[]",
    "{}",
    '[null,true,false,{"a":[{"b":null}]}]',
    '{"score":NaN,"low":-Infinity}',
    '{"half":"\\ud800"}',
    '["line\nbreak"]',
]


@pytest.mark.parametrize("text", SAME)
def test_what_is_not_changed_keeps_its_bytes(text):
    """Order, repeated keys, spelling of numbers, escapes and white space stay."""
    assert is_json(text)
    assert rewrite(text, lambda leaf: leaf.text) is text


@pytest.mark.parametrize("text", SAME)
def test_one_change_leaves_the_rest_as_it_is(text):
    """A text put in place of a leaf is the only difference, wherever the leaf stands."""
    for number, (_, _, old) in enumerate(leaves(text)):
        seen = iter(range(1000))
        changed = rewrite(text, lambda leaf, seen=seen, at=number: "[X]" if next(seen) == at else leaf.text)
        prefix = next((i for i, (a, b) in enumerate(zip(text, changed, strict=False)) if a != b), len(text))
        assert changed == text if old == "[X]" else changed != text
        rest = changed[prefix:].removeprefix('"').removeprefix("[X]").removeprefix('"')
        assert text.endswith(rest)


def test_every_leaf_is_told_with_the_keys_above_it():
    """Elements of an array stand under the array's key; after an object ends its key is forgotten."""
    text = '{"a":[{"id":1},"x",[2]],"b":{"c":{"d":"y"},"e":-1.5e3},"f":"z"}'
    assert leaves(text) == [
        ("key", ("a",), "a"), ("key", ("a", "id"), "id"), ("number", ("a", "id"), "1"), ("text", ("a",), "x"),
        ("number", ("a",), "2"), ("key", ("b",), "b"), ("key", ("b", "c"), "c"), ("key", ("b", "c", "d"), "d"),
        ("text", ("b", "c", "d"), "y"), ("key", ("b", "e"), "e"), ("number", ("b", "e"), "-1.5e3"),
        ("key", ("f",), "f"), ("text", ("f",), "z"),
    ]  # fmt: skip


def test_leaves_are_told_unescaped():
    """What a string says counts, not how it is written."""
    text = '{"\\u0061b":"x\\u0040y\\n\\"\\\\","half":"\\ud800"}'
    assert [leaf[2] for leaf in leaves(text)] == ["ab", 'x@y\n"\\', "half", "\ud800"]


REPLACED = [
    ("text", '{"a": "old" ,"b":1}', "a", 'n"e\\w\n', '{"a": "n\\"e\\\\w\\n" ,"b":1}'),
    ("text by nothing", '{"a":"old","b":1}', "a", None, '{"a":null,"b":1}'),
    ("number by text", '{"a":1.50,"b":1}', "a", "[CARD]", '{"a":"[CARD]","b":1}'),
    ("every element of an array", '{"a":["x",1,"y"]}', "a", "-", '{"a":["-","-","-"]}'),
    ("half a character", '{"a":"x","b":"y"}', "a", "\udc00", '{"a":"\\udc00","b":"y"}'),
    ("repeated keys", '{"a":"x","a":"y"}', "a", "-", '{"a":"-","a":"-"}'),
]


@pytest.mark.parametrize(("text", "key", "new", "expected"), [pytest.param(*case[1:], id=case[0]) for case in REPLACED])
def test_leaves_are_replaced(text, key, new, expected):
    """A replacement is a JSON string or null, whatever stood there."""
    changed = rewrite(text, lambda leaf: new if leaf.path == (key,) and not leaf.is_key else leaf.text)
    assert changed == expected
    json.loads(changed)


def test_keys_are_replaced_and_never_null():
    """A key that may not stay becomes another text, so that the text is JSON still."""
    assert rewrite('{"a" : {"b":1}}', lambda leaf: None if leaf.is_key else leaf.text) == '{"" : {"":1}}'


NO_JSON = [
    "",
    "text",
    '"text"',
    "12",
    "null",
    "{",
    '{"a":}',
    "[EMAIL] wrote",
    "{'a': 1}",
    '{"a":1} and more',
    '{"a":1}{"b":2}',
]


@pytest.mark.parametrize("text", NO_JSON)
def test_other_texts_are_no_json(text):
    """Only whole objects and arrays count."""
    assert not is_json(text)


def test_too_deep_a_text_is_told():
    """Nobody is told that a text is no JSON because it is too deep."""
    with pytest.raises(RecursionError):
        is_json("[" * 5000 + "]" * 5000)


def test_a_deep_text_is_walked():
    """Depth is no limit to the walk itself."""
    text = '{"a":' * 3000 + '"x"' + "}" * 3000
    assert rewrite(text, lambda leaf: leaf.text if leaf.is_key else "y") == text.replace("x", "y")
