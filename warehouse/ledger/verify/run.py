"""The verification of a lake: which log and file is looked at when.

The order makes a run beside a live collector sound. Checkpoints are read first and files listed after them, so each row that
a checkpoint promises is among the files. Rows above the checkpoint are judged last, against marks and checkpoints read again.

The logs of `_lake` come first: purges, restores, rotations and heads of the others are told there. The other tenants follow in
groups, so that what is held at a time stays below a bit an index of one group.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.errors import UnavailableError
from warehouse.lake import Lake
from warehouse.ledger.checkpoint import Checkpoint, split_origin
from warehouse.ledger.cosignature import WitnessVerifier
from warehouse.ledger.errors import NoteError
from warehouse.ledger.note import Ed25519Verifier
from warehouse.ledger.rotation import EVENT_NAME as KEY_ROTATED
from warehouse.ledger.rotation import RESOURCE_TYPE as LEDGER_KEY
from warehouse.ledger.rotation import Rotation, read_rotations
from warehouse.ledger.verify.contents import ContentResult, check_contents, content_tasks, partitions
from warehouse.ledger.verify.events import OwnRow, own_rows
from warehouse.ledger.verify.excuses import Excuses, read_excuses
from warehouse.ledger.verify.files import CONTENTS, TableFile, live_files, partition_files
from warehouse.ledger.verify.gaps import find_gaps
from warehouse.ledger.verify.heads import Head, LogKeys, LogName, found_keys, log_names, promised_sizes, read_head
from warehouse.ledger.verify.judge import judge_log
from warehouse.ledger.verify.leaves import LeafPiece, LeafTask, check_leaves, join_pieces, leaf_tasks
from warehouse.ledger.verify.pool import TaskPool
from warehouse.ledger.verify.report import VerifyReport
from warehouse.ledger.verify.scan import LogView, ScanResult, ScanTask, scan_file
from warehouse.ledger.verify.seen import Seen
from warehouse.ledger.verify.state import Evidence, LogState
from warehouse.ledger.verify.witnesses import Cosigned, read_cosigned, told_heads
from warehouse.marks import read_marks
from warehouse.names import LAKE_TENANT
from warehouse.sequence import LEDGERED

GROUP_ENTRIES = 200_000_000
"""Entries of a group of tenants: 25 MB of bits."""
HELD_PARTITION_ROWS = 20_000_000
"""Rows of a partition whose indices are held until all of its files were read: 160 MB."""

_ATTEMPTS = 5

Progress = Callable[[str, int, int], None]
"""`progress(stage, done, total)`: entries and rows, as far as they are known beforehand."""


@dataclass(frozen=True)
class VerifyOptions:
    """What the verifier brings along, and how it wants to look.

    `seen` is its memory of earlier checkpoints, None without one. `since` looks only at what came after it. Of
    `witness_keys`, at least `require_witness` must have cosigned. `workers` are processes.
    """

    vkeys: Sequence[Ed25519Verifier] = ()
    seen: Seen | None = None
    since: bool = False
    require_witness: int = 0
    witness_keys: Sequence[WitnessVerifier] = ()
    workers: int = 1


def verify_lake(
    lake: Lake,
    *,
    lake_name: str,
    tenants: Collection[str] | None = None,
    options: VerifyOptions | None = None,
    progress: Progress = lambda _stage, _done, _total: None,
    stop: Callable[[], bool] = lambda: False,
) -> VerifyReport:
    """Verify every log and row of a lake, or of some tenants and the lake's own log.

    Raises:
        UnavailableError: a Delta log cannot be read, or rewrites replace files faster than they are read.
        CorruptionError: a mark, a journal head or a table's layout is not what the writer makes.
    """
    run = _Run(lake, lake_name, tenants, options or VerifyOptions(), progress, stop)
    with TaskPool(run.options.workers) as pool:
        return run.all(pool)


@dataclass
class _Run:
    lake: Lake
    lake_name: str
    tenants: Collection[str] | None
    options: VerifyOptions
    progress: Progress
    stop: Callable[[], bool]
    report: VerifyReport = field(default_factory=VerifyReport)
    rows: list[OwnRow] = field(default_factory=list)
    cosigned: dict[LogName, Cosigned] = field(default_factory=dict)
    done: int = 0
    total: int = 0

    def all(self, pool: TaskPool) -> VerifyReport:
        """Verify group after group."""
        keys = LogKeys(self.options.vkeys)
        heads = {name: read_head(self.lake, self.lake_name, name, keys) for name in self._names()}
        files = [file for file in live_files(self.lake) if self._is_wanted(file.tenant)]
        self.total = sum(head.size - self._since(head) for head in heads.values()) + sum(file.rows for file in files)
        for group in _groups(heads, files):
            _Group(self, keys, {n: h for n, h in heads.items() if n.tenant in group}).verify(
                pool, [file for file in files if file.tenant in group]
            )
            self.report.interrupted = self.report.interrupted or self.stop()
            if self.report.interrupted:
                break
        self.report.logs.sort(key=lambda log: (log.tenant, log.shard))
        self.report.gaps = find_gaps(row for row in self.rows if row.tenant == LAKE_TENANT)
        return self.report

    def advance(self, stage: str, count: int) -> None:
        """Show that so many entries or rows more are done."""
        self.done += count
        self.progress(stage, self.done, max(self.total, self.done))

    def since(self, head: Head) -> int:
        """From which entry on a log is looked at."""
        return self._since(head)

    def rotations(self) -> list[Rotation]:
        """Rotations of the signing key, as `_lake` tells them."""
        told = sorted(
            (
                row
                for row in self.rows
                if row.name == KEY_ROTATED and row.resource_type == LEDGER_KEY and row.tenant == LAKE_TENANT
            ),
            key=lambda row: (row.time_unix_nano, row.index),
        )
        try:
            return read_rotations(row.attributes_text or "{}" for row in told)
        except (NoteError, ValueError):
            return []

    def _since(self, head: Head) -> int:
        known = self.options.seen.logs.get(head.origin) if self.options.seen and self.options.since else None
        return min(known.checkpoint.size, head.size) if known else 0

    def _is_wanted(self, tenant: str) -> bool:
        return self.tenants is None or tenant in self.tenants or tenant == LAKE_TENANT

    def _names(self) -> list[LogName]:
        """Logs that have a folder, that were seen, or that a journal has promised."""
        names = {*log_names(self.lake), *(name for name, size in promised_sizes(self.lake).items() if size)}
        for origin in self.options.seen.logs if self.options.seen else ():
            lake_name, tenant, shard = split_origin(origin)
            if lake_name == self.lake_name:
                names.add(LogName(tenant, shard))
        return sorted(name for name in names if self._is_wanted(name.tenant))


@dataclass
class _Group:
    """Logs of some tenants, verified together."""

    run: _Run
    keys: LogKeys
    heads: dict[LogName, Head]
    states: dict[LogName, LogState] = field(default_factory=dict)

    def verify(self, pool: TaskPool, files: list[TableFile]) -> None:
        """Entries, then rows, then contents; then the judgement."""
        run = self.run
        self.states = {name: LogState(head, run.since(head)) for name, head in self.heads.items()}
        self._read_cosigned()
        self._check_leaves(pool)
        self._scan(pool, [file for file in files if file.table != CONTENTS])
        run.rows += self._own_rows()
        self._check_contents(pool, files)
        if run.stop():
            run.report.interrupted = True
            return
        self._judge()

    def _read_cosigned(self) -> None:
        for name, state in self.states.items():
            if name.tenant == LAKE_TENANT and self.run.options.witness_keys:
                cosigned = read_cosigned(state.head.folder, state.head.origin, self.run.options.witness_keys)
                self.run.cosigned[name] = cosigned

    def _told(self) -> dict[str, Checkpoint]:
        """Heads that the `_lake` logs tell within what witnesses cosigned."""
        required = max(1, self.run.options.require_witness)
        best = {name: checkpoint for name, known in self.run.cosigned.items() if (checkpoint := known.best(required))}
        return told_heads(self.run.rows, best)

    def _known_sizes(self, name: LogName, told: dict[str, Checkpoint]) -> list[int]:
        """Sizes at which this log's root is known from elsewhere."""
        origin = self.heads[name].origin
        sizes = [checkpoint.size for checkpoint in self.run.cosigned.get(name, Cosigned()).witnesses]
        if origin in told:
            sizes.append(told[origin].size)
        if self.run.options.seen and origin in self.run.options.seen.logs:
            sizes.append(self.run.options.seen.logs[origin].checkpoint.size)
        return sizes

    def _check_leaves(self, pool: TaskPool) -> None:
        pieces: dict[str, list[LeafPiece]] = {}
        by_folder = {str(state.head.folder): name for name, state in self.states.items()}
        tasks = (
            task
            for state in self.states.values()
            for task in leaf_tasks(state.head.folder, state.head.size, since=state.since)
        )
        for task, piece in pool.run(_leaf_job, tasks, stop=self.run.stop):
            pieces.setdefault(str(task.folder), []).append(piece)
            self.run.advance("entries", min(task.size, task.last * 256) - task.first * 256)
        if self.run.stop():
            return
        told = self._told()
        for folder, name in by_folder.items():
            state = self.states[name]
            if state.head.checkpoint is not None:
                state.check = join_pieces(
                    state.head.folder,
                    state.head.size,
                    pieces.get(folder, []),
                    expected=state.head.checkpoint.root,
                    sizes=self._known_sizes(name, told),
                    since=state.since,
                )

    def _views(self, tenant: str) -> dict[str, LogView]:
        return {name.shard: state.view() for name, state in self.states.items() if name.tenant == tenant}

    def _scan(self, pool: TaskPool, files: Sequence[TableFile]) -> None:
        remaining: dict[tuple[str, str, str], list[TableFile]] = {}
        for file in files:
            remaining.setdefault((file.table, file.tenant, file.day), []).append(file)
        counts = {key: len(group) for key, group in remaining.items()}
        direct = {key for key, group in remaining.items() if sum(f.rows for f in group) > HELD_PARTITION_ROWS}
        held: dict[tuple[str, str, str], list[ScanResult]] = {}
        views = {tenant: self._views(tenant) for tenant in {file.tenant for file in files}}
        tasks = (
            ScanTask(file, views[file.tenant]) for file in files if not self._was_accounted(file, views[file.tenant])
        )
        skipped = [file for file in files if self._was_accounted(file, views[file.tenant])]
        for file in skipped:
            counts[file.table, file.tenant, file.day] -= 1
        for result in pool.run(scan_file, tasks, stop=self.run.stop):
            key = (result.file.table, result.file.tenant, result.file.day)
            self.run.advance("records", result.rows)
            counts[key] -= 1
            if key in direct and not result.vanished:
                self._take(result)
                continue
            held.setdefault(key, []).append(result)
            if counts[key] == 0:
                for settled in self._settled(key, held.pop(key), views[key[1]]):
                    self._take(settled)

    def _was_accounted(self, file: TableFile, views: dict[str, LogView]) -> bool:
        """With `since`: whether a file of one segment ends below what was seen. A rewritten file is looked into."""
        view = views.get(file.shard or "")
        return bool(view and view.since and file.highest_index is not None and file.highest_index < view.since)

    def _settled(
        self, key: tuple[str, str, str], results: list[ScanResult], views: dict[str, LogView]
    ) -> list[ScanResult]:
        """The results of one partition, read again as a whole where a rewrite replaced files meanwhile."""
        for _ in range(_ATTEMPTS):
            gone = {result.file.path for result in results if result.vanished}
            if not gone:
                return results
            present = partition_files(self.run.lake, *key)
            if gone & {file.path for file in present}:  # deleted behind the table's back: its rows are missing
                return results
            results = [scan_file(ScanTask(file, views)) for file in present]
        raise UnavailableError(
            f"table {key[0]}: files of {key[1]} on {key[2]} are replaced faster than they can be read",
            hint="try again when compaction or purge has ended",
        )

    def _take(self, result: ScanResult) -> None:
        self.run.report.records += result.rows
        for shard, rows in result.shards.items():
            name = LogName(result.file.tenant, shard)
            self.state(name).add(result.file, rows)
        for batch in result.altered_rows:
            for shard in batch.column("shard").unique().to_pylist():
                mine = batch.filter(pc.equal(batch.column("shard"), pa.scalar(shard)))
                self.state(LogName(result.file.tenant, shard)).altered_rows.append((result.file.table, mine))
        if result.events:
            self.state(self._name_of(result.file)).events += result.events
        if result.problem or result.vanished:
            self.state(self._name_of(result.file)).unreadable.append((result.file, result.problem or "not there"))

    def _name_of(self, file: TableFile) -> LogName:
        """The log that a file's problems are told under: its shard's, or any of its tenant's."""
        if file.shard:
            return LogName(file.tenant, file.shard)
        return next((name for name in sorted(self.states) if name.tenant == file.tenant), LogName(file.tenant, ""))

    def state(self, name: LogName) -> LogState:
        """The state of one log; rows may name a shard that has none."""
        if name not in self.states:
            head = self.heads[name] = read_head(self.run.lake, self.run.lake_name, name, self.keys)
            self.states[name] = LogState(Head(name, head.origin, head.folder, None))
        return self.states[name]

    def _own_rows(self) -> list[OwnRow]:
        sizes = {(name.tenant, name.shard): state.head.size for name, state in self.states.items()}
        altered = {(name.tenant, name.shard): state.altered_indices for name, state in self.states.items()}
        events = [table for state in self.states.values() for table in state.events]
        return list(own_rows(events, sizes=sizes, altered=altered))

    def _check_contents(self, pool: TaskPool, files: Sequence[TableFile]) -> None:
        views = {tenant: self._views(tenant) for tenant in {file.tenant for file in files}}
        tasks = (
            task
            for (tenant, day), (owners, contents) in partitions(files).items()
            for task in content_tasks(tenant, day, owners, contents, views[tenant])
        )
        for result in pool.run(check_contents, tasks, stop=self.run.stop):
            for _ in range(_ATTEMPTS):
                if not result.vanished:
                    break
                result = self._contents_again(result)  # noqa: PLW2901 - the same partition, listed afresh
            self.run.advance("contents", result.rows)
            tenant = result.task.tenant
            for shard, found in result.shards.items():
                self.state(LogName(tenant, shard)).contents.append(found)
            for file, problem in result.problems:
                self.state(self._name_of(file)).unreadable.append((file, problem))

    def _contents_again(self, result: ContentResult) -> ContentResult:
        """The same round over the files that the partition has now; one deleted behind the table's back is left out."""
        task = result.task
        there = [
            file
            for table in (CONTENTS, *LEDGERED)
            for file in partition_files(self.run.lake, table, task.tenant, task.day)
            if file.path.exists()
        ]
        owners, contents = partitions(there).get((task.tenant, task.day), ([], []))
        return check_contents(replace(task, owners=owners, contents=contents))

    def _judge(self) -> None:
        run = self.run
        # what the journal promises is read before the checkpoint that has to keep it
        marks, promised = read_marks(run.lake), promised_sizes(run.lake)
        excuses = self._excuses()
        told = self._told()
        for name, state in sorted(self.states.items()):
            later = read_head(run.lake, run.lake_name, name, self.keys)
            evidence = Evidence(
                marks=marks,
                promised=promised.get(name, 0),
                later_size=max(later.size, state.head.size),
                excuses=excuses,
                rotations=run.rotations(),
                seen=run.options.seen.logs.get(state.head.origin) if run.options.seen else None,
                cosigned=run.cosigned.get(name),
                told=told.get(state.head.origin),
                require_witness=run.options.require_witness,
                asks_witnesses=bool(run.options.witness_keys),
            )
            report = judge_log(name, state, evidence)
            if report.size or report.findings:
                run.report.logs.append(report)

    def _excuses(self) -> Excuses:
        keys = self.keys.given or tuple(key for state in self.states.values() for key in found_keys(state.head.folder))
        return read_excuses(self.run.lake, self.run.lake_name, self.run.rows, keys)


def _leaf_job(task: LeafTask) -> tuple[LeafTask, LeafPiece]:
    return task, check_leaves(task)


def _groups(heads: dict[LogName, Head], files: Sequence[TableFile]) -> Iterator[set[str]]:
    """Tenants by group: `_lake` alone first, then as many together as `GROUP_ENTRIES` allows."""
    sizes = dict.fromkeys(sorted({*(name.tenant for name in heads), *(file.tenant for file in files)}), 0)
    for name, head in heads.items():
        sizes[name.tenant] += head.size
    if LAKE_TENANT in sizes:
        del sizes[LAKE_TENANT]
        yield {LAKE_TENANT}
    group: set[str] = set()
    held = 0
    for tenant, size in sizes.items():
        if group and held + size > GROUP_ENTRIES:
            yield group
            group, held = set(), 0
        group.add(tenant)
        held += size
    if group:
        yield group
