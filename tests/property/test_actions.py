"""Action digests: the fast way of writing canonical JSON gives the bytes that RFC 8785 gives."""

import json

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from collectors.actions import _canonical

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def expected(tool_name: str, arguments: str) -> bytes:
    """What RFC 8785 alone gives; a string where it cannot carry the value."""
    try:
        return rfc8785.dumps([tool_name, msgspec.json.decode(arguments)])
    except (msgspec.DecodeError, rfc8785.CanonicalizationError):
        return rfc8785.dumps([tool_name, arguments])


@given(st.text(), VALUES, st.booleans())
def test_any_arguments_are_written_as_rfc_8785_has_it(tool_name, value, ascii_only):
    """The canonical text of a call is RFC 8785's, whatever its arguments are and however the sender wrote them."""
    arguments = json.dumps(value, ensure_ascii=ascii_only)
    assert _canonical(tool_name, arguments) == expected(tool_name, arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        "-0", "1E5", "1.0", "1e-7", "333333333.33333329", "9007199254740993", "999999999999999", '"\x7f"', '"\\u0001"',
        '"\\/\\n\\t\\b\\f\\r\\\\\\""', '{"b":1,"a":2}', '{"a":1,"a":2}', '{"Z":1,"_":2,"a":3}', '{"":1}', " { } ",
        '{"\\ud83d\\ude00":1,"\\ufb33":2}', "not JSON", "", "{", '{"a":1e400}',
    ],
)  # fmt: skip
def test_traps_of_canonical_json(arguments):
    """Numbers, escapes, key order and repeated keys are written as RFC 8785 has them; what is no JSON as a string."""
    assert _canonical("tool", arguments) == expected("tool", arguments)
