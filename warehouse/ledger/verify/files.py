"""The live files of the ledgered tables and of contents, with what their paths say.

All of them are listed, those above a shard's mark too: a segment's rows stand in the tables before its checkpoint is
signed, and its mark moves last. So with checkpoints read before this list, each row that they promise is in it.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from warehouse.delta_reading import open_table
from warehouse.errors import CorruptionError
from warehouse.lake import Lake
from warehouse.sequence import LEDGERED

CONTENTS = "contents"
_PATH = re.compile(r"tenant_id=(?P<tenant>[^/]+)/day=(?P<day>\d{4}-\d{2}-\d{2})/(?P<file>[^/]+)")
_SEGMENT = re.compile(r"(?P<shard>[a-z0-9-]+-[0-9a-f]{8})-(?P<segment>\d{10})-[^/]*\.parquet")
_PATH_PARTS = 3


@dataclass(frozen=True)
class TableFile:
    """One live Parquet file. `shard` and `segment` are None where a rewrite made it: then it holds only committed rows.

    `rows` and `highest_index` are what the Delta log says: to plan by, never to rely on.
    """

    table: str
    tenant: str
    day: str
    path: Path
    shard: str | None = None
    segment: int | None = None
    rows: int = 0
    highest_index: int | None = None

    def is_committed(self, marks: Mapping[str, int]) -> bool:
        """Whether its rows may be read: a segment above its shard's mark is still under way."""
        return self.shard is None or self.segment is None or self.segment <= marks.get(self.shard, -1)


def live_files(lake: Lake, *, tenants: Collection[str] | None = None) -> list[TableFile]:
    """Every live file of the ledgered tables and of contents; of all tenants where none are named.

    Raises:
        UnavailableError: a Delta log cannot be read.
        CorruptionError: a file lies outside the layout `tenant_id=T/day=D/`.
    """
    found = [file for table in (CONTENTS, *LEDGERED) for file in _table_files(lake, table)]
    return [file for file in found if tenants is None or file.tenant in tenants]


def partition_files(lake: Lake, table: str, tenant: str, day: str) -> list[TableFile]:
    """The live files of one partition, as they are now."""
    return [file for file in _table_files(lake, table) if (file.tenant, file.day) == (tenant, day)]


def _table_files(lake: Lake, table: str) -> list[TableFile]:
    folder = lake.table(table)
    handle = open_table(folder)
    if handle is None:
        return []
    actions = handle.get_add_actions(flatten=True)
    names = actions.schema.names
    count = actions.num_rows
    index = "log_index" if table != CONTENTS else "owner_index"
    highest = actions.column(f"max.{index}").to_pylist() if f"max.{index}" in names else [None] * count
    rows = actions.column("num_records").to_pylist() if "num_records" in names else [0] * count
    paths = actions.column("path").to_pylist()
    return sorted(
        (_file(table, folder, *described) for described in zip(paths, rows, highest, strict=True)),
        key=lambda file: file.path,
    )


def _file(table: str, folder: Path, path: str, rows: int | None, highest: int | None) -> TableFile:
    # only the last parts: a table that was copied may hold absolute paths
    match = _PATH.fullmatch("/".join(path.rsplit("/", _PATH_PARTS)[-_PATH_PARTS:]))
    if match is None:
        raise CorruptionError(f"table {table}: expected a file below tenant_id=T/day=D/, got {path}")
    segment = _SEGMENT.fullmatch(match["file"])
    return TableFile(
        table=table,
        tenant=match["tenant"],
        day=match["day"],
        path=folder / match[0],
        shard=segment["shard"] if segment else None,
        segment=int(segment["segment"]) if segment else None,
        rows=rows or 0,
        highest_index=highest,
    )
