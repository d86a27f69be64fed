"""A static copy of a log, read back by a small reader written from the C2SP tlog-tiles specification alone."""

import base64
import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muniment.proving import export_logs
from warehouse.errors import ConflictError, CorruptionError, NotFoundError
from warehouse.ledger.checkpoint import Checkpoint
from warehouse.ledger.export import export_log
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.note import Note, Signature


def tile_path(index):
    """1234067 → x001/x234/067."""
    digits = f"{index:03}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([f"x{part}" for part in parts[:-1]] + parts[-1:])


def read_tile(folder, level, index, width):
    suffix = "" if width == 256 else f".p/{width}"
    return (folder / "tile" / str(level) / f"{tile_path(index)}{suffix}").read_bytes()


def read_copy(folder):
    """Read a whole copy: size, root and entries, after checking each tile against those below and the root."""
    lines = (folder / "checkpoint").read_text().split("\n")
    size, root = int(lines[1]), base64.b64decode(lines[2])
    entries, at = [], 0
    while at < size:
        bundle = read_tile(folder, "entries", at // 256, min(256, size - at))
        while bundle:
            length = int.from_bytes(bundle[:2], "big")
            entries.append(bundle[2 : 2 + length])
            bundle = bundle[2 + length :]
        at = len(entries)
    hashes = [hashlib.sha256(b"\0" + entry).digest() for entry in entries]
    level, row = 0, hashes
    while row:
        for index in range(0, len(row), 256):
            part = row[index : index + 256]
            assert read_tile(folder, level, index // 256, len(part)) == b"".join(part)
        row = [tree(row[at : at + 256]) for at in range(0, len(row) - 255, 256)]
        level += 1
    assert tree(hashes) == root
    return size, entries


def tree(hashes):
    """Merkle tree hash of RFC 6962 §2.1 over leaf hashes."""
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256(b"").digest()
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return hashlib.sha256(b"\1" + tree(hashes[:split]) + tree(hashes[split:])).digest()


def test_another_reader_finds_every_entry(context, tmp_path):
    """Paths, bundles, tiles of every level and root are as the specification has them."""
    (exported,) = [log for log in export_logs(context, tmp_path / "out", "acme") if log.size_before == 0]
    size, entries = read_copy(exported.folder)
    assert size == len(entries) == 302  # the decision and the export's own event came before
    assert exported.folder.parent.name == "acme"


def test_a_copy_continues(context, tmp_path, record):
    """A second export adds what is new, and the copy is whole again."""
    export_logs(context, tmp_path / "out", "acme")
    record("acme", 700)
    (exported,) = export_logs(context, tmp_path / "out", "acme")
    assert (exported.size_before, exported.checkpoint.size) == (302, 1004)
    assert read_copy(exported.folder)[0] == 1004


def test_every_log_is_exported_without_a_tenant(context, tmp_path):
    """The lake's own log too."""
    exported = export_logs(context, tmp_path / "out", None)
    assert [log.checkpoint.origin.split("/")[1] for log in exported] == ["_lake", "acme"]
    for log in exported:
        read_copy(log.folder)


def test_an_export_is_recorded_in_the_tenants_log(context, tmp_path, log_folder):
    """It grows by the event of each export and the decision before it."""
    export_logs(context, tmp_path / "out", "acme")
    export_logs(context, tmp_path / "out", "acme")
    assert (log_folder("acme") / "checkpoint").read_text().split("\n")[1] == "304"


def write_log(folder, entries, origin="lake/acme/main-0000000a"):
    """A log of these entries, with a checkpoint that nobody signed: exports copy, verifiers judge."""
    folder.mkdir(parents=True, exist_ok=True)
    frontier = LogTiles(folder).append(0, b"".join(entries))
    note = Note(Checkpoint(origin, frontier.size, frontier.root()).text, (Signature(origin, bytes(4), bytes(64)),))
    (folder / "checkpoint").write_bytes(note.encode())


def entry(number):
    return hashlib.sha256(str(number).encode()).digest()


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 700), min_size=1, max_size=3).map(sorted))
def test_any_sizes_one_after_another_make_a_whole_copy(tmp_path_factory, sizes):
    """Whatever part of the log each export found."""
    base = tmp_path_factory.mktemp("sizes")
    for size in sizes:
        write_log(base / "log", [entry(number) for number in range(size)])
        export_log(base / "log", base / "copy")
        assert read_copy(base / "copy") == (size, [entry(number) for number in range(size)])


@pytest.mark.parametrize("size", [255, 256, 257, 65_535, 65_536, 65_537])
def test_sizes_around_a_full_tile_make_a_whole_copy(tmp_path, size):
    """One below, at and above a full tile of level 0 and of level 1."""
    write_log(tmp_path / "log", [entry(number) for number in range(size)])
    export_log(tmp_path / "log", tmp_path / "copy")
    assert read_copy(tmp_path / "copy") == (size, [entry(number) for number in range(size)])


def test_a_large_log_has_partial_tiles_of_every_level(tmp_path):
    """70,000 entries: levels 0, 1 and 2 end in partial tiles of width 112, 17 and 1 (tlog-tiles, Merkle Tree)."""
    write_log(tmp_path / "log", [entry(number) for number in range(70_000)])
    export_log(tmp_path / "log", tmp_path / "copy")
    assert (tmp_path / "copy/tile/0/273.p/112").exists()
    assert (tmp_path / "copy/tile/1/001.p/17").exists()
    assert (tmp_path / "copy/tile/2/000.p/1").exists()
    assert read_copy(tmp_path / "copy")[0] == 70_000
    partial = list((tmp_path / "copy").rglob("*.p/*"))
    assert len(partial) == 4


@pytest.mark.parametrize(
    ("entries", "message"),
    [([1, 2, 3], "of size 5 is not a beginning"), ([1, 2, 3, 4, 6, 7], "of size 5 is not a beginning")],
    ids=["rewound", "rewritten"],
)
def test_a_log_that_does_not_continue_its_copy_is_refused(tmp_path, entries, message):
    """The copy is the evidence and stays as it was."""
    write_log(tmp_path / "log", [entry(number) for number in (1, 2, 3, 4, 5)])
    export_log(tmp_path / "log", tmp_path / "copy")
    write_log(tmp_path / "other", [entry(number) for number in entries])
    with pytest.raises(ConflictError, match=message):
        export_log(tmp_path / "other", tmp_path / "copy")
    assert read_copy(tmp_path / "copy")[0] == 5


def test_a_copy_of_another_log_is_refused(tmp_path):
    """Folders are not mixed up."""
    write_log(tmp_path / "log", [entry(1)])
    write_log(tmp_path / "copy", [entry(1)], origin="lake/beta/main-0000000a")
    with pytest.raises(ConflictError, match=r"expected a copy of lake/acme/.*got one of lake/beta/"):
        export_log(tmp_path / "log", tmp_path / "copy")


def test_a_log_whose_entries_lack_the_signed_root_is_not_passed_on(tmp_path):
    """No checkpoint is written over entries that it does not sign."""
    write_log(tmp_path / "log", [entry(1), entry(2)])
    bundle = tmp_path / "log/tile/entries/000.p/2"
    bundle.write_bytes(bundle.read_bytes()[:-1] + b"\0")
    with pytest.raises(CorruptionError, match="do not have the signed root"):
        export_log(tmp_path / "log", tmp_path / "copy")
    assert not (tmp_path / "copy/checkpoint").exists()


def test_a_copy_that_broke_off_is_finished(tmp_path, monkeypatch):
    """Tiles without a checkpoint are written again."""
    write_log(tmp_path / "log", [entry(number) for number in range(600)])

    def power_cut(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("warehouse.ledger.export.replace_file", power_cut)
        with pytest.raises(KeyboardInterrupt):
            export_log(tmp_path / "log", tmp_path / "copy")
    export_log(tmp_path / "log", tmp_path / "copy")
    assert read_copy(tmp_path / "copy")[0] == 600


def test_a_folder_without_a_log_is_named(tmp_path):
    """The message says where a log was expected."""
    with pytest.raises(NotFoundError, match="expected a log with a checkpoint"):
        export_log(tmp_path, tmp_path / "copy")
