"""Tiles on disk: their names and bytes, what an append touches, and what is said of tiles that are missing or damaged."""

import hashlib
import stat

import pytest

from warehouse.ledger.errors import MissingTileError, TileError
from warehouse.ledger.frontier import Frontier
from warehouse.ledger.log_tiles import LogTiles, write_growths
from warehouse.ledger.tiles import TilePlace, index_path, pack_entries, tile_roots, unpack_entries


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def entries(first, last):
    return b"".join(sha256(b"entry %d" % number) for number in range(first, last))


def paths(folder):
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def contents(folder):
    return {path: (folder / path).read_bytes() for path in paths(folder)}


def test_known_paths():
    """The examples of the specification: index 1234067, and a tree of 70,000 leaves."""
    assert index_path(1234067) == "x001/x234/067"
    assert TilePlace(0, 273).path(112) == "tile/0/273.p/112"
    assert TilePlace(None, 1067).path() == "tile/entries/x001/067"
    widths = {level: [TilePlace(level, n).width(70_000) for n in range(274)] for level in range(4)}
    assert widths[0] == [256] * 273 + [112]
    assert widths[1] == [256, 17] + [0] * 272
    assert widths[2] == [1] + [0] * 273
    assert widths[3] == [0] * 274
    for width in (0, 257, -1):
        with pytest.raises(ValueError, match="expected 1 to 256"):
            TilePlace(0, 0).path(width)


def test_tree_of_70000(tmp_path):
    """A tree of 70,000 leaves has the files that the specification counts, each of its size, private to their owner."""
    LogTiles(tmp_path).append(0, entries(0, 70_000))
    found = paths(tmp_path)
    full = {f"tile/{kind}/{n:03}" for kind in ("0", "entries") for n in range(273)}
    assert found == full | {
        "tile/0/273.p/112",
        "tile/entries/273.p/112",
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    }
    sizes = {path: (tmp_path / path).stat().st_size for path in found}
    assert {sizes[path] for path in full} == {8192, 8704}
    assert (sizes["tile/0/273.p/112"], sizes["tile/entries/273.p/112"]) == (112 * 32, 112 * 34)
    assert (sizes["tile/1/000"], sizes["tile/1/001.p/17"], sizes["tile/2/000.p/1"]) == (8192, 17 * 32, 32)
    assert {stat.S_IMODE((tmp_path / path).stat().st_mode) for path in found} == {0o600}


def test_bytes_of_tiles(tmp_path):
    """Level 0 holds leaf hashes, a bundle each entry behind its length, level 1 the roots of full tiles."""
    LogTiles(tmp_path).append(0, entries(0, 300))
    listed = [entries(n, n + 1) for n in range(300)]
    leaves = [sha256(b"\x00", entry) for entry in listed]
    assert (tmp_path / "tile/0/000").read_bytes() == b"".join(leaves[:256])
    assert (tmp_path / "tile/0/001.p/44").read_bytes() == b"".join(leaves[256:])
    assert (tmp_path / "tile/entries/001.p/44").read_bytes() == b"".join(b"\x00\x20" + e for e in listed[256:])
    level = leaves[:256]
    while len(level) > 1:
        level = [sha256(b"\x01", left, right) for left, right in zip(level[::2], level[1::2], strict=True)]
    assert (tmp_path / "tile/1/000.p/1").read_bytes() == level[0] == tile_roots(b"".join(leaves[:256]))


def test_append_writes_only_what_is_new():
    """An append names the tiles that became full and the partial ones that changed, no others."""
    old, _ = Frontier().extend(entries(0, 256 * 3 + 10))
    new, full = old.extend(entries(778, 780))
    assert full == []
    assert [file.path for file in new.partial_files(since=778)] == ["tile/entries/003.p/12", "tile/0/003.p/12"]
    assert new.partial_files(since=780) == []
    filled, full = new.extend(entries(780, 1024))
    assert [file.path for file in full] == ["tile/entries/003", "tile/0/003"]
    assert [file.path for file in filled.partial_files(since=780)] == ["tile/1/000.p/4"]


def test_partial_tiles_go_when_the_full_one_stands(tmp_path):
    """Partial tiles stay until their full tile is written; then they go with their folder."""
    log = LogTiles(tmp_path)
    for old, new in ((0, 10), (10, 200)):
        log.append(old, entries(old, new))
    assert {"tile/0/000.p/10", "tile/0/000.p/200", "tile/entries/000.p/10"} <= paths(tmp_path)
    (tmp_path / "tile/0/000.p/.12.tmp").write_bytes(b"cut off")
    log.append(200, entries(200, 256))
    assert paths(tmp_path) == {"tile/0/000", "tile/entries/000", "tile/1/000.p/1"}
    assert not (tmp_path / "tile/0/000.p").exists()


@pytest.mark.parametrize(("old", "new"), [(0, 5), (5, 9), (250, 256), (250, 300), (300, 900), (600, 600)])
def test_replay_writes_the_same_bytes(tmp_path, old, new):
    """Writing an append again, in a new process and after its old partial tiles are gone, leaves the same files."""
    LogTiles(tmp_path).append(0, entries(0, old))
    root = LogTiles(tmp_path).append(old, entries(old, new)).root()
    written = contents(tmp_path)
    again = LogTiles(tmp_path).append(old, entries(old, new))
    assert (again.size, again.root()) == (new, root)
    assert contents(tmp_path) == written
    assert LogTiles(tmp_path).root(new) == root


def test_crash_between_any_two_files(tmp_path):
    """Whichever of an append's files reached the disk, the old tree reads as before and the append can be repeated."""
    base, whole = tmp_path / "base", tmp_path / "whole"
    for folder in (base, whole):
        LogTiles(folder).append(0, entries(0, 250))
    root = LogTiles(base).root(250)
    LogTiles(whole).append(250, entries(250, 530))
    expected = contents(whole)
    new = sorted(expected.keys() - contents(base).keys())
    for count in range(len(new) + 1):
        folder = tmp_path / f"cut-{count}"
        for path, content in (contents(base) | {path: expected[path] for path in new[:count]}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        (folder / "tile/0/.000.tmp").write_bytes(b"cut off")
        assert LogTiles(folder).root(250) == root
        assert LogTiles(folder).append(250, entries(250, 530)).root() == LogTiles(whole).root(530)
        assert contents(folder) == expected


def test_several_logs_at_once(tmp_path):
    """Appends to several logs are written in one go, each into its own folder."""
    logs = [LogTiles(tmp_path / name) for name in ("a", "b", "c")]
    growths = [log.grow(Frontier(), entries(n, n + 100)) for n, log in enumerate(logs)]
    assert paths(tmp_path) == set()
    write_growths(growths)
    for n, growth in enumerate(growths):
        reread = LogTiles(tmp_path / "abc"[n])
        assert reread.frontier(100) == growth.frontier
        assert reread.entries(0, 100) == entries(n, n + 100)
    write_growths([])


def test_nothing_to_append(tmp_path):
    """Without entries nothing is written and the tree stays."""
    log = LogTiles(tmp_path)
    assert log.append(0, b"") == Frontier()
    assert log.root(0) == sha256()
    assert log.append(log.append(0, entries(0, 3)).size, b"").root() == log.root(3)
    with pytest.raises(ValueError, match="multiple of 32"):
        log.append(3, bytes(33))


def test_entries_of_any_range(tmp_path):
    """A range of entries is read across bundles."""
    log = LogTiles(tmp_path)
    log.append(0, entries(0, 600))
    for first, last in ((0, 600), (255, 257), (256, 512), (511, 600), (599, 600), (10, 10)):
        assert log.entries(first, last) == entries(first, last)


def test_missing_tiles(tmp_path):
    """A tile that is not there is named."""
    log = LogTiles(tmp_path)
    log.append(0, entries(0, 600))
    for path in ("tile/0/001", "tile/entries/001"):
        (tmp_path / path).unlink()
    with pytest.raises(MissingTileError, match="tile/0/001: expected this tile"):
        LogTiles(tmp_path).inclusion_proof(300, 600)
    with pytest.raises(MissingTileError, match="tile/entries/001: expected this tile"):
        LogTiles(tmp_path).entries(0, 600)
    with pytest.raises(MissingTileError, match=r"tile/0/002.p/90"):
        LogTiles(tmp_path).frontier(602)
    with pytest.raises(MissingTileError):
        LogTiles(tmp_path / "elsewhere").root(1)


def test_reading_while_a_writer_fills_the_tile(tmp_path, monkeypatch):
    """A partial tile that a writer replaces by the full one between two looks is found in the full one."""
    log = LogTiles(tmp_path)
    log.append(0, entries(0, 200))
    reader, listed = LogTiles(tmp_path), LogTiles._partial_widths

    def list_then_fill(self, place):
        widths = listed(self, place)
        if self is reader and widths:
            log.append(200, entries(200, 256))
        return widths

    monkeypatch.setattr(LogTiles, "_partial_widths", list_then_fill)
    leaves = b"".join(sha256(b"\x00", entries(n, n + 1)) for n in range(150))
    assert reader.read(TilePlace(0, 0), 150) == leaves
    assert not (tmp_path / "tile/0/000.p").exists()


def test_tile_of_another_size(tmp_path):
    """A tile cut short, or longer than its name says, is refused."""
    LogTiles(tmp_path).append(0, entries(0, 300))
    for path, content in (("tile/0/000", bytes(8191)), ("tile/0/001.p/44", bytes(45 * 32))):
        (tmp_path / path).write_bytes(content)
        with pytest.raises(TileError, match="bytes, got"):
            LogTiles(tmp_path).read(TilePlace(0, 1 if "p" in path else 0), 44)


def test_tile_that_is_a_folder(tmp_path):
    """What cannot be read as a file is an error of the tile's."""
    (tmp_path / "tile/0/000").mkdir(parents=True)
    with pytest.raises(TileError, match="expected a readable tile"):
        LogTiles(tmp_path).read(TilePlace(0, 0), 256)


def test_bundles():
    """A bundle says each entry's length; other lengths and a cut bundle are refused."""
    bundle = pack_entries(entries(0, 3))
    assert bundle[:2] == b"\x00\x20"
    assert unpack_entries(bundle) == entries(0, 3)
    with pytest.raises(TileError, match="multiple of 34"):
        unpack_entries(bundle[:-1])
    with pytest.raises(TileError, match="32 as length of entry 1, got 33"):
        unpack_entries(bundle[:34] + b"\x00\x21" + bundle[36:])


def test_frontier_parts_must_fit():
    """A frontier whose parts do not fit its size is refused: it would sign a tree that is not the log's."""
    whole, _ = Frontier().extend(entries(0, 300))
    for size, levels, tail in (
        (301, whole.levels, whole.entries),
        (300, whole.levels[:1], whole.entries),
        (300, whole.levels, whole.entries[:-32]),
        (300, (whole.levels[0][:-32], whole.levels[1]), whole.entries),
    ):
        with pytest.raises(ValueError, match="frontier of size"):
            Frontier(size, levels, tail)
