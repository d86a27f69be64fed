"""Makes a lake from a backup: copied and checked, purged again of what was erased since, recorded, and only then opened.

Everything happens in the staging folder, where no command finds a lake. A restore that was interrupted is carried on by the same
command.

Invariants. What a certificate names does not come back. No log is continued: all shards are closed, and the next writer of each gets
a new identity and signs with a new key. What was lost is recorded in the new lake's own log (`lake.restored`), so `verify` tells it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance.access import Access, Action, local_principal
from muniment.erasing import KIND as ERASURE
from muniment.restore_events import restore_events
from muniment.settings import read_settings
from muniment.wiring import CommandContext
from warehouse.backup.copying import copy_generation
from warehouse.backup.documents import FOLDER
from warehouse.backup.keys_file import KeyBundle, write_secrets
from warehouse.backup.lost import Lost, find_lost
from warehouse.backup.making import ON_SERVER, Progress
from warehouse.backup.opening import MirroredDocuments, OpenedBackup, open_backup, read_documents
from warehouse.backup.reapply import Reapplied, drop_quarantine, named_tenants, reapply_certificates
from warehouse.backup.staging import Staging, Step
from warehouse.clock import Clock, utc_text
from warehouse.control.part import check_text
from warehouse.durable import make_folder, replace_files
from warehouse.errors import ConflictError, CorruptionError, UnavailableError
from warehouse.lake import Lake, make_lake
from warehouse.ledger.certificates import PurgeCertificate
from warehouse.ledger.note import Ed25519Verifier
from warehouse.ledger.signing import KEY_FILE, SigningKey, SigningKeys, parse_keys, write_keys
from warehouse.packs import settle_packs


@dataclass(frozen=True)
class RestoreOptions:
    """What a restore was told. `without_certificates` is the reason for going on without the target's list of certificates.

    `control_restored` says that the control database on its server is the restored lake's own.
    """

    keys: KeyBundle | None = None
    vkeys: Sequence[Ed25519Verifier] = ()
    without_certificates: str | None = None
    control_restored: bool = False


@dataclass
class Restored:
    """What a restore did and what it could not bring back."""

    lake: Path
    opened: OpenedBackup
    lost: Lost
    documents: MirroredDocuments
    certificates: Mapping[str, PurgeCertificate]
    reapplied: Reapplied = field(default_factory=Reapplied)
    subject_keys: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def time_unix_nano(self) -> int:
        """When the backup was made."""
        return int(self.opened.manifest.time_unix_nano)

    @property
    def open_intents(self) -> list[str]:
        """Purges that were begun after the backup and that no certificate tells the end of: what they name is back."""
        ended = {document.intent_sha256 for document in self.documents.certificates.values()}
        return sorted(self.documents.intents.keys() - ended - set(self.opened.manifest.documents))

    def to_json(self) -> dict[str, Any]:
        """The restore for machines."""
        manifest = self.opened.manifest
        return {
            "lake": str(self.lake),
            "backup_time_unix_nano": self.time_unix_nano,
            "generation": manifest.generation,
            "signer": "established" if self.opened.established else "not established",
            "files": len(manifest.files),
            "bytes": manifest.size_bytes,
            "certificates_reapplied": sorted(self.certificates),
            "rows_erased_again": self.reapplied.rows,
            "metrics_beyond": self.reapplied.metrics_beyond,
            "subject_keys_destroyed_again": self.subject_keys,
            "intents_without_certificate": self.open_intents,
            "lost": [{"origin": origin, "from": first} for origin, first, _ in self.lost.ranges],
            "known_sizes": dict(self.lost.known_sizes),
            "known_lost_entries": self.lost.known_entries,
            "notes": self.notes,
        }


def restore(
    source: Path,
    to: Path,
    options: RestoreOptions,
    *,
    clock: Clock,
    progress: Progress = lambda _what, _done, _of_all: None,
) -> Restored:
    """Make the lake `to` from the backup in `source`; the same call carries on one that was interrupted.

    Raises:
        DeniedError: the principal may not.
        ConflictError: `to` is not empty, or the control database is on a server and nobody said that it was restored.
        InputError: there is no backup, or the keys are for another lake.
        CorruptionError: a signature does not fit, or a file, certificate or the list of certificates is missing or altered.
        UnavailableError: the disk refused, or the restore cannot be recorded.
    """
    Access.for_lake(to).check(local_principal(), Action.LAKE_RESTORE)
    if options.without_certificates is not None:
        check_text(options.without_certificates, "--without-certificates", at_most=500)
    own = parse_keys(options.keys.signing, "keys file").verifiers(options.keys.lake) if options.keys else []
    opened = open_backup(source, [*options.vkeys, *own])
    documents = read_documents(opened)
    _check(opened, documents, options)
    staging = Staging(to.absolute(), opened.manifest_sha256)
    newer = {name: each for name, each in documents.certificates.items() if name not in opened.manifest.documents}
    done = Restored(staging.to, opened, find_lost(opened, documents), documents, newer)
    try:
        step = staging.begin()
        if step is Step.COPYING:
            copy_generation(opened, staging.lake.path, progress=progress)
            _add_documents(staging.lake, opened, documents)
            _make_keys(staging.lake, options.keys, clock)
            staging.reach(Step.COPIED)
        if step is not Step.PLACING:
            _settle(staging, done, options, recorded=step is Step.RECORDED, clock=clock, progress=progress)
        staging.place()
    except OSError as exc:
        raise UnavailableError(
            f"restore into {to}: {exc.filename or 'a file'}: {exc.strerror or exc}",
            hint="see that it has room and may be written, then repeat the command: it carries on",
        ) from exc
    return done


def _check(opened: OpenedBackup, documents: MirroredDocuments, options: RestoreOptions) -> None:
    """Refuse what could bring back what was erased, or take another lake's control data."""
    if (problems := documents.problems) and options.without_certificates is None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise CorruptionError(
            f"{opened.source}: {problems[0]}{more}",
            hint="without its certificates what was erased after the backup could come back: take them from another target, "
            "or say why you go on with those that are sound: --without-certificates REASON",
        )
    if opened.manifest.control == ON_SERVER and not options.control_restored:
        raise ConflictError(
            f"{opened.source}: the lake's control database is on a server and not in this backup",
            hint="restore it with the server's own tools into a database that no other lake uses, then add --control-restored",
        )


def _add_documents(lake: Lake, opened: OpenedBackup, documents: MirroredDocuments) -> None:
    make_folder(lake.certificates)
    for name in documents.names:
        replace_files([(lake.certificates / name, (opened.source / FOLDER / name).read_bytes())])


def _make_keys(lake: Lake, bundle: KeyBundle | None, clock: Clock) -> None:
    """The secret and the vault as they were, where the keys file is there; in any case a new signing key in force."""
    make_folder(lake.keys)
    if bundle is not None:
        write_secrets(lake, bundle)
    make_lake(lake.path)
    if (lake.keys / KEY_FILE).exists():
        return
    now = clock()
    old = parse_keys(bundle.signing, "keys file").keys if bundle is not None else ()
    # the old keys go on being known, so that what they signed can be checked, and sign nothing any more
    ended = tuple(replace(key, ends_unix_nano=min(now, key.ends_unix_nano or now)) for key in old)
    write_keys(lake.keys, SigningKeys((SigningKey(Ed25519PrivateKey.generate(), now), *ended)))


def _settle(
    staging: Staging, done: Restored, options: RestoreOptions, *, recorded: bool, clock: Clock, progress: Progress
) -> None:
    """Erase again, close what was open, and record it."""
    lake, opened = staging.lake, done.opened
    context = _context(lake, done, options, clock)
    done.reapplied = reapply_certificates(lake, list(done.certificates.values()), clock=clock, progress=progress)
    done.subject_keys = context.vault.destroy_by_id([each.key_id for each in done.documents.destructions.values()])
    known = done.opened.manifest.documents
    forgotten = [each.tenant for name, each in done.documents.destructions.items() if name not in known]
    for tenant in drop_quarantine(lake, done.certificates.values(), forgotten):
        done.notes.append(
            f"quarantine of {tenant} is not restored: nobody can say which of its entries were erased since"
        )
    erased = [
        tenant
        for name, each in done.certificates.items()
        if name not in known and each.details.get("kind") == ERASURE
        for tenant in named_tenants([each])
    ]
    for tenant in settle_packs(lake, [*forgotten, *erased]):
        done.notes.append(f"packs of {tenant} are not restored: nobody can say which of them name who was erased since")
    reason = f"restored from the backup of {utc_text(done.time_unix_nano)}"
    for shard in context.control.list_shards():
        if shard.closed_unix_nano is None:
            context.control.close_shard(shard.identity, reason)
    closed = [shard.identity for shard in context.control.list_shards() if shard.closed_reason == reason]
    if not recorded:
        context.recorder.record(
            restore_events(
                context, opened, done.documents, done.lost, closed=closed, reason=options.without_certificates or reason
            )
        )
        staging.reach(Step.RECORDED)
    context.control.close()
    context.vault.close()


def _context(lake: Lake, done: Restored, options: RestoreOptions, clock: Clock) -> CommandContext:
    """The lake being made, with the databases that came back in place of those that its settings name elsewhere."""
    settings = read_settings(lake)
    if done.opened.manifest.control != ON_SERVER and (settings.control_url or settings.control_url_file):
        settings = msgspec.structs.replace(settings, control_url=None, control_url_file=None)
        done.notes.append("muniment.yaml names a control database elsewhere: the restored one is LAKE/control.db")
    is_file = options.keys is None or options.keys.vault is not None
    if is_file and (settings.vault_url or settings.vault_url_file):
        settings = msgspec.structs.replace(settings, vault_url=None, vault_url_file=None)
        done.notes.append("muniment.yaml names a vault elsewhere: that of the restored lake is LAKE/keys/subjects.db")
    if options.keys is None:
        done.notes.append(
            "without the keys file the lake has a new secret and an empty vault: nobody can say whom old tokens mean"
        )
    return CommandContext(lake, settings, Access.for_lake(lake.path, settings.users), local_principal(), clock)
