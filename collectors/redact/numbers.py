"""Finds runs of digits as people write numbers: grouped by spaces, dots, dashes, slashes, parentheses.

Cards, accounts, phones and ids of persons all look alike from afar, and no text that they share would make a pattern cheap: one
pattern stands for all of them. What it marks is then looked at in columns, so that what texts of machines are full of is no
number: times, dates, fractions, addresses of machines, digits inside of digests.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collectors.redact.detector import LEAST_DIGITS

PATTERNS = (rf"(?:[0-9][ .()/+-]{{0,3}}){{{LEAST_DIGITS - 1}}}[0-9]",)
"""A run of `LEAST_DIGITS` digits with at most three separators after each; told again at each further digit."""
_AROUND = 24
_EPOCHS = (13, 16, 19)
"""Digits of milliseconds, microseconds and nanoseconds since 1970."""
_DATED = 11
"""Most digits of a date with the number of a version before it or of an hour behind it."""
_FRACTION = 7
_OCTETS, _DOTS = 12, 3

_MOST_OF_PAIR = 5
_JOINTS = list(b"()/+-")
"""What joins groups of one number, and hardly ever stands between two."""
_SEPARATOR, _DIGIT, _LETTER = 1, 2, 3
_KINDS = np.zeros(256, np.uint8)
_KINDS[list(b" .()/+-")] = _SEPARATOR
_KINDS[list(b"0123456789")] = _DIGIT
_KINDS[[*range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1), ord("_")]] = _LETTER

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Runs:
    """Bytes around marks. Offsets are those of the padded buffer; ends are behind the last byte."""

    data: npt.NDArray[np.uint8]
    begin: Ints
    end: Ints
    first: Ints
    last: Ints
    digits: Ints
    dots: Ints
    separators: Ints
    gaps: Ints
    joints: Ints
    group_start: Ints
    group_end: Ints

    def at(self, offsets: Ints, begin: int, end: int) -> npt.NDArray[np.uint8]:
        """Some bytes from each offset; zero where they are another text's."""
        where = offsets[:, None] + np.arange(begin, end)
        return np.where((where >= self.begin[:, None]) & (where < self.end[:, None]), self.data[where], np.uint8(0))


def number_ends(data: bytes, ends: Ints, bounds: Ints | None = None) -> Ints:
    """Of the offsets behind matches of `PATTERNS`, those inside numbers as persons have them; one a number at least.

    `bounds` are the offsets at which the texts of the buffer begin and the last one ends, ascending; without them it is one text.
    """
    if not len(ends):
        return ends
    ends = np.unique(ends)
    bounds = np.array([0, len(data)]) if bounds is None else bounds
    # each further digit tells the same run again; texts whose digits touch have a run each
    text = np.searchsorted(bounds, ends - 1, side="right")
    ends = ends[(np.diff(ends, prepend=-2) > 1) | (np.diff(text, prepend=-1) != 0)]
    runs = _runs(data, ends, bounds)
    return ends[
        ~(
            _is_epoch(runs)
            | _is_dated(runs)
            | _is_fraction(runs)
            | _is_address(runs)
            | _is_in_word(runs)
            | _is_pair(runs)
        )
    ]


def _runs(data: bytes, ends: Ints, bounds: Ints) -> _Runs:
    padded = np.frombuffer(bytes(2 * _AROUND) + data + bytes(2 * _AROUND), np.uint8)
    middle = ends + 2 * _AROUND
    text = np.searchsorted(bounds, ends - 1, side="right")
    begin, end = bounds[text - 1] + 2 * _AROUND, bounds[text] + 2 * _AROUND
    steps = np.arange(_AROUND)
    after = np.where(middle[:, None] + steps < end[:, None], _KINDS[padded[middle[:, None] + steps]], 0)
    before = np.where(middle[:, None] - 1 - steps >= begin[:, None], _KINDS[padded[middle[:, None] - 1 - steps]], 0)
    in_run = [np.logical_and.accumulate((side == _DIGIT) | (side == _SEPARATOR), axis=1) for side in (before, after)]
    in_group = [np.logical_and.accumulate(side == _DIGIT, axis=1).sum(axis=1) for side in (before, after)]
    digits = [inside & (side == _DIGIT) for inside, side in zip(in_run, (before, after), strict=True)]
    reach = [np.where(one.any(axis=1), _AROUND - one[:, ::-1].argmax(axis=1), 0) for one in digits]
    first, last = middle - reach[0], middle + reach[1]
    span = np.arange(2 * _AROUND)
    inside = (first[:, None] + span) < last[:, None]
    shown = padded[np.minimum(first[:, None] + span, len(padded) - 1)]
    return _Runs(
        padded,
        begin,
        end,
        first,
        last,
        digits[0].sum(axis=1) + digits[1].sum(axis=1),
        (inside & (shown == ord("."))).sum(axis=1),
        (inside & (_KINDS[shown] == _SEPARATOR)).sum(axis=1),
        (inside[:, 1:] & (_KINDS[shown[:, 1:]] == _SEPARATOR) & (_KINDS[shown[:, :-1]] == _DIGIT)).sum(axis=1),
        (inside & np.isin(shown, _JOINTS)).sum(axis=1),
        middle - in_group[0],
        middle + in_group[1],
    )


def _is_epoch(runs: _Runs) -> Bools:
    """Digits without separators that are a time since 1970, from 2017 on."""
    start = runs.at(runs.group_start, 0, 2)
    return np.asarray(
        np.isin(runs.group_end - runs.group_start, _EPOCHS) & (start[:, 0] == ord("1")) & (start[:, 1] >= ord("5")),
        np.bool_,
    )


def _is_dated(runs: _Runs) -> Bools:
    """`2025-04-14 10`, of a time or not; `5-2025-04-14` and `4-5-20250414`, of the name of a model."""
    name = runs.at(runs.last, -11, 0)
    is_compact = (_KINDS[name[:, 3:]] == _DIGIT).all(axis=1) & _is_century(name[:, 3:5]) & (name[:, 2] == ord("-"))
    is_compact &= (_KINDS[name[:, 1]] == _DIGIT) & (_KINDS[name[:, 0]] != _DIGIT)
    return np.asarray(
        (runs.digits <= _DATED) & (_is_date(runs.at(runs.first, 0, 10)) | _is_date(name[:, 1:]) | is_compact), np.bool_
    )


def _is_date(shown: npt.NDArray[np.uint8]) -> Bools:
    apart = (shown[:, 4] == shown[:, 7]) & np.isin(shown[:, 4], list(b"-/."))
    return np.asarray(
        apart & _is_century(shown) & (_KINDS[shown[:, [2, 3, 5, 6, 8, 9]]] == _DIGIT).all(axis=1), np.bool_
    )


def _is_century(shown: npt.NDArray[np.uint8]) -> Bools:
    return np.asarray((shown[:, 0] == ord("2")) & (shown[:, 1] == ord("0")), np.bool_)


def _is_fraction(runs: _Runs) -> Bools:
    """Many digits behind a point: `0.0553131103515625`."""
    before = runs.at(runs.group_start, -2, 0)
    long = runs.group_end - runs.group_start >= _FRACTION
    return np.asarray(long & (before[:, 1] == ord(".")) & (_KINDS[before[:, 0]] == _DIGIT), np.bool_)


def _is_address(runs: _Runs) -> Bools:
    """Four numbers of three digits at most: `10.65.201.20`, which has a detector of its own."""
    fours = runs.at(runs.first, 0, _OCTETS + _DOTS)
    run = np.logical_and.accumulate(np.isin(fours, list(b".0123456789")), axis=1)
    digits = run & (_KINDS[fours] == _DIGIT)
    long = (digits[:, :-3] & digits[:, 1:-2] & digits[:, 2:-1] & digits[:, 3:]).any(axis=1)
    return np.asarray((runs.dots == _DOTS) & (runs.separators == _DOTS) & (runs.digits <= _OCTETS) & ~long, np.bool_)


def _is_pair(runs: _Runs) -> Bools:
    """Two numbers side by side, `16148 93197`: apart by blanks alone, with no dialling prefix. Words that announce one are triggers."""
    before = runs.at(runs.first, -1, 1)
    is_dialled = (before[:, 1] == ord("0")) | np.isin(before[:, 0], list(b"+("))
    own = runs.group_end - runs.group_start
    is_short = (own <= _MOST_OF_PAIR) & (runs.digits - own <= _MOST_OF_PAIR)
    return np.asarray((runs.gaps == 1) & (runs.joints == 0) & is_short & ~is_dialled, np.bool_)


def _is_in_word(runs: _Runs) -> Bools:
    """Digits beside a letter, as in digests; not behind an escaped line break or an escape of a URL, nor before the x of an extension."""
    before = runs.at(runs.group_start, -3, 0)
    escaped = (before[:, 1] == ord("\\")) & np.isin(before[:, 2], list(b"nrt"))
    # `%3A4111…`: the second sign of an escape may be a letter
    escaped |= (before[:, 0] == ord("%")) & np.isin(before[:, 2], list(b"ABCDEFabcdef"))
    after = runs.at(runs.group_end, 0, 1)[:, 0]
    letters = ((_KINDS[before[:, 2]] == _LETTER) & ~escaped) | (
        (_KINDS[after] == _LETTER) & ~np.isin(after, list(b"xX"))
    )
    return np.asarray(letters & (runs.group_end - runs.group_start >= LEAST_DIGITS), np.bool_)
