"""Makes a lake, or brings an existing one up to date: folders, secret, settings, default policies, control database, vault, tables."""

from pathlib import Path

from collectors.costs import default_price_files
from muniment.settings import control_url, default_settings_text, read_settings, vault_url
from warehouse.clock import Clock
from warehouse.commit import open_stores
from warehouse.control import ControlStore
from warehouse.durable import replace_file
from warehouse.keys import read_keys
from warehouse.lake import Lake, make_lake
from warehouse.ledger.signing import make_keys
from warehouse.names import check_name
from warehouse.subjects import open_lake_vault


def set_up_lake(path: Path, *, name: str, clock: Clock) -> tuple[Lake, list[str]]:
    """Make the lake in `path`; safe to repeat. Returns it and what was made now.

    Raises:
        NameRuleError: the name is outside the rule.
        SettingsError: settings are there already and cannot be used.
        ControlUnavailableError: the control database cannot be made.
        VaultUnavailableError: the vault of subjects cannot be made, or is gone.
    """
    check_name(name, "lake")
    made = []
    lake = make_lake(path)
    if not lake.settings_file.exists():
        replace_file(lake.settings_file, default_settings_text(name).encode())
        made.append("muniment.yaml")
    settings = read_settings(lake)
    for file_name, content in default_price_files():
        target = lake.policies / "prices" / file_name
        if not target.exists():
            replace_file(target, content)
            made.append(f"policies/prices/{file_name}")
    make_keys(lake.keys, now_unix_nano=clock())
    ControlStore.open(control_url(lake, settings), clock=clock, create=True).close()
    open_lake_vault(lake, vault_url(lake, settings), read_keys(lake), clock=clock).close()
    open_stores(lake)
    return lake, made
