"""Controls as a family of entries: each by its framework and id, the title and note of a framework as one more."""

from collections.abc import Mapping
from typing import Any

from governance.controls import shipped
from governance.controls.framework import KIND, compile_controls, default_bundle
from warehouse.policies import Bundle
from warehouse.policies.blocks import HEAD, Blocks, Where, list_blocks
from warehouse.policies.family import Family
from warehouse.policies.yaml_lines import read_document


def control_blocks(file: str, text: str) -> Blocks:
    """A control file line by line.

    Raises:
        PolicyError: its controls do not stand each on lines of their own.
    """
    group = str(read_document(file, text).value["framework"])

    def where_of(entry: Any) -> Where:
        return group, str(entry["id"])

    return list_blocks(file, text, "controls", where_of, (group, HEAD))


def _parts(file: str, text: str) -> Mapping[Where, str]:
    found = shipped.parts(compile_controls(Bundle(KIND, {file: text})))
    return {where: shipped.fingerprint(part) for where, part in found.items()}


FAMILY = Family(KIND, "controls", default_bundle, _parts, control_blocks, shipped.fingerprints)
