"""How the tree is laid out: names of its own, small modules, one place each for time and environment."""

import ast
import importlib
import re
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(folder.name for folder in ROOT.iterdir() if (folder / "__init__.py").is_file())
DISTRIBUTED = ("muniment", "collectors", "warehouse", "retention", "governance", "pipelines", "dashboards")
# what lies in a hidden folder, as the lakes and packs that benchmarks keep, was made by a command
MODULES = sorted(
    file
    for package in PACKAGES
    for file in (ROOT / package).rglob("*.py")
    if not any(part.startswith(".") for part in file.relative_to(ROOT).parts)
)
EVERY_FILE = [*MODULES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "docs").glob("*.py"))]
MOST_LINES = 500
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
ENVIRONMENT_MODULE = "muniment/environment.py"
CLOCK_MODULE = "warehouse/clock.py"
# benchmarks measure; nothing of the product takes a decision by the time that they read
NOT_SHIPPED = ("benchmarks",)
CLOCK_CALLS = {
    ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"), ("time", "time"),
    ("time", "time_ns"),
}  # fmt: skip
ENVIRONMENT_NAMES = {("os", "environ"), ("os", "environb"), ("os", "getenv"), ("os", "putenv")}


def name_of(file):
    return str(file.relative_to(ROOT))


@cache
def tree(source):
    """The syntax tree of a module, which two checks ask of every one."""
    return ast.parse(source)


@cache
def distributions():
    """Which distributions bring which top-level names: reading them off all that is installed takes as long as the checks."""
    return packages_distributions()


def dotted_uses(source):
    """Every `name.attribute` of a module, by the name's last part, and every `from module import name`, with lines."""
    for node in ast.walk(tree(source)):
        if isinstance(node, ast.Attribute):
            base = node.value
            owner = base.id if isinstance(base, ast.Name) else base.attr if isinstance(base, ast.Attribute) else None
            yield (owner, node.attr), node.lineno
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield (node.module, alias.name), node.lineno


def uses(source, wanted):
    return [f"line {line}: {'.'.join(pair)}" for pair, line in dotted_uses(source) if pair in wanted]


@pytest.mark.parametrize("package", DISTRIBUTED)
def test_top_level_names_belong_to_this_distribution_alone(package):
    """No other installed distribution brings a package of the same name, and ours is the one that is imported."""
    assert set(distributions().get(package, [])) <= {"muniment"}
    assert Path(importlib.import_module(package).__file__).is_relative_to(ROOT)


def test_every_package_is_distributed_or_known_not_to_be():
    """A new top-level package is listed here, in pyproject.toml and in .importlinter."""
    assert set(PACKAGES) - set(NOT_SHIPPED) == set(DISTRIBUTED)
    for file in ("pyproject.toml", ".importlinter"):
        text = (ROOT / file).read_text(encoding="utf8")
        assert not [package for package in DISTRIBUTED if package not in text], file


def test_no_page_is_named_like_a_package():
    """A dashboard's module named like a top-level package would be imported in its place."""
    pages = {file.stem for file in (ROOT / "dashboards").rglob("*.py")} - {"__init__"}
    assert not pages & set(PACKAGES)


def test_no_file_is_too_long():
    """A file is split before it has 500 lines."""
    lines = {name_of(file): len(file.read_text(encoding="utf8").splitlines()) for file in EVERY_FILE}
    assert not {name: count for name, count in lines.items() if count > MOST_LINES}


def test_modules_say_what_they_are():
    """Each module, and each package, begins with a docstring."""
    assert not [name_of(file) for file in MODULES if not ast.get_docstring(tree(file.read_text(encoding="utf8")))]


def test_module_names_say_something():
    """No module or folder has a name that fits anything."""
    assert not [name_of(file) for file in MODULES if VAGUE_NAMES & set(re.split(r"[/_.]", name_of(file)))]


def test_time_and_environment_are_read_in_one_place():
    """Only the clock module asks what time it is, only the environment module reads variables: all else is given them."""
    found = {}
    for name, source in ((name_of(file), file.read_text(encoding="utf8")) for file in MODULES):
        if name.startswith(NOT_SHIPPED):
            continue
        wanted = (ENVIRONMENT_NAMES if name != ENVIRONMENT_MODULE else set()) | (
            CLOCK_CALLS if name != CLOCK_MODULE else set()
        )
        if lines := uses(source, wanted):
            found[name] = lines
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.environ['A']",
        "from os import getenv",
        "import datetime\ndatetime.datetime.now()",
        "import time\ntime.time_ns()",
    ],
)
def test_reading_time_or_environment_is_found(source):
    """The check above does find what it looks for."""
    assert uses(source, ENVIRONMENT_NAMES | CLOCK_CALLS)


def test_no_test_folder_is_a_package():
    """Tests are not importable, so their names can meet no others."""
    assert not list((ROOT / "tests").rglob("__init__.py"))
