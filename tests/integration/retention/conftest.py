"""A lake to purge, written once a session through the real writer, and copied for each test."""

import importlib
import secrets
import sys
from pathlib import Path

import pytest

from tests.processes import run_code

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
def apply_in_process(tmp_path):
    """Applies what is due in a process of its own, which may die at a step: its exit code, what it wrote."""

    def apply(lake, *, days=30, die_at=0):
        words = ["purging.py", str(lake.path), f"--days={days}", f"--die-at={die_at}"]
        log = tmp_path / f"apply-{secrets.token_hex(4)}"
        code = run_code(
            f"import sys\nsys.path[:0] = [{str(TESTS)!r}]\nsys.argv = {words!r}\nimport purging\npurging.main()",
            log=log,
        )
        return code, log.read_text(), log.read_text()

    return apply
