"""A lake on disk: where its parts lie, how it is made and found."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from warehouse.durable import make_folder, replace_file
from warehouse.errors import CorruptionError, LakeNotFoundError

POLICY_KINDS = ("redaction", "retention", "slo", "access", "incidents", "controls", "prices")


@dataclass(frozen=True)
class Lake:
    """Paths of one lake. `path` is absolute."""

    path: Path

    @property
    def settings_file(self) -> Path:
        """Settings, YAML."""
        return self.path / "muniment.yaml"

    @property
    def control_file(self) -> Path:
        """SQLite control database, unless the settings name a server."""
        return self.path / "control.db"

    @property
    def keys(self) -> Path:
        """Secret keys, mode 0700."""
        return self.path / "keys"

    @property
    def vault_file(self) -> Path:
        """SQLite vault of subjects, unless the settings name a server."""
        return self.keys / "subjects.db"

    @property
    def certificates(self) -> Path:
        """Signed certificates of what was purged or destroyed."""
        return self.path / "certificates"

    @property
    def journal(self) -> Path:
        """One folder a shard."""
        return self.path / "journal"

    @property
    def tables(self) -> Path:
        """Delta tables."""
        return self.path / "tables"

    @property
    def quarantine(self) -> Path:
        """Refused records, by tenant and day."""
        return self.path / "quarantine"

    @property
    def policies(self) -> Path:
        """Policy as code, one folder a kind."""
        return self.path / "policies"

    @property
    def spill(self) -> Path:
        """Temporary files of queries, swept at start."""
        return self.path / "spill"

    @property
    def run(self) -> Path:
        """Sockets of running processes."""
        return self.path / "run"

    def table(self, name: str) -> Path:
        """Folder of one Delta table."""
        return self.tables / name


def make_lake(path: Path) -> Lake:
    """Create the folders and the secret of a lake; safe to repeat.

    Settings, policies and the control database are added by `muniment.setup`, which knows their defaults.
    """
    lake = Lake(path.absolute())
    for folder in (lake.path, lake.keys, lake.journal, lake.tables, lake.quarantine, lake.spill, lake.run):
        make_folder(folder)
    for kind in POLICY_KINDS:
        make_folder(lake.policies / kind)
    secret_file = lake.keys / "lake.json"
    if not secret_file.exists():
        secret = {"lake_id": secrets.token_hex(8), "secret": secrets.token_hex(32)}
        replace_file(secret_file, json.dumps(secret).encode())
    return lake


def find_lake(path: Path) -> Lake:
    """Return the lake in `path`.

    Raises:
        LakeNotFoundError: there is no `muniment.yaml` in it.
        CorruptionError: there is one, but the secret is gone: keyed digests and lookups would silently change.
    """
    lake = Lake(path.absolute())
    if not lake.settings_file.is_file():
        raise LakeNotFoundError(
            f"no lake in {lake.path}: expected a file muniment.yaml there",
            hint="create one with `muniment init --lake DIR`, or name an existing one with --lake or MUNIMENT_LAKE",
        )
    if not (lake.keys / "lake.json").is_file():
        raise CorruptionError(
            f"{lake.keys / 'lake.json'} is missing, though the lake exists",
            hint="restore the file from the backup of the keys; a new secret would not recognise what is stored",
        )
    return lake
