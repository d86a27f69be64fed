"""From what was read to findings: of rows, of places, of contents. What is established is in `trust`."""

import numpy as np
import pyarrow as pa

from warehouse.ledger.commitments import commit_rows
from warehouse.ledger.errors import RecordTextError, TileError
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.tiles import TILE_WIDTH
from warehouse.ledger.tree import HASH_BYTES
from warehouse.ledger.verify.findings import MAX_FINDINGS, Finding, FindingKind, findings_of
from warehouse.ledger.verify.heads import LogName
from warehouse.ledger.verify.leaves import read_bundle
from warehouse.ledger.verify.report import LogReport
from warehouse.ledger.verify.state import SWAP_CANDIDATES, Evidence, LogState
from warehouse.ledger.verify.trust import judge_trust


def judge_log(name: LogName, state: LogState, evidence: Evidence) -> LogReport:
    """The report on one log."""
    report = LogReport(
        name.tenant, name.shard, state.head.origin, size=state.head.size, since=state.since, head=state.head
    )
    report.findings += state.head.findings
    judge_trust(state, evidence, report)
    for file, problem in sorted(state.unreadable, key=lambda known: known[0].path):
        report.find(FindingKind.UNREADABLE_FILE, None, f"{file.table}/{file.path.name}: {problem}")
    if state.check is not None:
        report.findings += state.check.findings
        _judge_root(state, report)
    if state.head.checkpoint is None and state.head.findings:
        return report  # nothing says how far this log goes
    _judge_rows(state, report)
    _judge_absent(name, state, evidence, report)
    _judge_beyond(state, evidence, report)
    _judge_contents(name, state, evidence, report)
    return report


def _judge_root(state: LogState, report: LogReport) -> None:
    check, checkpoint = state.check, state.head.checkpoint
    if check is None or checkpoint is None or check.root in {None, checkpoint.root}:
        return
    report.find(
        FindingKind.ALTERED_TILE,
        None,
        f"entries and tiles lead to the root {check.root.hex() if check.root else ''}, "
        f"signed was {checkpoint.root.hex()}: they were rewritten",
    )


def _judge_rows(state: LogState, report: LogReport) -> None:
    report.present = state.account.present
    report.altered = state.altered_count
    swapped = _swapped(state)
    altered = state.altered_indices
    others = altered[~np.isin(altered, np.array(sorted(swapped), np.int64))]
    report.findings += findings_of(FindingKind.ALTERED, others, "the row's commitment is not the entry signed")
    for index, place in sorted(swapped.items()):
        report.find(FindingKind.REORDERED, index, f"holds the record that was signed at index {place}")
    repeated = [
        finding
        for indices in state.account.repeated()
        for finding in findings_of(FindingKind.DUPLICATE_INDEX, indices, "more than one row has this index")
    ]
    report.findings += _joined(repeated)


def _swapped(state: LogState) -> dict[int, int]:
    """Altered rows whose record is that of another altered row's index, by index."""
    candidates = state.altered_indices
    if not 1 < len(candidates) <= SWAP_CANDIDATES:
        return {}
    entries = _entries_at(state, candidates)
    found: dict[int, int] = {}
    for table, rows in state.altered_rows:
        place = rows.schema.get_field_index("log_index")
        claimed = rows.column(place).to_numpy(zero_copy_only=False)
        for index, entry in entries.items():
            moved = rows.set_column(place, "log_index", pa.repeat(pa.scalar(index, pa.int64()), rows.num_rows))
            try:
                hashes = commit_rows(table, moved).hashes
            except RecordTextError:
                continue
            for number, claim in enumerate(claimed.tolist()):
                if claim != index and hashes[number * HASH_BYTES : (number + 1) * HASH_BYTES] == entry:
                    found[claim] = index
    return found


def _entries_at(state: LogState, indices: np.ndarray) -> dict[int, bytes]:
    log = LogTiles(state.head.folder)
    found = {}
    for index in indices.tolist():
        tile, offset = divmod(index, TILE_WIDTH)
        try:
            found[index] = read_bundle(log, tile, min(TILE_WIDTH, state.head.size - tile * TILE_WIDTH))[
                offset
            ].tobytes()
        except TileError:
            continue
    return found


def _judge_absent(name: LogName, state: LogState, evidence: Evidence, report: LogReport) -> None:
    """Account for every index without a row."""
    purged, intended = evidence.excuses.purged(name), evidence.excuses.intended(name)
    found: list[Finding] = []
    for absent in state.account.absent(state.since):
        certified = purged.covers(absent)
        report.purged += int(certified.sum())
        lost = evidence.excuses.is_lost(state.head.origin, absent) & ~certified
        begun = intended.covers(absent) & ~certified & ~lost
        missing = absent[~certified & ~lost & ~begun]
        report.missing += len(missing)
        found += findings_of(FindingKind.MISSING, missing, "no row has this index, and no certificate excuses it")
        found += findings_of(FindingKind.LOST_IN_RESTORE, absent[lost], "the backup that was restored did not hold it")
        found += findings_of(
            FindingKind.PURGE_UNFINISHED,
            absent[begun],
            "an intent names it, and no certificate says that it was purged",
        )
    report.findings += _joined(found)
    if report.purged != purged.count and not state.since:
        for held in state.account.held():
            report.findings += findings_of(
                FindingKind.PURGE_UNFINISHED, held[purged.covers(held)], "certified as purged, and the row is there"
            )


def _joined(findings: list[Finding]) -> list[Finding]:
    """Runs that go on from one chunk into the next, as one finding each; at most `MAX_FINDINGS` a kind."""
    last_of: dict[FindingKind, Finding] = {}
    kept: dict[FindingKind, list[Finding]] = {}
    for finding in findings:
        before = last_of.get(finding.kind)
        mine = kept.setdefault(finding.kind, [])
        if before is not None and before.last is not None and finding.index == before.last + 1:
            finding = Finding(finding.kind, before.index, finding.detail, finding.last)  # noqa: PLW2901 - the longer run
            mine.pop()
        mine.append(finding)
        last_of[finding.kind] = finding
    return [finding for mine in kept.values() for finding in mine[:MAX_FINDINGS]]


def _judge_beyond(state: LogState, evidence: Evidence, report: LogReport) -> None:
    """Rows and promises above the signed size: of a commit under way, of a log cut back, or never in the log."""
    if evidence.promised and state.head.checkpoint is None:
        report.find(
            FindingKind.VANISHED_LOG, None,
            f"its shard's journal says that it held {evidence.promised} entries; "
            f"there is no checkpoint, and {state.beyond_count} rows that nothing signs",
        )  # fmt: skip
        return
    if any(finding.kind is FindingKind.VANISHED_LOG for finding in report.findings):
        return
    size = evidence.later_size
    above = [
        indices[(indices >= size) | (indices < 0)]
        for file, indices in state.beyond
        if file.is_committed(evidence.marks)
    ]
    indices = np.unique(np.concatenate(above)) if above else np.empty(0, np.int64)
    report.unfinished = state.beyond_count - sum(len(part) for part in above)
    if state.head.checkpoint is None:
        report.findings += findings_of(FindingKind.NOT_IN_LOG, indices, "the row is of a shard that has no log")
        return
    cut = (indices >= 0) & ((indices < evidence.promised) | _have_entries(state, indices))
    report.findings += findings_of(FindingKind.NOT_IN_LOG, indices[~cut], f"the log has {size} entries")
    tail = indices[cut]
    end = max(evidence.promised, int(tail.max()) + 1 if len(tail) else 0)
    if end > size:
        report.find(
            FindingKind.TAIL_CUT,
            size,
            f"the log was signed up to {end} entries once, and the checkpoint says {size}",
            end - 1,
        )


def _have_entries(state: LogState, indices: np.ndarray) -> np.ndarray:
    """For each index above the signed size whether a bundle on the disk holds an entry for it."""
    log = LogTiles(state.head.folder)
    found = np.zeros(len(indices), bool)
    for number, index in enumerate(indices[:MAX_FINDINGS].tolist()):
        try:
            read_bundle(log, index // TILE_WIDTH, index % TILE_WIDTH + 1)
            found[number] = index >= 0
        except TileError:
            continue
    return found


def _judge_contents(name: LogName, state: LogState, evidence: Evidence, report: LogReport) -> None:
    altered = set(state.altered_indices.tolist())
    purged = evidence.excuses.purged(name)
    found = state.contents
    report.contents.matching = found.matching
    report.contents.expired = found.expired
    report.contents.certified = found.certified
    for index, part in found.altered:
        if index not in altered:  # an altered row's list says nothing about its contents
            report.find(FindingKind.CONTENT_ALTERED, index, f"{part}: not the text whose digest the record lists")
    for index, part in found.not_listed:
        # a missing or altered row is told about already; one that was purged should have taken its contents along
        if index not in altered and (state.account.has(index) or purged.table_of(index)):
            report.find(FindingKind.CONTENT_NOT_LISTED, index, f"{part}: no record lists it, or not twice")
    for index, part in found.returned:
        report.find(FindingKind.PURGE_UNFINISHED, index, f"{part}: certified as purged, and the content is there")
    for file, index in found.beyond:
        if file.is_committed(evidence.marks) and not 0 <= index < evidence.later_size and not _is_gone(report):
            report.find(
                FindingKind.CONTENT_NOT_LISTED, index, f"a part in {file.path.name}: its owner is not in the log"
            )
    report.findings = _limited(report.findings)


def _is_gone(report: LogReport) -> bool:
    """Whether rows above the size are told about already: the log vanished, or its tail was cut."""
    return any(finding.kind in {FindingKind.VANISHED_LOG, FindingKind.TAIL_CUT} for finding in report.findings)


def _limited(findings: list[Finding]) -> list[Finding]:
    counts: dict[FindingKind, int] = {}
    kept = []
    for finding in findings:
        counts[finding.kind] = counts.get(finding.kind, 0) + 1
        if counts[finding.kind] <= MAX_FINDINGS:
            kept.append(finding)
    return kept
