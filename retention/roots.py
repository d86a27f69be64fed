"""What a tenant's logs are signed up to: size and root of each, as certificates state them before and after a purge."""

from warehouse.lake import Lake
from warehouse.ledger.checkpoint import read_unverified
from warehouse.ledger.errors import NoteError
from warehouse.ledger.keeper import CHECKPOINT_FILE, log_folder
from warehouse.ledger.verify.heads import log_names


def log_roots(lake: Lake, tenant_id: str) -> dict[str, dict[str, str | int]]:
    """Size and root, in hexadecimal, of each of a tenant's logs by shard. A log without a checkpoint that can be read has none."""
    found: dict[str, dict[str, str | int]] = {}
    for name in log_names(lake):
        if name.tenant != tenant_id:
            continue
        file = log_folder(lake, name.tenant, name.shard) / CHECKPOINT_FILE
        try:
            checkpoint = read_unverified(file.read_bytes())
        except (OSError, NoteError):
            continue
        found[name.shard] = {"size": checkpoint.size, "root": checkpoint.root.hex()}
    return found
