"""HMAC-SHA256 in SQL: a person's address becomes a hash that only the company's key makes.

The key is put into session variables and never into SQL, where a log could show it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def hmac_setup(con: DuckDBPyConnection, key: bytes) -> None:
    """Put the padded halves of an HMAC-SHA256 key into session variables, never into SQL."""
    import hashlib

    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    con.execute("set variable hmac_inner = ?", [bytes(b ^ 0x36 for b in block)])
    con.execute("set variable hmac_outer = ?", [bytes(b ^ 0x5C for b in block)])
    # a mapping's own SQL may hash an address that only some rows hold; one spelling as in ADDRESSES
    one = "nullif(lower(trim(address)), '')"
    con.execute(f"create or replace macro address_hash(address) as {hmac_of(one)}")


def hmac_copy(con: DuckDBPyConnection, session: DuckDBPyConnection) -> None:
    """Give another session of an engine the key's halves, which are a session's own."""
    for name in ("hmac_inner", "hmac_outer"):
        half = con.execute(f"select getvariable('{name}')").fetchone()
        session.execute(f"set variable {name} = ?", list(half or (None,)))


def hmac_of(text: str) -> str:
    """Return SQL of the HMAC-SHA256 of a text, in hexadecimal; after `hmac_setup` only."""
    inner = f"unhex(sha256(getvariable('hmac_inner') || encode({text})))"
    return f"sha256(getvariable('hmac_outer') || {inner})"
