"""What every page shares: costs as people read them."""

import pyarrow as pa

from dashboards.words import COST, worded


def test_costs_are_shown_in_dollars():
    """Kept in millionths of a US dollar, shown in dollars under a name that says so; an unknown cost stays unknown."""
    rows = worded(pa.table({"day": ["a", "b"], "cost_microusd": [1_500_000, None], "count": [1, 2]}))
    assert rows.column_names == ["day", COST, "count"]
    assert rows.column(COST).to_pylist() == [1.5, None]
    assert worded(rows).equals(rows)
