"""Any tree, any pair of sizes, any cut of the appends: proofs and tiles agree with RFC 6962's own recursive definitions."""

import hashlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from warehouse.ledger.errors import LedgerError, ProofError, RecordTextError
from warehouse.ledger.frontier import Frontier
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.note import open_note, parse_note
from warehouse.ledger.proofs import verify_consistency, verify_inclusion
from warehouse.ledger.record import parse_record_text
from warehouse.ledger.tiles import TilePlace, index_path
from warehouse.ledger.tlog_proof import TlogProof
from warehouse.ledger.tree import CompactRange, consistency_proof, inclusion_proof, leaf_hashes, root_hash

QUIET = settings(deadline=None)  # the machine may be busy: how long an example takes says nothing
MAX_LEAVES = 600  # three tiles of level 0, so that tiles fill, and one of level 1


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


ENTRIES = [sha256(b"%d" % number) for number in range(MAX_LEAVES)]
LEAVES = [sha256(b"\x00", entry) for entry in ENTRIES]


def naive_root(leaves):
    """MTH of RFC 6962 §2.1, as it is written there."""
    if not leaves:
        return sha256()
    if len(leaves) == 1:
        return leaves[0]
    split = split_of(len(leaves))
    return sha256(b"\x01", naive_root(leaves[:split]), naive_root(leaves[split:]))


def split_of(size):
    """The largest power of two below `size`."""
    split = 1
    while split * 2 < size:
        split *= 2
    return split


def naive_inclusion_root(leaf, index, size, proof):
    """Root that a path leads to, by the recursion of RFC 6962 §2.1.1; None where the path does not fit index and size."""
    if not 0 <= index < size:
        return None
    if size == 1:
        return leaf if not proof else None
    if not proof:
        return None
    split, sibling = split_of(size), proof[-1]
    if index < split:
        left = naive_inclusion_root(leaf, index, split, proof[:-1])
        return None if left is None else sha256(b"\x01", left, sibling)
    right = naive_inclusion_root(leaf, index - split, size - split, proof[:-1])
    return None if right is None else sha256(b"\x01", sibling, right)


def naive_consistency_roots(old_size, new_size, old_root, proof, whole=True):
    """Old and new root that a proof leads to, by the recursion of RFC 6962 §2.1.2; None where it does not fit the sizes."""
    if old_size == new_size:
        if whole:
            return (old_root, old_root) if not proof else None
        return (proof[0], proof[0]) if len(proof) == 1 else None
    if not proof:
        return None
    split, last = split_of(new_size), proof[-1]
    if old_size <= split:
        roots = naive_consistency_roots(old_size, split, old_root, proof[:-1], whole)
        return roots and (roots[0], sha256(b"\x01", roots[1], last))
    roots = naive_consistency_roots(old_size - split, new_size - split, old_root, proof[:-1], False)
    return roots and tuple(sha256(b"\x01", last, root) for root in roots)


class Leaves:
    """Complete subtrees, hashed from the leaves each time."""

    def node(self, level, index):
        assert (index + 1) << level <= MAX_LEAVES
        return naive_root(LEAVES[index << level : (index + 1) << level])


SOURCE = Leaves()
SIZES = st.integers(1, MAX_LEAVES) | st.integers(1, 9) | st.sampled_from([255, 256, 257, 511, 512, 513])


def flip(value, bit):
    changed = bytearray(value)
    changed[bit // 8 % len(changed)] ^= 1 << bit % 8
    return bytes(changed)


@settings(QUIET)
@given(SIZES)
def test_root(size):
    """The root over complete subtrees, and over leaves that stream by, is the recursive one."""
    expected = naive_root(LEAVES[:size])
    assert root_hash(size, SOURCE) == expected
    stream = CompactRange()
    stream.append(b"".join(LEAVES[: size // 3]))
    stream.append(b"".join(LEAVES[size // 3 : size]))
    assert (stream.root(), stream.size) == (expected, size)


@settings(QUIET)
@given(SIZES, st.integers(0), st.integers(0), st.integers(0))
def test_inclusion(size, index, bit, where):
    """A proof that was made verifies; with any bit of leaf, root, index or path changed it does not."""
    index %= size
    leaf, root, proof = LEAVES[index], naive_root(LEAVES[:size]), inclusion_proof(index, size, SOURCE)
    verify_inclusion(leaf, index=index, size=size, proof=proof, root=root)
    where %= 3 + len(proof)
    arguments = {"leaf": leaf, "index": index, "proof": list(proof), "root": root}
    if where == 0:
        arguments["leaf"] = flip(leaf, bit)
    elif where == 1:
        arguments["root"] = flip(root, bit)
    elif where == 2:
        arguments["index"] ^= 1 << bit % 64
    else:
        arguments["proof"][where - 3] = flip(proof[where - 3], bit)
    with pytest.raises(ProofError):
        verify_inclusion(size=size, **arguments)


@settings(QUIET)
@given(SIZES, st.integers(0), st.integers(0, 2 * MAX_LEAVES), st.integers(0, 2 * MAX_LEAVES), st.integers(-1, 1))
@example(
    4, 0, 3, 0, 0
)  # leaf 0 has one path in trees of 3 and 4 leaves: the size is bound by the signature over the root
def test_inclusion_is_accepted_as_defined(size, index, claimed_size, claimed_index, longer):
    """Under any claimed size and index, and with a hash more or less, the verifier accepts what the recursion accepts."""
    index %= size
    root, proof = naive_root(LEAVES[:size]), inclusion_proof(index, size, SOURCE)
    proof = proof[:-1] if longer < 0 else proof + [root] * longer
    fits = naive_inclusion_root(LEAVES[index], claimed_index, claimed_size, proof) == root
    assert (
        accepts(verify_inclusion, LEAVES[index], index=claimed_index, size=claimed_size, proof=proof, root=root) == fits
    )


@settings(QUIET)
@given(SIZES, SIZES, st.integers(0), st.integers(0))
def test_consistency(old_size, new_size, bit, where):
    """A proof between any two sizes verifies; with any bit of roots or path changed it does not."""
    old_size, new_size = sorted((old_size, new_size))
    roots = [naive_root(LEAVES[:size]) for size in (old_size, new_size)]
    proof = consistency_proof(old_size, new_size, SOURCE)
    sizes = {"old_size": old_size, "new_size": new_size}
    verify_consistency(**sizes, old_root=roots[0], new_root=roots[1], proof=proof)
    hashes = [*roots, *proof]
    where %= len(hashes)
    hashes[where] = flip(hashes[where], bit)
    with pytest.raises(ProofError):
        verify_consistency(**sizes, old_root=hashes[0], new_root=hashes[1], proof=hashes[2:])


@settings(QUIET)
@given(SIZES, SIZES, st.integers(0, 2 * MAX_LEAVES), st.integers(0, 2 * MAX_LEAVES), st.integers(-1, 1))
def test_consistency_is_accepted_as_defined(old_size, new_size, claimed_old, claimed_new, longer):
    """Under any claimed sizes, and with a hash more or less, the verifier accepts what the recursion accepts."""
    old_size, new_size = sorted((old_size, new_size))
    roots = {"old_root": naive_root(LEAVES[:old_size]), "new_root": naive_root(LEAVES[:new_size])}
    proof = consistency_proof(old_size, new_size, SOURCE)
    proof = proof[:-1] if longer < 0 else proof + [roots["old_root"]] * longer
    fits = 0 < claimed_old <= claimed_new and naive_consistency_roots(
        claimed_old, claimed_new, roots["old_root"], proof
    ) == tuple(roots.values())
    assert accepts(verify_consistency, old_size=claimed_old, new_size=claimed_new, **roots, proof=proof) == fits


def accepts(verify, *arguments, **named):
    try:
        verify(*arguments, **named)
    except ProofError:
        return False
    return True


@settings(QUIET, max_examples=40)
@given(st.lists(st.integers(0, 300), max_size=6))
@example([256])
@example([255, 1, 256, 88])
def test_appends_in_any_cut_give_the_same_files(counts):
    """However entries are cut into appends, the full tiles, the last partial ones and the root are the same."""
    size = min(sum(counts), MAX_LEAVES)
    frontier, full, at = Frontier(), {}, 0
    for count in counts:
        frontier, files = frontier.extend(b"".join(ENTRIES[at : at + count]))
        full.update({file.path: file.content for file in files})
        at = min(at + count, MAX_LEAVES)
        assert frontier.root() == naive_root(LEAVES[:at])
    whole, files = Frontier().extend(b"".join(ENTRIES[:size]))
    assert frontier == whole
    assert full == {file.path: file.content for file in files}
    with tempfile.TemporaryDirectory() as folder:
        once, cut = LogTiles(Path(folder) / "once"), LogTiles(Path(folder) / "cut")
        once.append(0, b"".join(ENTRIES[:size]))
        at = 0
        for count in counts:
            at = cut.append(at, b"".join(ENTRIES[at : at + count])).size
        written = contents(once.folder)
        assert {path: content for path, content in contents(cut.folder).items() if path in written} == written
        assert cut.root(size) == once.root(size) == naive_root(LEAVES[:size])
        assert cut.entries(0, size) == b"".join(ENTRIES[:size])


@settings(QUIET, max_examples=40)
@given(SIZES, SIZES, st.integers(0))
def test_proofs_from_tiles(old_size, new_size, index):
    """Proofs read from tiles verify, in the tree as it is and as it was."""
    old_size, new_size = sorted((old_size, new_size))
    index %= old_size
    with tempfile.TemporaryDirectory() as folder:
        log = LogTiles(Path(folder))
        log.append(log.append(0, b"".join(ENTRIES[:old_size])).size, b"".join(ENTRIES[old_size:new_size]))
        roots = {size: naive_root(LEAVES[:size]) for size in (old_size, new_size)}
        for size, root in roots.items():
            assert log.root(size) == root
            verify_inclusion(LEAVES[index], index=index, size=size, proof=log.inclusion_proof(index, size), root=root)
        verify_consistency(
            old_size=old_size,
            new_size=new_size,
            old_root=roots[old_size],
            new_root=roots[new_size],
            proof=log.consistency_proof(old_size, new_size),
        )


def contents(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@settings(QUIET)
@given(st.integers(0, 1 << 62))
def test_tile_paths(index):
    """Path parts are three digits, all but the last behind an x, and read back as the index."""
    parts = index_path(index).split("/")
    assert all(len(part) == 4 and part[0] == "x" for part in parts[:-1])
    assert len(parts[-1]) == 3
    assert int("".join(part.removeprefix("x") for part in parts)) == index


@settings(QUIET)
@given(st.integers(0, 1 << 40), st.integers(0, 5))
def test_tile_widths(size, level):
    """The tiles of a level hold, together, one hash for each complete subtree of 256^level leaves."""
    last = size // 256**level // 256
    assert TilePlace(level, last).width(size) == size // 256**level % 256
    assert TilePlace(level, last + 1).width(size) == 0
    if last:
        assert TilePlace(level, last - 1).width(size) == 256


@settings(QUIET)
@given(st.lists(st.binary(min_size=32, max_size=32), max_size=20))
def test_leaf_hashes(entries):
    """Leaf hashes made in one go are those made one by one."""
    assert leaf_hashes(b"".join(entries)) == b"".join(sha256(b"\x00", entry) for entry in entries)


@settings(QUIET)
@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_readers_refuse_what_is_not_theirs(content):
    """Bytes of any kind are read or refused with an error of the ledger's, never with another."""
    for read in (parse_note, lambda value: open_note(value, []), TlogProof.parse, parse_record_text):
        try:
            found = read(content)
        except LedgerError as exc:
            found = str(exc)
        assert found


@settings(QUIET)
@given(st.integers(0), st.binary(min_size=1, max_size=4))
def test_damaged_record_texts(place, damage):
    """A record's text with some bytes overwritten is refused, or still prints back as one of its spelling."""
    text = b"4:logs1:14:acme10:2026-11-23" + b"-" * 27
    assert parse_record_text(text).values["tenant_id"] == "acme"
    place %= len(text)
    damaged = text[:place] + damage + text[place + len(damage) :]
    try:
        record = parse_record_text(damaged)
    except RecordTextError:
        return
    parts = [record.table, str(record.schema_version), *record.values.values()]
    spelt = ("-" if part is None else f"{len(part.encode())}:{part}" for part in parts)
    if record.values["subjects"] is None:
        assert "".join(spelt).encode() == damaged
