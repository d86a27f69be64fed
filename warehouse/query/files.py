"""The files that a session may read: from the marks and the Delta logs, for its tenants alone.

A segment's tables are committed one after another, and only then its shard's mark moves. So the marks are read before the
logs, and files above them are skipped. Files that a rewrite made carry no segment number. As a rewrite takes only files at
or below their mark, one that was there before the marks were read, or while they did not move, holds nothing above them;
with any other in the list the logs are read again.
"""

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from warehouse.delta_reading import open_table, updated
from warehouse.errors import CorruptionError, UnavailableError
from warehouse.lake import Lake
from warehouse.marks import is_readable, read_marks

_ATTEMPTS = 20
_PATH_PARTS = 3
_NO_MARKS: Mapping[str, int] = {}


@dataclass(frozen=True)
class Listing:
    """Paths of each table's readable files, and the segment that each shard had committed when they were listed."""

    files: dict[str, list[str]]
    marks: Mapping[str, int]


def list_files(lake: Lake, tenants: Collection[str], tables: Collection[str]) -> Listing:
    """The live Parquet files of `tables` that `tenants` own and that no unfinished segment wrote.

    Raises:
        UnavailableError: a log cannot be read, or rewrites keep replacing files.
        CorruptionError: a file lies outside the layout `tenant_id=T/day=D/`.
    """
    owned = frozenset(tenants)
    with ThreadPoolExecutor(max_workers=max(1, len(tables))) as pool:
        marks = read_marks(lake)
        handles = dict(pool.map(lambda name: (name, open_table(lake.table(name))), sorted(tables)))
        live = dict(pool.map(lambda item: (item[0], _live(*item)), handles.items()))
        settled = read_marks(lake) == marks
        for _ in range(_ATTEMPTS):
            if settled:
                mine = {name: _owned(lake, name, paths, owned, marks) for name, paths in live.items()}
                return Listing(mine, marks)
            known = _rewritten(live)
            marks = read_marks(lake)
            handles = dict(pool.map(lambda item: (item[0], _newest(lake, *item)), handles.items()))
            live = dict(pool.map(lambda item: (item[0], _live(*item)), handles.items()))
            settled = _rewritten(live) <= known or read_marks(lake) == marks
    raise UnavailableError(
        f"files are being replaced all the time: no stable list of them in {_ATTEMPTS} attempts",
        hint="try again when compaction or purge has ended",
    )


def _newest(lake: Lake, name: str, handle: DeltaTable | None) -> DeltaTable | None:
    return None if handle is None else updated(handle, lake.table(name))


def _live(name: str, handle: DeltaTable | None) -> list[str]:
    """Paths below the table's folder. Only the last parts of a URI are used: those before them are percent-encoded."""
    try:
        uris = [] if handle is None else handle.file_uris()
    except (OSError, DeltaError) as exc:
        raise UnavailableError(f"table {name}: its live files cannot be listed: {exc}") from exc
    return ["/".join(uri.rsplit("/", _PATH_PARTS)[1:]) for uri in uris]


def _rewritten(live: Mapping[str, list[str]]) -> set[str]:
    return {path for paths in live.values() for path in paths if is_readable(path, _NO_MARKS)}


def _owned(lake: Lake, name: str, paths: list[str], tenants: frozenset[str], marks: Mapping[str, int]) -> list[str]:
    folder = str(lake.table(name))
    mine = []
    for path in paths:
        tenant, _, rest = path.partition("/")
        key, _, owner = tenant.partition("=")
        if key != "tenant_id" or not rest.startswith("day="):
            raise CorruptionError(f"table {name}: expected a file below tenant_id=T/day=D/, got {path}")
        if owner in tenants and is_readable(path, marks):
            mine.append(f"{folder}/{path}")
    return sorted(mine)
