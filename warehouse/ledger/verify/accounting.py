"""Which indices of a log have a row: a bit each, so that a thousand million records take 125 MB."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_CHUNK_BYTES = 128 * 1024
_HIGHEST_BIT = 128
_INDEX_BYTES = 8


@dataclass(frozen=True)
class PackedIndices:
    """Indices found in a file: a bit each from index `8 * first_byte` on, or as they are where that takes less.

    Rows of a file follow each other in their log, so a bit each is some fiftieth of the numbers themselves. `repeated` are
    those found more than once.
    """

    first_byte: int
    bits: np.ndarray
    scattered: np.ndarray
    repeated: np.ndarray

    @classmethod
    def pack(cls, indices: np.ndarray) -> "PackedIndices":
        """Pack indices that ascend from 0 or more; they may repeat."""
        new = np.diff(indices, prepend=-1) > 0
        unique, repeated = indices[new], np.unique(indices[~new])
        first, last = (int(unique[0]) >> 3, int(unique[-1]) >> 3) if len(unique) else (0, -1)
        if last - first + 1 > len(unique) * _INDEX_BYTES:
            return cls(0, np.empty(0, np.uint8), unique, repeated)
        flags = np.zeros((last - first + 1) * 8, bool)
        flags[unique - first * 8] = True
        return cls(first, np.packbits(flags), np.empty(0, np.int64), repeated)


class IndexAccount:
    """Indices 0 to `size - 1` of one log: which have a row, and which have more than one."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._bits = np.zeros((size + 7) // 8, np.uint8)
        self._repeated: np.ndarray | None = None

    def add(self, found: PackedIndices) -> None:
        """Account for the rows of a file; all lie below the size."""
        if len(found.bits):
            held = self._bits[found.first_byte : found.first_byte + len(found.bits)]
            again = held & found.bits
            if again.any():
                self._repeated_bits()[found.first_byte : found.first_byte + len(found.bits)] |= again
            held |= found.bits
        if len(found.scattered):
            there = _bits_of(found.scattered) & self._bits[found.scattered >> 3] != 0
            self._repeat(found.scattered[there])
            _set(self._bits, found.scattered)
        self._repeat(found.repeated)

    @property
    def present(self) -> int:
        """How many indices have a row."""
        chunks = range(0, len(self._bits), _CHUNK_BYTES)
        return sum(int(np.bitwise_count(self._bits[at : at + _CHUNK_BYTES]).sum(dtype=np.int64)) for at in chunks)

    def has(self, index: int) -> bool:
        """Whether an index has a row."""
        return 0 <= index < self.size and bool(self._bits[index >> 3] & (_HIGHEST_BIT >> (index & 7)))

    def repeated(self) -> Iterator[np.ndarray]:
        """Indices that have more than one row, ascending, a chunk at a time."""
        return iter(()) if self._repeated is None else self._select(self._repeated, 0, 1)

    def absent(self, first: int = 0) -> Iterator[np.ndarray]:
        """Indices from `first` on without a row, ascending, a chunk at a time."""
        return self._select(self._bits, first, 0)

    def held(self, first: int = 0) -> Iterator[np.ndarray]:
        """Indices from `first` on with a row, ascending, a chunk at a time."""
        return self._select(self._bits, first, 1)

    def _repeated_bits(self) -> np.ndarray:
        if self._repeated is None:
            self._repeated = np.zeros(len(self._bits), np.uint8)
        return self._repeated

    def _repeat(self, indices: np.ndarray) -> None:
        if len(indices):
            _set(self._repeated_bits(), indices)

    def _select(self, bits: np.ndarray, first: int, value: int) -> Iterator[np.ndarray]:
        full = 0xFF if value == 0 else 0
        for start in range(first // 8, len(bits), _CHUNK_BYTES):
            chunk = bits[start : start + _CHUNK_BYTES]
            if (chunk == full).all():
                continue
            found = np.flatnonzero(np.unpackbits(chunk) == value).astype(np.int64) + start * 8
            found = found[(found >= first) & (found < self.size)]
            if len(found):
                yield found


def _bits_of(indices: np.ndarray) -> np.ndarray:
    bits: np.ndarray = (_HIGHEST_BIT >> (indices & 7)).astype(np.uint8)
    return bits


def _set(bits: np.ndarray, indices: np.ndarray) -> None:
    """Set the bits of ascending indices."""
    places = indices >> 3
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    bits[places[starts]] |= np.bitwise_or.reduceat(_bits_of(indices), starts)
