"""The heads of a lake's logs: every checkpoint that was written, for the `log.heads` events that witnesses see.

Only the logs of `_lake` go to witnesses. Another log is proved through the latest event that holds its head, which is a
record of a log that was cosigned.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from warehouse.errors import MunimentError
from warehouse.lake import Lake
from warehouse.ledger import fields
from warehouse.ledger.checkpoint import Checkpoint, SignedCheckpoint, log_origin, open_checkpoint
from warehouse.ledger.keeper import CHECKPOINT_FILE
from warehouse.ledger.signing import SigningKeys
from warehouse.names import LAKE_TENANT


@dataclass(frozen=True)
class LogHead:
    """One log's folder and its signed checkpoint."""

    tenant: str
    folder: Path
    signed: SignedCheckpoint

    @property
    def checkpoint(self) -> Checkpoint:
        """What the checkpoint says."""
        return self.signed.checkpoint

    def to_json(self) -> list[str | int]:
        """Origin, size and root, as an event holds them."""
        checkpoint = self.checkpoint
        return [checkpoint.origin, checkpoint.size, fields.encode_base64(checkpoint.root)]


@dataclass(frozen=True)
class LakeHeads:
    """Heads of all logs that have a sound checkpoint, and what is wrong with the others."""

    heads: tuple[LogHead, ...]
    problems: tuple[str, ...]

    def of_lake(self) -> list[LogHead]:
        """Logs of the tenant `_lake`: those that go to witnesses."""
        return [head for head in self.heads if head.tenant == LAKE_TENANT]

    def grown(self, sizes: Mapping[str, int]) -> list[LogHead]:
        """What a `log.heads` event has to hold, given the size of each origin in the events before.

        None where only logs of `_lake` grew: those go to witnesses themselves, and the event itself makes one grow.
        """
        grown = [head for head in self.heads if head.checkpoint.size > sizes.get(head.checkpoint.origin, 0)]
        return grown if any(head.tenant != LAKE_TENANT for head in grown) else []


def read_heads(lake: Lake, keys: SigningKeys, *, lake_name: str, tenant: str | None = None) -> LakeHeads:
    """Read the checkpoint of every log, or of one tenant's, and check its signature.

    What was altered on disk must not become a witnessed record.
    """
    verifiers = keys.verifiers(lake_name)
    heads: list[LogHead] = []
    problems: list[str] = []
    for owner, folder in _log_folders(lake.path / "ledger", tenant):
        try:
            origin = log_origin(lake_name, owner, folder.name)
            note = (folder / CHECKPOINT_FILE).read_bytes()
            signed = open_checkpoint(note, origin=origin, verifiers=[key.named(origin) for key in verifiers])
            heads.append(LogHead(owner, folder, signed))
        except FileNotFoundError:
            continue  # tiles come before the first checkpoint
        except (MunimentError, OSError) as exc:
            problems.append(f"{folder}: {exc}")
    return LakeHeads(tuple(heads), tuple(problems))


def _log_folders(ledger: Path, only: str | None) -> Iterator[tuple[str, Path]]:
    for tenant in sorted(ledger.glob(only or "*")):
        for folder in sorted(tenant.iterdir()) if tenant.is_dir() else ():
            if folder.is_dir():
                yield tenant.name, folder
