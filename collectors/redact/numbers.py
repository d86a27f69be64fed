"""Finds runs of digits as people write numbers: grouped by spaces, dots, dashes, slashes, parentheses.

Cards, accounts, phones and ids of persons all look alike from afar, and no text that they share would make a pattern cheap: one
pattern stands for all of them. What it marks is then looked at in columns, so that times, of which texts of machines are full,
are no numbers: those written as digits since 1970, a date before a time of day, a date behind the name of a model.
"""

import numpy as np
import numpy.typing as npt

from collectors.redact.detector import LEAST_DIGITS

PATTERNS = (rf"(?:[0-9][ .()/+-]{{0,3}}){{{LEAST_DIGITS - 1}}}[0-9]",)
"""A run of `LEAST_DIGITS` digits with at most three separators after each; told again at each further digit."""
_AROUND = 24
_EPOCHS = (13, 16, 19)
"""Digits of milliseconds, microseconds and nanoseconds since 1970."""

_KINDS = np.zeros(256, np.uint8)
_KINDS[list(b" .()/+-")] = 1
_KINDS[list(b"0123456789")] = 2

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


def number_ends(data: bytes, ends: Ints) -> Ints:
    """Of the offsets behind matches of `PATTERNS`, those inside numbers that are no times; one a number at least."""
    if not len(ends):
        return ends
    ends = np.unique(ends)
    # each further digit tells the same run again
    ends = ends[np.diff(ends, prepend=-2) > 1]
    padded = np.frombuffer(bytes(_AROUND) + data + bytes(_AROUND), np.uint8)
    around = padded[ends[:, None] + np.arange(2 * _AROUND)]
    return ends[~(_is_epoch(around) | _is_before_time(around) | _is_behind_name(around))]


def _is_epoch(around: Bytes) -> npt.NDArray[np.bool_]:
    """Whether the digits without separators around the middle are a time since 1970, from 2017 on."""
    digits = _KINDS[around] == 2
    before = np.logical_and.accumulate(digits[:, _AROUND - 1 :: -1], axis=1).sum(axis=1)
    after = np.logical_and.accumulate(digits[:, _AROUND:], axis=1).sum(axis=1)
    rows = np.arange(len(around))
    first, second = around[rows, _AROUND - before], around[rows, _AROUND + 1 - before]
    return np.isin(before + after, _EPOCHS) & (first == ord("1")) & (second >= ord("5"))


def _is_before_time(around: Bytes) -> npt.NDArray[np.bool_]:
    """Whether the middle is the first digit of the hour in `2025-04-14 10:22`."""
    window = around[:, _AROUND - 12 : _AROUND + 2]
    date = np.isin(window[:, [4, 7]], list(b"-/.")).all(axis=1) & (_KINDS[window[:, [0, 1, 2, 3, 5, 6, 8, 9, 11, 12]]] == 2).all(axis=1)
    return date & (window[:, 10] == ord(" ")) & (window[:, 13] == ord(":")) & (_KINDS[around[:, _AROUND - 13]] < 2)


def _is_behind_name(around: Bytes) -> npt.NDArray[np.bool_]:
    """Whether the middle is the end of nine digits such as `5-2025-04-14` or `5-20250414`."""
    kinds = _KINDS[around]
    run = np.logical_and.accumulate(kinds[:, _AROUND - 1 :: -1] > 0, axis=1)
    alone = (run & (kinds[:, _AROUND - 1 :: -1] == 2)).sum(axis=1) == LEAST_DIGITS
    alone &= kinds[:, _AROUND] == 0
    dashed = around[:, _AROUND - 11 : _AROUND]
    compact = around[:, _AROUND - 9 : _AROUND]
    is_dashed = (dashed[:, [0, 5, 8]] == ord("-")).all(axis=1) & _is_century(dashed[:, 1:3])
    is_compact = (compact[:, 0] == ord("-")) & (kinds[:, _AROUND - 8 : _AROUND] == 2).all(axis=1) & _is_century(compact[:, 1:3])
    return alone & (is_dashed | is_compact)


def _is_century(digits: Bytes) -> npt.NDArray[np.bool_]:
    return (digits == np.frombuffer(b"20", np.uint8)).all(axis=1)
