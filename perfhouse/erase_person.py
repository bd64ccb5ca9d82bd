"""Who is to be erased: every id, account, name and hash under which a home knows a person.

Reads what was landed; it may not alter a file.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import warehouse
from perfhouse.settings import Home, customer_key

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EMPLOYEE, CUSTOMER = "employee", "customer"
_LOGINS = ("login", "email_hash")


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
    """

    kind: str
    key: str
    pseudonym: str
    accounts: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()

    def ids(self, source: str) -> list[str]:
        """Return what the person is called in the rows of one source."""
        accounts = {account for of, account in self.accounts if of in (source, "*")}
        return sorted({*accounts, *([self.key] if self.kind == EMPLOYEE else ())})

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Return every text to look for where there are no columns, longest first."""
        found = {self.key, *self.names, *self.hashes, *(account for _, account in self.accounts)}
        return tuple(sorted(found - {""}, key=lambda word: (-len(word), word)))

    def stands_in(self, text: str) -> bool:
        """Say whether a text holds one of the person's words, not as a part of a longer one."""
        return self._pattern.search(text) is not None

    def replaced(self, text: str) -> str:
        """Return a text with the person's words replaced: names by nothing, the rest by chance."""
        return self._pattern.sub(
            lambda found: "—" if found[0] in self.names else self.pseudonym, text
        )

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        if not self.words:
            return re.compile(r"(?!)")
        escaped = {json.dumps(word)[1:-1] for word in self.words}  # as JSON may write a name
        spelt = sorted({*self.words, *escaped}, key=lambda word: (-len(word), word))
        words = "|".join(re.escape(word) for word in spelt)
        return re.compile(rf"(?<![0-9A-Za-z_-])(?:{words})(?![0-9A-Za-z_-])")

    def as_json(self) -> str:
        """Return the person as text, for a work that may be broken off."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def read(cls, text: str) -> Person:
        """Read what `as_json` wrote."""
        said: dict[str, Any] = json.loads(text)
        pairs = tuple((str(source), str(account)) for source, account in said["accounts"])
        names, hashes = tuple(said["names"]), tuple(said["hashes"])
        return cls(said["kind"], said["key"], said["pseudonym"], pairs, names, hashes)


def find(home: Home, kind: str, key: str) -> Person:
    """Find everything under which a home knows a person, rows of the past included."""
    key_bytes = customer_key(home)
    hashes = {_hash(key_bytes, spelt) for spelt in (key, key.strip(), key.strip().lower())}
    pseudonym = f"erased-{secrets.token_hex(6)}"
    if kind == CUSTOMER:
        return Person(kind, key, pseudonym, hashes=tuple(sorted(hashes)))
    names: set[str] = set()
    accounts: set[tuple[str, str]] = set()
    with warehouse.connect() as con:
        for source, account, name, address in _roster(con, home, key):
            accounts |= {(source, account)} if account else set()
            names |= {name} if name else set()
            hashes |= {address} if address else set()
        accounts |= {*_mapped(con, home, key), *_configured(home, key)}
        for source, account, login, address in _known(con, home, key, hashes):
            accounts |= {(source, each) for each in (account, login) if each}
            hashes |= {address} if address else set()
    hashes |= {_hash(key_bytes, account) for _, account in accounts}
    ordered = (tuple(sorted(found)) for found in (names, hashes))
    return Person(kind, key, pseudonym, tuple(sorted(accounts)), *ordered)


def landed(home: Home, stream: str) -> list[Path]:
    """List every landed file of a stream, earlier landings included."""
    roots = (home.raw / stream, home.superseded / stream)
    return sorted(file for root in roots for file in root.rglob("*.parquet"))


def _hash(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _roster(con: DuckDBPyConnection, home: Home, key: str) -> Iterable[tuple[str, ...]]:
    columns = ("_source", "source_user_id", "display_name", "work_email_hash")
    return _rows(con, home, "hr_roster", columns, "employee_id", [key])


def _mapped(con: DuckDBPyConnection, home: Home, key: str) -> Iterator[tuple[str, str]]:
    columns = ("mapped_source", "source_user_id", "_source")
    for source, account, by in _rows(con, home, "identity_map", columns, "employee_id", [key]):
        if account:
            yield source or by, account


def _configured(home: Home, key: str) -> Iterator[tuple[str, str]]:
    """Yield the accounts that kept configurations know, by their identity.csv."""
    for file in sorted(home.configurations.glob("*/identity.csv")):
        with file.open(encoding="utf-8-sig", newline="") as handle:
            for row in csv.DictReader(handle):
                if row.get("employee_id") == key and row.get("source_user_id"):
                    yield str(row.get("source")), str(row["source_user_id"])


def _known(
    con: DuckDBPyConnection, home: Home, key: str, hashes: Iterable[str]
) -> Iterator[tuple[str, ...]]:
    columns = ("_source", "source_user_id", *_LOGINS)
    yield from _rows(con, home, "source_users", columns, "employee_no", [key])
    yield from _rows(con, home, "source_users", columns, "email_hash", sorted(hashes))


def _rows(
    con: DuckDBPyConnection,
    home: Home,
    stream: str,
    columns: Iterable[str],
    where: str,
    values: list[str],
) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for file in landed(home, stream):
        known = {str(row[0]) for row in _described(con, file)}
        if where not in known:
            continue
        picked = ", ".join(f'"{c}"' if c in known else "null" for c in columns)
        found += con.execute(
            f"select distinct {picked} from read_parquet(?, hive_partitioning = false) "
            f'where list_contains(?, "{where}")',
            [plain(file), values],
        ).fetchall()
    return found


def _described(con: DuckDBPyConnection, file: Path) -> list[tuple[Any, ...]]:
    query = "describe select * from read_parquet(?, hive_partitioning = false)"
    return con.execute(query, [plain(file)]).fetchall()


def columns_of(con: DuckDBPyConnection, file: Path) -> list[tuple[str, str]]:
    """Return name and type of every column of a Parquet file."""
    return [(str(row[0]), str(row[1])) for row in _described(con, file)]


def plain(file: Path) -> str:
    """Return a path in which no letter stands for others."""
    return warehouse.plain(str(file))
