"""By whom a log's checkpoint is signed, and whether it is the latest: what is established, what is not, and what contradicts.

Signer and freshness are established through what the verifier brought alone. What cannot be established is said to be so;
it never counts as a pass.
"""

from warehouse.clock import utc_text
from warehouse.ledger.checkpoint import Checkpoint
from warehouse.ledger.errors import ProofError, TileError
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.note import Ed25519Verifier, Signature
from warehouse.ledger.proofs import verify_consistency
from warehouse.ledger.rotation import objection, stolen_sizes
from warehouse.ledger.verify.findings import FindingKind
from warehouse.ledger.verify.heads import Head, found_keys, verified_by
from warehouse.ledger.verify.report import Freshness, LogReport
from warehouse.ledger.verify.seen import Quorum
from warehouse.ledger.verify.state import Evidence, LogState
from warehouse.ledger.verify.witnesses import Cosigned


def judge_trust(state: LogState, evidence: Evidence, report: LogReport) -> None:
    """Fill in signer and freshness, with the findings against them."""
    known = [*found_keys(state.head.folder), *(rotation.new_key for rotation in evidence.rotations)]
    if evidence.seen is not None:
        known += evidence.seen.keys
    signatures = (*state.head.verified, *(verified_by(state.head, known) if state.head.checkpoint else ()))
    report.signing_keys = _public_keys(state.head, signatures, known)
    seen = _judge_seen(state, evidence, report)
    witnessed = _judge_witnesses(state, evidence, report)
    if evidence.quorum is not None and evidence.quorum.required and not witnessed:
        pass  # a memory does not stand in for witnesses that the verifier requires
    elif seen and witnessed:
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
    vouched = {since: _vouched_size(state, known) for since, known in evidence.vouched_by.items()}
    for since, stolen in stolen_sizes(checkpoint, signatures, evidence.rotations):
        first = vouched.get(since, 0)
        if first < stolen:
            report.signer_established = False
            report.signer_note = (
                f"entries {first} to {stolen - 1} were signed by a key that was compromised: "
                f"only what a witness cosigned by {utc_text(since)} is established"
            )
            return


def _vouched_size(state: LogState, known: Checkpoint | None) -> int:
    """Size up to which the log is as witnesses vouched for."""
    return known.size if known is not None and _agrees(state, known) else 0


def _judge_seen(state: LogState, evidence: Evidence, report: LogReport) -> bool:
    """Hold the log against the verifier's memory; whether it is at least as new."""
    seen = evidence.seen
    if seen is None:
        return False
    if state.head.checkpoint is None:
        if not state.head.findings:
            _report_gone(seen.checkpoint, evidence, report, "when it was seen last")
        return False
    if _contradicts(state, seen.checkpoint, evidence, report, "when it was seen last"):
        return False
    agrees = _agrees(state, seen.checkpoint)
    if agrees is None:
        return False
    if not agrees:
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
    """Hold the log against all that any witness cosigned; whether enough of them vouch for it.

    Whoever shows a log decides which cosignatures lie beside it. So their absence proves nothing, for it or against it; what they
    say and the log contradicts does.
    """
    if evidence.quorum is None:
        return False
    own = evidence.cosigned or Cosigned()
    known = [*own.witnesses, *([evidence.told] if evidence.told else [])]
    if state.head.checkpoint is None:
        if known:
            _report_gone(max(known, key=_size), evidence, report, "when a witness cosigned it")
        return False
    sound = True
    for checkpoint in known:
        if _contradicts(state, checkpoint, evidence, report, "when a witness cosigned it"):
            sound = False
        elif not (agrees := _agrees(state, checkpoint)):
            sound = False
            if agrees is False:
                report.find(FindingKind.FORKED, None, _other_root(checkpoint, "was cosigned by a witness"))
    best = max(
        (each for each in (own.best(max(1, evidence.quorum.required)), evidence.told) if each), key=_size, default=None
    )
    if best is None:
        _report_unwitnessed(evidence.quorum, own, evidence, report)
        return False
    report.witnessed_size = best.size if sound else 0
    return sound


def _report_unwitnessed(quorum: Quorum, own: Cosigned, evidence: Evidence, report: LogReport) -> None:
    """Fewer witnesses vouch than required: a log may be newer than their last round, unless they vouched for it before."""
    if not quorum.required:
        return
    got = f"expected {quorum.required} of the witnesses given to vouch for it, got {own.count}"
    before = evidence.seen.quorum if evidence.seen else None
    if before is not None and quorum.is_met_by(before):
        report.find(FindingKind.NOT_WITNESSED, None, f"{got}: when it was seen last, enough of them did")
        return
    report.freshness_note = f"{got}: it is newer than their last round, or what they cosigned is kept back"


def _contradicts(state: LogState, known: Checkpoint, evidence: Evidence, report: LogReport, when: str) -> bool:
    """Whether the log is smaller than it was known to be, and say so; what a restore lost is told where rows are missing."""
    size = state.head.size
    if known.size <= size:
        return False
    if _is_lost(state.head.origin, size, known, evidence):
        report.find(
            FindingKind.LOST_IN_RESTORE, size,
            f"it had {known.size} entries {when}; a restore says so", known.size - 1,
        )  # fmt: skip
    else:
        report.find(FindingKind.REWOUND, size, f"it had {known.size} entries {when}, and has {size}", known.size - 1)
    return True


def _report_gone(known: Checkpoint, evidence: Evidence, report: LogReport, when: str) -> None:
    """Say that a log is not there any more which was known."""
    if _is_lost(known.origin, 0, known, evidence):
        report.find(
            FindingKind.LOST_IN_RESTORE, 0, f"it had {known.size} entries {when}; a restore says so", known.size - 1
        )
    else:
        report.find(FindingKind.VANISHED_LOG, None, f"it had {known.size} entries {when}")


def _is_lost(origin: str, size: int, known: Checkpoint, evidence: Evidence) -> bool:
    """Whether a restore says that it lost all between this size and the one known."""
    return any(log == origin and first <= size and end >= known.size - 1 for log, first, end in evidence.excuses.lost)


def _agrees(state: LogState, known: Checkpoint) -> bool | None:
    """Whether the log begins with the tree of a checkpoint that is not longer; None where too much is gone to tell.

    Roots at the sizes that were known before its entries were read are computed with them. A size that was told by rows read
    afterwards is held against the signed root by a consistency proof, which the tiles cannot forge.
    """
    check, checkpoint = state.check, state.head.checkpoint
    if check is None or checkpoint is None or known.size > checkpoint.size:
        return None
    if known.size in check.roots:
        root = check.roots[known.size]
        return None if root is None else root == known.root
    if check.findings or check.root != checkpoint.root:
        return None
    try:
        proof = LogTiles(state.head.folder).consistency_proof(known.size, checkpoint.size)
        verify_consistency(
            old_size=known.size, new_size=checkpoint.size, old_root=known.root, new_root=checkpoint.root, proof=proof
        )
    except TileError:
        return None
    except ProofError:
        return False
    return True


def _size(checkpoint: Checkpoint) -> int:
    return checkpoint.size


def _other_root(checkpoint: Checkpoint, when: str) -> str:
    return f"at size {checkpoint.size} its root is another than the one that {when}"
