"""Answers the page *Evidence*: findings, decisions and packs by the functions that commands call."""

import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboards.evidence_desk import CheckedPack, DecisionForm, ExceptionLine, Finding, Period, Right
from dashboards.viewer import Viewer
from governance.access import Action
from governance.controls.population import REQUIRED
from governance.evidence.assessment import Assessed, Assessment, Listed
from governance.evidence.decisions import Disposed, Disposition, ExceptionId
from governance.evidence.grounds import losses_text
from governance.evidence.report_changes import moment
from governance.evidence.standalone import verify_pack
from muniment.adopting import adoption_of
from muniment.assessing import Decision, dispose, read_controls, read_findings, review
from muniment.desk_rights import rights_of
from muniment.evidence import build_pack
from muniment.packs import list_packs
from muniment.policy_kinds import CONTROLS
from muniment.wiring import CommandContext
from warehouse.errors import NotFoundError
from warehouse.names import LAKE_TENANT

MOST_LISTED = 500
"""Exceptions of one control that a page lists; the pack and the command have all."""
_ACTIONS = {Right.DISPOSE: Action.CONTROL_DISPOSE, Right.REVIEW: Action.CONTROL_REVIEW}
_MOST_OF_A_VALUE = 200


@dataclass(frozen=True)
class LakeEvidence:
    """The evidence of one lake; `context_of` gives the lake as the holder of a ticket sees it, or refuses."""

    context_of: Callable[[Viewer], CommandContext]

    def frameworks(self, viewer: Viewer, tenant: str) -> dict[str, str]:
        """As `EvidenceDesk.frameworks`."""
        context = self.context_of(viewer)
        context.check(Action.POLICY_READ, tenant)
        found = sorted(read_controls(context).frameworks.values(), key=lambda each: (each.is_mapping_only, each.id))
        return {each.id: each.title for each in found}

    def differing(self, viewer: Viewer, tenant: str, framework: str) -> str:
        """As `EvidenceDesk.differing`."""
        context = self.context_of(viewer)
        context.check(Action.POLICY_READ, tenant)
        return adoption_of(context.control, CONTROLS).summary(framework)

    def rights(self, viewer: Viewer, tenant: str) -> frozenset[Right]:
        """As `EvidenceDesk.rights`. Nobody decides on the lake's own log: no framework is about it."""
        return rights_of(self.context_of(viewer), tenant, _ACTIONS)

    def findings(self, viewer: Viewer, tenant: str, framework: str, period: Period) -> list[Finding]:
        """As `EvidenceDesk.findings`."""
        return _findings(read_findings(self.context_of(viewer), framework=framework, tenant=tenant, period=period))

    def dispose(self, viewer: Viewer, tenant: str, period: Period, form: DecisionForm) -> int:
        """As `EvidenceDesk.dispose`."""
        decision = Decision(Disposition(form.disposition), form.reason, form.ticket or None, form.due)
        return dispose(
            self.context_of(viewer),
            tenant=tenant,
            exceptions=list(map(ExceptionId.parse, form.exceptions)),
            period=period,
            decision=decision,
        )

    def review(self, viewer: Viewer, tenant: str, framework: str, control: str, period: Period, note: str) -> None:
        """As `EvidenceDesk.review`."""
        review(self.context_of(viewer), tenant=tenant, framework=framework, control=control, period=period, note=note)

    def build_pack(self, viewer: Viewer, tenant: str, framework: str, period: Period) -> tuple[bytes, list[Finding]]:
        """As `EvidenceDesk.build_pack`."""
        with tempfile.TemporaryDirectory(prefix="muniment-pack-") as folder:
            built = build_pack(
                self.context_of(viewer),
                framework=framework,
                tenant=tenant,
                from_unix_nano=period[0],
                to_unix_nano=period[1],
                out=Path(folder) / "pack.zip",
            )
            content = built.file.read_bytes()
        return content, _findings(built.assessed)

    def kept_packs(self, viewer: Viewer, tenant: str, framework: str) -> dict[str, str]:
        """As `EvidenceDesk.kept_packs`. None is built of the lake's own log: no framework is about it."""
        kept = [] if tenant == LAKE_TENANT else list_packs(self.context_of(viewer), tenant)
        return {str(each.month): each.file.name for each in reversed(kept) if each.framework == framework}

    def read_pack(self, viewer: Viewer, tenant: str, name: str) -> bytes:
        """As `EvidenceDesk.read_pack`."""
        found = [each.file for each in list_packs(self.context_of(viewer), tenant) if each.file.name == name]
        if not found:
            raise NotFoundError(
                f"pack {name}: expected one that tenant {tenant} keeps, got none",
                hint="it was kept long enough, or an erasure deleted it: load the page again",
            )
        return found[0].read_bytes()

    def check_pack(self, pack: bytes, fingerprint: str, witness_keys: Sequence[str] = ()) -> CheckedPack:
        """As `EvidenceDesk.check_pack`: nothing of the lake is read."""
        verdict = verify_pack(io.BytesIO(pack), (), [fingerprint] if fingerprint else [], witness_keys)
        said = [f"{count:,} {what} checked" for what, count in verdict.checked.items()]
        lines = (*said, *verdict.problems, *verdict.witnessed, *verdict.unwitnessed)
        return CheckedPack(verdict.result, lines, losses_text(verdict.losses))


def _findings(assessed: Assessed) -> list[Finding]:
    return [_finding(each) for each in assessed.assessments]


def _finding(each: Assessment) -> Finding:
    outcome, control, difference = each.outcome, each.control, each.difference
    found = Finding(
        control.id, control.title, control.question, control.limits, outcome.state.value, outcome.why, outcome.items, outcome.exceptions,
    )  # fmt: skip
    if difference is None:
        return found
    before = difference.before
    return Finding(
        found.control, found.title, found.question, found.limits, found.finding, found.why, found.items, found.exceptions,
        before=f"{before.state.value}, {before.items:,} items, {before.exceptions:,} exceptions",
        new=difference.new,
        continuing=difference.continuing,
        gone=difference.gone.num_rows,
        dispositions=each.dispositions,
        overdue=each.overdue,
        reviewed="" if each.review is None else f"{each.review.by}, {moment(each.review.time_unix_nano)}: {each.review.note}",
        listed=tuple(map(_line, each.exceptions(MOST_LISTED))),
    )  # fmt: skip


def _line(listed: Listed) -> ExceptionLine:
    row = listed.row
    return ExceptionLine(
        str(listed.id),
        row["time_unix_nano"],
        row["exception"] or "cannot be judged",
        _what(row),
        f"{row['record_table']} {row['shard']}/{row['log_index']}",
        row.get("trace_id") or "",
        listed.is_new,
        listed.disposition.value,
        "" if listed.disposed is None else _said(listed.disposed, listed.as_of_unix_nano),
        tuple(_said(each, each.time_unix_nano) for each in listed.history),
    )


def _what(row: Mapping[str, Any]) -> str:
    values = {name: value for name, value in row.items() if name not in REQUIRED and value is not None}
    return "; ".join(f"{name.replace('_', ' ')}: {str(value)[:_MOST_OF_A_VALUE]}" for name, value in values.items())


def _said(each: Disposed, unix_nano: int) -> str:
    ticket = f", ticket {each.ticket}" if each.ticket else ""
    return f"{each.words(unix_nano)} by {each.by}, {moment(each.time_unix_nano)}{ticket}: {each.reason}"
