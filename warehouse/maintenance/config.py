"""Settings of maintenance, as users write them under `maintenance:`."""

import msgspec

MIB = 1024 * 1024


class MaintenanceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When files are merged, how large they get, and how long replaced ones stay.

    A partition's files are merged within their size class once there are `merge_files` of the smallest class, or half as
    many of a larger one; `settled_merge_files` are enough `settled_after_hours` after the partition's day has ended.
    Up to `commit_merges` merges are committed at once. `removed_grace_seconds` bounds how long a query may keep reading files that a rewrite replaced under it. `muniment up`
    runs maintenance every `interval_seconds`.
    """

    merge_files: int = 16
    settled_merge_files: int = 4
    settled_after_hours: float = 6.0
    target_bytes: int = 256 * MIB
    target_rows: int = 4_000_000
    sort_bytes: int = 48 * MIB
    commit_merges: int = 32
    removed_grace_seconds: int = 900
    leftover_age_seconds: int = 3600
    checkpoint_entries: int = 50
    attempts: int = 5
    interval_seconds: float = 300.0

    def __post_init__(self) -> None:
        """Refuse values that could not work."""
        least = {
            "merge_files": 2, "settled_merge_files": 2, "target_bytes": 1, "target_rows": 1, "sort_bytes": 1,
            "removed_grace_seconds": 0, "leftover_age_seconds": 0, "checkpoint_entries": 1, "attempts": 1,
            "commit_merges": 1,
            "settled_after_hours": 0, "interval_seconds": 1,
        }  # fmt: skip
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"maintenance.{name}: expected at least {bound}, got {getattr(self, name)}")
