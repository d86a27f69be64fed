"""Changes to a column of texts end where they were asked for, and nowhere else."""

import numpy as np
import pyarrow as pa
import pytest

from collectors.redact.edits import Edits, apply_edits

COLUMN = pa.array(["abc", None, "", "dé€😀f", "xyz"], pa.string())


def spans(*changes, values):
    """Edits of (start, end, number of the value)."""
    starts, ends, codes = (np.array(numbers, np.int64) for numbers in zip(*changes, strict=True))
    return {"starts": starts, "ends": ends, "codes": codes, "values": values}


CASES = [
    ("nothing", {}, ["abc", None, "", "dé€😀f", "xyz"]),
    ("whole rows", {"texts": {0: "A", 4: "ZZZZ"}}, ["A", None, "", "dé€😀f", "ZZZZ"]),
    ("a row that loses its value", {"texts": {3: None}}, ["abc", None, "", None, "xyz"]),
    ("a row that becomes empty", {"texts": {0: ""}}, ["", None, "", "dé€😀f", "xyz"]),
    ("every row", {"texts": {0: None, 3: None, 4: None}}, [None, None, "", None, None]),
    ("inside rows", spans((1, 2, 0), (15, 16, 1), values=[b"BB", b""]), ["aBBc", None, "", "dé€😀f", "xz"]),
    ("at a row's ends", spans((0, 1, 0), (2, 3, 0), (16, 17, 0), values=[b"-"]), ["-b-", None, "", "dé€😀f", "xy-"]),
    ("a whole row by bytes", spans((3, 14, 0), values=["ü".encode()]), ["abc", None, "", "ü", "xyz"]),
    ("two in one row", spans((0, 1, 0), (1, 3, 1), values=[b"1", b"2"]), ["12", None, "", "dé€😀f", "xyz"]),
    ("a value used twice", spans((0, 3, 0), (14, 17, 0), values=[b"me"]), ["me", None, "", "dé€😀f", "me"]),
    (
        "bytes in a row that is replaced whole are of no account",
        {"texts": {0: "new"}, **spans((1, 2, 0), (14, 15, 0), values=[b"#"])},
        ["new", None, "", "dé€😀f", "#yz"],
    ),
]


@pytest.mark.parametrize(("edits", "expected"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_changes_are_put_in_place(edits, expected):
    """Rows are replaced, bytes give way, NULL stays NULL."""
    found = apply_edits(COLUMN, Edits(**edits))
    found.validate(full=True)
    assert found.to_pylist() == expected


def test_nothing_to_change_gives_the_column_itself():
    """A column without changes is not copied."""
    assert apply_edits(COLUMN, Edits()) is COLUMN


@pytest.mark.parametrize(("start", "stop"), [(1, 4), (3, 5), (0, 5), (4, 5)])
def test_slices_are_changed_by_their_own_rows(start, stop):
    """Offsets and rows count from a slice's first row, whatever lies before it in memory."""
    column = COLUMN.slice(start, stop - start)
    texts = {row: f"<{row}>" for row, text in enumerate(column.to_pylist()) if text}
    found = apply_edits(column, Edits(texts=texts))
    found.validate(full=True)
    assert found.to_pylist() == [texts.get(row, text) for row, text in enumerate(column.to_pylist())]
