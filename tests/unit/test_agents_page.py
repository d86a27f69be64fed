"""The registry and what was seen, side by side, as the page *Agents* shows them."""

import pyarrow as pa

from dashboards.agents import side_by_side


def test_the_registry_stands_beside_what_was_seen_and_what_goes_beyond_it_is_named():
    """Names of a registration are patterns; where it names none of a kind all are allowed; who is in one list alone is there too."""
    registered = pa.Table.from_pylist([
        {"agent": "agt-1", "name": "One", "state": "active", "owner": "team", "models": "gpt-4*", "providers": "", "tools": "read, pay"},
        {"agent": "agt-2", "name": "Two", "state": "active", "owner": "team", "models": "", "providers": "", "tools": ""},
    ])  # fmt: skip
    acts = {
        "models": ["m-2026"],
        "providers": ["p"],
        "versions": ["1"],
        "data_classes": ["internal"],
        "runs": 3,
        "errors": 0,
    }
    seen = pa.Table.from_pylist(
        [
            {"agent": "agt-1", "name": "One", "models_asked": ["gpt-4.1", "other"], "tools": ["erase", "pay"], **acts},
            {"agent": "agt-9", "name": "Nine", "models_asked": ["x"], "tools": ["y"], **acts},
        ]
    )
    nine, one, two = side_by_side(registered, seen)
    assert (one["beyond its registration"], one["owner"], one["runs"], one["models seen"]) == (
        "other, erase",
        "team",
        3,
        "m-2026",
    )
    assert (nine["state"], nine["beyond its registration"], nine["tools seen"]) == ("not registered", "", "y")
    assert (two["state"], two["runs"], two["beyond its registration"]) == ("active", None, "")
