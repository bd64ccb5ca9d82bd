"""Merkle trees: RFC 6962's own answers, and proofs that prove these leaves and no others."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfhouse import merkle

# Inputs and roots of the test data of Google's certificate-transparency, sizes 0 to 8.
CONTENTS = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    bytes(range(0x50, 0x58)),
    bytes(range(0x60, 0x70)),
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# Audit paths of the same test data: leaf, size, path from the leaf up.
PATHS = [
    (0, 1, ""),
    (
        0,
        8,
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7 "
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e "
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (
        5,
        8,
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b "
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0 "
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 3, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
    (
        1,
        5,
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d "
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e "
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
]


def hashes(count: int) -> list[bytes]:
    return [merkle.leaf_hash(str(n).encode()) for n in range(count)]


def by_the_book(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    both = by_the_book(leaves[:split]) + by_the_book(leaves[split:])
    return hashlib.sha256(b"\x01" + both).digest()


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    tree = merkle.Tree([merkle.leaf_hash(content) for content in CONTENTS[:size]])
    assert tree.root.hex() == ROOTS[size]


@pytest.mark.parametrize(("leaf", "size", "path"), PATHS)
def test_paths_are_those_of_certificate_transparency(leaf: int, size: int, path: str) -> None:
    tree = merkle.Tree([merkle.leaf_hash(content) for content in CONTENTS[:size]])
    assert [each.hex() for each in tree.proof(leaf, leaf + 1)] == path.split()


@given(st.integers(0, 300))
def test_every_tree_is_the_one_of_the_definition(size: int) -> None:
    assert merkle.Tree(hashes(size)).root == by_the_book(hashes(size))


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int, int]:
    size = draw(st.integers(1, 70))
    first = draw(st.integers(0, size - 1))
    return size, first, draw(st.integers(first + 1, size))


@given(ranges())
def test_neighbours_are_proven_together(chosen: tuple[int, int, int]) -> None:
    size, first, last = chosen
    tree = merkle.Tree(hashes(size))
    proof = tree.proof(first, last)
    assert merkle.proven_root(hashes(size)[first:last], first, size, proof) == tree.root


@given(ranges(), st.data())
def test_a_proof_proves_nothing_else(chosen: tuple[int, int, int], data: st.DataObject) -> None:
    size, first, last = chosen
    tree, leaves = merkle.Tree(hashes(size)), hashes(size)[first:last]
    proof = tree.proof(first, last)
    wrong = data.draw(st.sampled_from(["leaf", "order", "place", "path", "short", "long"]))
    if wrong == "leaf":
        leaves[data.draw(st.integers(0, len(leaves) - 1))] = merkle.leaf_hash(b"other")
    elif wrong == "order":
        leaves = leaves[1:] + leaves[:1]
    elif wrong == "place":
        first = data.draw(st.integers(0, size - len(leaves)))
    elif wrong == "path" and proof:
        proof[data.draw(st.integers(0, len(proof) - 1))] = merkle.leaf_hash(b"other")
    elif wrong == "short":
        proof = proof[:-1]
    else:
        proof = [*proof, merkle.leaf_hash(b"other")]
    same = (leaves, first, proof) == (hashes(size)[chosen[1] : last], chosen[1], tree.proof(
        chosen[1], last))  # fmt: skip
    try:
        found = merkle.proven_root(leaves, first, size, proof)
    except ValueError:
        assert not same
    else:
        assert (found == tree.root) == same


@pytest.mark.parametrize(("first", "last"), [(0, 0), (2, 2), (-1, 1), (2, 4), (3, 4)])
def test_no_proof_of_what_is_not_there(first: int, last: int) -> None:
    with pytest.raises(ValueError, match="in the tree"):
        merkle.Tree(hashes(3)).proof(first, last)


@pytest.mark.parametrize(("first", "size"), [(-1, 3), (2, 3), (0, 1), (0, 1 << 64)])
def test_no_root_of_leaves_that_cannot_be_there(first: int, size: int) -> None:
    with pytest.raises(ValueError, match="no such leaves"):
        merkle.proven_root(hashes(2), first, size, [])


def test_a_leaf_is_no_node() -> None:
    """Two leaves' node, offered as the content of one leaf, has another hash."""
    pair = hashes(2)
    assert merkle.leaf_hash(b"".join(pair)) != merkle.Tree(pair).root
