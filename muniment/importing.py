"""Wires a file import: tenant, access, a shard of its own, and the pipeline."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from collectors.exports import Signal
from collectors.imports import ImportResult, file_identity, import_file
from collectors.pipeline import GroupPipeline
from governance.access import Action
from muniment.wiring import CommandContext
from warehouse.commit import open_stores
from warehouse.durable import make_folder
from warehouse.errors import ShardHeldError, UnavailableError
from warehouse.journal import list_segments
from warehouse.locks import locked
from warehouse.quarantine import Quarantine, QuarantineEntry
from warehouse.shard import is_identity
from warehouse.writer import Writer

IMPORT_SHARD = "import"
_SHARDS = 8
_DRAIN_SECONDS = 60.0
_POLL_SECONDS = 0.05
_FLUSH_SECONDS = 600.0


def import_files(
    context: CommandContext,
    files: Sequence[Path],
    *,
    tenant: str,
    signal: Signal | None = None,
    progress: Callable[[int], None] = lambda _bytes: None,
) -> list[ImportResult]:
    """Import files for one tenant; returns once everything is committed and can be queried.

    Raises:
        NotFoundError: there is no such tenant.
        DeniedError: the principal may not import into it.
    """
    context.check(Action.IMPORT_WRITE, tenant)
    context.control.tenant(tenant)
    results = []
    before = 0
    for file in files:
        identity = file_identity(file, context.keys.tenant_lookup(tenant))
        # one import of a file at a time: the second waits, and then finds it imported
        with one_at_a_time(context, f"import-{identity}"), import_pipeline(context) as (pipeline, writer):
            result = import_file(
                file,
                tenant_id=tenant,
                recorded_by=context.principal.recorded_by,
                identity=identity,
                pipeline=pipeline,
                committed=open_stores(context.lake)["spans"].committed,
                clock=context.clock,
                signal=signal,
                progress=lambda done, start=before: progress(start + done),  # type: ignore[misc]  # bound at once on purpose
            )
            writer.flush(_FLUSH_SECONDS)
        results.append(result)
        before += file.stat().st_size
    return results


@contextmanager
def one_at_a_time(context: CommandContext, what: str) -> Iterator[None]:
    """Hold a lock of the lake by which two processes do not do the same import or replay at once."""
    folder = context.lake.run / "imports"
    make_folder(folder)
    with locked(folder / f"{what}.lock", holder=f"pid {os.getpid()}", timeout_seconds=_FLUSH_SECONDS):
        yield


class _NoQuarantine(Quarantine):
    """For replays: what is refused again is in quarantine already."""

    def add(self, entries: Sequence[QuarantineEntry]) -> None:
        """Keep nothing."""


@contextmanager
def import_pipeline(context: CommandContext, *, record_refusals: bool = True) -> Iterator[tuple[GroupPipeline, Writer]]:
    """Open the pipeline of an import on a shard of its own, and commit everything at the end.

    What earlier imports left in the journal is committed first, so that the tables tell how far each one came.
    """
    drain_imports(context)
    writer = _free_writer(context)
    try:
        quarantine = Quarantine if record_refusals else _NoQuarantine
        yield (
            GroupPipeline(
                sink=writer,
                redactor=context.redactor,
                quarantine=quarantine(context.lake, writer.shard),
                prices=context.prices,
                action_key=context.keys.action,
                limits=context.settings.import_limits.limits(),
                clock=context.clock,
            ),
            writer,
        )
    finally:
        writer.stop()


def drain_imports(context: CommandContext) -> None:
    """Commit the journals that interrupted imports left, or wait until the process that holds them has.

    Raises:
        UnavailableError: a live import did not commit what waited within a minute.
    """
    for name in _shard_names():
        waiting = _waiting_segments(context, name)
        if not waiting:
            continue
        try:
            context.open_writer(name).stop()  # opening a shard replays its journal
        except ShardHeldError:
            _wait_until_gone(waiting)


def _waiting_segments(context: CommandContext, name: str) -> list[Path]:
    folders = (folder for folder in context.lake.journal.glob(f"{name}-*") if is_identity(folder.name, name))
    return [file for folder in folders for _, file in list_segments(folder)]


def _wait_until_gone(segments: Sequence[Path]) -> None:
    deadline = time.monotonic() + _DRAIN_SECONDS
    while left := [file for file in segments if file.exists()]:
        if time.monotonic() >= deadline:
            raise UnavailableError(
                f"{left[0]}: another import has not committed it within {_DRAIN_SECONDS:g} s",
                hint="wait for that import to end, and run this one again",
            )
        time.sleep(_POLL_SECONDS)


def _shard_names() -> list[str]:
    return [IMPORT_SHARD if number == 0 else f"{IMPORT_SHARD}-{number}" for number in range(_SHARDS)]


def _free_writer(context: CommandContext) -> Writer:
    """Take the first import shard that no other import holds."""
    last: ShardHeldError | None = None
    for name in _shard_names():
        try:
            return context.open_writer(name)
        except ShardHeldError as exc:
            last = exc
    raise ShardHeldError(f"{_SHARDS} imports run already: {last}", hint="wait for one of them to end")
