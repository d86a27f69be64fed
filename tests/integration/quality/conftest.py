"""What `tests/integration/query` writes lakes with, for checks of their records."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture
def query_lake(tmp_path):
    """An empty lake that rows can be written into."""
    file = Path(__file__).parents[1] / "query" / "conftest.py"
    specification = importlib.util.spec_from_file_location("query_lake_for_quality", file)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.QueryLake(tmp_path / "lake")
