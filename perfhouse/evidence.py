"""The evidence of a release: a signed Merkle root over its rows, and every manager's proof.

Works on a release's folder; it may not judge, number or publish one. What a hash covers and what
it keeps to itself: docs/decisions/0014-evidence.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import cards, hashing, merkle, signing, warehouse
from perfhouse.hashing import canonical_json
from perfhouse.public_tables import PUBLIC_TABLES, PublicTable
from perfhouse.settings import Home, evidence_key

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from minisign import PublicKey

FOLDER = "evidence"
ROOT = f"{FOLDER}/root.json"
SIGNED = ".minisig"
CARDS, TOTALS = "cards", "scorecard_manager_months"
_TABLES = f"{FOLDER}/tables.jsonl"
_NONCES = f"{FOLDER}/nonces.key"
# Whom a row is about; what is about nobody has the subject "".
_SUBJECTS = ("manager_id", "employee_number")
_ROW_LIMIT = 1 << 20  # of a card that anybody may have written
_CARD_COLUMNS = (("month", "DATE"), ("manager_id", "VARCHAR"), ("page_sha256", "VARCHAR"))
_CARD_KEY = ("month", "manager_id")
_SAID = {"company", "release", "signature", "nonces", "row", "places", "paths"}  # by a proof
_FILLED = re.compile(rb"(<(?:code|pre) data-v=(?:root|row|root_start|row_start|proof)>)[^<]*")


@dataclass(frozen=True)
class Table:
    """What the release's root covers of one table; its JSON line is a leaf of that root.

    `columns` are names and types; `root` is the hash of the tree over the rows, in hex.
    """

    name: str
    columns: Sequence[Sequence[str]]
    key: Sequence[str]
    rows: int
    root: str

    def line(self) -> bytes:
        """Return the canonical line."""
        return canonical_json(asdict(self))

    def key_of(self, line: bytes) -> str:
        """Return a row's key as canonical JSON."""
        values = dict(zip((c[0] for c in self.columns), json.loads(line), strict=True))
        return canonical_json([values[name] for name in self.key]).decode()

    def leaf(self, key: str, line: bytes, nonces: bytes) -> bytes:
        """Return the leaf hash of a row; `nonces` is the key of its subject's nonces."""
        nonce = hmac.digest(nonces, canonical_json([self.name, key]), "sha256")
        return merkle.leaf_hash(nonce + line)

    def subject_of(self, key: str) -> str:
        """Return whom the row of a key is about."""
        values = dict(zip(self.key, json.loads(key), strict=True))
        return next((str(values[name]) for name in _SUBJECTS if name in values), "")


@dataclass(frozen=True)
class Proof:
    """What a manager's card shows: the root, the hash of the total's row, and the whole proof."""

    merkle_root: str
    row_sha256: str
    text: str


@dataclass(frozen=True)
class Hashed:
    """A table with the key and the leaf hash of every row, in the order of the tree."""

    table: Table
    leaves: Sequence[tuple[str, bytes]]

    @classmethod
    def of(cls, table: Table, lines: Iterable[bytes], key: bytes) -> Hashed:
        """Hash the rows of a table, by the key of the release's nonces."""
        nonces: dict[str, bytes] = {}
        leaves = []
        for line in lines:
            row = table.key_of(line)
            subject = table.subject_of(row)
            if subject not in nonces:
                nonces[subject] = _of_subject(key, subject)
            leaves.append((row, table.leaf(row, line, nonces[subject])))
        root = merkle.Tree([leaf for _, leaf in leaves]).root.hex()
        return cls(replace(table, rows=len(leaves), root=root), leaves)


def statement(company: str, release: str, merkle_root: str) -> bytes:
    """Return what is signed: that a release of a company has this root."""
    said = {"company": company, "release": release, "merkle_root": merkle_root}
    return canonical_json(said) + b"\n"


def stage(folder: Path, home: Home, company: str, release: str) -> None:
    """Write the evidence of what a staging folder holds, sign its root, put proofs on the cards.

    It covers the public tables and the cards. Verdicts and the table of releases come later: of
    those, as of all files, only the signed release.json tells.
    """
    (folder / FOLDER).mkdir()
    key = hmac.digest(evidence_key(home), release.encode(), "sha256")
    (folder / _NONCES).write_text(key.hex() + "\n", encoding="ascii")
    with warehouse.connect() as con:
        found = {table.name: of_parquet(con, folder, table, key) for table in PUBLIC_TABLES}
        lines = [json.loads(line) for line in _lines(con, folder, TOTALS)]
    pages = pages_of(folder, [line[1] for line in lines])
    found[CARDS] = of_pages(pages, lines[0][0] if lines else "", key)
    for each in found.values():
        listed = "".join(f"{leaf.hex()} {row}\n" for row, leaf in each.leaves)
        file = folder / FOLDER / f"{each.table.name}.leaves"
        file.write_text(listed, encoding="utf-8")
    tables = [found[name].table for name in in_order(found)]
    (folder / _TABLES).write_bytes(b"".join(table.line() + b"\n" for table in tables))
    (folder / ROOT).write_bytes(statement(company, release, root_of(tables)))
    sign(folder / ROOT, home, release)
    for manager, proof in _proofs(folder, found, lines, key).items():
        page = cards.with_evidence(pages[manager].read_bytes(), proof)
        pages[manager].write_bytes(page)


def in_order(names: Iterable[str]) -> list[str]:
    """Return the order of the root's leaves: first the two that a card proves by one path."""
    return sorted(names, key=lambda name: (name not in (CARDS, TOTALS), name))


def root_of(tables: Sequence[Table]) -> str:
    """Return the root over tables, in hex."""
    return merkle.Tree([merkle.leaf_hash(table.line()) for table in tables]).root.hex()


def of_parquet(con: DuckDBPyConnection, folder: Path, public: PublicTable, key: bytes) -> Hashed:
    """Hash a table of a release as its Parquet file has it."""
    file = str(folder / f"parquet/{public.name}.parquet").replace("'", "''")
    return of_relation(con, f"read_parquet('{file}')", public, key)


def of_relation(con: DuckDBPyConnection, relation: str, public: PublicTable, key: bytes) -> Hashed:
    """Hash a relation as a table of the evidence."""
    lines = hashing.canonical_rows(con, relation, public.key)
    table = Table(public.name, json.loads(next(lines)), public.key, 0, "")
    return Hashed.of(table, lines, key)


def of_pages(pages: Mapping[str, Path], month: str, key: bytes) -> Hashed:
    """Hash cards, by manager, as a table: one row a page, its proof blanked."""
    table = Table(CARDS, _CARD_COLUMNS, _CARD_KEY, 0, "")
    lines = [_card_line(month, name, pages[name].read_bytes()) for name in sorted(pages)]
    return Hashed.of(table, lines, key)


def _card_line(month: str, manager: str, page: bytes) -> bytes:
    return canonical_json([month, manager, hashlib.sha256(blank(page)).hexdigest()])


def sign(file: Path, home: Home, release: str) -> None:
    """Sign a file of a release: its signature lies beside it."""
    comment = f"{release} {file.name}"
    text = signing.sign(signing.release_key(home), file.read_bytes(), comment)
    file.with_name(file.name + SIGNED).write_bytes(text)


def is_signed(file: Path, keys: Sequence[PublicKey]) -> bool:
    """Say whether one of these keys signed a file as it is; False where a file is missing."""
    beside = file.with_name(file.name + SIGNED)
    if not (file.is_file() and beside.is_file()):
        return False
    return any(signing.verify(k, file.read_bytes(), beside.read_bytes()) for k in keys)


def merkle_root(folder: Path) -> str | None:
    """Return the root that a release says it has, or None if it is older than evidence."""
    file = folder / ROOT
    return str(json.loads(file.read_bytes())["merkle_root"]) if file.exists() else None


def _proofs(
    folder: Path, found: Mapping[str, Hashed], lines: Sequence[list[str | None]], key: bytes
) -> dict[str, Proof]:
    """Make the proof of every manager that has a card, by manager."""
    root = json.loads((folder / ROOT).read_bytes())
    above = merkle.Tree([merkle.leaf_hash(found[n].table.line()) for n in in_order(found)])
    totals, pages = found[TOTALS], found[CARDS]
    trees = [merkle.Tree([leaf for _, leaf in each.leaves]) for each in (pages, totals)]
    about = {"columns": totals.table.columns, "key": totals.table.key}
    rows = {totals.table.subject_of(key): at for at, (key, _) in enumerate(totals.leaves)}
    proofs = {}
    for at_page, (row, _) in enumerate(pages.leaves):
        manager = pages.table.subject_of(row)
        at_row = rows[manager]
        said = {
            "company": root["company"],
            "release": root["release"],
            "signature": (folder / (ROOT + SIGNED)).read_text(encoding="ascii"),
            "nonces": _text(_of_subject(key, manager)),
            "row": _text(zlib.compress(canonical_json({**about, "line": lines[at_row]}), 9)),
            "places": [[at_page, len(trees[0])], [at_row, len(trees[1])]],
            "paths": [
                _text(b"".join(path))
                for path in (
                    trees[0].proof(at_page, at_page + 1),
                    trees[1].proof(at_row, at_row + 1),
                    above.proof(0, 2),
                )
            ],
        }
        text = canonical_json(said).decode()
        proofs[manager] = Proof(root["merkle_root"], totals.leaves[at_row][1].hex(), text)
    return proofs


@dataclass(frozen=True)
class Claim:
    """What a card's proof leads to, not yet signed: a root, and the total's row by column."""

    company: str
    release: str
    merkle_root: str
    signature: str
    row_sha256: str
    row: Mapping[str, str | None]

    def is_signed(self, keys: Sequence[PublicKey]) -> bool:
        """Say whether one of these keys signed that the release has this root."""
        content = statement(self.company, self.release, self.merkle_root)
        return any(signing.verify(key, content, self.signature.encode()) for key in keys)


def claim(page: bytes, text: str) -> Claim:
    """Follow the proof on a card, of format 1, from the page and its total's row up to the root.

    Raises:
        ValueError: it is no proof.
    """
    try:
        said = _canonical(text)
        about = json.loads(zlib.decompressobj().decompress(_bytes(said["row"]), _ROW_LIMIT))
        line, nonces = canonical_json(about["line"]), _bytes(said["nonces"])
        (at_page, pages), (at_row, rows) = said["places"]
        paths = [_hashes(path) for path in said["paths"]]
        totals = Table(TOTALS, about["columns"], about["key"], rows, "")
        row = dict(zip((c[0] for c in totals.columns), about["line"], strict=True))
        leaf = totals.leaf(totals.key_of(line), line, nonces)
        shown = Table(CARDS, _CARD_COLUMNS, _CARD_KEY, pages, "")
        of_page = _card_line(row["month"], row["manager_id"], page)
        page_leaf = shown.leaf(shown.key_of(of_page), of_page, nonces)
        both = [
            replace(shown, root=merkle.proven_root([page_leaf], at_page, pages, paths[0]).hex()),
            replace(totals, root=merkle.proven_root([leaf], at_row, rows, paths[1]).hex()),
        ]
        leaves = [merkle.leaf_hash(table.line()) for table in both]
        # Nothing covers how many tables there are; of the first two any number has this path.
        root = merkle.proven_root(leaves, 0, len(leaves) << len(paths[2]), paths[2]).hex()
        signed = str(said["company"]), str(said["release"]), root, str(said["signature"])
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
        zlib.error,
    ) as error:
        raise ValueError("its proof cannot be read") from error
    return Claim(*signed, leaf.hex(), row)


# How to follow a proof, by the format that its page prints. A page of before prints none: it is of
# format 1, and nobody can take the word off another page, whose hash covers it.
FORMATS: Mapping[str, Callable[[bytes, str], Claim]] = {cards.PROOF_FORMAT: claim}
UNNAMED = "1"


def blank(page: bytes) -> bytes:
    """Return a card's page with its proof blanked: what does not depend on any key."""
    return _FILLED.sub(rb"\1", page)


def pages_of(folder: Path, managers: Sequence[str]) -> dict[str, Path]:
    """Return the pages of those managers that have one."""
    names = cards.file_names(managers)
    paths = {manager: folder / "cards" / name for manager, name in names.items()}
    return {manager: path for manager, path in paths.items() if path.exists()}


def read_tables(folder: Path) -> list[Table]:
    """Read what a release's evidence says of its tables, in the order of the root's leaves."""
    found = []
    for line in (folder / _TABLES).read_bytes().splitlines():
        said = json.loads(line)
        found.append(Table(said["name"], said["columns"], said["key"], said["rows"], said["root"]))
    return found


def read_leaves(folder: Path, table: str) -> list[tuple[str, bytes]]:
    """Read the key and leaf hash of every row of a table."""
    text = (folder / FOLDER / f"{table}.leaves").read_text(encoding="utf-8")
    pairs = (line.split(" ", 1) for line in text.split("\n")[:-1])
    return [(key, bytes.fromhex(leaf)) for leaf, key in pairs]


def _lines(con: DuckDBPyConnection, folder: Path, name: str) -> list[bytes]:
    public = next(table for table in PUBLIC_TABLES if table.name == name)
    file = str(folder / f"parquet/{name}.parquet").replace("'", "''")
    return list(hashing.canonical_rows(con, f"read_parquet('{file}')", public.key))[1:]


def read_nonces(folder: Path) -> bytes:
    """Read the key of a release's nonces: whoever may read its rows may read it."""
    return bytes.fromhex((folder / _NONCES).read_text(encoding="ascii").strip())


def _of_subject(key: bytes, subject: str) -> bytes:
    return hmac.digest(key, subject.encode(), "sha256")


def _canonical(text: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(text)
    if canonical_json(said).decode() != text or set(said) != _SAID:
        raise ValueError(text)
    return said


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _bytes(text: str) -> bytes:
    content = base64.b64decode(text, validate=True)
    if _text(content) != text:  # what is left of the last letter means nothing
        raise ValueError(text)
    return content


def _hashes(text: str) -> list[bytes]:
    content = _bytes(text)
    size = merkle.HASH_BYTES
    return [content[at : at + size] for at in range(0, len(content), size)]
