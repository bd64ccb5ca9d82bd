"""Who is to be erased: every id, account, name and hash under which a home knows a person.

Reads what was landed; it may not alter a file.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import erase_holders, warehouse
from perfhouse.erase_holders import ANY, OWN, Claim, Span, claim
from perfhouse.month import Month
from perfhouse.settings import Home, customer_key

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EMPLOYEE, CUSTOMER = "employee", "customer"
_LOGINS = ("login", "email_hash")
_MONTH = "_month"  # of the delivery: no column, but the folder
_EDGE = "[0-9A-Za-z_-]"  # beside it a word is a part of a longer one


@dataclass(frozen=True)
class Person:
    """A person to erase.

    Args:
        kind: employee or customer.
        key: the employee's id, or the customer's as the source writes it.
        pseudonym: what stands in the place of ids from now on: chance, kept nowhere else.
        accounts: pairs of a source and the person's account there.
        names: names as rosters write them.
        hashes: keyed hashes of the person's ids and addresses.
        passed: days of those accounts and hashes that others had too, by landed source.
        longer: names of others that hold a name of the person: where they stand nobody is meant.
    """

    kind: str
    key: str
    pseudonym: str
    accounts: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    passed: tuple[Span, ...] = ()
    longer: tuple[str, ...] = ()

    def ids(self, source: str) -> list[str]:
        """Return what only the person is called in the rows of one source, on any day."""
        accounts = {account for of, account in self.accounts if of in (source, ANY)}
        keys = {self.key} if self.kind == EMPLOYEE else set()
        return sorted({*accounts, *keys} - {*self.shared(source)})

    def shared(self, source: str) -> dict[str, tuple[Span, ...]]:
        """Return the days of what others are called, too, in the rows of one source."""
        there = [span for span in self.passed if span.source == source]
        names = sorted({span.account for span in there})
        return {name: tuple(s for s in there if s.account == name) for name in names}

    def within(self, source: str, month: str) -> Person:
        """Return the person with what others are called, too, as words where it may be theirs.

        Args:
            source: where a file without columns came from; empty: nobody knows.
            month: of which month it tells; empty: nobody knows.
        """
        mine = {
            span.account
            for span in self.passed
            if span.source == (source or span.source)
            and span.whose == OWN
            and (not month or span.touches(month))
        }
        mine |= {*self.ids(source)} if source else set()
        return replace(self, passed=tuple(s for s in self.passed if s.account not in mine))

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Return every text to look for where there are no columns, longest first."""
        found = {*self.hashes, *(account for _, account in self.accounts)}
        found = {*(found - {span.account for span in self.passed}), self.key, *self.names}
        return _longest_first(found - {""})

    @cached_property
    def spelt(self) -> tuple[str, ...]:
        """Return the words, also as JSON may write them, longest first."""
        return _longest_first({*self.words, *map(_escaped, self.words)})

    def stands_in(self, text: str) -> bool:
        """Say whether a text holds one of the person's words, not as a part of a longer one."""
        return any(found["word"] is not None for found in self._pattern.finditer(text))

    def replaced(self, text: str) -> str:
        """Return a text with the person's words replaced: names by nothing, the rest by chance."""

        def _instead(found: re.Match[str]) -> str:
            if found["word"] is None:
                return found[0]
            return "—" if found[0] in self.names else self.pseudonym

        return self._pattern.sub(_instead, text)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Match words of the person, and before them the longer names of others."""
        if not self.words:
            return re.compile(r"(?!)(?P<word>)")
        words = "|".join(re.escape(word) for word in self.spelt)
        own = rf"(?P<word>(?<!{_EDGE})(?:{words})(?!{_EDGE}))"
        others = _longest_first(set(self.longer))
        spelt = [_whole(name, said) for name in others for said in {name, _escaped(name)}]
        return re.compile("|".join([*spelt, own]))

    def as_json(self) -> str:
        """Return the person as text, for a work that may be broken off."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def read(cls, text: str) -> Person:
        """Read what `as_json` wrote."""
        said: dict[str, Any] = json.loads(text)
        pairs = tuple((str(source), str(account)) for source, account in said["accounts"])
        names, hashes = tuple(said["names"]), tuple(said["hashes"])
        passed = tuple(Span(**span) for span in said.get("passed", ()))
        known = (pairs, names, hashes, passed, tuple(said.get("longer", ())))
        return cls(said["kind"], said["key"], said["pseudonym"], *known)


def _longest_first(words: set[str]) -> tuple[str, ...]:
    return tuple(sorted(words, key=lambda word: (-len(word), word)))


def _escaped(word: str) -> str:
    return json.dumps(word)[1:-1]


def _whole(name: str, spelt: str) -> str:
    """Return the pattern of a name; a Chinese one needs no space beside it."""
    before = f"(?<!{_EDGE})" if re.match(_EDGE, name[0]) else ""
    after = f"(?!{_EDGE})" if re.match(_EDGE, name[-1]) else ""
    return f"{before}{re.escape(spelt)}{after}"


def find(home: Home, kind: str, key: str) -> Person:
    """Find everything under which a home knows a person, rows of the past included."""
    key_bytes = customer_key(home)
    hashes = {_hash(key_bytes, spelt) for spelt in (key, key.strip(), key.strip().lower())}
    pseudonym = f"erased-{secrets.token_hex(6)}"
    if kind == CUSTOMER:
        return Person(kind, key, pseudonym, hashes=tuple(sorted(hashes)))
    names: set[str] = set()
    claims: set[Claim] = {claim(ANY, key)}
    with warehouse.connect() as con:
        for account, name, address, since, until in _roster(con, home, key):
            claims |= {claim(ANY, each, since, until) for each in (account, address) if each}
            names |= {name} if name else set()
            hashes |= {address} if address else set()
        claims |= {*_mapped(con, home, key), *_configured(home, key)}
        for source, account, login, address, month in _known(con, home, key, hashes):
            days = (Month(month).start, Month(month).end)
            claims |= {claim(source, each, *days) for each in (account, login) if each}
            hashes |= {address} if address else set()
        passed = erase_holders.passed_on(con, home, key, claims)
        longer = _longer(con, home, names)
    accounts = {(c.source, c.account) for c in claims if c.account not in (key, *hashes)}
    hashed = {account: _hash(key_bytes, account) for _, account in accounts}
    passed += tuple(replace(s, account=hashed[s.account]) for s in passed if s.account in hashed)
    return Person(
        kind,
        key,
        pseudonym,
        accounts=tuple(sorted(accounts)),
        names=tuple(sorted(names)),
        hashes=tuple(sorted({*hashes, *hashed.values()})),
        passed=passed,
        longer=longer,
    )


def _longer(con: DuckDBPyConnection, home: Home, names: set[str]) -> tuple[str, ...]:
    """Return the names of others, of any time, that hold one of these names."""
    others = {name for (name,) in _rows(con, home, "hr_roster", ("display_name",)) if name}
    held = {name for name in others - names if any(own in name for own in names)}
    return tuple(sorted(held))


def landed(home: Home, stream: str) -> list[Path]:
    """List every landed file of a stream, earlier landings included."""
    roots = (home.raw / stream, home.superseded / stream)
    return sorted(file for root in roots for file in root.rglob("*.parquet"))


def _hash(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _roster(con: DuckDBPyConnection, home: Home, key: str) -> Iterable[tuple[str, ...]]:
    columns = ("source_user_id", "display_name", "work_email_hash", "valid_from", "valid_to")
    return _rows(con, home, "hr_roster", columns, "employee_id", [key])


def _mapped(con: DuckDBPyConnection, home: Home, key: str) -> Iterator[Claim]:
    columns = ("mapped_source", "source_user_id", "_source", "valid_from", "valid_to")
    found = _rows(con, home, "identity_map", columns, "employee_id", [key])
    for source, account, by, since, until in found:
        if account:
            yield claim(source or by, account, since, until)


def _configured(home: Home, key: str) -> Iterator[Claim]:
    """Yield the accounts that kept configurations know, by their identity.csv."""
    for file in erase_holders.configured(home, "identity.csv"):
        for row in erase_holders.lines_of(file):
            if row["employee_id"] == key:
                account = (row["source"], row["source_user_id"])
                yield claim(*account, row["valid_from"], row["valid_to"])


def _known(
    con: DuckDBPyConnection, home: Home, key: str, hashes: Iterable[str]
) -> Iterator[tuple[str, ...]]:
    columns = ("_source", "source_user_id", *_LOGINS, _MONTH)
    yield from _rows(con, home, "source_users", columns, "employee_no", [key])
    yield from _rows(con, home, "source_users", columns, "email_hash", sorted(hashes))


def _rows(
    con: DuckDBPyConnection,
    home: Home,
    stream: str,
    columns: Iterable[str],
    where: str = "",
    values: Iterable[str] = (),
) -> list[tuple[str, ...]]:
    """Return what landed rows of any time say; with `where` those that have one of the values."""
    found: list[tuple[str, ...]] = []
    for file in landed(home, stream):
        known = {name: f'"{name}"' for name, _ in columns_of(con, file)}
        if where and where not in known:
            continue
        known[_MONTH] = f"'{file.parent.parent.name.removeprefix('month=')}'"
        picked = ", ".join(known.get(name, "null") for name in columns)
        query = f"select distinct {picked} from read_parquet(?, hive_partitioning = false)"
        held = f'list_contains(?, "{where}")' if where else "?"
        found += con.execute(
            f"{query} where {held}", [plain(file), list(values) if where else True]
        ).fetchall()
    return found


def columns_of(con: DuckDBPyConnection, file: Path) -> list[tuple[str, str]]:
    """Return name and type of every column of a Parquet file."""
    query = "describe select * from read_parquet(?, hive_partitioning = false)"
    return [(str(row[0]), str(row[1])) for row in con.execute(query, [plain(file)]).fetchall()]


def plain(file: Path) -> str:
    """Return a path in which no letter stands for others."""
    return warehouse.plain(str(file))
