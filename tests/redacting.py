"""Policies, detectors, vaults and records for tests of redaction."""

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pyarrow as pa

from collectors.redact.detector import Category, DataClass, Detector, Match
from collectors.redact.detectors import BY_NAME
from collectors.redact.engine import PolicyRedactor
from collectors.redact.patterns import Patterns
from collectors.redact.policy_compiler import compile_policy, strict_policy
from warehouse.errors import UnavailableError
from warehouse.policies import Bundle
from warehouse.subjects.tokens import is_token, normal_form, token_of
from warehouse.tables import TABLES
from warehouse.treated import RecordSet

NOW = 1_795_392_000_000_000_000
DAY = dt.date(2026, 11, 23)

PATIENCE_SECONDS = 600.0
"""How long a text may take where its time is not what is tested: a busy machine is none that withholds."""

_COMPILED = {}


class MemoryVault:
    """Tokens in memory; `calls` are the values asked for, `is_down` puts it out of reach."""

    def __init__(self):
        self.given = {}
        self.calls = []
        self.is_down = False

    def tokens(self, tenant_id: str, values: Sequence[str]) -> list[str]:
        """A token for each value."""
        self._answer()
        self.calls.append((tenant_id, list(values)))
        made = [
            token_of(hashlib.sha256(f"{tenant_id}/{normal_form(v)}".encode()).digest(), normal_form(v)) for v in values
        ]
        self.given.setdefault(tenant_id, {}).update(zip(made, values, strict=True))
        return made

    def known(self, tenant_id: str, tokens: Iterable[str]) -> set[str]:
        """Which of these are tokens of this tenant."""
        self._answer()
        return {token for token in tokens if is_token(token) and token in self.given.get(tenant_id, {})}

    def token(self, tenant_id, value):
        """The token that a value has."""
        return self.tokens(tenant_id, [value])[0]

    def _answer(self):
        if self.is_down:
            raise UnavailableError("the vault is out of reach")


def policy(text, detectors=BY_NAME):
    """The policy of one YAML entry for every tenant, or of a list of entries."""
    listed = text if text.lstrip().startswith("- ") else f"- {{name: one, tenants: ['*'], {text}}}"
    body = "\n".join(f"  {line}" for line in listed.strip("\n").splitlines())
    return compile_policy(Bundle("redaction", {"a.yaml": f"redaction:\n{body}\n"}), detectors)


def detector(name, pattern, *, trigger=None, **more):
    """A detector of a regular expression."""
    return Detector(
        name=name,
        category=more.pop("category", Category.PII),
        data_class=more.pop("data_class", DataClass.CONFIDENTIAL),
        triggers=more.pop("triggers", (trigger or pattern,)),
        find=more.pop("find", lambda text: [Match(m.start(), m.end()) for m in re.finditer(pattern, text)]),
        **more,
    )


def named(*detectors):
    """Detectors by name, beside those of the package."""
    return {**BY_NAME, **{one.name: one for one in detectors}}


def redactor(text=None, *, vault=None, detectors=BY_NAME, small=False, **more):
    """A redactor of a policy; the strict one where nothing is said. It scans whatever the size of a group, unless `small`."""
    chosen = (
        strict_policy(BY_NAME) if text is None and detectors is BY_NAME else policy(text or "default: mask", detectors)
    )
    engine = PolicyRedactor(chosen, vault, **{"text_seconds": PATIENCE_SECONDS, **more})
    if not small:
        engine._compiled = replace(engine._compiled, patterns=_patterns(chosen))
    return engine


def _patterns(chosen):
    """Compiled once for all policies that look for the same: compiling takes seconds."""
    wanted = (tuple(chosen.detectors.values()), chosen.treated_keys)
    if wanted not in _COMPILED:
        _COMPILED[wanted] = Patterns(chosen.detectors, chosen.treated_keys)
        _COMPILED[wanted].scan_texts(b"x")
    return _COMPILED[wanted]


def treat(engine, **tables) -> RecordSet:
    """Tables, given as `rows` takes them or as batches, as they come out of a redactor."""
    batches = {
        name: given if isinstance(given, pa.RecordBatch) else rows(name, given) for name, given in tables.items()
    }
    return engine.redact(RecordSet(batches))


def rows(table, given, **common):
    """Decoded rows of a table, each a mapping of columns; what is a mapping or a list is written as JSON."""
    schema = TABLES[table].decoded_schema
    usual = {"tenant_id": "acme", "day": DAY, "time_unix_nano": NOW, "recorded_by": "key:k1", **common}
    columns = [
        pa.array([_cell({**usual, **row}.get(field.name), field.type) for row in given], field.type) for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def column(found, table, name):
    """A column's values."""
    return found.tables[table].column(name).to_pylist()


def member(found, table, name, row=0):
    """A JSON column of one row, read."""
    return json.loads(column(found, table, name)[row])


def all_texts(found):
    """Every text of every column of every table."""
    for batch in found.tables.values():
        for one in batch.columns:
            if pa.types.is_string(one.type):
                yield from (text for text in one.to_pylist() if text)
            elif pa.types.is_list(one.type):
                yield from (text for texts in one.to_pylist() for text in texts or ())


def _cell(value, kind):
    if pa.types.is_string(kind) and isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return value
