"""Deletions of several certificates, searched for as one."""

import pytest

from muniment.searching import join
from warehouse.ledger.certificates import ContentParts, Deleted, Run


def run(first, last, shard="s"):
    return Run("spans", "acme", shard, first, last)


@pytest.mark.parametrize(
    ("several", "expected"),
    [
        pytest.param([[run(0, 4)], [run(10, 12)]], [run(0, 4), run(10, 12)], id="apart"),
        pytest.param([[run(5, 9)], [run(0, 4)]], [run(0, 9)], id="touching"),
        pytest.param([[run(0, 100)], [run(10, 20)]], [run(0, 100)], id="one within the other, as after a restore"),
        pytest.param([[run(0, 5)], [run(3, 8), run(20, 20)]], [run(0, 8), run(20, 20)], id="overlapping"),
        pytest.param([[run(0, 5)], [run(3, 8, "t")]], [run(0, 5), run(3, 8, "t")], id="of two logs"),
    ],
)
def test_runs_become_one_without_overlap(several, expected):
    """A search by bounds needs runs in order that don't overlap: what one certificate names within another is not lost."""
    assert join("acme", [Deleted(tuple(runs)) for runs in several]).runs == tuple(expected)


def test_contents_are_kept_as_they_are():
    """Parts of every certificate are searched for."""
    parts = [ContentParts("acme", "s", 3, ("0",)), ContentParts("acme", "s", 3, ("1",))]
    assert join("acme", [Deleted(contents=(each,)) for each in parts]).contents == tuple(parts)
