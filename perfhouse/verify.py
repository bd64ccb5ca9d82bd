"""Verify the ledger, releases, cards and files with public data only: published/ and a key.

It writes nothing there, and needs neither a company nor a warehouse.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import erased, evidence, ledger, merkle, release_files, release_shown, warehouse
from perfhouse.errors import ConfigError, ReleaseError
from perfhouse.lake import file_sha256
from perfhouse.ledger import Entry, PublicTable
from perfhouse.release_files import CHECKSUM, DATABASE, MANIFEST

if TYPE_CHECKING:
    from minisign import PublicKey

_NAME = re.compile(r"\d{4}-\d{2}\.r\d+")
_ROWS_TOLD = 10


@dataclass(frozen=True)
class Verification:
    """What was verified, what does not hold (nothing, if all does), and what else to know."""

    subject: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Ledger:
    """The lines that hold, what does not hold, and what else to know."""

    lines: Sequence[ledger.Line]
    problems: Sequence[str]
    notes: Sequence[str]

    @property
    def entries(self) -> list[Entry]:
        return [line for line in self.lines if isinstance(line, Entry)]

    def erasures(self, folder: Path | None = None) -> list[str]:
        """Tell of the erasures on record, or of those that altered one release."""
        found = erased.of_lines(self.lines)
        if folder is not None:
            try:
                altering = erased.of_release(folder).lines
            except ReleaseError:
                return []  # told as a problem of the release
            found = [line for line in found if line.sequence in altering]
        return [erased.told(line) for line in found]

    def entry(self, name: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.name == name), None)


def verify(
    published: Path, what: str | None, keys: Sequence[PublicKey], head: str | None = None
) -> Verification:
    """Verify a card or another file, a release by its name, or everything that is published.

    Args:
        published: the folder with ledger.jsonl and the releases; for a card it may be missing.
        what: a path, a name such as `2026-09.r1`, or None for all.
        keys: the public keys that are trusted.
        head: the hash of a ledger line that was noted before and must still be there.

    Raises:
        ConfigError: there is no such file or release (whoever asked).
    """
    said = _ledger(published, keys, head)
    if what is None:
        return _everything(published, said, keys)
    if _NAME.fullmatch(what):
        entry = said.entry(what)
        if entry is None:
            known = ", ".join(each.name for each in said.entries) or "none"
            raise ConfigError([f"release: expected one of {known}; got {what!r}"])
        found = [*said.problems, *_release(published, entry.path, entry, keys)]
        of_release = said.erasures(published / entry.path)
        return Verification(what, tuple(found), (*said.notes, *_unsigned([entry]), *of_release))
    path = Path(what)
    if not path.is_file():
        raise ConfigError([f"verify: expected a file or a release such as 2026-09.r1: {what!r}"])
    page = path.read_bytes()
    shown = _shown(page)
    altered = _altered(path, published, said)
    if altered is not None:
        return altered
    if "proof" in shown:
        return _card(path.name, page, shown, published, said, keys)
    return _file(path, published, said, keys)


# ---------------------------------------------------------------- the ledger


def _ledger(published: Path, keys: Sequence[PublicKey], head: str | None) -> _Ledger:
    file = published / ledger.LEDGER
    if not file.exists():
        missing = [f"no line of the ledger has the hash {head}"] if head else []
        return _Ledger([], missing, [f"no {ledger.LEDGER} at hand"])
    lines, broken = ledger.read(file)
    problems = [broken] if broken else []
    if not file.read_bytes().endswith(b"\n"):
        problems.append(f"published/{ledger.LEDGER}: its last line is torn")
    signed = [line.signature is not None for line in lines]
    for line in lines[signed.index(True) if any(signed) else len(lines) :]:
        if not ledger.is_signed(line, keys):
            where = f"published/{ledger.LEDGER}: line {line.sequence}"
            problems.append(f"{where} is not signed with this key")
    if head and not any(line.entry_sha256 == head for line in lines):
        problems.append(f"no line of the ledger has the hash {head}: it was cut or replaced")
    last = lines[-1].entry_sha256 if lines else "-"
    return _Ledger(lines, problems, [f"ledger: {len(lines)} lines hold, the last has hash {last}"])


def _unsigned(entries: Sequence[Entry]) -> list[str]:
    names = [entry.name for entry in entries if entry.signature is None]
    return [f"unsigned, of before releases were signed: {', '.join(names)}"] if names else []


def _everything(published: Path, said: _Ledger, keys: Sequence[PublicKey]) -> Verification:
    problems = list(said.problems)
    known = {entry.path: entry for entry in said.entries}
    there = {p.relative_to(published).as_posix() for p in published.glob("[0-9]*/r[0-9]*")}
    for path in sorted({*known, *there}):
        if path not in known and not said.problems:
            problems.append(f"published/{path}: the ledger does not name it")
        problems += _release(published, path, known.get(path), keys)
    if said.entries and not problems:
        problems += _shown_database(published, ledger.standing(said.lines))
    named = {line.what["file"] for line in erased.of_lines(said.lines)}
    for file in sorted(published.glob(f"{erased.FOLDER}/*")):
        if file.relative_to(published).as_posix() not in named and not said.problems:
            problems.append(f"published/{erased.FOLDER}/{file.name}: the ledger does not name it")
    if not said.lines and not there:
        problems.append(f"{published}: nothing is published there")
    notes = [*said.notes, f"{len(there)} releases", *_unsigned(said.entries), *said.erasures()]
    return Verification(str(published), tuple(problems), tuple(notes))


def _shown_database(published: Path, stands: Mapping[str, Entry]) -> Iterator[str]:
    """Compare what BI opens with the releases it is made of, table by table; and their links."""
    link = published / DATABASE
    newest = [stands[month] for month in sorted(stands)]
    shown = release_shown.months(published)
    for entry in newest if (published / release_shown.CURRENT).exists() else ():
        if shown.get(entry.month) != (published / entry.path).resolve():
            yield f"published/{release_shown.CURRENT}/{entry.month}: does not lead to {entry.name}"
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        release_files.combine([published / entry.path for entry in newest], newest, made)
        expected = release_files.database_hashes(made / "combined" / DATABASE)
        try:
            found = release_files.database_hashes(link)
        except Exception as error:
            yield f"published/{DATABASE}: unreadable: {type(error).__name__}"
            return
    for problem in release_files.differences("table", expected, found):
        yield f"published/{DATABASE}: {problem} from the releases"


# ---------------------------------------------------------------- a release


def _release(
    published: Path, path: str, entry: Entry | None, keys: Sequence[PublicKey]
) -> Iterator[str]:
    try:
        for problem in _release_problems(published / path, entry, keys):
            yield f"published/{path}: {problem}"
    except Exception as error:  # a changed file may make any reader fail
        yield f"published/{path}: unreadable: {type(error).__name__}"


def _release_problems(
    folder: Path, entry: Entry | None, keys: Sequence[PublicKey]
) -> Iterator[str]:
    if not folder.is_dir():
        yield "the ledger names it, but it is not there"
        return
    was_signed = entry is None or entry.signature is not None
    for name in (MANIFEST, CHECKSUM, evidence.ROOT) if was_signed else ():
        if not evidence.is_signed(folder / name, keys):
            yield f"{name} or its signature was changed, or is not of this key"
    found = release_files.problems(folder)
    yield from found
    said = release_files.read_manifest(folder)
    root = said.get("evidence", {}).get("merkle_root")
    if entry and (entry.name, entry.release_sha256, entry.merkle_root) != (
        *(said["release"], said["release_sha256"]),
        root,
    ):
        yield f"{MANIFEST} is not what line {entry.sequence} of the ledger says"
    intact = not any(f"file {evidence.FOLDER}/" in problem for problem in found)
    if root and intact:
        yield from _rows(folder, root, found)


def _rows(folder: Path, root: str, problems: Sequence[str]) -> Iterator[str]:
    """Name the rows that are not those of the signed root, but those that were erased."""
    since = erased.of_release(folder)
    nonces = evidence.read_nonces(folder)
    tables = evidence.read_tables(folder)
    if evidence.root_of(tables) != root:
        yield f"{evidence.FOLDER} does not lead to the root"
    con = warehouse.connect(folder / DATABASE, read_only=True)
    try:
        for said in tables:
            if said.name in since.rows:
                yield from _hashes_kept(folder, said)
            if said.name == evidence.CARDS:
                continue
            public = PublicTable(said.name, "main", tuple(said.key))
            found = evidence.of_relation(con, f'"{said.name}"', public, nonces)
            gone = since.places(said.name)
            yield from _changed(folder, said, found, DATABASE, gone)
            if f"file parquet/{said.name}.parquet differs" in problems:
                found = evidence.of_parquet(con, folder, public, nonces)
                yield from _changed(folder, said, found, f"parquet/{said.name}.parquet", gone)
    finally:
        con.close()


def _hashes_kept(folder: Path, said: evidence.Table) -> Iterator[str]:
    """Say so if the hashes of a table's rows, erased ones among them, no longer make its root."""
    leaves = [leaf for _, leaf in evidence.read_leaves(folder, said.name)]
    if merkle.Tree(leaves).root.hex() != said.root:
        yield f"{evidence.FOLDER}/{said.name}.leaves does not lead to the root"


def _changed(
    folder: Path,
    said: evidence.Table,
    found: evidence.Hashed,
    place: str,
    gone: frozenset[int],
) -> Iterator[str]:
    if found.table.root == said.root and list(found.table.columns) == list(said.columns):
        return
    leaves = [
        leaf for at, leaf in enumerate(evidence.read_leaves(folder, said.name)) if at not in gone
    ]
    if leaves == list(found.leaves) and list(found.table.columns) == list(said.columns):
        return
    old, new = dict(leaves), dict(found.leaves)
    rows = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    for key in rows[:_ROWS_TOLD]:
        word = "was changed" if key in old and key in new else "is gone"
        yield f"{place}: {said.name}: row {key} {'was added' if key not in old else word}"
    if len(rows) > _ROWS_TOLD:
        yield f"{place}: {said.name}: {len(rows) - _ROWS_TOLD} more rows differ"


# ---------------------------------------------------------------- a card, a file


class _Page(HTMLParser):
    """Collects the texts of the elements that say what they show."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: dict[str, str] = {}
        self._open: tuple[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = dict(attrs).get("data-v")
        if name:
            self._open = (tag, name)
            self.shown[name] = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.shown[self._open[1]] += data

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[0] == tag:
            self._open = None


def _shown(page: bytes) -> Mapping[str, str]:
    parser = _Page()
    parser.feed(page.decode("utf-8", errors="replace"))
    return parser.shown


def _card(
    name: str,
    page: bytes,
    shown: Mapping[str, str],
    published: Path,
    said: _Ledger,
    keys: Sequence[PublicKey],
) -> Verification:
    try:
        claim = evidence.claim(page, shown["proof"])
    except ValueError as error:
        return Verification(name, (str(error),), ())
    problems = [*_proof_problems(claim, shown, keys), *_number_problems(claim.row, shown)]
    notes = [f"{claim.release} of {claim.company}, root {claim.merkle_root}"]
    if said.lines:
        problems += [*said.problems, *_entry_problems(claim, said)]
        stands = ledger.standing(said.lines).get(claim.release[:7])
        if stands is not None and stands.name != claim.release:
            fate = ledger.fates(said.lines).get(claim.release, ledger.SUPERSEDED)
            notes.append(f"it is {fate}: of this month {stands.name} stands")
    else:
        notes += [*said.notes, "so whether it is the newest release is not known"]
    if not problems:
        row = claim.row
        told = ("manager_id", "month", "total_score", "grade", "rank")
        notes.append(", ".join(f"{each} {row.get(each) or '-'}" for each in told))
    return Verification(name, tuple(problems), tuple(notes))


def _proof_problems(
    claim: evidence.Claim, shown: Mapping[str, str], keys: Sequence[PublicKey]
) -> Iterator[str]:
    hashes = {"row": claim.row_sha256, "root": claim.merkle_root}
    printed = {**hashes, "row_start": hashes["row"][:16], "root_start": hashes["root"][:16]}
    wrong = [name for name, value in printed.items() if shown.get(name) != value]
    if claim.is_signed(keys):
        for name in wrong:
            yield f"the hash of its {name.partition('_')[0]} is not printed as it is"
    elif claim.merkle_root == shown.get("root"):
        yield "its root is not signed with this key"
    else:
        yield "the page is not as it was published: its proof does not lead to the signed root"


def _number_problems(row: Mapping[str, Any], shown: Mapping[str, str]) -> Iterator[str]:
    """Compare what the page shows with the row of the total: the signer could differ, too."""
    total = row.get("total_score")
    expected = {
        "manager_id": row["manager_id"],
        "total": None if total is None else _one_digit(total),
        "grade": None if total is None else row.get("grade"),
        "rank": row.get("rank"),
    }
    for name, value in expected.items():
        if (shown.get(name) or None) != value:
            yield f"it shows {name} {shown.get(name) or '-'}, the row says {value or '-'}"


def _one_digit(number: str) -> str:
    try:
        return f"{float(number):.1f}"
    except ValueError:
        return number


def _entry_problems(claim: evidence.Claim, said: _Ledger) -> Iterator[str]:
    entry = said.entry(claim.release)
    if entry is None:
        yield f"the ledger does not name {claim.release}: it was cut, or is of another company"
    elif entry.merkle_root != claim.merkle_root:
        yield f"the ledger has another root for {claim.release}"


def _altered(path: Path, published: Path, said: _Ledger) -> Verification | None:
    """Recognise a page that an erasure altered: its proof is that of the page it was before."""
    sha256 = file_sha256(path)
    for entry in said.entries if erased.of_lines(said.lines) else ():
        folder = published / entry.path
        try:
            since = erased.of_release(folder)
        except ReleaseError as error:
            return Verification(path.name, (*said.problems, str(error)), ())
        name = next((name for name, of in since.sealed.items() if of == sha256), None)
        if name is not None:
            notes = (f"{name} of {entry.name}, altered since", *said.erasures(folder))
            return Verification(path.name, tuple(said.problems), notes)
    return None


def _file(path: Path, published: Path, said: _Ledger, keys: Sequence[PublicKey]) -> Verification:
    """Find a file among those of the releases, by its bytes."""
    sha256 = file_sha256(path)
    for entry in said.entries:
        folder = published / entry.path
        try:
            manifest = release_files.read_manifest(folder)
            named = {n: f["sha256"] for n, f in manifest["files"].items()}
        except (OSError, ValueError, LookupError):
            continue  # it is not at hand, or no longer what it was
        named |= manifest.get("evidence", {}).get("files", {})
        name = next((n for n, of in named.items() if of == sha256), None)
        if name:
            problems = list(said.problems)
            if entry.signature and not evidence.is_signed(folder / MANIFEST, keys):
                problems.append(f"{MANIFEST} of {entry.name} is not signed with this key")
            notes = (f"{name} of {entry.name}", *_unsigned([entry]))
            return Verification(path.name, tuple(problems), notes)
    return Verification(path.name, (*said.problems, "no release at hand holds these bytes"), ())
