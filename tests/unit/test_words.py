"""The officer's words for columns, and money as money."""

import pyarrow as pa
import pytest

from dashboards.words import COST, blank, counted, shortened, worded


def test_costs_are_dollars_and_nothing_stays_nothing():
    """Millionths of a dollar become dollars; a cost that nobody knows does not become one."""
    rows = worded(pa.table({"log_index": [1, 2, 3], "cost_microusd": pa.array([1_500_000, None, 7], pa.int64())}))
    assert rows.column_names == ["record number", COST]
    assert rows.column(COST).to_pylist() == [1.5, None, pytest.approx(0.000007)]


def test_a_cost_beyond_any_money_is_shown():
    """A sender may claim any cost: the largest loses its last millionths and stops no page."""
    (most,) = worded(pa.table({"cost_microusd": [2**63 - 1]})).column(COST).to_pylist()
    assert most == pytest.approx(9.223372036854776e12)


def test_of_a_steps_status_only_errors_are_said():
    """That a step did not report how it ended is no state that people have to read."""
    rows = worded(pa.table({"status_code": ["ERROR", "UNSET", "OK", None]}))
    assert rows.column("status").to_pylist() == ["error", "", "", ""]


def test_columns_without_a_word_keep_their_name():
    """What officers call the same is left alone, in the same order, with the same values."""
    rows = pa.table({"day": ["2026-11-01"], "spans": [3], "of my own": ["x"]})
    assert worded(rows).to_pylist() == [{"day": "2026-11-01", "steps": 3, "of my own": "x"}]


def test_what_is_not_there_is_blank_and_a_number_stays_unknown():
    """Texts and lists that are not there are shown as nothing; a number that nobody knows does not become one."""
    lists = pa.array([["a"], None], pa.list_(pa.string()))
    rows = blank(pa.table({"text": ["a", None], "nothing": pa.nulls(2), "lists": lists, "number": [1, None]}))
    assert rows.to_pylist()[1] == {"text": "", "nothing": "", "lists": [], "number": None}


@pytest.mark.parametrize(("count", "said"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1_204, "1,204 rows")])
def test_one_is_no_plural(count, said):
    """One row is a row."""
    assert counted(count, "row") == said


def test_a_plural_of_its_own_is_used():
    """Some plurals are not made with an s."""
    assert counted(2, "person", "people") == "2 people"


def test_a_long_text_is_shown_to_where_a_browser_can_draw_it():
    """Characters count, not bytes; what fits, numbers, lists and what is not there stay as they are."""
    rows = pa.table(
        {
            "said": ["é" * 2_000, "é" * 2_001, None],
            "large": pa.array(["a", "b" * 3_000, None], pa.large_string()),
            "short": ["a", "b", "c"],
            "count": [1, 2, None],
            "names": [["a"], ["b"], None],
        }
    )
    found = shortened(rows)
    assert found.column("said").to_pylist() == [
        "é" * 2_000,
        "é" * 2_000 + "… (2001 characters; the export has all)",
        None,
    ]
    assert found.column("large").to_pylist() == ["a", "b" * 2_000 + "… (3000 characters; the export has all)", None]
    assert found.select(["short", "count", "names"]) == rows.select(["short", "count", "names"])
    assert found.schema == rows.schema
