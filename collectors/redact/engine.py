"""The redactor: every text of a group of records, classified and treated.

1. All texts of a table lie in one buffer, which is scanned once (`patterns`). Most texts hold nothing and are not touched.
2. Ids of persons that stand where the decoder puts them are exchanged for tokens by position, without reading the rest.
3. Cells in which something was found go the careful way (`treatment`), one by one. Tokens that the vault had to make are
   fetched for all of them at once, and those cells treated again.
4. What was found decides each record's class, categories, counts and subjects; what was found in contents counts for their
   record too.

Invariant: a text leaves unchanged only when the scan found nothing in it or its treatment ended well.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from collectors.redact.assembly import assemble
from collectors.redact.detector import Detector
from collectors.redact.fields import COLUMNS, field_of
from collectors.redact.findings import Findings
from collectors.redact.group import GroupTreatment
from collectors.redact.json_text import is_json
from collectors.redact.patterns import Patterns
from collectors.redact.policy import RedactionPolicy
from collectors.redact.tokens import TokenBook, Vault
from collectors.redact.treatment import Treatment
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

    @property
    def policy(self) -> RedactionPolicy:
        """The policy in force."""
        return self._compiled.policy

    def use(self, policy: RedactionPolicy) -> None:
        """Put another policy in force."""
        self._compiled = _Compiled.of(policy)

    def redact(self, records: RecordSet) -> RecordSet:
        """Treat and classify a group of records."""
        compiled = self._compiled
        group = GroupTreatment(compiled.policy, compiled.patterns, TokenBook(self._vault), self._text_seconds)
        return assemble(records, group.treat(records.tables), compiled.policy)

    def redact_text(self, tenant: str, text: str) -> str:
        """A text of a tenant that is no record, such as one on its way to quarantine; JSON is treated value by value."""
        new, _ = self.explain(tenant, text, details=False)
        return new or ""

    def explain(
        self, tenant: str, text: str, *, key: str = "body", table: str = "logs", details: bool = True
    ) -> tuple[str | None, Findings]:
        """What stands in place of a text of a tenant, and what was found, with offsets in each value."""
        compiled = self._compiled
        book = TokenBook(self._vault)
        policy = compiled.policy.for_tenant(tenant)
        treatment = Treatment(tenant, policy, table, book, text_seconds=self._text_seconds, explain=details)
        own = set(policy.detectors.values())

        def candidates(part: str) -> Sequence[Detector]:
            return [one for one in compiled.patterns.detectors_for(part) if one in own]

        def treat() -> tuple[str | None, Findings]:
            if key == "body" and is_json(text):
                return treatment.json(text, candidates)
            return treatment.text(text, (key,), COLUMNS.get(key) or field_of(key), candidates)

        answer = treat()
        if book.missing:
            book.fetch()
            answer = treat()
        return answer
