"""Checkpoints as they stand on the disk, and by whose keys they are believed."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from warehouse.errors import InputError
from warehouse.journal import read_position
from warehouse.lake import Lake
from warehouse.ledger.checkpoint import Checkpoint, log_origin, read_unverified
from warehouse.ledger.errors import BadSignatureError, NoteError
from warehouse.ledger.keeper import CHECKPOINT_FILE, VKEY_FILE
from warehouse.ledger.note import Ed25519Verifier, Signature, check_signatures, parse_note
from warehouse.ledger.verify.findings import Finding, FindingKind

_IDENTITY = re.compile(r"[a-z0-9-]+-[0-9a-f]{8}")


class LogName(NamedTuple):
    """One log: whose records, sequenced by which shard."""

    tenant: str
    shard: str


@dataclass(frozen=True)
class Head:
    """A log's checkpoint as read. `checkpoint` is None where there is none that can be read.

    `verified` are signatures by keys that the verifier brought; where it brought none, by the keys in the log's own folder,
    and then `established` is false: whoever rewrites a log writes these keys too. `note` is the file's bytes.
    """

    name: LogName
    origin: str
    folder: Path
    checkpoint: Checkpoint | None
    verified: tuple[Signature, ...] = ()
    established: bool = False
    note: bytes = b""
    findings: tuple[Finding, ...] = ()

    @property
    def size(self) -> int:
        """Signed size; 0 without a checkpoint."""
        return self.checkpoint.size if self.checkpoint else 0


class LogKeys:
    """Keys by which checkpoints are believed: those that the verifier brought, or else the ones beside each log.

    A key counts for what its name says: a lake's name for all of its logs, a log's origin for that log, another lake's for none.
    """

    def __init__(self, vkeys: Sequence[Ed25519Verifier], lake_name: str) -> None:
        mine = [key for key in vkeys if key.name.partition("/")[0] == lake_name]
        if vkeys and not mine:
            names = ", ".join(sorted({key.name for key in vkeys}))
            raise InputError(
                f"--vkey: expected a key of lake {lake_name}, which this one is, got only keys of others: {names}",
                hint=f"get the key named {lake_name} from the lake's operator (`muniment ledger vkey`), or name another --lake",
            )
        self._of_lake = tuple(dict.fromkeys(key.public_key for key in mine if key.name == lake_name))
        self._of_logs: dict[str, list[bytes]] = {}
        for key in mine:
            if key.name != lake_name:
                self._of_logs.setdefault(key.name, []).append(key.public_key)
        self.given = tuple(dict.fromkeys(key.public_key for key in mine))

    def of_log(self, origin: str) -> tuple[bytes, ...]:
        """Public keys that the verifier brought for one log. One key signs all logs of a lake, each under its origin's name."""
        return tuple(dict.fromkeys((*self._of_lake, *self._of_logs.get(origin, ()))))


def found_keys(folder: Path) -> list[bytes]:
    """Public keys that stand beside a log: nothing that a verifier may rely on."""
    file = folder / VKEY_FILE
    try:
        lines = file.read_text(encoding="utf8").split()
        return list(dict.fromkeys(Ed25519Verifier.from_vkey(line).public_key for line in lines))
    except (OSError, UnicodeDecodeError, NoteError):
        return []


def log_names(lake: Lake) -> list[LogName]:
    """Logs that have a folder."""
    ledger = lake.path / "ledger"
    tenants = [folder for folder in sorted(ledger.iterdir()) if folder.is_dir()] if ledger.is_dir() else []
    return [LogName(tenant.name, log.name) for tenant in tenants for log in sorted(tenant.iterdir()) if log.is_dir()]


def log_folder(lake: Lake, name: LogName) -> Path:
    """Where a log's checkpoint and tiles lie."""
    return lake.path / "ledger" / name.tenant / name.shard


def read_head(lake: Lake, lake_name: str, name: LogName, keys: LogKeys) -> Head:
    """Read a log's checkpoint and check its signatures."""
    folder = log_folder(lake, name)
    origin = log_origin(lake_name, name.tenant, name.shard)
    try:
        note = (folder / CHECKPOINT_FILE).read_bytes()
    except FileNotFoundError:
        return Head(name, origin, folder, None)
    except OSError as exc:
        return _unsound(name, origin, folder, b"", f"checkpoint cannot be read: {exc.strerror}")
    try:
        checkpoint = read_unverified(note)
        if checkpoint.origin != origin:
            return _unsound(name, origin, folder, note, f"checkpoint of another log: {checkpoint.origin}")
        brought = keys.of_log(origin)
        verifiers = [Ed25519Verifier(origin, key) for key in brought or found_keys(folder)]
        verified = check_signatures(parse_note(note), verifiers)
    except BadSignatureError as exc:
        return Head(
            name, origin, folder, read_unverified(note), note=note,
            findings=(Finding(FindingKind.BAD_SIGNATURE, None, str(exc)),),
        )  # fmt: skip
    except NoteError as exc:
        return _unsound(name, origin, folder, note, str(exc))
    findings = () if verified else (Finding(FindingKind.UNKNOWN_KEY, None, _signers(note)),)
    return Head(name, origin, folder, checkpoint, verified, bool(verified and brought), note, findings)


def verified_by(head: Head, keys: Iterable[bytes]) -> tuple[Signature, ...]:
    """Signatures of the head's checkpoint by any of these public keys."""
    try:
        verifiers = [Ed25519Verifier(head.origin, key) for key in dict.fromkeys(keys)]
        return check_signatures(parse_note(head.note), verifiers)
    except NoteError:
        return ()


def promised_sizes(lake: Lake) -> dict[LogName, int]:
    """Sizes of logs below which the journal's heads say that everything is committed and signed.

    The writer moves a shard's head last, so a checkpoint read after it is at least as large.
    """
    sizes = {}
    for file in lake.journal.glob("*/head"):
        if not _IDENTITY.fullmatch(file.parent.name):  # a journal that was set aside: a copy, or one that was restored
            continue
        position = read_position(file)
        for tenant, size in (position.next_index if position else {}).items():
            sizes[LogName(tenant, file.parent.name)] = size
    return sizes


def _unsound(name: LogName, origin: str, folder: Path, note: bytes, detail: str) -> Head:
    return Head(name, origin, folder, None, note=note, findings=(Finding(FindingKind.BAD_SIGNATURE, None, detail),))


def _signers(note: bytes) -> str:
    signers = ", ".join(f"{signature.name}+{signature.key_id.hex()}" for signature in parse_note(note).signatures)
    return f"expected a signature by a known key, got only {signers}"
