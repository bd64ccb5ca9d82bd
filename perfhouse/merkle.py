"""Merkle trees as RFC 6962 hashes them: roots, and proofs that rows stand in a tree.

Pure functions over hashes; it knows no table, no key and no file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

HASH_BYTES = 32


def leaf_hash(content: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + content).digest()


def _node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree over leaf hashes, with every node kept: proofs cost no hashing."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        """Build the tree; a lone last node rises a level unchanged, which is RFC 6962's split."""
        self._levels = [list(leaves)]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            pairs = zip(below[::2], below[1::2], strict=False)
            lone = below[-1:] if len(below) % 2 else []
            self._levels.append([*(_node_hash(a, b) for a, b in pairs), *lone])

    def __len__(self) -> int:
        """Count the leaves."""
        return len(self._levels[0])

    @property
    def root(self) -> bytes:
        """Return the tree's hash; of an empty tree, the hash of nothing."""
        return self._levels[-1][0] if len(self) else hashlib.sha256().digest()

    def proof(self, first: int, last: int) -> list[bytes]:
        """Return what, with the leaves first..last (excluded), makes the root.

        Of a single leaf it is RFC 6962's audit path, from the leaf up.
        """
        if not 0 <= first < last <= len(self):
            raise ValueError("a proof is of leaves that are in the tree")
        return list(self._proof(0, len(self), first, last))

    def _proof(self, low: int, high: int, first: int, last: int) -> Iterator[bytes]:
        if first <= low and high <= last:
            return
        middle = low + _split(high - low)
        if last <= middle:
            yield from self._proof(low, middle, first, last)
            yield self._node(middle, high)
        elif first >= middle:
            yield from self._proof(middle, high, first, last)
            yield self._node(low, middle)
        else:
            yield from self._proof(low, middle, first, middle)
            yield from self._proof(middle, high, middle, last)

    def _node(self, low: int, high: int) -> bytes:
        level = (high - low - 1).bit_length()
        return self._levels[level][low >> level]


def proven_root(leaves: Sequence[bytes], first: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root of a tree of `size` leaves that holds these from `first` on.

    Raises:
        ValueError: no such leaves can be in such a tree, or the proof is too short or too long.
    """
    if not 0 <= first < first + len(leaves) <= size < 1 << 63:
        raise ValueError("no such leaves in such a tree")
    rest = iter(proof)
    try:
        found = _fold(0, size, first, leaves, rest)
    except StopIteration:
        raise ValueError("the proof is too short") from None
    if next(rest, None) is not None:
        raise ValueError("the proof is too long")
    return found


def _fold(low: int, high: int, first: int, leaves: Sequence[bytes], rest: Iterator[bytes]) -> bytes:
    if high - low == 1:
        return leaves[low - first]
    middle = low + _split(high - low)
    last = first + len(leaves)
    if last <= middle:
        left = _fold(low, middle, first, leaves, rest)
        return _node_hash(left, next(rest))
    if first >= middle:
        right = _fold(middle, high, first, leaves, rest)
        return _node_hash(next(rest), right)
    inside = middle - first
    left = _fold(low, middle, first, leaves[:inside], rest)
    return _node_hash(left, _fold(middle, high, middle, leaves[inside:], rest))


def _split(size: int) -> int:
    """Return the largest power of two that is smaller than a size of two or more."""
    return 1 << ((size - 1).bit_length() - 1)
