"""A person's request to be erased: from lake, archive and releases, on record, still verifiable.

docs/decisions/0018-erasure.md says what is altered and why; it may not ask a source.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfhouse import (
    durable,
    erase_lake,
    erase_person,
    erase_releases,
    erased,
    ledger,
    release,
    release_combined,
    release_files,
    signing,
    stages,
    trust,
    warehouse,
)
from perfhouse.erase_lake import Found
from perfhouse.erase_person import EMPLOYEE, Person
from perfhouse.erase_releases import Staged
from perfhouse.errors import ConfigError
from perfhouse.lake import file_sha256
from perfhouse.ledger import Record
from perfhouse.settings import Home, write_once

_log = logging.getLogger(__name__)
Progress = Callable[[str], None]
_STAGING = ".erasing"
_SEARCHED = 1 << 28  # bytes: a larger file that is left is not read through once more


@dataclass(frozen=True)
class Erasure:
    """What was found and, if `line` is there, erased; `left` are files that still name somebody.

    `rebuild` are the months whose facts must be built again: the warehouse is gone.
    """

    found: Found
    releases: tuple[Staged, ...]
    line: Record | None
    left: tuple[str, ...]
    rebuild: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """Who asked for what: `kind` and `key` of the person; by whom, why and on which day decided."""

    kind: str
    key: str
    who: str
    why: str
    at: str


def erase(home: Home, request: Request, *, apply: bool, progress: Progress = _log.info) -> Erasure:
    """Find a person everywhere in a home and, if `apply`, erase them; a rehearsal alters nothing.

    Called again after it was broken off, it goes on with the same person.

    Raises:
        ConfigError: who or why is not said or names the person, or another erasure was broken off
            and must be finished first (operator).
    """
    with stages.exclusive(home, "warehouse"), release.only_publisher(home):
        journal = home.tmp / "erasing.json"
        person, resumed = _person(home, request, journal)
        _check_words(request, person)
        progress(f"erase: {len(person.accounts)} accounts, {len(person.names)} names are known")
        if not apply:
            return _rehearsed(home, person)
        write_once(journal, person.as_json().encode())
        release.mend(home)
        recorded = _finish(home)
        if person.kind == EMPLOYEE:  # what is signed for as altered must have been as published
            for entry in ledger.entries(home):
                trust.require_intact(home, entry)
        found = erase_lake.erase(home, person, apply=True, resumed=resumed)
        progress(f"erase: {sum(found.rows.values())} rows, {len(found.deleted)} files unpublished")
        staged = list(_staged(home, person, progress))
        line = recorded
        if line is None or staged or found.rows or found.deleted:
            line = _record(home, request, found, staged)
            _finish(home)
        rebuild: tuple[str, ...] = ()
        if found.rows or resumed:
            _forget_warehouse(home)
            rebuild = _built(home)
        left = tuple(_left(home, person))
        journal.unlink()
        return Erasure(found, tuple(staged), line, left, rebuild)


def _person(home: Home, request: Request, journal: Path) -> tuple[Person, bool]:
    if journal.exists():
        person = Person.read(journal.read_text(encoding="utf-8"))
        if (person.kind, person.key) != (request.kind, request.key):
            told = "another person's erasure was broken off; finish it first, by the same command"
            raise ConfigError([f"erase: {told}"])
        return person, True
    return erase_person.find(home, request.kind, request.key), False


def _check_words(request: Request, person: Person) -> None:
    """Refuse words for the public ledger that name the person, or say nothing."""
    problems = []
    known = person.within("", "")
    for option, said in (("--by", request.who), ("--reason", request.why)):
        if not said.strip():
            problems.append(f"{option}: expected words, got nothing")
        elif known.stands_in(said):
            problems.append(f"{option}: expected words that name nobody: they are published")
    if problems:
        raise ConfigError(problems)


def _rehearsed(home: Home, person: Person) -> Erasure:
    found = erase_lake.erase(home, person, apply=False)
    staged = list(_staged(home, person, lambda _: None))
    shutil.rmtree(home.published / _STAGING, ignore_errors=True)
    return Erasure(found, tuple(staged), None, (), ())


# ---------------------------------------------------------------- releases


def _number(home: Home) -> str:
    return f"{len(erased.records(home.published)) + 1:04d}"


def _staged(home: Home, person: Person, progress: Progress) -> Iterator[Staged]:
    """Stage every release without an employee; of customers a release holds nothing."""
    if person.kind != EMPLOYEE:
        return
    for entry in ledger.entries(home):
        progress(f"{entry.name}: looking for the person")
        folder = home.published / _STAGING / _number(home)
        staged = erase_releases.stage(home, home.published / entry.path, person, folder)
        if staged is not None:
            yield staged


def _record(home: Home, request: Request, found: Found, staged: Sequence[Staged]) -> Record:
    """Write what releases hold from now on, and sign for it: from here on it is decided."""
    file = home.published / erased.FOLDER / f"{_number(home)}.json"
    file.parent.mkdir(exist_ok=True)
    said = {"releases": {each.path: each.altered.as_json() for each in staged}}
    text = json.dumps(said, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o444)
    durable.sync_tree(file.parent)
    rows = sum(found.rows.values()) + sum(each.rows for each in staged)
    what = {
        "subject": request.kind,
        "releases": str(len(staged)),
        "rows": str(rows),
        "files": str(len(found.deleted) + sum(each.files for each in staged)),
        "file": file.relative_to(home.published).as_posix(),
        "sha256": file_sha256(file),
    }
    key = signing.release_key(home)
    return ledger.record(
        home, kind=erased.KIND, what=what, who=request.who, why=request.why, key=key, at=request.at
    )


def _finish(home: Home) -> Record | None:
    """Put in place what is on record; drop what never came that far. Returns the line, if any."""
    found = None
    known = {Path(line.what["file"]).stem: line for line in erased.records(home.published)}
    for folder in sorted((home.published / _STAGING).glob("*")):
        if folder.name in known:
            found = known[folder.name]
            erase_releases.put(folder, home.published)
            _show_again(home)
        else:
            shutil.rmtree(folder)
    for file in (home.published / erased.FOLDER).glob("*.json"):
        if file.stem not in known:
            file.unlink()
    shutil.rmtree(home.published / _STAGING, ignore_errors=True)
    return found


def _show_again(home: Home) -> None:
    """Make the database that BI opens again from the releases; forget the versions before it."""
    link = home.published / release_files.DATABASE
    if not link.exists():
        return
    shown = link.resolve()
    newest = ledger.newest(home)
    draft = home.published / _STAGING / "combined"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    release_combined.combine([home.published / entry.path for entry in newest], newest, draft)
    durable.sync_tree(draft)
    (draft / "combined" / release_files.DATABASE).replace(shown)
    durable.sync_folder(shown.parent)
    for other in shown.parent.parent.iterdir():
        if other != shown.parent:
            shutil.rmtree(other)


# ---------------------------------------------------------------- what is left


def _forget_warehouse(home: Home) -> None:
    """Delete the warehouse and what dbt compiled: both are made again from what is landed."""
    for file in (home.warehouse, home.warehouse.with_name(f"{home.warehouse.name}.wal")):
        file.unlink(missing_ok=True)
    shutil.rmtree(home.dbt / "target", ignore_errors=True)


def _built(home: Home) -> tuple[str, ...]:
    """Return the months that were published, and so were in the warehouse."""
    return tuple(entry.month for entry in ledger.newest(home))


def _left(home: Home, person: Person) -> Iterator[str]:
    """Yield files of the home that still name the person: a person must look at them."""
    passed = {span.account for span in person.passed}
    accounts = {account for _, account in person.accounts} - passed
    known = dict.fromkeys((person.key, *person.names, *sorted(accounts)))
    words = tuple(word for word in known if not word.isdigit())
    told = Person(person.kind, "", person.pseudonym, names=words, longer=person.longer)
    journal = home.tmp / "erasing.json"
    with warehouse.connect() as con:
        for file in sorted(p for p in home.root.rglob("*") if p.is_file() and not p.is_symlink()):
            if file == journal or file.stat().st_size > _SEARCHED or home.secrets in file.parents:
                continue
            if words and any(told.stands_in(text) for text in erase_lake.texts_of(con, file)):
                yield file.relative_to(home.root).as_posix()
