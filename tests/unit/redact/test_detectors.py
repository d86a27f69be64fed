"""The registry, and what holds for every detector."""

import re
from pathlib import Path

import pytest

from collectors.redact.detector import Category
from collectors.redact.detectors import DETECTORS
from tests.detection import MACHINE_TEXTS, found

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "detectors.md"


@pytest.mark.parametrize("text", MACHINE_TEXTS)
def test_leaves_texts_of_machines_whole(text):
    """Ids, digests, times, versions, models, counts and prices are nobody's data."""
    assert {one.name: found(one, text) for one in DETECTORS if found(one, text)} == {}


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda one: one.name)
def test_stands_in_the_reference(detector):
    """Each detector has a row in the reference, with its category and class."""
    row = re.search(rf"^\| `{detector.name}` \|.*$", REFERENCE.read_text(encoding="utf8"), re.MULTILINE)
    assert row
    assert detector.category in row[0]
    assert detector.data_class.label in row[0]


def test_names_are_masks():
    """Names are unique and fit into a mask."""
    names = [one.name for one in DETECTORS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z_]*", name) for name in names)


def test_card_outranks_what_else_the_same_digits_may_be():
    """Of overlapping matches the one with a check digit wins."""
    rank = {one.name: one.priority for one in DETECTORS}
    assert rank["card"] > rank["iban"] > rank["ssn"] > rank["phone"] > rank["person"]
    assert {one.category for one in DETECTORS} == {Category.PII, Category.PCI, Category.SECRET}
