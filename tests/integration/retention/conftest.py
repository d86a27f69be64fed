"""A lake to purge, written once a session through the real writer, and copied for each test."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def purging(rows):
    """The module `tests/purging.py`."""
    sys.modules.setdefault("rows", rows)
    sys.path.insert(0, str(TESTS))
    try:
        return importlib.import_module("purging")
    finally:
        sys.path.remove(str(TESTS))


@pytest.fixture(scope="session")
def filled(purging, tmp_path_factory):
    """The lake as the writer left it; never to be changed."""
    context = purging.fill(purging.new_lake(tmp_path_factory.mktemp("filled") / "lake"))
    context.control.close()
    return context.lake


@pytest.fixture
def open_copy(purging, filled, tmp_path):
    """Opens a copy of the lake as a command sees it, so many days later; all are closed at the end."""
    opened = []

    def open_it(name="lake", *, days=30, **options):
        folder = tmp_path / name
        if not folder.exists():
            purging.copy(filled.path, folder)
        opened.append(purging.open_context(folder, days=days, **options))
        return opened[-1]

    yield open_it
    for context in opened:
        context.control.close()


@pytest.fixture
def apply_in_process():
    """Applies what is due in a process of its own, which may die at a step: its exit code, what it wrote."""

    def apply(lake, *, days=30, die_at=0):
        done = subprocess.run(
            [sys.executable, "-W", "error", TESTS / "purging.py", lake.path, f"--days={days}", f"--die-at={die_at}"],
            env={**os.environ, "PYTHONPATH": str(TESTS.parent)}, capture_output=True, text=True, timeout=120, check=False,
            start_new_session=True,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return apply
