"""Redaction's own measurements, as OpenTelemetry instruments: counts by detector, never a value."""

from collections import Counter
from collections.abc import Iterable

from opentelemetry import metrics

from collectors.redact.classification import TableFindings
from collectors.redact.findings import IDENTITY


class RedactionMeasures:
    """Instruments of redaction. Units as UCUM; names `muniment.*`."""

    def __init__(self) -> None:
        meter = metrics.get_meter("muniment.redaction")
        self._redactions = meter.create_counter(
            "muniment.redactions", unit="{redaction}", description="texts masked, exchanged, dropped or withheld"
        )
        self._vault_failures = meter.create_counter(
            "muniment.redaction.vault.failures", unit="{group}", description="groups whose ids were masked: no vault"
        )

    def treated(self, tables: Iterable[TableFindings]) -> None:
        """Count a group's redactions; once a group, because an instrument costs ten microseconds a call."""
        counts: Counter[str] = Counter()
        for found in tables:
            counts[IDENTITY] += int(found.identities.sum())
            for findings in found.rows.values():
                counts.update(findings.counts)
        for detector, count in counts.items():
            if count:
                self._redactions.add(count, {"detector": detector})

    def vault_failed(self) -> None:
        """Count a group for which the vault was out of reach."""
        self._vault_failures.add(1)
