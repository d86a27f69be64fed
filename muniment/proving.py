"""What a principal does with the logs: proves a record, lists them, copies them, asks for the public keys."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from governance.access import Action
from muniment.handing_out import check_whole
from muniment.recorder import SELF_SHARD
from muniment.wiring import CommandContext
from warehouse.errors import InputError, MunimentError, NotFoundError
from warehouse.ledger import fields
from warehouse.ledger.checkpoint import read_unverified
from warehouse.ledger.export import ExportedLog, export_log
from warehouse.ledger.keeper import CHECKPOINT_FILE
from warehouse.ledger.note import check_signatures, parse_note
from warehouse.ledger.signing import SigningKey, read_signing_keys
from warehouse.ledger.tiles import TILE_WIDTH, TilePlace
from warehouse.ledger.verify.events import OwnRow
from warehouse.ledger.verify.excuses import Excuses, read_excuses
from warehouse.ledger.verify.heads import LogName, promised_sizes
from warehouse.names import LAKE_TENANT, check_name
from warehouse.questions.proof import (
    PROVABLE_TABLES,
    FoundRecord,
    ProvableLog,
    choose_log,
    find_record,
    prove_entry,
    prove_record,
)

_MARK_SECONDS = 2.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class MadeProof:
    """A proof's file, of which log, and whether it holds the record or only its entry; then whether a certificate says why."""

    content: bytes
    log: str
    holds_record: bool
    purged: bool = False


@dataclass(frozen=True)
class LogState:
    """A log for `ledger list`. `signed_by` are ids of the lake's keys, as in their vkeys; `root` is base64."""

    origin: str
    size: int
    root: str
    signed_by: list[str]
    grown_unix_nano: int
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """The log for machines."""
        return asdict(self)


@dataclass(frozen=True)
class PublicKey:
    """One key of the lake, by its public half. Times in nanoseconds since 1970; None without an end."""

    vkey: str
    created_unix_nano: int
    ends_unix_nano: int | None
    compromised: bool

    def to_json(self) -> dict[str, Any]:
        """The key for machines."""
        return asdict(self)


def prove_one(context: CommandContext, tenant: str, index: int, shard: str | None) -> MadeProof:
    """Prove one record; recorded as `data.exported` in its tenant's log before anything is handed out.

    Raises:
        DeniedError: the principal may not export the tenant's records, or not read all of this one's table.
        NotFoundError: no such tenant, or it has no such log.
        InputError: no log holds this index yet, or several do.
        ProofError: the row is not what was recorded.
        UnavailableError: the lake cannot be read, or the export cannot be recorded.
    """
    context.check(Action.RECORDS_EXPORT, tenant)
    _check_tenant(context, tenant)
    log = choose_log(context.lake, tenant, index, shard, own_shard=SELF_SHARD)
    record = _find(context, log, index)
    if record is not None:
        check_whole(context, tenant, [record.table], "the proof of a record")
    proof = prove_entry(log, index) if record is None else prove_record(log, index, record)
    context.record(
        "data.exported",
        tenant,
        action="prove",
        resource_type="log",
        resource_id=log.checkpoint.origin,
        attributes={"muniment.log.index": index},
    )
    purged = record is None and _is_purged(context, log, index)
    return MadeProof(proof.encode(), log.checkpoint.origin, record is not None, purged)


def log_states(context: CommandContext, tenant: str | None) -> list[LogState]:
    """Every log's head, by tenant and shard; one that is missing, or whose checkpoint does not hold, says why.

    What is missing is told from the journals' heads and the names of files: a log, records that were signed, the newest entries. What
    lies before them, and whether records fit, is what `verify` reads.

    Raises:
        NotFoundError: there is no such tenant.
    """
    context.check(Action.STATUS_READ, tenant)
    if tenant is not None:
        _check_tenant(context, tenant)
    keys = read_signing_keys(context.lake.keys)
    names = [verifier.key_id.hex() for verifier in keys.verifiers(context.settings.lake)]
    promised = _promised(context, tenant)  # before the logs: each is read at least as large
    states = []
    for folder in _log_folders(context, tenant):
        origin = f"{context.settings.lake}/{folder.parent.name}/{folder.name}"
        least = promised.pop(LogName(folder.parent.name, folder.name), 0)
        try:
            content = (folder / CHECKPOINT_FILE).read_bytes()
            head, note = read_unverified(content), parse_note(content)
        except MunimentError as exc:
            states.append(LogState(origin, 0, "", [], 0, str(exc)))
            continue
        verifiers = keys.verifiers(head.origin)
        own = dict(zip((verifier.key_id for verifier in verifiers), names, strict=True))
        signed, problem = [], _missing(folder, head.size, least)
        try:
            signed = [own[line.key_id] for line in check_signatures(note, verifiers) if line.key_id in own]
        except MunimentError as exc:
            problem = str(exc)
        states.append(
            LogState(
                head.origin, head.size, fields.encode_base64(head.root), signed, _grown(folder, head.size), problem
            )
        )
    for name, size in promised.items():
        said = f"the log is missing: {size:,} of its records were signed, and the folder ledger has no checkpoint of it"
        states.append(LogState(f"{context.settings.lake}/{name.tenant}/{name.shard}", 0, "", [], 0, said))
    return sorted(states, key=lambda state: state.origin)


def promised_records(context: CommandContext, tenant: str) -> int:
    """How many records of a tenant are signed and in the tables, as the journals of this lake's shards say."""
    return sum(_promised(context, tenant).values())


def export_logs(
    context: CommandContext,
    target: Path,
    tenant: str | None,
    *,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[ExportedLog]:
    """Copy the logs into `target/<tenant>/<shard>`; recorded as `data.exported` in the log of each tenant first.

    Raises:
        DeniedError: the principal may not export a tenant's log.
        NotFoundError: there is no such tenant.
        InputError: `target` is there and is no folder.
        ConflictError: a copy there is not the beginning of its log.
    """
    if target.exists() and not target.is_dir():
        raise InputError(f"{target}: expected a folder or a name that is free, got a file", hint="name another folder")
    context.check(Action.RECORDS_EXPORT, tenant)  # before anything is said of which tenants there are
    if tenant is not None:
        _check_tenant(context, tenant)
    folders = _log_folders(context, tenant)
    tenants = sorted({folder.parent.name for folder in folders})
    for name in tenants:
        context.check(Action.RECORDS_EXPORT, name)
    for name in tenants:
        context.record(
            "data.exported", name, action="export", resource_type="log", resource_id=f"{context.settings.lake}/{name}"
        )
    exported = []
    for folder in folders:
        origin = f"{context.settings.lake}/{folder.parent.name}/{folder.name}"

        def show(done: int, of_all: int, origin: str = origin) -> None:
            if progress is not None:
                progress(origin, done, of_all)

        exported.append(export_log(folder, target / folder.parent.name / folder.name, progress=show))
    return exported


def public_keys(context: CommandContext, tenant: str | None = None) -> list[PublicKey]:
    """The lake's public keys under its name, newest first."""
    context.check(Action.STATUS_READ, tenant)
    keys = read_signing_keys(context.lake.keys)
    verifiers = keys.verifiers(context.settings.lake)

    def describe(vkey: str, key: SigningKey) -> PublicKey:
        return PublicKey(vkey, key.created_unix_nano, key.ends_unix_nano, key.compromised)

    return [describe(verifier.vkey, key) for verifier, key in zip(verifiers, keys.keys, strict=True)]


def _find(context: CommandContext, log: ProvableLog, index: int) -> FoundRecord | None:
    """The row; rows become readable an instant after their checkpoint, so an absence is looked at again."""
    deadline = time.monotonic() + _MARK_SECONDS
    while True:
        with context.session([log.tenant], tables=PROVABLE_TABLES) as session:
            found = find_record(session, log.tenant, log.shard, index)
        if found is not None or not _being_committed(context, log) or time.monotonic() >= deadline:
            return found
        time.sleep(_POLL_SECONDS)


def _is_purged(context: CommandContext, log: ProvableLog, index: int) -> bool:
    return read_purged(context, log.tenant).purged(LogName(log.tenant, log.shard)).table_of(index) is not None


def read_purged(context: CommandContext, tenant: str) -> Excuses:
    """What certificates by the lake's keys, which events of Muniment's own name, say was purged of a tenant."""
    sql = (
        "select tenant_id as tenant, shard, log_index as index, event_name as name, recorded_by, time_unix_nano, "
        "resource_type, resource_id, attributes as attributes_text from audit_events "
        "where event_name = 'retention.purged' and starts_with(recorded_by, 'muniment:')"
    )
    with context.session(sorted({tenant, LAKE_TENANT}), tables=("audit_events",)) as session:
        rows = [OwnRow(**row) for row in session.run_trusted(sql).to_pylist()]
    verifiers = read_signing_keys(context.lake.keys).verifiers(context.settings.lake)
    return read_excuses(context.lake, context.settings.lake, rows, [key.public_key for key in verifiers])


def _being_committed(context: CommandContext, log: ProvableLog) -> bool:
    return any((context.lake.journal / log.shard).glob("*.seg"))


def _check_tenant(context: CommandContext, tenant: str) -> None:
    if tenant == LAKE_TENANT:
        return
    check_name(tenant, "tenant")
    if tenant not in {known.id for known in context.control.list_tenants()}:
        raise NotFoundError(f"tenant {tenant}: there is none", hint="`muniment tenant list` names them")


def _log_folders(context: CommandContext, tenant: str | None) -> list[Path]:
    """Folders of the logs that have a checkpoint, by tenant and shard."""
    if tenant is not None and tenant != LAKE_TENANT:
        check_name(tenant, "tenant")
    files = (context.lake.path / "ledger").glob(f"{tenant or '*'}/*/{CHECKPOINT_FILE}")
    return sorted(file.parent for file in files)


def _promised(context: CommandContext, tenant: str | None) -> dict[LogName, int]:
    """Logs that have to be there, with sizes that they have at least."""
    return {name: size for name, size in promised_sizes(context.lake).items() if size and tenant in {None, name.tenant}}


def _missing(folder: Path, size: int, least: int) -> str:
    """What of a log is missing, as far as its size and the names of its newest files tell."""
    if size < least:
        return f"records are missing: {least:,} were signed, and its newest seal counts {size:,}"
    for level, what in ((None, "entries"), (0, "hashes")):
        if size and not _there(folder, TilePlace(level, (size - 1) // TILE_WIDTH), size):
            return f"its newest {what} are missing: the folder tile has no file of them"
    return ""


def _there(folder: Path, place: TilePlace, size: int) -> bool:
    """Whether a tile is there, as wide as a log of that size needs it or wider: a log grows while it is looked at."""
    least, whole = place.width(size), folder / place.path()
    if (folder / place.path(least)).exists() or whole.exists():
        return True
    return any(int(file.name) >= least for file in whole.with_name(f"{whole.name}.p").glob("[0-9]*")) or whole.exists()


def _grown(folder: Path, size: int) -> int:
    """When the newest entries were written: the checkpoint's own time moves with each new signature."""
    place = TilePlace(None, max(size - 1, 0) // TILE_WIDTH)
    for width in (place.width(size), TILE_WIDTH):
        file = folder / place.path(width or TILE_WIDTH)
        if file.exists():
            return file.stat().st_mtime_ns
    return (folder / CHECKPOINT_FILE).stat().st_mtime_ns
