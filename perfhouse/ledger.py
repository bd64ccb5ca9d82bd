"""The ledger: what is published, how it is hashed, and the chained, signed list of it all.

This module may not build, judge or move a release; it only records that one stands, and what
people decided about it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import signing
from perfhouse.errors import ReleaseError
from perfhouse.month import Month
from perfhouse.settings import Home

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from minisign import PublicKey, SecretKey

# What a person may have put on record about what is published.
KINDS = ("accepted", "approved", "appealed", "decided")
# A line of this kind makes another release of a month stand; only `rollback` writes it.
ROLLED_BACK = "rolled_back"
# What has become of a release.
STANDS, SUPERSEDED, WITHDRAWN = "stands", "superseded", "withdrawn"
LEDGER = "ledger.jsonl"
_GENESIS = "0" * 64
_BATCH = 10_000


@dataclass(frozen=True)
class PublicTable:
    """A warehouse table that is published: the month's rows, ordered by its key."""

    name: str
    schema: str
    key: tuple[str, ...]
    by_month: bool = True

    @property
    def relation(self) -> str:
        """Return the table's name in the warehouse."""
        return f"{self.schema}.{self.name}"

    def where(self, month: Month) -> str:
        """Return the condition that picks the month's rows."""
        return f"month = date '{month.start}'" if self.by_month else "true"


PUBLIC_TABLES = (
    PublicTable("scorecard_kpi_months", "scorecards", ("month", "manager_id", "kpi_id")),
    PublicTable("scorecard_manager_months", "scorecards", ("month", "manager_id")),
    PublicTable(
        "scorecard_team_months", "scorecards", ("month", "team_id", "manager_id", "kpi_id")
    ),
    PublicTable("scorecard_explanations", "scorecards", ("month", "manager_id", "kpi_id")),
    PublicTable("scorecard_appeals", "scorecards", ("month", "manager_id", "appeal_key")),
    PublicTable("scorecard_manager_tree", "scorecards", ("month", "manager_id", "ancestor_id")),
    PublicTable("export_hr_manager_months", "exports", ("month", "employee_number")),
    PublicTable("kpi_references", "kpis", ("month", "kpi_id", "kpi_version", "stratum")),
    PublicTable("kpi_reliabilities", "kpis", ("month", "kpi_id", "kpi_version")),
    PublicTable("kpi_definitions", "kpis", ("kpi_id", "version"), by_month=False),
)
# Columns that name a person; they stay out of everything but the HR export and the cards.
PERSONAL_COLUMNS = frozenset({"display_name", "manager_name", "employee_name", "full_name"})


@dataclass(frozen=True)
class Entry:
    """One line of the ledger; `previous_sha256` chains it to the line before.

    `reason` and `by` stand only in the line of a restatement; `merkle_root` and `signature` (of
    `entry_sha256`, as minisign writes it) in lines since releases are signed.
    """

    sequence: int
    month: str
    number: int
    as_of: str
    path: str
    release_sha256: str
    previous_sha256: str
    entry_sha256: str
    reason: str | None = None
    by: str | None = None
    merkle_root: str | None = None
    signature: str | None = None

    @property
    def name(self) -> str:
        """Return the release's name, such as `2026-09.r1`."""
        return f"{self.month}.r{self.number}"


@dataclass(frozen=True)
class Record:
    """A line that is no release: what a person decided, of `kind`, about `what`, and why.

    `what` names things by word: release, month, check, keys, manager, kpi. `at` is the day the
    person gave, for no clock is asked.
    """

    sequence: int
    kind: str
    what: Mapping[str, str]
    who: str
    why: str
    previous_sha256: str
    entry_sha256: str
    at: str | None = None
    signature: str | None = None


Line = Entry | Record


def ledger_path(home: Home) -> Path:
    """Return the ledger's file: published/ledger.jsonl."""
    return home.published / LEDGER


def entries(home: Home) -> list[Entry]:
    """Read the ledger's releases and verify its chain; a torn last line is left out.

    Raises:
        ReleaseError: a line was changed, moved or removed (data engineer).
    """
    return [line for line in lines(ledger_path(home)) if isinstance(line, Entry)]


def lines(file: Path) -> list[Line]:
    """Read every line of a ledger and verify its chain, as `entries` does."""
    found, broken = read(file)
    if broken:
        raise ReleaseError(broken)
    return found


def read(file: Path) -> tuple[list[Line], str | None]:
    """Read the lines of a ledger up to the first that does not hold; say what is wrong with it."""
    found: list[Line] = []
    names: set[str] = set()
    for line in _whole_lines(file):
        try:
            found.append(_verified(line, found[-1] if found else None, names))
        except ReleaseError as error:
            return found, str(error)
        if isinstance(found[-1], Entry):
            names.add(found[-1].name)
    return found, None


def is_signed(line: Line, keys: Sequence[PublicKey]) -> bool:
    """Say whether one of these keys signed a line."""
    text = str(line.signature).encode()
    return any(signing.verify(key, line.entry_sha256.encode(), text) for key in keys)


def latest(home: Home, month: Month) -> Entry | None:
    """Return the release of a month that stands: its newest, unless it was rolled back; or None."""
    return standing(lines(ledger_path(home))).get(month.key)


def newest(home: Home) -> list[Entry]:
    """List the release of every month that stands, in the order of the months."""
    found = standing(lines(ledger_path(home)))
    return [found[key] for key in sorted(found)]


def standing(known: Iterable[Line]) -> dict[str, Entry]:
    """Return the release of every month that stands after these lines, by month."""
    named: dict[str, Entry] = {}
    found: dict[str, Entry] = {}
    for line in known:
        if isinstance(line, Entry):
            named[line.name] = found[line.month] = line
        elif line.kind == ROLLED_BACK:
            found[line.what["month"]] = named[line.what["release"]]
    return found


def fates(known: Iterable[Line]) -> dict[str, str]:
    """Say of every release, by name, whether it stands, is superseded or was withdrawn.

    A rollback withdraws what was published after the release that it makes stand.
    """
    found: dict[str, str] = {}
    numbers: dict[str, list[int]] = {}
    for line in known:
        if isinstance(line, Entry):
            of_month = numbers.setdefault(line.month, [])
            _supersede(found, line.month, of_month)
            of_month.append(line.number)
            found[line.name] = STANDS
        elif line.kind == ROLLED_BACK:
            month, name = line.what["month"], line.what["release"]
            _supersede(found, month, numbers[month])
            after = numbers[month][numbers[month].index(int(name.rpartition(".r")[2])) + 1 :]
            found |= dict.fromkeys((f"{month}.r{number}" for number in after), WITHDRAWN)
            found[name] = STANDS
    return found


def _supersede(found: dict[str, str], month: str, numbers: Iterable[int]) -> None:
    for name in (f"{month}.r{number}" for number in numbers):
        if found[name] == STANDS:
            found[name] = SUPERSEDED


def next_number(home: Home, month: Month) -> int:
    """Return the number of a month's next release; a number is never given twice."""
    return max((e.number for e in entries(home) if e.month == month.key), default=0) + 1


def append(
    home: Home,
    *,
    month: Month,
    number: int,
    as_of: Month,
    path: str,
    release_sha256: str,
    restatement: Mapping[str, str] | None = None,
    merkle_root: str | None = None,
    key: SecretKey | None = None,
) -> Entry:
    """Append one release and sync it to disk; the caller holds the publisher's lock."""
    body: dict[str, Any] = {
        "month": month.key,
        "number": number,
        "as_of": as_of.key,
        "path": path,
        "release_sha256": release_sha256,
    }
    if restatement:
        body |= {"reason": restatement["reason"], "by": restatement["by"]}
    if merkle_root:
        body["merkle_root"] = merkle_root
    return Entry(**_append(home, body, key))


def record(
    home: Home,
    *,
    kind: str,
    what: Mapping[str, str],
    who: str,
    why: str,
    key: SecretKey,
    at: str | None = None,
) -> Record:
    """Append what a person decided; the caller holds the publisher's lock."""
    body: dict[str, Any] = {"kind": kind, "what": dict(what), "who": who, "why": why}
    if at:
        body["at"] = at
    return Record(**_append(home, body, key))


def _append(home: Home, body: dict[str, Any], key: SecretKey | None) -> dict[str, Any]:
    file = ledger_path(home)
    known = lines(file)
    body["sequence"] = len(known) + 1
    body["previous_sha256"] = known[-1].entry_sha256 if known else _GENESIS
    body["entry_sha256"] = sha256_of(body)
    if key is not None:
        content, comment = body["entry_sha256"].encode(), f"ledger {body['sequence']}"
        body["signature"] = signing.sign(key, content, comment).decode("ascii")
    created = not file.exists()
    with file.open("ab", buffering=0) as handle:
        size = handle.seek(0, os.SEEK_END)
        try:
            _write_whole(handle, canonical_json(body) + b"\n")
            os.fsync(handle.fileno())
        except OSError:
            handle.truncate(size)  # a full disk leaves no torn line
            raise
    if created:
        sync_folder(file.parent)
    return body


def _write_whole(handle: FileIO, content: bytes) -> None:
    while content:
        content = content[handle.write(content) :]


def repair(home: Home) -> bool:
    """Cut a torn last line off, which only a crash in `append` leaves; True if there was one."""
    file = ledger_path(home)
    if not file.exists():
        return False
    content = file.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole == len(content):
        return False
    with file.open("r+b") as handle:
        handle.truncate(whole)
        os.fsync(handle.fileno())
    return True


def canonical_json(value: object) -> bytes:
    """Return the one way to write a value as JSON: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def sha256_of(value: object) -> str:
    """Return the sha256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def canonical_rows(
    con: DuckDBPyConnection, relation: str, key: Sequence[str], where: str = "true"
) -> Iterator[bytes]:
    """Yield a relation as canonical lines: its columns and types, then every row.

    Values are text as DuckDB casts it, which is exact for dates, decimals, integers and
    doubles; rows are ordered by `key`, then by every other column.
    """
    described = con.execute(f"describe select * from {relation}").fetchall()
    columns = [(str(row[0]), str(row[1])) for row in described]
    yield canonical_json(columns)
    order = [*key, *(name for name, _ in columns if name not in key)]
    picked = ", ".join(f'cast("{name}" as varchar)' for name, _ in columns)
    by = ", ".join(f'"{name}" nulls last' for name in order)
    result = con.execute(f"select {picked} from {relation} where {where} order by {by}")
    rows = result.fetchmany(_BATCH)
    while rows:
        for row in rows:
            yield canonical_json(list(row))
        rows = result.fetchmany(_BATCH)


def content_sha256(
    con: DuckDBPyConnection, relation: str, key: Sequence[str], where: str = "true"
) -> tuple[int, str]:
    """Return the row count and the sha256 of a relation's canonical rows."""
    return lines_sha256(canonical_rows(con, relation, key, where))


def lines_sha256(lines: Iterable[bytes]) -> tuple[int, str]:
    """Return how many lines follow the header line, and the sha256 of all of them."""
    digest = hashlib.sha256()
    count = -1
    for line in lines:
        digest.update(line + b"\n")
        count += 1
    return count, digest.hexdigest()


def sync_file(path: Path) -> None:
    """Force a file's bytes to disk."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def sync_folder(path: Path) -> None:
    """Force a folder's entries (names, renames) to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _whole_lines(file: Path) -> list[bytes]:
    if not file.exists():
        return []
    return file.read_bytes().split(b"\n")[:-1]


def _verified(line: bytes, before: Line | None, names: Collection[str]) -> Line:
    expected = before.sequence + 1 if before else 1
    try:
        body: Mapping[str, Any] = json.loads(line)
        entry: Line = Record(**body) if "kind" in body else Entry(**body)
    except (ValueError, TypeError) as error:
        raise ReleaseError(f"published/ledger.jsonl: line {expected} is not an entry") from error
    hashed = {k: v for k, v in body.items() if k not in ("entry_sha256", "signature")}
    previous = before.entry_sha256 if before else _GENESIS
    intact = entry.entry_sha256 == sha256_of(hashed) and entry.previous_sha256 == previous
    if not intact or entry.sequence != expected or line != canonical_json(body):
        of = f"{entry.month} r{entry.number}" if isinstance(entry, Entry) else entry.kind
        raise ReleaseError(
            f"published/ledger.jsonl: line {expected} ({of}) "
            "does not fit the chain; it was changed, moved or the line before was removed"
        )
    if isinstance(entry, Record) and entry.kind == ROLLED_BACK:
        name, month = entry.what.get("release", ""), entry.what.get("month", "")
        if name not in names or not name.startswith(f"{month}.r"):
            raise ReleaseError(
                f"published/ledger.jsonl: line {expected} (rolled_back) names no release before it"
            )
    return entry
