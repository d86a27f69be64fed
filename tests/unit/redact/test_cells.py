"""Every byte of the joined texts is known by its column and row."""

import numpy as np
import pyarrow as pa
import pytest

from collectors.redact.cells import Cells

BATCH = pa.RecordBatch.from_pydict({
    "resource": pa.array(['{"a":1}', '{"b":2}', '{"a":1}', None], pa.string()),
    "attributes": pa.array(["", None, "é", "xyz"], pa.string()),
    "number": pa.array([1, 2, 3, 4], pa.int64()),
    "body": pa.array([None, None, None, None], pa.string()),
    "reason": pa.array(["a", "bb", "", "cccc"], pa.string()),
})  # fmt: skip
NAMES = ("reason", "body", "number", "attributes", "absent", "resource")


def where(cells):
    """(column's name, text) of every byte, in order."""
    columns, places, _ = cells.place(np.arange(len(cells.data)))
    return [(cells.columns[c].name, cells.text(c, p)) for c, p in zip(columns.tolist(), places.tolist(), strict=True)]


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize(("start", "stop"), [(0, 4), (1, 4), (1, 3), (3, 4)])
def test_each_byte_is_placed(share, start, stop):
    """Empty texts, NULLs, slices and columns without texts are in nobody's way."""
    batch = BATCH.slice(start, stop - start)
    cells = Cells(batch, NAMES, share=share)
    expected = []
    for name in ("reason", "attributes", "resource"):
        if name not in [column.name for column in cells.columns]:
            continue
        texts = batch.column(name).to_pylist()
        if share and name == "resource" and len(texts) > 1:
            texts = list(dict.fromkeys(text for text in texts if text is not None))
        expected += [(name, text) for text in texts if text for _ in text.encode()]
    assert where(cells) == expected
    assert cells.data.decode() == "".join(
        "".join(text or "" for text in column.values.to_pylist()) for column in cells.columns
    )


def test_offsets_count_from_the_columns_first_byte():
    """Where a cell starts, and an offset inside its column, agree with the bytes."""
    cells = Cells(BATCH, NAMES, share=False)
    at = cells.data.index(b"cccc")
    (column,), (place,), (inside,) = cells.place(np.array([at]))
    assert (cells.columns[column].name, place) == ("reason", 3)
    assert cells.start_of(column) + inside == at == cells.start_of_cell(column, place)


def test_rows_that_share_a_text_are_known():
    """A shared text stands for all of its rows, a NULL for none."""
    cells = Cells(BATCH, ("resource",), share=True)
    assert [cells.columns[0].rows_of(place).tolist() for place in (0, 1)] == [[0, 2], [1]]
    cells.columns[0].edits.texts[0] = "{}"
    assert cells.columns[0].treated().to_pylist() == ["{}", '{"b":2}', "{}", None]


def test_only_columns_with_a_text_are_joined():
    """Columns of other types, absent ones and those that are all NULL are left out."""
    assert [column.name for column in Cells(BATCH, NAMES, share=False).columns] == ["reason", "attributes", "resource"]
