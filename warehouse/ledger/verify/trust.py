"""By whom a log's checkpoint is signed, and whether it is the latest: what is established, what is not, and what contradicts.

Signer and freshness are established through what the verifier brought alone. What cannot be established is said to be so;
it never counts as a pass.
"""

from warehouse.ledger.checkpoint import Checkpoint
from warehouse.ledger.note import Ed25519Verifier, Signature
from warehouse.ledger.rotation import compromised_size, objection, rests_on_compromised_key
from warehouse.ledger.verify.findings import FindingKind
from warehouse.ledger.verify.heads import Head, found_keys, verified_by
from warehouse.ledger.verify.report import Freshness, LogReport
from warehouse.ledger.verify.state import Evidence, LogState


def judge_trust(state: LogState, evidence: Evidence, report: LogReport) -> None:
    """Fill in signer and freshness, with the findings against them."""
    known = [*found_keys(state.head.folder), *(rotation.new_key for rotation in evidence.rotations)]
    if evidence.seen is not None:
        known += evidence.seen.keys
    signatures = (*state.head.verified, *(verified_by(state.head, known) if state.head.checkpoint else ()))
    report.signing_keys = _public_keys(state.head, signatures, known)
    seen = _judge_seen(state, evidence, report)
    witnessed = _judge_witnesses(state, evidence, report)
    if seen and witnessed:
        report.freshness = Freshness.SEEN_AND_WITNESSED
    elif seen:
        report.freshness = Freshness.SEEN
    elif witnessed:
        report.freshness = Freshness.WITNESSED
    _judge_signer(state, signatures, evidence, report)


def _public_keys(head: Head, signatures: tuple[Signature, ...], known: list[bytes]) -> tuple[bytes, ...]:
    """Public keys of these signatures, as far as they are among the known ones or were brought along."""
    signed = {signature.key_id for signature in signatures}
    return tuple(key for key in dict.fromkeys(known) if Ed25519Verifier(head.origin, key).key_id in signed)


def _judge_signer(state: LogState, signatures: tuple[Signature, ...], evidence: Evidence, report: LogReport) -> None:
    checkpoint = state.head.checkpoint
    report.signer_established = state.head.established
    if checkpoint is None:
        return
    if (against := objection(checkpoint, signatures, evidence.rotations)) is not None:
        report.find(FindingKind.UNKNOWN_KEY, None, against)
        report.signer_established = False
        return
    # a longer checkpoint by the new key says nothing of what the stolen one could have signed before
    stolen = min(checkpoint.size, compromised_size(checkpoint.origin, evidence.rotations))
    if rests_on_compromised_key(checkpoint, signatures, evidence.rotations):
        stolen = checkpoint.size
    if report.witnessed_size < stolen:
        report.signer_established = False
        report.signer_note = (
            f"entries {report.witnessed_size} to {stolen - 1} were signed by a key that was compromised: "
            "only what a witness cosigned is established"
        )


def _judge_seen(state: LogState, evidence: Evidence, report: LogReport) -> bool:
    """Hold the log against the verifier's memory; whether it is at least as new."""
    seen = evidence.seen
    if seen is None:
        return False
    if state.head.checkpoint is None:
        if not state.head.findings:
            report.find(FindingKind.VANISHED_LOG, None, f"it had {seen.checkpoint.size} entries when it was seen last")
        return False
    if _contradicts(state, seen.checkpoint, evidence, report, "when it was seen last"):
        return False
    root = _root_at(state, seen.checkpoint.size)
    if root is None:
        return False
    if root != seen.checkpoint.root:
        new_key = bool(report.signing_keys) and not set(report.signing_keys) & set(seen.keys)
        kind = FindingKind.REWRITTEN if new_key else FindingKind.FORKED
        report.find(kind, None, _other_root(seen.checkpoint, "was seen"))
        return False
    _judge_successor(evidence, report)
    return True


def _judge_successor(evidence: Evidence, report: LogReport) -> None:
    """A key that nobody announced, over a log that goes on as it was."""
    seen = evidence.seen
    if seen is None or not seen.keys or not report.signing_keys or set(report.signing_keys) & set(seen.keys):
        return
    successors = set(seen.keys)
    for rotation in evidence.rotations:
        if rotation.old_key in successors:
            successors.add(rotation.new_key)
    if not successors & set(report.signing_keys):
        report.find(
            FindingKind.UNKNOWN_KEY,
            None,
            "signed by another key than when it was seen last, and no rotation tells of it",
        )


def _judge_witnesses(state: LogState, evidence: Evidence, report: LogReport) -> bool:
    """Hold the log against what witnesses cosigned; whether enough of them did."""
    if not evidence.asks_witnesses:
        return False
    checkpoints = [*(evidence.cosigned.witnesses if evidence.cosigned else ())]
    best = evidence.cosigned.best(max(1, evidence.require_witness)) if evidence.cosigned else evidence.told
    if evidence.told is not None:
        checkpoints.append(evidence.told)
        best = best or evidence.told
    sound = state.head.checkpoint is not None
    for checkpoint in checkpoints:
        if state.head.checkpoint is None:
            report.find(FindingKind.VANISHED_LOG, None, f"a witness cosigned it at {checkpoint.size} entries")
            break
        if _contradicts(state, checkpoint, evidence, report, "when a witness cosigned it"):
            sound = False
        elif (root := _root_at(state, checkpoint.size)) != checkpoint.root:
            sound = False
            if root is not None:
                report.find(FindingKind.FORKED, None, _other_root(checkpoint, "was cosigned by a witness"))
    if best is None:
        if evidence.require_witness and state.head.checkpoint is not None:
            report.find(
                FindingKind.NOT_WITNESSED, None,
                f"expected {evidence.require_witness} of the witnesses given to vouch for it, got fewer",
            )  # fmt: skip
        return False
    report.witnessed_size = best.size if sound else 0
    return sound


def _contradicts(state: LogState, known: Checkpoint, evidence: Evidence, report: LogReport, when: str) -> bool:
    """Whether the log is smaller than it was known to be, and say so; what a restore lost is told where rows are missing."""
    size = state.head.size
    if known.size <= size:
        return False
    last = known.size - 1
    if any(log == state.head.origin and first <= size and end >= last for log, first, end in evidence.excuses.lost):
        report.find(FindingKind.LOST_IN_RESTORE, size, f"it had {known.size} entries {when}; a restore says so", last)
    else:
        report.find(FindingKind.REWOUND, size, f"it had {known.size} entries {when}, and has {size}", last)
    return True


def _root_at(state: LogState, size: int) -> bytes | None:
    return state.check.roots.get(size) if state.check else None


def _other_root(checkpoint: Checkpoint, when: str) -> str:
    return f"at size {checkpoint.size} its root is another than the one that {when}"
