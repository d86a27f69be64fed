"""The redactor: every text of a group of records, classified and treated.

1. All texts of a table lie in one buffer, which is scanned once (`patterns`). Most texts hold nothing and are not touched.
2. Ids of persons that stand where the decoder puts them are exchanged for tokens by position, without reading the rest.
3. Cells in which something was found go the careful way (`treatment`), one by one. Tokens that the vault had to make are
   fetched for all of them at once, and those cells treated again.
4. What was found decides each record's class, categories, counts and subjects; what was found in contents counts for their
   record too.

Invariant: a text leaves unchanged only when the scan found nothing in it or its treatment ended well.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from collectors.redact.assembly import assemble
from collectors.redact.detector import Detector
from collectors.redact.fields import COLUMNS, Field, field_at, field_of
from collectors.redact.findings import Findings
from collectors.redact.group import GroupTreatment
from collectors.redact.json_text import Path, is_json
from collectors.redact.measures import RedactionMeasures
from collectors.redact.otlp_record import treat_otlp
from collectors.redact.patterns import Patterns
from collectors.redact.policy import RedactionPolicy
from collectors.redact.tokens import TokenBook, Vault
from collectors.redact.treatment import WITHHELD_TEXT, Treatment
from warehouse.treated import RecordSet, Redactor

TEXT_SECONDS = 2.0
"""Longest that the search of one text may take before it is withheld."""


@dataclass(frozen=True)
class _Compiled:
    """A policy and the patterns that go with it."""

    policy: RedactionPolicy
    patterns: Patterns

    @classmethod
    def of(cls, policy: RedactionPolicy) -> "_Compiled":
        return cls(policy, Patterns(policy.detectors, policy.treated_keys))


class PolicyRedactor(Redactor):
    """Treats records by the redaction policy in force. Thread-safe; `use` changes the policy for groups that begin later."""

    def __init__(self, policy: RedactionPolicy, vault: Vault | None, *, text_seconds: float = TEXT_SECONDS) -> None:
        self._compiled = _Compiled.of(policy)
        self._vault = vault
        self._text_seconds = text_seconds
        self._measures = RedactionMeasures()

    @property
    def policy(self) -> RedactionPolicy:
        """The policy in force."""
        return self._compiled.policy

    def use(self, policy: RedactionPolicy) -> None:
        """Put another policy in force; groups go on under the one before until it is ready."""
        compiled = _Compiled.of(policy)
        if self._compiled.patterns.are_compiled:
            compiled.patterns.compile()
        self._compiled = compiled

    def prepare(self) -> None:
        """Do now what the first large group would have to wait for: a second of work."""
        self._compiled.patterns.compile()

    def redact(self, records: RecordSet) -> RecordSet:
        """Treat and classify a group of records."""
        compiled = self._compiled
        book = TokenBook(self._vault)
        group = GroupTreatment(compiled.policy, compiled.patterns, book, self._text_seconds)
        treated = group.treat(records.tables)
        self._measures.treated(found for _, found in treated.values())
        if book.out_of_reach:
            self._measures.vault_failed()
        return assemble(records, treated, compiled.policy)

    def redact_text(self, tenant_id: str, text: str) -> str:
        """A text of a tenant that is no record, such as a message that quotes one; JSON is treated value by value."""
        return self.explain(tenant_id, text, details=False)[0] or ""

    def redact_record(self, tenant_id: str, text: str) -> str:
        """The OTLP/JSON text of a record that goes to quarantine, treated as its row would have been."""
        inspection = self._inspection(tenant_id, "quarantine", details=False)
        try:
            return inspection.settled(
                lambda: treat_otlp(text, lambda value, path: inspection.text(value, path, field_at(path))[0])
            )
        except (ValueError, RecursionError):
            return json.dumps({"withheld": WITHHELD_TEXT})

    def explain(
        self, tenant_id: str, text: str, *, key: str = "body", table: str = "logs", details: bool = True
    ) -> tuple[str | None, Findings]:
        """What stands in place of a text of a tenant, and what was found, with offsets in each value."""
        inspection = self._inspection(tenant_id, table, details=details)
        if key == "body" and _is_json(text):
            return inspection.settled(lambda: inspection.json(text))
        return inspection.settled(lambda: inspection.text(text, (key,), COLUMNS.get(key) or field_of(key)))

    def _inspection(self, tenant_id: str, table: str, *, details: bool) -> "_Inspection":
        return _Inspection(
            self._compiled, TokenBook(self._vault), tenant_id, table, self._text_seconds, details=details
        )


def _is_json(text: str) -> bool:
    try:
        return is_json(text)
    except RecursionError:
        return False  # withheld as a text


_Answer = TypeVar("_Answer")


class _Inspection:
    """The treatment of single texts of one tenant."""

    def __init__(
        self, compiled: _Compiled, book: TokenBook, tenant: str, table: str, text_seconds: float, *, details: bool
    ) -> None:
        policy = compiled.policy.for_tenant(tenant)
        self._book = book
        self._patterns = compiled.patterns
        self._own = set(policy.detectors.values())
        self._treatment = Treatment(tenant, policy, table, book, text_seconds=text_seconds, explain=details)

    def text(self, text: str, path: Path, field: Field) -> tuple[str | None, Findings]:
        """Treat a text under the keys `path`."""
        return self._treatment.text(text, path, field, self._candidates)

    def json(self, text: str) -> tuple[str | None, Findings]:
        """Treat a JSON text."""
        return self._treatment.json(text, self._candidates)

    def settled(self, treat: Callable[[], _Answer]) -> _Answer:
        """Treat, and again where the vault had to make a token first."""
        answer = treat()
        if not self._book.missing:
            return answer
        self._book.fetch()
        return treat()

    def _candidates(self, text: str) -> Sequence[Detector]:
        return [one for one in self._patterns.detectors_for(text) if one in self._own]
