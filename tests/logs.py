"""Reads a lake's logs as RFC 6962 and the tile format say, and holds them against rows and checkpoints: for tests.

Nothing here believes the product's own hashing, tiles or texts; of it only the lists of ledger columns, and of signatures the
check, are used.
"""

import hashlib

from warehouse.ledger.checkpoint import open_checkpoint, read_unverified
from warehouse.ledger.columns import LEDGER_COLUMNS, Kind
from warehouse.ledger.signing import read_signing_keys

TILE_WIDTH = 256
ENTRY_LENGTH = b"\x00\x20"


def sha256(*parts):
    """SHA-256 of the parts, one after another."""
    return hashlib.sha256(b"".join(parts)).digest()


def root(leaves):
    """MTH of RFC 6962 §2.1 over leaf hashes, as it is written there."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else sha256()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return sha256(b"\x01", root(leaves[:split]), root(leaves[split:]))


def commitment(table, row):
    """SHA-256(salt ‖ record_text) of a row as a dict."""
    columns = LEDGER_COLUMNS[table, row["schema_version"]]
    texts = [table, str(row["schema_version"]), *(_text(column.kind, row[column.name]) for column in columns)]
    return sha256(row["salt"], *map(_measured, texts))


def _text(kind, value):
    if value is None:
        return None
    return b"".join(map(_measured, value)).decode() if kind is Kind.TEXTS else str(value)


def _measured(text):
    return b"-" if text is None else b"%d:%s" % (len(text.encode()), text.encode())


def commitments(tables):
    """Commitments of the rows of ledgered tables, given by name, by (tenant, shard) and index."""
    found = {}
    for table, content in tables.items():
        for row in content.to_pylist():
            found.setdefault((row["tenant_id"], row["shard"]), {})[row["log_index"]] = commitment(table, row)
    return found


def checkpoints_on_disk(lake):
    """The checkpoint of each log as it stands there, as text."""
    return [file.read_text() for file in sorted((lake.path / "ledger").glob("*/*/checkpoint"))]


def problems_of_logs(lake, lake_name, tables, seen):
    """What is wrong with the logs of a lake at rest, given its ledgered `tables` and every checkpoint `seen`, in order.

    Rows give the entries, entries the root and every tile; the checkpoint signs that root; and each earlier checkpoint is
    a beginning of the same log.
    """
    found = []
    expected = commitments(tables)
    folders = {(path.parent.name, path.name): path for path in (lake.path / "ledger").glob("*/*")}
    if folders.keys() != expected.keys():
        found.append(f"logs {sorted(folders)}, rows of {sorted(expected)}")
    leaves = {}
    for name in folders.keys() & expected.keys():
        origin = "/".join((lake_name, *name))
        entries = [entry for _, entry in sorted(expected[name].items())]
        leaves[origin] = [sha256(b"\x00", entry) for entry in entries]
        found += [f"{origin}: {problem}" for problem in _problems_of_files(folders[name], entries, leaves[origin])]
        size = read_unverified((folders[name] / "checkpoint").read_bytes()).size
        if size != len(entries):
            found.append(f"{origin}: signed up to {size}, rows up to {len(entries)}")
    return [*found, *_problems_of_checkpoints(lake, [*seen, *checkpoints_on_disk(lake)], leaves)]


def _problems_of_checkpoints(lake, notes, leaves):
    """Whether each checkpoint is signed by the lake's key, and a prefix of the log and no shorter than those before it."""
    keys, sizes = read_signing_keys(lake.keys), {}
    for note in dict.fromkeys(notes):
        origin = read_unverified(note.encode()).origin
        head = open_checkpoint(note.encode(), origin=origin, verifiers=keys.verifiers(origin)).checkpoint
        known = leaves.get(origin, [])
        if head.size > len(known):
            yield f"{origin}: {head.size} entries were signed, {len(known)} are there"
        elif root(known[: head.size]) != head.root:
            yield f"{origin}: the first {head.size} entries have not the root that was signed: a fork"
        if head.size < sizes.get(origin, 0):
            yield f"{origin}: signed at {head.size} after {sizes[origin]}"
        sizes[origin] = head.size


def _problems_of_files(folder, entries, leaves):
    """Each tile and bundle that the log's size asks for is there, and none says anything else; nothing is left over."""
    content = {}
    for level, items in (("entries", [ENTRY_LENGTH + entry for entry in entries]), *enumerate(_levels(leaves))):
        for start in range(0, len(items), TILE_WIDTH):
            content[f"tile/{level}/{start // TILE_WIDTH:03d}"] = items[start : start + TILE_WIDTH]
    standing = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for name, items in content.items():
        wanted = name if len(items) == TILE_WIDTH else f"{name}.p/{len(items)}"
        if wanted not in standing:
            yield f"{wanted} is missing"
    for name, path in standing.items():
        tile, _, width = name.partition(".p/")
        items = content.get(tile, [])[: int(width) if width.isdecimal() else TILE_WIDTH]
        if name in ("checkpoint", "vkey"):
            continue
        if not items or path.read_bytes() != b"".join(items):
            yield f"{name} is not what the entries give"
        elif width and len(content[tile]) == TILE_WIDTH:
            yield f"{name} stands beside its full tile"


def _levels(hashes):
    """Hashes of each tile level from the leaves upward: roots of the full tiles below."""
    while hashes:
        yield hashes
        full = range(0, len(hashes) - TILE_WIDTH + 1, TILE_WIDTH)
        hashes = [root(hashes[start : start + TILE_WIDTH]) for start in full]
