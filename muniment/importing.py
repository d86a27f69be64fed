"""Wires a file import: tenant, access, a shard of its own, and the pipeline."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from collectors.exports import Signal
from collectors.imports import ImportResult, file_identity, import_file
from collectors.pipeline import GroupPipeline
from governance.access import Action
from muniment.wiring import CommandContext
from warehouse.commit import open_stores
from warehouse.errors import ShardHeldError
from warehouse.quarantine import Quarantine, QuarantineEntry
from warehouse.writer import Writer, open_writer

IMPORT_SHARD = "import"
_SHARDS = 8
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
    with import_pipeline(context) as (pipeline, writer):
        committed = open_stores(context.lake)["spans"].committed
        for file in files:
            results.append(
                import_file(
                    file,
                    tenant_id=tenant,
                    recorded_by=context.principal.recorded_by,
                    identity=file_identity(file, context.keys.tenant_lookup(tenant)),
                    pipeline=pipeline,
                    committed=committed,
                    clock=context.clock,
                    signal=signal,
                    progress=lambda done, start=before: progress(start + done),  # type: ignore[misc]  # bound at once on purpose
                )
            )
            before += file.stat().st_size
            writer.flush(_FLUSH_SECONDS)
    return results


class _NoQuarantine(Quarantine):
    """For replays: what is refused again is in quarantine already."""

    def add(self, entries: Sequence[QuarantineEntry]) -> None:
        """Keep nothing."""


@contextmanager
def import_pipeline(context: CommandContext, *, record_refusals: bool = True) -> Iterator[tuple[GroupPipeline, Writer]]:
    """Open the pipeline of an import on a shard of its own, and commit everything at the end."""
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


def _free_writer(context: CommandContext) -> Writer:
    """Take the first import shard that no other import holds."""
    last: ShardHeldError | None = None
    for number in range(_SHARDS):
        name = IMPORT_SHARD if number == 0 else f"{IMPORT_SHARD}-{number}"
        try:
            return open_writer(
                context.lake,
                name,
                context.claims,
                open_stores(context.lake),
                config=context.settings.writer,
                clock=context.clock,
                lake_name=context.settings.lake,
                redactor=context.redactor,
            )
        except ShardHeldError as exc:
            last = exc
    raise ShardHeldError(f"{_SHARDS} imports run already: {last}", hint="wait for one of them to end")
