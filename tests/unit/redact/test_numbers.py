"""What is a number of the kind that persons have, and what only looks like one."""

import numpy as np
import pytest

from collectors.redact.detector import CAPITAL, Category, DataClass, Detector
from collectors.redact.numbers import PATTERNS, number_ends
from collectors.redact.patterns import Patterns
from collectors.redact.scanner import Scanner

SCANNER = Scanner(PATTERNS)


def is_number(text):
    data = text.encode()
    _, ends = SCANNER.scan(data)
    return len(number_ends(data, ends)) > 0


@pytest.mark.parametrize(
    "text",
    [
        "123-45-6789", "123456789", "4111 1111 1111 1111", "(415) 555-2671", "(0211)  123 456", "+49 89 636 48018", "06.12.34.56.78",
        r"call\n4155552671", "4155552671x12", "756.9217.0769.85", "1.800.555.2671", "030-20251231", "01632 960983", "+44 1632960983", "123456-7890", "a 123456789 b", "2025-04-14 10:22 123456789",
        "85.07.30-033.28", "q%3A4111111111111111", "tel. 1512 345678901",
    ],
)  # fmt: skip
def test_numbers_of_persons_are_marked(text):
    """Nine digits and more are marked, however they are grouped."""
    assert is_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "16148 93197", "from 16148. 93197", "12345678", "2025-04-14 10:22:33", "2025-08-19 (10 days)", "gpt-5-2025-04-14", "claude-sonnet-4-5-20250929",
        "1764100000123", "1764100000123456789", "0.0553131103515625", "10.65.201.20", "_0269f3aed1fd415900698212189ed88190b", "",
    ],
)  # fmt: skip
def test_numbers_of_machines_are_not(text):
    """Times, dates, fractions, addresses and digits inside of digests are no numbers of persons."""
    assert not is_number(text)


def test_numbers_are_marked_at_either_end_of_a_buffer():
    """A number may begin and end a buffer."""
    data = b"123456789" + b"," * 100 + b"987654321"
    _, ends = SCANNER.scan(data)
    assert number_ends(data, ends).tolist() == [9, 118]
    assert number_ends(data, np.zeros(0, np.int64)).size == 0


@pytest.mark.parametrize("before", ["0.", "a", "2025-04-14 ", "1", "10.65."])
@pytest.mark.parametrize("after", ["a", ".201.20", ":22", "-2025-04-14"])
def test_other_texts_beside_it_do_not_hide_a_number(before, after):
    """Only the text that a number stands in says what it is."""
    data = f"{before}123-456789{after}".encode()
    _, ends = SCANNER.scan(data)
    begin = len(before)
    assert number_ends(data, ends, np.array([0, begin, begin + 10, len(data)])).size


@pytest.mark.parametrize("engine", ["hyperscan", "re"])
@pytest.mark.filterwarnings("ignore:hyperscan is not installed")
def test_a_word_counts_before_a_capital_letter_only(engine):
    """A trigger that ends in `CAPITAL` is a plain text with a capital letter, or the particle of a name, behind it."""
    one = Detector("x", Category.PII, DataClass.INTERNAL, (f"Jo. {CAPITAL}",), lambda _text: ())
    patterns = Patterns({"x": one}, engine=engine)
    assert patterns.scan_leaves(b"Jo. Li, Jo. van Li, Jo. \xc3\x89r").ends.tolist() == [4, 12, 24]
    assert not len(patterns.scan_leaves(b"Jo. is, jo. Li, Job Li, Jo. ").ends)


@pytest.mark.parametrize("engine", ["hyperscan", "re"])
@pytest.mark.filterwarnings("ignore:hyperscan is not installed")
@pytest.mark.parametrize(
    "texts", [["123456789"] * 5, ["4111111111111111", "4012888888881881"], ["1" * 40, "98765432 1"]]
)
def test_texts_whose_digits_touch_have_a_mark_each(texts, engine):
    """Texts lie side by side in the buffer: the digits of one do not hide those of the next."""
    data = "".join(texts).encode()
    bounds = np.cumsum([0, *map(len, texts)])
    _, ends = Scanner(PATTERNS, engine=engine).scan(data)
    found = number_ends(data, ends, bounds) - 1
    assert set(np.searchsorted(bounds, found, side="right") - 1) == set(range(len(texts)))
