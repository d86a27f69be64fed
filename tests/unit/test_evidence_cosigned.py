"""The consistency proofs that a pack's program checks are those that logs make."""

from hashlib import sha256

from governance.evidence.cosigned import _goes_on
from warehouse.ledger.log_tiles import LogTiles

SIZE = 35


def test_a_log_goes_on_from_each_of_its_own_beginnings_and_from_nothing_else(tmp_path):
    """Every pair of sizes; no proof fits another root, another size, or with a hash more, less or changed."""
    log = LogTiles(tmp_path / "log")
    log.append(0, b"".join(sha256(b"%d" % number).digest() for number in range(SIZE)))
    roots = {size: log.root(size) for size in range(1, SIZE + 1)}
    other = sha256(b"other").digest()
    for size in range(1, SIZE + 1):
        for old in range(1, size + 1):
            hashes = log.consistency_proof(old, size) if old < size else []
            assert _goes_on(old, roots[old], size, roots[size], hashes), (old, size)
            assert not _goes_on(old, other, size, roots[size], hashes)
            assert not _goes_on(old, roots[old], size, other, hashes)
            assert not _goes_on(old, roots[old], size, roots[size], [*hashes, other])
            for at in range(len(hashes)):
                assert not _goes_on(old, roots[old], size, roots[size], hashes[:at] + hashes[at + 1 :])
                assert not _goes_on(old, roots[old], size, roots[size], [*hashes[:at], other, *hashes[at + 1 :]])
    assert not _goes_on(SIZE, roots[SIZE], SIZE - 1, roots[SIZE - 1], [other])
    assert not _goes_on(0, other, SIZE, roots[SIZE], [other])
