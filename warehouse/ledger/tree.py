"""Merkle trees of RFC 6962 §2.1: hashing, roots, and the making of proofs.

A node is addressed by `(level, index)`: the root of the complete subtree over leaves `index·2^level` to
`(index+1)·2^level - 1`. Proofs are made from any source of such nodes; `warehouse.ledger.proofs` checks them.
"""

from collections.abc import Iterator
from hashlib import sha256
from struct import iter_unpack
from typing import Protocol

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
"""Root of the tree without leaves."""

_LEAF, _NODE = b"\x00", b"\x01"


class NodeSource(Protocol):
    """Where the hashes of complete subtrees come from. MAY be asked for the same node again and in any order."""

    def node(self, level: int, index: int) -> bytes:
        """The 32-byte hash of one complete subtree."""
        ...


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 ‖ entry)."""
    return sha256(_LEAF + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(_NODE + left + right).digest()


def leaf_hashes(entries: bytes) -> bytes:
    """Leaf hashes of 32-byte entries that lie one after another, in the same layout."""
    return b"".join([sha256(_LEAF + entry).digest() for (entry,) in iter_unpack("32s", entries)])


def parent_hashes(hashes: bytes) -> bytes:
    """Hashes one level up: `hashes` holds an even number of nodes, one after another."""
    return b"".join([sha256(_NODE + pair).digest() for (pair,) in iter_unpack("64s", hashes)])


def complete_subtrees(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The largest complete subtrees `(level, index)` that make up leaves `begin` to `end - 1`, from left to right.

    `begin` is a multiple of the smallest power of two that is not below `end - begin`, as for every subtree that RFC 6962
    splits off.
    """
    position = begin
    while position < end:
        level = (end - position).bit_length() - 1
        yield level, position >> level
        position += 1 << level


def fold(hashes: list[bytes]) -> bytes:
    """Root over complete subtrees of falling size, given from left to right: at least one."""
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def root_hash(size: int, source: NodeSource) -> bytes:
    """Root of the first `size` leaves (RFC 6962 §2.1)."""
    return _range_hash(0, size, source) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, source: NodeSource) -> list[bytes]:
    """Audit path of leaf `index` in the tree of `size` leaves, from the leaf's sibling upward (RFC 6962 §2.1.1).

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"index: expected 0 to {size - 1} in a tree of size {size}, got {index}")
    siblings = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            siblings.append((middle, end))
            end = middle
        else:
            siblings.append((begin, middle))
            begin = middle
    return [_range_hash(*sibling, source) for sibling in reversed(siblings)]


def consistency_proof(old_size: int, new_size: int, source: NodeSource) -> list[bytes]:
    """Proof that the tree of `new_size` leaves begins with that of `old_size` (RFC 6962 §2.1.2); empty for 0 or equal sizes.

    Raises:
        ValueError: `old_size` is negative or above `new_size`.
    """
    if not 0 <= old_size <= new_size:
        raise ValueError(f"old size: expected 0 to {new_size}, got {old_size}")
    if old_size == 0:
        return []
    ranges = []
    begin, end = 0, new_size
    while end != old_size:
        middle = begin + _split(end - begin)
        if old_size <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    if begin:  # otherwise the subtree reached is the whole old tree, whose root the verifier has
        ranges.append((begin, end))
    return [_range_hash(*part, source) for part in reversed(ranges)]


class CompactRange:
    """The tree over leaves that stream by, kept as one hash a level: any number of leaves in little memory."""

    def __init__(self) -> None:
        self.size = 0
        self._pending: list[bytes] = []

    def append(self, hashes: bytes) -> None:
        """Add leaf hashes, 32 bytes each, one after another."""
        self.size += len(hashes) // HASH_BYTES
        level = 0
        while hashes:
            if level == len(self._pending):
                self._pending.append(b"")
            hashes = self._pending[level] + hashes
            even = len(hashes) - len(hashes) % (2 * HASH_BYTES)
            self._pending[level] = hashes[even:]
            hashes = parent_hashes(hashes[:even])
            level += 1

    def root(self) -> bytes:
        """Root of all leaves so far."""
        hashes = [pending for pending in reversed(self._pending) if pending]
        return fold(hashes) if hashes else EMPTY_ROOT


def _split(size: int) -> int:
    """The largest power of two below `size` (> 1)."""
    return 1 << ((size - 1).bit_length() - 1)


def _range_hash(begin: int, end: int, source: NodeSource) -> bytes:
    return fold([source.node(level, index) for level, index in complete_subtrees(begin, end)])
