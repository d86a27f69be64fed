"""The class that a sender declares for its record: CloudEvents' data classification extension, and its words for regulations.

`dataclassification` is one of the classes, `dataregulation` a list of laws (CloudEvents, *Data Classification* extension). They
come as attributes, under any prefix (`cloudevents.dataclassification`, `ce-dataclassification`). A declaration may raise a record's class, never lower it.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from collectors.redact.detector import Category, DataClass
from collectors.redact.findings import Findings

CLASSIFICATION, REGULATION = "dataclassification", "dataregulation"
_WORDS = {
    "public": DataClass.PUBLIC,
    "internal": DataClass.INTERNAL,
    "private": DataClass.CONFIDENTIAL,
    "confidential": DataClass.CONFIDENTIAL,
    "sensitive": DataClass.CONFIDENTIAL,
    "restricted": DataClass.RESTRICTED,
    "secret": DataClass.RESTRICTED,
    "highly-confidential": DataClass.RESTRICTED,
}
_LAWS = {
    "gdpr": (DataClass.CONFIDENTIAL, Category.PII),
    "ccpa": (DataClass.CONFIDENTIAL, Category.PII),
    "lgpd": (DataClass.CONFIDENTIAL, Category.PII),
    "hipaa": (DataClass.RESTRICTED, Category.PHI),
    "pci-dss": (DataClass.RESTRICTED, Category.PCI),
    "pci": (DataClass.RESTRICTED, Category.PCI),
}


def declared_class(attributes: str) -> Findings:
    """What the attributes of a record declare; a word that is not known counts as restricted."""
    found = Findings()
    for key, value in _members(attributes):
        name = key.lower()
        if name.endswith(CLASSIFICATION):
            found.raise_class(_WORDS.get(_word(value), DataClass.RESTRICTED))
        elif name.endswith(REGULATION):
            for law in str(value).replace(";", ",").split(","):
                if law.strip():
                    data_class, category = _LAWS.get(_word(law), (DataClass.CONFIDENTIAL, Category.PII))
                    found.raise_class(data_class, category)
    return found


def _members(attributes: str) -> Iterator[tuple[str, Any]]:
    try:
        value = msgspec.json.decode(attributes)
    except msgspec.DecodeError:
        return
    if isinstance(value, dict):
        yield from value.items()


def _word(value: object) -> str:
    return str(value).strip().lower().replace("_", "-").replace(" ", "-")
