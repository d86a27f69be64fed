"""Runs of digits are found however people group them, and each text keeps one mark of its own."""

import re

import numpy as np
import pytest

from collectors.redact.numbers import PATTERNS, number_ends


def every_end(data):
    """Offsets behind every match of the patterns, overlapping ones too, as Hyperscan tells them."""
    ends = [m.start() + len(m[1]) for pattern in PATTERNS for m in re.finditer(rf"(?=({pattern}))".encode(), data)]
    return np.array(sorted(ends), np.int64)


def first_ends(data):
    """The same without overlaps, as `re` tells them."""
    return np.array([m.end() for pattern in PATTERNS for m in re.finditer(pattern.encode(), data)], np.int64)


FOUND = [
    "123456789", "4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "12.34.56.78.90", "+1 (415) 555-0100",
    "0049/30/901820", "(030) 90 18 20 1", "536-90-4399", "1795392000000000000", "12 34 56 78 9",
]  # fmt: skip
NOT_FOUND = [
    "12345678",
    "2026-11-23",
    "12:34:56:78:90",
    "1 2 3 4 5 6 7 8 9",
    "a1b2c3d4e5f6",
    "12,345,678,901",
    "1234567 8",
]


@pytest.mark.parametrize("ends", [every_end, first_ends])
@pytest.mark.parametrize("text", FOUND)
def test_numbers_of_nine_digits_or_more_are_found(text, ends):
    """A mark lies in the number, whatever letters stand around it."""
    data = f"order:x{text}y".encode()
    (*found,) = number_ends(data, ends(data)).tolist()
    assert found
    assert all(7 < end <= 7 + len(text) for end in found)


@pytest.mark.parametrize("text", NOT_FOUND)
def test_shorter_ones_are_not(text):
    """Dates, times and lists of numbers are no long number."""
    data = f"x{text}y".encode()
    assert number_ends(data, every_end(data)).tolist() == []


@pytest.mark.parametrize("ends", [every_end, first_ends])
@pytest.mark.parametrize(
    "texts", [["123456789"] * 5, ["4111111111111111", "4012888888881881"], ["1" * 40, "9876543 21"]]
)
def test_texts_whose_digits_touch_have_a_mark_each(texts, ends):
    """Texts lie side by side in the buffer: the digits of one do not hide those of the next."""
    data = "".join(texts).encode()
    found = number_ends(data, ends(data)) - 1
    bounds = np.cumsum([0, *map(len, texts)])
    assert set(np.searchsorted(bounds, found, side="right") - 1) == set(range(len(texts)))


def test_a_long_run_is_not_told_digit_by_digit():
    """A thousand digits give some hundred marks."""
    data = b"7" * 1000
    assert len(number_ends(data, every_end(data))) == 142


def test_no_match_no_number():
    """Nothing in, nothing out."""
    assert number_ends(b"abc", np.zeros(0, np.int64)).tolist() == []
