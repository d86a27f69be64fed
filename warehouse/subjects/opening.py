"""Opening a lake's vault, and never inventing one in place of one that was lost."""

from pathlib import Path

from warehouse.clock import Clock
from warehouse.durable import replace_file
from warehouse.keys import LakeKeys
from warehouse.lake import Lake
from warehouse.subjects.schema import MARK
from warehouse.subjects.vault import SubjectVault


def open_lake_vault(lake: Lake, where: str | Path, keys: LakeKeys, *, clock: Clock) -> SubjectVault:
    """Open the vault of a lake; made at the first time, for a lake that is older than vaults too.

    A file beside it remembers that it was made: a vault that is gone later is an error, where a new one in its place would
    give everybody another token without a word.

    Raises:
        SettingsError: a URL that cannot be used, or the vault of another lake.
        VaultUnavailableError: it does not answer, or it is gone.
    """
    mark = lake.keys / MARK
    made_before = mark.exists()
    vault = SubjectVault.open(where, keys, clock=clock, create=not made_before)
    if not made_before:
        replace_file(mark, b"The vault of subjects was made: see docs/design/subjects.md.\n")
    return vault
