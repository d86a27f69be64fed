"""Logs of some tenants, verified together: entries, then rows, then contents, then the judgement."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.ledger.checkpoint import Checkpoint, split_origin
from warehouse.ledger.errors import NoteError
from warehouse.ledger.verify.content_pass import compare_contents
from warehouse.ledger.verify.events import LogEvents, read_events
from warehouse.ledger.verify.excuses import Excuses, read_excuses
from warehouse.ledger.verify.files import CONTENTS, TableFile
from warehouse.ledger.verify.heads import Head, LogKeys, LogName, found_keys, promised_sizes, read_head
from warehouse.ledger.verify.job import Job
from warehouse.ledger.verify.judge import judge_log
from warehouse.ledger.verify.leaves import LeafPiece, LeafTask, check_leaves, leaf_tasks
from warehouse.ledger.verify.levels import LeafPieces, join_pieces
from warehouse.ledger.verify.pool import TaskPool
from warehouse.ledger.verify.row_pass import scan_partitions
from warehouse.ledger.verify.scan import LogView, ScanResult
from warehouse.ledger.verify.state import Evidence, LogState
from warehouse.ledger.verify.witnesses import Cosigned
from warehouse.marks import read_marks
from warehouse.names import LAKE_TENANT


@dataclass
class Group:
    """Logs of some tenants with their heads. `verify` is called once."""

    job: Job
    keys: LogKeys
    heads: dict[LogName, Head]
    states: dict[LogName, LogState] = field(default_factory=dict)

    def verify(self, pool: TaskPool, files: list[TableFile]) -> None:
        """Verify these tenants' files; what was found goes into the job's report unless it is stopped."""
        job = self.job
        self.states = {name: LogState(head, job.since(head)) for name, head in self.heads.items()}
        self._check_entries(pool)
        for rows in scan_partitions(job, pool, [file for file in files if file.table != CONTENTS], self._views(files)):
            self._take(rows)
        events = self._events()
        job.rows += events.rows
        job.listening += events.listening
        if LAKE_TENANT in {name.tenant for name in self.states}:
            self._add_told()
        excuses = self._excuses()
        if not job.options.by_number:
            self._check_contents(pool, files, excuses)
        if job.stop():
            job.report.interrupted = True
            return
        self._judge(excuses)

    # -- entries

    def _known_sizes(self, name: LogName, told: Sequence[Mapping[str, Checkpoint]]) -> list[int]:
        """Sizes at which this log's root is known from elsewhere, as far as that was read already."""
        origin = self.heads[name].origin
        sizes = [checkpoint.size for checkpoint in self.job.cosigned.get(name, Cosigned()).witnesses]
        sizes += [known[origin].size for known in told if origin in known]
        if self.job.options.seen and origin in self.job.options.seen.logs:
            sizes.append(self.job.options.seen.logs[origin].checkpoint.size)
        return sizes

    def _check_entries(self, pool: TaskPool) -> None:
        pieces = {str(state.head.folder): LeafPieces() for state in self.states.values()}
        tasks = (
            task
            for state in self.states.values()
            for task in leaf_tasks(state.head.folder, state.head.size, since=state.since)
        )
        for task, piece in pool.run(_leaf_job, tasks, stop=self.job.stop):
            pieces[str(task.folder)].add(piece)
            self.job.advance("entries", min(task.size, task.last * 256) - task.first * 256)
        if self.job.stop():
            return
        told = [self.job.told(), *self.job.vouched_by(self.job.rotations()).values()]
        for name, state in self.states.items():
            mine = pieces.pop(str(state.head.folder))
            if state.head.checkpoint is not None:
                state.check = join_pieces(
                    state.head.folder,
                    state.head.size,
                    mine,
                    expected=state.head.checkpoint.root,
                    sizes=self._known_sizes(name, told),
                    since=state.since,
                )

    # -- rows

    def _views(self, files: Sequence[TableFile]) -> dict[str, dict[str, LogView]]:
        """What a scan needs to know of the logs: by tenant and shard."""
        views: dict[str, dict[str, LogView]] = {file.tenant: {} for file in files}
        for name, state in self.states.items():
            views.setdefault(name.tenant, {})[name.shard] = state.view()
        return views

    def _take(self, result: ScanResult) -> None:
        self.job.report.records += result.rows
        for shard, rows in result.shards.items():
            self._state(LogName(result.file.tenant, shard)).add(result.file, rows)
        for batch in result.altered_rows:
            for shard in batch.column("shard").unique().to_pylist():
                mine = batch.filter(pc.equal(batch.column("shard"), pa.scalar(shard)))
                self._state(LogName(result.file.tenant, shard)).add_altered(result.file.table, mine)
        if result.events:
            self._state(self._name_of(result.file)).events += result.events
        if result.problem or result.vanished:
            self._state(self._name_of(result.file)).add_unreadable(result.file, result.problem or "not there")

    def _name_of(self, file: TableFile) -> LogName:
        """The log that a file's problems are told under: its shard's, or any of its tenant's."""
        if file.shard:
            return LogName(file.tenant, file.shard)
        return next((name for name in sorted(self.states) if name.tenant == file.tenant), LogName(file.tenant, ""))

    def _add_told(self) -> None:
        """Logs of `_lake` that its other logs tell of and that are not there."""
        for name, head in told_names(self.job, self.keys).items():
            if name.tenant == LAKE_TENANT and name not in self.states:
                self.heads[name] = head
                self.states[name] = LogState(head)

    def _state(self, name: LogName) -> LogState:
        """The state of one log; rows may name a shard that has none."""
        if name not in self.states:
            head = self.heads[name] = read_head(self.job.lake, self.job.lake_name, name, self.keys)
            self.states[name] = LogState(Head(name, head.origin, head.folder, None))
        return self.states[name]

    def _events(self) -> LogEvents:
        """Muniment's own events among the rows, which are not needed as they are any more."""
        sizes = {(name.tenant, name.shard): state.head.size for name, state in self.states.items()}
        altered = {(name.tenant, name.shard): state.altered_indices for name, state in self.states.items()}
        tables = [table for state in self.states.values() for table in state.events]
        for state in self.states.values():
            state.events.clear()
        with_heads = bool(self.job.options.witness_keys)
        return read_events(tables, sizes=sizes, altered=altered, with_heads=with_heads)

    # -- contents, judgement

    def _excuses(self) -> Excuses:
        keys = self.keys.given or tuple(key for state in self.states.values() for key in found_keys(state.head.folder))
        return read_excuses(self.job.lake, self.job.lake_name, self.job.rows, keys)

    def _check_contents(self, pool: TaskPool, files: Sequence[TableFile], excuses: Excuses) -> None:
        for result in compare_contents(self.job, pool, files, self._views(files), excuses):
            for shard, found in result.shards.items():
                self._state(LogName(result.task.tenant, shard)).contents.add(found)
            for file, problem in result.problems:
                self._state(self._name_of(file)).add_unreadable(file, problem)

    def _judge(self, excuses: Excuses) -> None:
        job = self.job
        # what the journal promises is read before the checkpoint that has to keep it
        marks, promised = read_marks(job.lake), promised_sizes(job.lake)
        told, rotations = job.told(), job.rotations()
        vouched = job.vouched_by(rotations)
        for name, state in sorted(self.states.items()):
            later = read_head(job.lake, job.lake_name, name, self.keys)
            evidence = Evidence(
                marks=marks,
                promised=promised.get(name, 0),
                later_size=max(later.size, state.head.size),
                excuses=excuses,
                rotations=rotations,
                seen=job.options.seen.logs.get(state.head.origin) if job.options.seen else None,
                cosigned=job.cosigned.get(name),
                told=told.get(state.head.origin),
                vouched_by={since: known.get(state.head.origin) for since, known in vouched.items()},
                quorum=job.options.quorum,
            )
            report = judge_log(name, state, evidence)
            if report.size or report.findings:
                job.report.logs.append(report)


def told_names(job: Job, keys: LogKeys) -> dict[LogName, Head]:
    """Logs that witnesses vouched for through `_lake` and that have no checkpoint any more, with their empty heads."""
    found = {}
    for origin in job.told():
        with contextlib.suppress(NoteError):
            lake_name, *log = split_origin(origin)
            name = LogName(*log)
            if lake_name == job.lake_name and job.is_wanted(name.tenant):
                head = read_head(job.lake, job.lake_name, name, keys)
                if head.checkpoint is None and not head.findings:
                    found[name] = head
    return found


def _leaf_job(task: LeafTask) -> tuple[LeafTask, LeafPiece]:
    return task, check_leaves(task)
