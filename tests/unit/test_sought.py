"""What was typed into the search box, told by its form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.errors import InputError
from warehouse.questions.sought import MOST_CHARACTERS, Kind, classify
from warehouse.subjects.tokens import token_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4701"
TOKEN = token_of(b"k" * 32, "ada")
NAMES = (Kind.TICKET, Kind.CONVERSATION, Kind.APPROVAL, Kind.PERSON)


@pytest.mark.parametrize(
    ("typed", "kinds"),
    [
        (TOKEN, (Kind.PERSON,)),
        ("ada@example.org", (Kind.PERSON,)),
        ("Ada Lovelace", (Kind.PERSON,)),
        ("Zoë", (Kind.PERSON,)),
        ("+49 151 23456", (Kind.PERSON,)),
        ("' or 1=1 --", (Kind.PERSON,)),
        ("<script>alert(1)</script>", (Kind.PERSON,)),
        (TRACE, (Kind.TRACE, *NAMES)),
        (TRACE.upper(), (Kind.TRACE, *NAMES)),
        (TRACE[:8], (Kind.TRACE, *NAMES)),
        (TRACE[:7], NAMES),
        (f"00-{TRACE}-00f067aa0ba902b7-01", (Kind.TRACE,)),
        ("collector-1a2b3c4d/17", (Kind.RECORD,)),
        ("self/0", (Kind.RECORD,)),
        ("17", (Kind.RECORD, *NAMES)),
        ("12345678", (Kind.RECORD, Kind.TRACE, *NAMES)),
        ("INC-4711", NAMES),
        ("conv_9", NAMES),
        ("6f1c1c1e-9f0e-4a7e-8a55-1d1f5a0f7c11", NAMES),
        ("ada", NAMES),
    ],
)
def test_a_text_is_told_by_its_form(typed, kinds):
    """Each form gives the kinds that it can be, most likely first."""
    assert classify(f" {typed}\n".strip("\n")).kinds == kinds


def test_a_record_number_is_taken_apart():
    """Shard and index come out as the log has them; a number alone is that of any shard."""
    found = classify("collector-1a2b3c4d/0017")
    assert (found.shard, found.index) == ("collector-1a2b3c4d", 17)
    assert (classify("17").shard, classify("17").index) == (None, 17)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [(TOKEN, True), (TRACE, True), ("INC-4711", True), ("self/3", True), ("ada", False), ("ada1@example.org", False)],
)
def test_what_could_be_a_name_is_not_kept(typed, kept):
    """Only a token, and what has a digit and can be an id, may stand in an address."""
    assert classify(typed).may_be_kept is kept


@pytest.mark.parametrize(
    "typed", ["", "  ", "a" * (MOST_CHARACTERS + 1), "a\x00b", "a\nb", "a\u202eb", "x" * 10_000_000]
)
def test_what_is_no_question_is_refused_without_repeating_it(typed):
    """Nothing, too much, and characters that nobody sees are refused; the message holds nothing of the text."""
    with pytest.raises(InputError) as caught:
        classify(typed)
    assert len(str(caught.value)) < 200
    assert not typed.strip() or typed not in str(caught.value)


@given(st.text(max_size=400))
def test_any_text_is_classified_or_refused(text):
    """Nothing else happens, the text is not shown by what comes back, and what has an @ is a person and is not kept."""
    try:
        found = classify(text)
    except InputError:
        return
    assert found.kinds
    assert "text=" not in repr(found)
    if "@" in text:
        assert found.only_person
        assert not found.may_be_kept
