"""Parameters of tests that hold at every step of something: some of them always run, all of them in `make test-all`."""

import pytest


def strided(values, *kept):
    """Mark as slow every value that is not among the kept ones."""
    assert all(value in values for value in kept), f"expected some of {values}, got {kept}"
    return [value if value in kept else _slow(value) for value in values]


def _slow(value):
    return pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow)
