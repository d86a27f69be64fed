"""Which controls ever came with the package: by fingerprint, so that a lake's copy is told from what somebody wrote.

`shipped.yaml` lists, by framework and control, the fingerprint of every text that was ever shipped, the newest last. Lines are only
ever added: with one taken out, a copy of it in some lake would count as that organisation's own.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from importlib.resources import files

from governance.controls.framework import Control, Controls, Framework
from warehouse.policies.yaml_lines import read_document

FILE = "shipped.yaml"
HEAD = ""
"""Stands for the head of a framework, its title and note, where else the id of a control does."""
_DIGITS = 32


@dataclass(frozen=True)
class Head:
    """What a framework says of itself."""

    framework: str
    title: str
    note: str


Part = Control | Head
"""What is compared as a whole: a control, or the head of a framework."""


def parts(controls: Controls) -> dict[tuple[str, str], Part]:
    """Every control by framework and id, and every framework's head."""
    found: dict[tuple[str, str], Part] = {}
    for each in controls.frameworks.values():
        found[each.id, HEAD] = _head(each)
        found |= {(each.id, control.id): control for control in each.controls}
    return found


def fingerprint(part: Part) -> str:
    """The first 32 hexadecimal digits of the SHA-256 of what it says, whatever its file looks like.

    Fields at their default are left out, so that a key which a later version adds changes no older fingerprint.
    """
    said = {each.name: getattr(part, each.name) for each in fields(part)}
    kept = {
        each.name: said[each.name]
        for each in fields(part)
        if each.default is MISSING or said[each.name] != each.default
    }
    text = json.dumps(kept, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


@cache
def fingerprints() -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Fingerprints of everything that was ever shipped, by framework and control, the newest last."""
    text = (files("governance.controls") / FILE).read_text(encoding="utf-8")
    listed = read_document(FILE, text).value
    return {(framework, name): tuple(each) for framework, names in listed.items() for name, each in names.items()}


def was_shipped(where: tuple[str, str], part: Part) -> bool:
    """Whether this very text came with some version of the package."""
    return fingerprint(part) in fingerprints().get(where, ())


def _head(framework: Framework) -> Head:
    return Head(framework.id, framework.title, framework.note)
