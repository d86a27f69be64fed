"""How far the tables' Delta logs have come, and whose records came since: read off the logs' own files, without opening a table.

For work that is done again and again: where nothing is new of a tenant it costs a listing of each log's folder.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from warehouse.lake import Lake

_ENTRY = re.compile(r"(\d{20})\.json")
_OWNER = re.compile(rb'"path":"tenant_id=([^/"]+)/')
_MOST_ENTRIES = 1_000
"""More than these are not read: whoever is that far behind looks at everything."""


@dataclass
class LogHeads:
    """The newest version of each table's log, as found when this was made; tables without a log are left out."""

    lake: Lake
    versions: Mapping[str, int]
    _owners: dict[tuple[str, int], frozenset[str] | None] = field(default_factory=dict, repr=False)

    def touched(self, tenant: str, since: Mapping[str, int], tables: Collection[str]) -> bool:
        """Whether files of a tenant came, or may have come, into any of `tables` after the versions `since`."""
        return any(
            (owners := self._owners_after(table, since.get(table, -1), version)) is None or tenant in owners
            for table, version in self.versions.items()
            if table in tables and version > since.get(table, -1)
        )

    def _owners_after(self, table: str, after: int, last: int) -> frozenset[str] | None:
        """Whose files the entries after a version name; None where that cannot be told."""
        if (table, after) not in self._owners:
            self._owners[table, after] = self._read_owners(table, after, last)
        return self._owners[table, after]

    def _read_owners(self, table: str, after: int, last: int) -> frozenset[str] | None:
        if after < 0 or last - after > _MOST_ENTRIES:
            return None
        found: set[str] = set()
        for version in range(after + 1, last + 1):
            try:
                content = (self.lake.table(table) / "_delta_log" / f"{version:020d}.json").read_bytes()
            except OSError:
                return None  # cleaned up behind a checkpoint
            found |= {owner.decode() for owner in _OWNER.findall(content)}
        return frozenset(found)


def read_heads(lake: Lake, tables: Collection[str]) -> LogHeads:
    """The newest version of each of these tables' logs."""
    versions = {}
    for table in sorted(tables):
        try:
            names = [file.name for file in (lake.table(table) / "_delta_log").iterdir()]
        except FileNotFoundError:
            continue
        entries = [int(match[1]) for name in names if (match := _ENTRY.fullmatch(name))]
        if entries:
            versions[table] = max(entries)
    return LogHeads(lake, versions)
