"""The files that a session may read: from the marks and the Delta logs, for its tenants alone.

A segment's tables are committed one after another, and only then its shard's mark moves. So the marks are read before the
files, and files above them are skipped. Files that a rewrite made carry no segment number: one that appears after the marks
were read may hold rows above them, and then everything is read again.
"""

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from warehouse.errors import CorruptionError, UnavailableError
from warehouse.lake import Lake
from warehouse.marks import is_readable, read_marks
from warehouse.tables import TABLES

_ATTEMPTS = 20
_PATH_PARTS = 3
_NO_MARKS: Mapping[str, int] = {}


def list_files(lake: Lake, tenants: Collection[str]) -> dict[str, list[str]]:
    """Paths of each table's live Parquet files that `tenants` own and that no unfinished segment wrote.

    Raises:
        UnavailableError: a log cannot be read, or rewrites keep replacing files.
        CorruptionError: a file lies outside the layout `tenant_id=T/day=D/`.
    """
    handles = _open_tables(lake)
    owned = frozenset(tenants)
    with ThreadPoolExecutor(max_workers=max(1, len(handles))) as pool:
        live = dict(zip(handles, pool.map(lambda item: _live(*item), handles.items()), strict=True))
        for _ in range(_ATTEMPTS):
            known = {path for paths in live.values() for path in paths if _is_rewritten(path)}
            marks = read_marks(lake)
            list(pool.map(lambda item: _update(*item), handles.items()))
            live = dict(zip(handles, pool.map(lambda item: _live(*item), handles.items()), strict=True))
            if all(path in known for paths in live.values() for path in paths if _is_rewritten(path)):
                return {name: _owned(lake, name, paths, owned, marks) for name, paths in live.items()}
    raise UnavailableError(
        f"files are being replaced all the time: no stable list of them in {_ATTEMPTS} attempts",
        hint="try again when compaction or purge has ended",
    )


def _open_tables(lake: Lake) -> dict[str, DeltaTable]:
    names = [name for name in TABLES if (lake.table(name) / "_delta_log").is_dir()]
    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        opened = list(pool.map(lambda name: _open(lake, name), names))
    return {name: handle for name, handle in zip(names, opened, strict=True) if handle is not None}


def _open(lake: Lake, name: str) -> DeltaTable | None:
    folder = str(lake.table(name))
    try:
        # A log without its first entry belongs to a table that is being made right now.
        return DeltaTable(folder) if DeltaTable.is_deltatable(folder) else None
    except (OSError, DeltaError) as exc:
        raise UnavailableError(f"table {name}: its Delta log cannot be read: {exc}") from exc


def _update(name: str, handle: DeltaTable) -> None:
    try:
        handle.update_incremental()
    except (OSError, DeltaError) as exc:
        raise UnavailableError(f"table {name}: its Delta log cannot be read: {exc}") from exc


def _live(name: str, handle: DeltaTable) -> list[str]:
    """Paths below the table's folder. Only the last parts of a URI are used: those before them are percent-encoded."""
    try:
        uris = handle.file_uris()
    except (OSError, DeltaError) as exc:
        raise UnavailableError(f"table {name}: its live files cannot be listed: {exc}") from exc
    return ["/".join(uri.rsplit("/", _PATH_PARTS)[1:]) for uri in uris]


def _is_rewritten(path: str) -> bool:
    return is_readable(path, _NO_MARKS)


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
