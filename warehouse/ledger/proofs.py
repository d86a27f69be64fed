"""The verifier of Merkle proofs (RFC 9162 §2.1.3.2 and §2.1.4.2, for the trees of RFC 6962). No I/O.

A proof binds leaf, index and root. It binds the tree's size only together with the root, so both are taken from the same
signed checkpoint.
"""

from collections.abc import Sequence

from warehouse.ledger.errors import ProofError
from warehouse.ledger.tree import HASH_BYTES, node_hash


def verify_inclusion(leaf: bytes, *, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf with hash `leaf` stands at `index` in the tree of `size` leaves with this root.

    Raises:
        ProofError: it is not shown; the message says what was got and expected.
    """
    _check_hashes(leaf, root, *proof)
    if not 0 <= index < size:
        raise ProofError(f"index: expected 0 to {size - 1} in a tree of size {size}, got {index}")
    got = leaf
    place, last = index, size - 1
    for sibling in proof:
        if last == 0:
            raise ProofError(f"inclusion proof: expected fewer hashes for index {index} of {size}, got {len(proof)}")
        if place % 2 or place == last:
            got = node_hash(sibling, got)
            place, last = _skip_lone_levels(place, last)
        else:
            got = node_hash(got, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise ProofError(f"inclusion proof: expected more hashes for index {index} of {size}, got {len(proof)}")
    _check_root("root", got, root)


def verify_consistency(
    *, old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of `new_size` leaves begins with the tree of `old_size` leaves.

    Every tree begins with the empty one, so there is nothing to prove from size 0 and asking for it is an error.

    Raises:
        ProofError: it is not shown; the message says what was got and expected.
    """
    _check_hashes(*proof)
    if not 0 < old_size <= new_size:
        raise ProofError(f"old size: expected 1 to {new_size}, got {old_size}")
    if old_size == new_size:
        if proof:
            raise ProofError(f"consistency proof: expected no hashes between equal sizes, got {len(proof)}")
        _check_root("root of the same size", new_root, old_root)
        return
    _check_hashes(old_root, new_root)
    # a complete old tree is itself a node of the new one: its root starts the path and is not sent
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path:
        raise ProofError(f"consistency proof: expected hashes from size {old_size} to {new_size}, got none")
    place, last = old_size - 1, new_size - 1
    while place % 2:
        place, last = place >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofError(
                f"consistency proof: expected fewer hashes from {old_size} to {new_size}, got {len(proof)}"
            )
        if place % 2 or place == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            place, last = _skip_lone_levels(place, last)
        else:
            new = node_hash(new, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise ProofError(f"consistency proof: expected more hashes from {old_size} to {new_size}, got {len(proof)}")
    _check_root("old root", old, old_root)
    _check_root("new root", new, new_root)


def _skip_lone_levels(place: int, last: int) -> tuple[int, int]:
    """Go up past the levels at which the right edge has no sibling."""
    while place and place % 2 == 0:
        place, last = place >> 1, last >> 1
    return place, last


def _check_hashes(*hashes: bytes) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise ProofError(f"hash: expected {HASH_BYTES} bytes, got {len(value)}")


def _check_root(what: str, got: bytes, expected: bytes) -> None:
    if got != expected or not expected:
        raise ProofError(f"{what}: expected {expected.hex()}, got {got.hex()}")
