"""The fingerprint of a control: of what it says once compiled, so that a key which a later version adds changes none.

`shipped.yaml` lists those of every control that ever came with the package, by framework and id.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields

from governance.controls.framework import Control, Controls, Framework
from warehouse.policies.blocks import HEAD, Where
from warehouse.policies.family import digest, read_shipped


@dataclass(frozen=True)
class Head:
    """What a framework says of itself."""

    framework: str
    title: str
    note: str


Part = Control | Head
"""What is compared as a whole: a control, or the head of a framework."""


def parts(controls: Controls) -> dict[Where, Part]:
    """Every control by framework and id, and every framework's head."""
    found: dict[Where, Part] = {}
    for each in controls.frameworks.values():
        found[each.id, HEAD] = _head(each)
        found |= {(each.id, control.id): control for control in each.controls}
    return found


def fingerprint(part: Part) -> str:
    """The first 32 hexadecimal digits of the SHA-256 of what it says, whatever its file looks like.

    Fields at their default are left out, so that a key which a later version adds changes no older fingerprint.
    """
    said = {each.name: getattr(part, each.name) for each in fields(part)}
    return digest(
        {
            each.name: said[each.name]
            for each in fields(part)
            if each.default is MISSING or said[each.name] != each.default
        }
    )


def fingerprints() -> Mapping[Where, tuple[str, ...]]:
    """Fingerprints of everything that was ever shipped, by framework and control, the newest last."""
    return read_shipped("governance.controls")


def _head(framework: Framework) -> Head:
    return Head(framework.id, framework.title, framework.note)
