"""Detectors over any text: linear in its length, and never without one of their triggers."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.redact_texts import generated
from collectors.redact.detector import Detector
from collectors.redact.detectors import DETECTORS
from collectors.redact.patterns import Patterns

MEGABYTE = 1 << 20
PATHOLOGICAL = {
    "a": "a",
    "A": "A",
    "capital words": "Aa ",
    "given names": "Anna ",
    "1": "1",
    "0": "0",
    "digits and spaces": "1 ",
    "digits and dots": "1.",
    "digits and dashes": "12-",
    "@": "@",
    "a@": "a@",
    "a.": "a.",
    "spaces": " ",
    "line breaks": "\n",
    "(": "(",
    "nested quotes": '\\"',
    "colons": ":",
    "hexadecimal colons": "a:",
    "+": "+",
    "+1": "+1",
    "slashes": "://a:",
    "equals": "key=",
    "password": "password",
    "tokens": "token: ",
    "cards": "4111 ",
    "ibans": "DE89",
    "streets": "12 Main ",
    "rue": "rue de ",
    "born": "born ",
    "begin": "-----BEGIN PRIVATE KEY-----",
    "jwt": "eyJaaaaaaaaaaaa.",
    "full-width": "１",  # noqa: RUF001 - a full-width digit
    "widthless": "1\u200b",
}
BEHIND = 16
"""Bytes by which a trigger may reach beyond a match: the `@host` of a password, the label of a phone."""
PATTERNS = Patterns({one.name: one for one in DETECTORS})
_MIXED = st.lists(
    st.one_of(
        st.sampled_from(
            ["born ", "card ", "password=", "Dear ", "Anna ", "tel: ", "+49", "DE89", "4111 ", "12 Main St ", "://a:b@", "\\n", '"', "\u200b", "ssn "]
        ),
        st.text(alphabet="0123456789 -.:/@()aAbBxX", max_size=24),
        st.text(max_size=6),
    ),
    max_size=14,
).map("".join)  # fmt: skip


@pytest.mark.parametrize("size", [32_768, pytest.param(MEGABYTE, marks=pytest.mark.slow)])
@pytest.mark.parametrize("detector", DETECTORS, ids=lambda one: one.name)
def test_much_of_one_thing_ends(detector, size):
    """No text makes a search take more than linear time: at a megabyte one that did would meet the time limit of all tests."""
    for unit in PATHOLOGICAL.values():
        reached = 0
        for match in detector.find(unit * (size // len(unit))):
            assert reached <= match.start < match.end
            reached = match.end


def test_matches_in_written_texts_come_with_a_trigger():
    """Each match holds a trigger or follows one, in texts as people and agents write them."""
    for sample in generated(400, seed=5):
        for detector in DETECTORS:
            assert_triggered(detector, sample.text)


@given(_MIXED)
def test_matches_in_any_text_come_with_a_trigger(text):
    """Each match holds a trigger or follows one, and matches ascend."""
    for detector in DETECTORS:
        assert_triggered(detector, text)


@given(_MIXED, _MIXED)
def test_neighbours_do_not_hide_a_trigger(before, after):
    """A trigger is found whatever the texts beside it in the buffer are."""
    text = "jo@example.com 4111 1111 1111 1111 +49 89 636 48018"
    joined = (before + text + after).encode("utf8", "surrogatepass")
    for detector in DETECTORS:
        if any(True for _ in detector.find(text)):
            start = len(before.encode("utf8", "surrogatepass"))
            assert any(start < end <= start + len(text) for end in trigger_ends(detector, joined)), detector.name


def assert_triggered(detector: Detector, text: str) -> None:
    """Every match of `find` has the end of a trigger before its own end, or shortly behind it."""
    matches = list(detector.find(text))
    if not matches:
        return
    offsets = list(accumulate((len(character.encode("utf8", "surrogatepass")) for character in text), initial=0))
    encoded = text.encode("utf8", "surrogatepass")
    first = min(trigger_ends(detector, encoded), default=len(encoded) + 1)
    for match in matches:
        assert first <= offsets[match.end] + BEHIND, (detector.name, text[match.start : match.end], text)


def trigger_ends(detector: Detector, encoded: bytes) -> list[int]:
    """Offsets behind the triggers of a detector in a buffer, as a scan tells them."""
    marks = PATTERNS.scan_leaves(encoded)
    wanted = [number for number, mask in enumerate(marks.masks.tolist()) if detector in PATTERNS.detectors_of(mask)]
    return marks.ends[wanted].tolist()
