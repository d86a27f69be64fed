"""How the policies of one kind fall into entries, and which texts of them ever came with the package.

`shipped.yaml` beside the policies of a kind lists, by group and name, the fingerprint of every text that was ever shipped, the newest
last. Lines are only ever added: with one taken out, a copy of it in some lake would count as that organisation's own.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from typing import Any

from warehouse.policies.blocks import Blocks, Where, document_blocks, documents, list_blocks, named
from warehouse.policies.bundle import Bundle
from warehouse.policies.errors import PolicyError
from warehouse.policies.yaml_lines import read_document

FILE = "shipped.yaml"
_DIGITS = 32


@dataclass(frozen=True)
class Family:
    """One kind of policy, entry by entry.

    Attributes:
        kind: the kind's name.
        noun: what its entries are called, in the plural.
        shipped: the bundle that comes with this version.
        parts: the fingerprint of every entry of a file, given its name and text; raises `PolicyError` where it cannot be read.
        blocks: the same file line by line; raises `PolicyError` where entries do not stand on lines of their own.
        ever: the fingerprints of every text that ever came with the package, the newest last.
    """

    kind: str
    noun: str
    shipped: Callable[[], Bundle]
    parts: Callable[[str, str], Mapping[Where, str]]
    blocks: Callable[[str, str], Blocks]
    ever: Callable[[], Mapping[Where, tuple[str, ...]]]


def digest(said: object) -> str:
    """The first 32 hexadecimal digits of the SHA-256 of what an entry says, whatever its file looks like."""
    text = said if isinstance(said, str) else _canonical(said)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


@cache
def read_shipped(package: str) -> Mapping[Where, tuple[str, ...]]:
    """The list of a package: fingerprints of everything that was ever shipped, by group and name, the newest last."""
    text = (files(package) / FILE).read_text(encoding="utf-8")
    listed = read_document(FILE, text).value
    return {(group, name): tuple(each) for group, names in listed.items() for name, each in names.items()}


def list_family(
    kind: str, noun: str, shipped: Callable[[], Bundle], *, package: str, key: str, name: str, group: str
) -> Family:
    """A kind whose YAML files hold one list each, under `key`, of entries that `name` tells apart."""

    def where_of(entry: Any) -> Where:
        return group, str(entry[name])

    def parts(file: str, text: str) -> Mapping[Where, str]:
        value = read_document(file, text).value
        try:
            return {where_of(entry): digest(entry) for entry in value[key]}
        except (TypeError, KeyError) as exc:
            raise _unnamed(file, text, key, name) from exc

    blocks = partial(list_blocks, key=key, where_of=where_of)
    return Family(kind, noun, shipped, parts, blocks, partial(read_shipped, package))


def document_family(
    kind: str, noun: str, shipped: Callable[[], Bundle], *, package: str, where_of: Callable[[Any], Where]
) -> Family:
    """A kind whose YAML files hold an entry a document."""

    def parts(file: str, text: str) -> Mapping[Where, str]:
        read = [(part, read_document(file, part).value) for _, part in documents(text)]
        return {named(file, part, where_of): digest(value) for part, value in read if value is not None}

    return Family(
        kind, noun, shipped, parts, partial(document_blocks, where_of=where_of), partial(read_shipped, package)
    )


def _unnamed(file: str, text: str, key: str, name: str) -> PolicyError:
    message = f"got entries that cannot be told apart, expected a list under {key}, each entry with {name}"
    return PolicyError([read_document(file, text).problem((key,), message)])


def _canonical(said: object) -> str:
    return json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
