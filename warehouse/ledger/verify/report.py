"""What a verification says, for people and machines."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from warehouse.clock import utc_text
from warehouse.ledger.listening import Ending, Gap
from warehouse.ledger.verify.findings import Finding, FindingKind
from warehouse.ledger.verify.heads import Head


class Result(StrEnum):
    """The answer.

    `proved`: no findings, signers established by keys that the verifier brought, freshness by its memory or by witnesses, and
    no content is gone without a certificate. `consistent`: no findings, but one of these is not established. `broken`: there are findings.
    """

    PROVED = "proved"
    CONSISTENT = "consistent"
    BROKEN = "broken"


class Freshness(StrEnum):
    """How it is established that a log was not put back to an earlier state."""

    SEEN = "seen"
    WITNESSED = "witnessed"
    SEEN_AND_WITNESSED = "seen and witnessed"
    NOT_ESTABLISHED = "not established"


@dataclass
class ContentCount:
    """Content parts that the checked rows list: those that fit, those not there any more, and how many of these were certified."""

    matching: int = 0
    expired: int = 0
    certified: int = 0

    @property
    def unexplained(self) -> int:
        """How many are not there and no certificate says why."""
        return self.expired - self.certified


@dataclass
class LogReport:
    """One log. `unfinished` counts rows above the signed size that a commit under way explains."""

    tenant: str
    shard: str
    origin: str
    size: int = 0
    since: int = 0
    present: int = 0
    purged: int = 0
    missing: int = 0
    altered: int = 0
    unfinished: int = 0
    signer_established: bool = False
    signer_note: str = ""
    signing_keys: tuple[bytes, ...] = ()
    freshness: Freshness = Freshness.NOT_ESTABLISHED
    freshness_note: str = ""
    witnessed_size: int = 0
    contents: ContentCount = field(default_factory=ContentCount)
    findings: list[Finding] = field(default_factory=list)
    head: Head | None = None

    def find(self, kind: FindingKind, index: int | None, detail: str, last: int | None = None) -> None:
        """Add one finding."""
        self.findings.append(Finding(kind, index, detail, last))

    def to_json(self) -> dict[str, Any]:
        """Form of the JSON report."""
        return {
            "tenant": self.tenant,
            "shard": self.shard,
            "origin": self.origin,
            "size": self.size,
            "since": self.since,
            "present": self.present,
            "purged": self.purged,
            "missing": self.missing,
            "altered": self.altered,
            "unfinished": self.unfinished,
            "signer": "established" if self.signer_established else "not established",
            "signer_note": self.signer_note,
            "freshness": self.freshness.value,
            "freshness_note": self.freshness_note,
            "witnessed_size": self.witnessed_size,
            "contents": {
                "matching": self.contents.matching,
                "expired": self.contents.expired,
                "certified": self.contents.certified,
            },
            "findings": [finding.to_json() for finding in sorted(self.findings, key=_order)],
        }


@dataclass
class VerifyReport:
    """The whole verification. In the times of `gaps` no collector listened. `interrupted` says that it was stopped before its end: then nothing is established."""

    logs: list[LogReport] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    records: int = 0
    interrupted: bool = False

    @property
    def result(self) -> Result:
        """The answer for all logs together; a lake without logs is not proved."""
        if any(log.findings for log in self.logs):
            return Result.BROKEN
        established = all(
            log.signer_established and log.freshness is not Freshness.NOT_ESTABLISHED and not log.contents.unexplained
            for log in self.logs
        )
        return Result.PROVED if established and self.logs and not self.interrupted else Result.CONSISTENT

    @property
    def kinds(self) -> Mapping[FindingKind, int]:
        """How many findings of each kind, indices counted."""
        counts: Counter[FindingKind] = Counter()
        for log in self.logs:
            for finding in log.findings:
                counts[finding.kind] += finding.count
        return counts

    def to_json(self) -> dict[str, Any]:
        """Form of the JSON report."""
        return {
            "logs": [log.to_json() for log in self.logs],
            "gaps": [_gap_json(gap) for gap in self.gaps],
            "records": self.records,
            "findings": {kind.value: count for kind, count in sorted(self.kinds.items())},
            "interrupted": self.interrupted,
            "result": self.result.value,
        }


def _gap_json(gap: Gap) -> dict[str, Any]:
    """`shard` is that of the collector which listened last, `stopped` whether it said that it would not any more."""
    return {
        "shard": gap.collector,
        "from": utc_text(gap.first_unix_nano),
        "to": utc_text(gap.last_unix_nano),
        "seconds": int(gap.seconds),
        "stopped": gap.ending is Ending.STOPPED,
    }


def _order(finding: Finding) -> tuple[int, str]:
    return (-1 if finding.index is None else finding.index, finding.kind.value)
