"""Finds runs of digits as people write numbers: grouped by spaces, dots, dashes, slashes, parentheses.

Cards, accounts, phones and ids of persons all look alike from afar, and no text that they share would make a pattern cheap. Two
patterns mark where digits gather; the run around each mark is then measured in columns.
"""

import numpy as np
import numpy.typing as npt

from collectors.redact.detector import LEAST_DIGITS

PATTERNS = (r"[0-9]{7}", r"[0-9][0-9][ .()/-][0-9][0-9]", r"[0-9][)][ -][0-9][0-9]")
"""Every run of `LEAST_DIGITS` digits in groups of two or more has one of these in it."""
_RUN = 7
_AROUND = 24
_SEPARATORS = b" .()/+-"

_IN_NUMBER = np.zeros(256, np.bool_)
_IN_NUMBER[list(b"0123456789" + _SEPARATORS)] = True
_IS_DIGIT = np.zeros(256, np.bool_)
_IS_DIGIT[list(b"0123456789")] = True

Ints = npt.NDArray[np.int64]


def number_ends(data: bytes, ends: Ints) -> Ints:
    """Of the offsets behind matches of `PATTERNS`, those inside a number of `LEAST_DIGITS` digits or more; one a number at least."""
    if not len(ends):
        return ends
    ends = np.unique(ends)
    # the pattern of seven digits tells each further digit of a run again: of those one in seven will do, which leaves one in each
    # of several texts whose digits touch each other
    first = np.maximum.accumulate(np.where(np.diff(ends, prepend=-2) > 1, ends, 0))
    ends = ends[(ends - first) % _RUN == 0]
    padded = np.frombuffer(bytes(_AROUND) + data + bytes(_AROUND), np.uint8)
    after = padded[(ends + _AROUND)[:, None] + np.arange(_AROUND)]
    before = padded[(ends + _AROUND - 1)[:, None] - np.arange(_AROUND)]
    digits = np.zeros(len(ends), np.int64)
    for side in (after, before):
        inside = np.logical_and.accumulate(_IN_NUMBER[side], axis=1)
        digits += (inside & _IS_DIGIT[side]).sum(axis=1)
    return ends[digits >= LEAST_DIGITS]
