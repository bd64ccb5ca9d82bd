"""The one way to write values and tables as bytes, and the sha256 of those bytes.

Every published hash is made of these; it may not read or write a file, nor know what it hashes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH = 10_000


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
