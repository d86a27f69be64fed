"""Backing up: asked, recorded, done. A backup reads every record of every tenant, so it is an export like any other.

Recorded as `data.exported` before anything is read, and as `lake.backed_up` with the manifest's SHA-256 once it is whole, in each tenant's log
with how many of its records it holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from governance.access import Action
from muniment.mirroring import forget, remember
from muniment.settings import control_url, vault_url
from muniment.wiring import CommandContext
from warehouse.backup.keys_file import read_bundle, write_keys_file
from warehouse.backup.making import Made, Progress, make_backup
from warehouse.control.database import parse_url
from warehouse.durable import make_folder
from warehouse.errors import InputError, UnavailableError
from warehouse.names import LAKE_TENANT
from warehouse.own_events import OwnEvent

_KEYS_APART = "who holds a backup must not hold the keys as well: name a file elsewhere"


@dataclass(frozen=True)
class BackedUp:
    """What one target got. `notes` are what the operator has to see to besides."""

    made: Made
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The backup for machines."""
        made = self.made
        return {
            "target": str(made.target),
            "generation": made.manifest.generation,
            "time_unix_nano": int(made.manifest.time_unix_nano),
            "manifest_sha256": made.manifest_sha256,
            "logs": len(made.manifest.logs),
            "files": made.files,
            "bytes": made.size_bytes,
            "copied_files": made.copied_files,
            "copied_bytes": made.copied_bytes,
            "removed_files": made.removed_files,
            "certificates": len(made.manifest.documents),
            "control": made.manifest.control,
            "notes": list(self.notes),
        }


def backup_targets(context: CommandContext, target: Path | None) -> Sequence[Path]:
    """The folder given, made where the one above is there, or those of the settings.

    Raises:
        InputError: neither.
    """
    if target is not None and not target.exists() and target.absolute().parent.is_dir():
        make_folder(target.absolute())
    targets = (target.absolute(),) if target is not None else context.settings.backup.folders
    if not targets:
        raise InputError(
            "backup: expected a folder or the setting backup.targets, got neither",
            hint="muniment backup DIR, or list folders under backup: targets: in muniment.yaml",
        )
    return targets


def back_up(
    context: CommandContext, target: Path, *, progress: Progress = lambda _what, _done, _of_all: None
) -> BackedUp:
    """Make the next generation in one target.

    Raises:
        DeniedError: the principal may not.
        InputError: target and lake lie in one another.
        ConflictError: the target is not this lake's, or knows more than the lake does.
        UnavailableError: it cannot be recorded, read or written; the generation that is there stays.
    """
    context.check(Action.LAKE_BACKUP)
    if not target.is_dir():
        # Before it is recorded: nothing will be read.
        raise UnavailableError(
            f"backup target {target}: expected a folder that is there, got none",
            hint="mount it, or make the folder once by hand: a missing one is not made, it may be a disk that is away",
        )
    remember(context, target)  # from now on certificates go there too
    what = {"action": "backup", "resource_type": "lake", "resource_id": context.settings.lake}
    context.record("data.exported", LAKE_TENANT, **what, attributes={"muniment.backup.target": str(target)})
    control = database_file(control_url(context.lake, context.settings))
    made = make_backup(
        context.lake,
        target,
        lake_name=context.settings.lake,
        control=control,
        clock=context.clock,
        progress=progress,
    )
    context.record(
        "lake.backed_up",
        LAKE_TENANT,
        **what,
        attributes={
            "muniment.backup.target": str(target),
            "muniment.backup.generation": made.manifest.generation,
            "muniment.backup.manifest": made.manifest_sha256,
            "muniment.backup.time_unix_nano": made.manifest.time_unix_nano,
            "muniment.backup.bytes": made.size_bytes,
        },
    )
    context.decisions.record_with(_told_to_tenants(context, made))
    return BackedUp(made, tuple(_notes(context, control)))


def _told_to_tenants(context: CommandContext, made: Made) -> list[OwnEvent]:
    """For each tenant how many records of each of its logs are in the backup: where it lies is the operator's business."""
    by_tenant: dict[str, dict[str, int]] = {}
    for log in made.manifest.logs:
        tenant, _, shard = log.origin.removeprefix(f"{made.manifest.lake}/").partition("/")
        by_tenant.setdefault(tenant, {})[shard] = log.size
    by_tenant.pop(LAKE_TENANT, None)
    return [
        OwnEvent(
            tenant,
            "lake.backed_up",
            context.principal.recorded_by,
            fields={"action": "backup", "resource_type": "tenant", "resource_id": tenant},
            attributes={
                "muniment.backup.manifest": made.manifest_sha256,
                "muniment.backup.time_unix_nano": made.manifest.time_unix_nano,
                "muniment.backup.records": sizes,
            },
        )
        for tenant, sizes in sorted(by_tenant.items())
    ]


def forget_folder(context: CommandContext, folder: Path) -> None:
    """Copy certificates no more to a folder that holds no backup any more.

    Raises:
        DeniedError: the principal may not.
        NotFoundError: it was not backed up to by name.
    """
    context.check(Action.LAKE_BACKUP)
    forget(context, folder.absolute())


def back_up_keys(context: CommandContext, file: Path, passphrase: str) -> list[str]:
    """Write the lake's secrets into one encrypted file; returns what is not in it.

    Raises:
        DeniedError: the principal may not.
        InputError: the file would lie in the lake or on a backup target, is something else, or the passphrase is too short.
        UnavailableError: it cannot be recorded, or the vault does not answer.
    """
    context.check(Action.LAKE_BACKUP)
    file = file.absolute()
    for folder in (context.lake.path, *context.settings.backup.folders):
        if folder.resolve() in file.resolve().parents:
            raise InputError(f"--keys {file}: expected a file apart from {folder}, got one in it", hint=_KEYS_APART)
    if not file.parent.is_dir():
        raise InputError(f"--keys {file}: expected a folder that is there, got {file.parent}", hint="make it first")
    vault = database_file(vault_url(context.lake, context.settings))
    bundle = read_bundle(context.lake, vault, lake_name=context.settings.lake)
    context.record(
        "data.exported", LAKE_TENANT, action="backup", resource_type="keys", resource_id=context.settings.lake
    )
    write_keys_file(
        file,
        bundle,
        passphrase,
        lake_id=context.keys.lake_id,
        now_unix_nano=context.clock(),
    )
    return [] if vault is not None else ["the vault of subjects is on a server: back it up with the server's own tools"]


def database_file(where: str | Path) -> Path | None:
    """The file of a SQLite database, None for one on a server."""
    url = parse_url(where)
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def _notes(context: CommandContext, control: Path | None) -> list[str]:
    notes = []
    if control is None:
        notes.append(
            "the control database is on a server and not in the backup: back it up with the server's own tools"
        )
    if any(
        url is not None and make_url(url).password for url in (context.settings.control_url, context.settings.vault_url)
    ):
        notes.append(
            "muniment.yaml, which the backup holds, has a password in a URL: use control_url_file, vault_url_file"
        )
    return notes
