"""What delta-rs does not tell of a Delta log: its entries on disk, every transaction's id, every removed file.

Actions are read from the newest checkpoint and the entries after it (Delta protocol, "Action Reconciliation").
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def log_entries(log: Path) -> list[tuple[int, Path]]:
    """Version and file of each log entry, oldest first."""
    return sorted((int(file.stem), file) for file in log.glob("[0-9]*.json") if file.stem.isdigit())


def newest_checkpoint(log: Path, *, up_to: int | None = None) -> int:
    """Version of the newest checkpoint (at or below `up_to`), -1 for none."""
    versions = [int(file.name.split(".")[0]) for file in log.glob("[0-9]*.checkpoint.parquet")]
    return max((version for version in versions if up_to is None or version <= up_to), default=-1)


def application_ids(log: Path, version: int) -> set[str]:
    """Every application id that has a transaction at or below `version`."""
    return {action["appId"] for action in _actions(log, "txn", version) if action["appId"] is not None}


def removed_paths(log: Path, *, with_data: bool = False) -> set[str]:
    """Every file that the log says was removed, whatever its time: grace is counted by another clock than ours.

    `with_data` leaves out those that a compaction replaced, whose rows are in another file.
    """
    return {
        action["path"]
        for action in _actions(log, "remove", None)
        if action["path"] is not None and (action["dataChange"] or not with_data)
    }


def _actions(log: Path, kind: str, version: int | None) -> Iterator[dict[str, Any]]:
    base = newest_checkpoint(log, up_to=version)
    if base >= 0:
        file = log / f"{base:020d}.checkpoint.parquet"
        yield from pq.read_table(file, columns=[kind], partitioning=None).column(kind).drop_null().to_pylist()
    prefix = f'{{"{kind}"'.encode()
    for number, entry in log_entries(log):
        if number > base and (version is None or number <= version):
            for line in entry.read_bytes().splitlines():
                if line.startswith(prefix):
                    yield json.loads(line)[kind]
