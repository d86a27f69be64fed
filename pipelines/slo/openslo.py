"""OpenSLO v1 files as objects by kind, each with its mapping still at hand, so that whatever is wrong has a file and a line.

A file may hold several documents. Of the format's kinds `DataSource` is not supported (indicators ask the lake itself). One kind
is ours, under `apiVersion: muniment/v1`: `Maintenance`. What this product adds to OpenSLO's own kinds stands in annotations
that begin with `muniment/`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipelines.slo.keys import Keys
from warehouse.policies import Bundle, PolicyError, Problem
from warehouse.policies.blocks import documents, says_something
from warehouse.policies.yaml_lines import read_document

API_VERSION = "openslo/v1"
OWN_API_VERSION = "muniment/v1"
OPENSLO_KINDS = ("Service", "SLI", "SLO", "AlertPolicy", "AlertCondition", "AlertNotificationTarget")
OWN_KINDS = ("Maintenance",)
ANNOTATION = "muniment/"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_DATA_SOURCE = "the kind DataSource of OpenSLO is not supported: an indicator's SQL asks the lake itself"


@dataclass(frozen=True)
class Metadata:
    """Names and annotations of one object."""

    name: str
    title: str
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Definition:
    """One object of a file: its metadata, and its specification to be read."""

    kind: str
    file: str
    keys: Keys
    metadata: Metadata
    spec: Keys


def read_definitions(bundle: Bundle, problems: list[Problem]) -> list[Definition]:
    """Every object of the files; what cannot be one is added to `problems`."""
    found = []
    for file, text in bundle.files.items():
        for part in _documents(text):
            try:
                document = read_document(file, part)
            except PolicyError as exc:
                problems += exc.problems
                continue
            if document.value is None:
                continue
            keys = Keys(document, (), document.value, problems)
            if isinstance(document.value, dict) and (definition := _definition(file, keys)) is not None:
                found.append(definition)
    return found


Identity = tuple[str, str]
"""Kind and name of an object."""


def defined(bundle: Bundle) -> set[Identity]:
    """Kind and name of every object of the files, as far as they can be told."""
    return {
        identity
        for text in bundle.files.values()
        for part in _documents(text)
        if (identity := _identity(part)) is not None
    }


def without(text: str, identities: set[Identity]) -> str:
    """A file without some objects; empty where nothing is left."""
    parts = [part.lstrip("\n") for part in _documents(text) if _identity(part) not in identities]
    return "\n---\n".join(parts)


def _identity(part: str) -> Identity | None:
    try:
        value = read_document("", part).value
        return str(value["kind"]), str(value["metadata"]["name"])
    except (PolicyError, TypeError, KeyError):
        return None


def read_metadata(keys: Keys | None, known: tuple[str, ...]) -> Metadata:
    """Names, labels and annotations; `known` are the annotations of ours that mean something here."""
    if keys is None:
        return Metadata("", "")
    name = keys.text("name")
    if name and not _NAME.fullmatch(name):
        keys.report(("name",), f"got {name!r}, expected [a-z0-9][a-z0-9_.-]{{0,62}}")
    annotations = keys.texts("annotations")
    for key in annotations:
        if key.startswith(ANNOTATION) and key.removeprefix(ANNOTATION) not in known:
            expected = ", ".join(ANNOTATION + each for each in known) or f"none that begins with {ANNOTATION}"
            keys.report(("annotations", key), f"got an unknown annotation, expected {expected}")
    metadata = Metadata(name, keys.text("displayName", name), _labels(keys), annotations)
    keys.finish()
    return metadata


KNOWN_ANNOTATIONS = {
    "SLO": ("tenants", "minimum-events", "watched"),
    "AlertCondition": ("short-window", "runbook"),
}
"""Annotations of ours, by the kind whose metadata they stand in."""


def _definition(file: str, keys: Keys) -> Definition | None:
    version = keys.text("apiVersion", among=(API_VERSION, OWN_API_VERSION))
    kind = keys.raw("kind")
    kinds = OWN_KINDS if version == OWN_API_VERSION else OPENSLO_KINDS
    if kind == "DataSource":
        keys.report(("kind",), _DATA_SOURCE)
        return None
    if kind not in kinds:
        keys.report(("kind",), f"got {kind!r}, expected {', '.join(kinds)}")
        return None
    metadata = read_metadata(keys.child("metadata", required=True), KNOWN_ANNOTATIONS.get(kind, ()))
    spec = keys.child("spec", required=True)
    keys.finish()
    return None if spec is None else Definition(kind, file, keys, metadata, spec)


def _labels(keys: Keys) -> dict[str, str]:
    """Labels are texts, or lists of them."""
    value = keys.raw("labels")
    if value is None:
        return {}
    if not isinstance(value, dict):
        keys.report(("labels",), "expected a mapping")
        return {}
    found = {}
    for name, label in value.items():
        words = label if isinstance(label, list) else [label]
        if all(isinstance(word, str) for word in words):
            found[name] = ",".join(words)
        else:
            keys.report(("labels", name), "expected text or a list of texts: put it in quotes")
    return found


def _documents(text: str) -> Iterator[str]:
    """The documents of a file, each behind as many empty lines as stand before it, so that lines keep their numbers.

    A document ends before the line break that a separator follows. Queries that stand at the end of one are counted under a hash of
    their text: another line break would be another query, and every window that was counted under the first is lost.
    """
    found = list(documents(text))
    for at, (line, part) in enumerate(found, 1):
        if says_something(part):
            yield "\n" * (line - 1) + (part if at == len(found) else part.removesuffix("\n"))
