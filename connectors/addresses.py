"""Addresses that stand where an id is expected: they land as the keyed hash that identity knows.

SQL over one row for mappings; nothing here may read a record or hold a key.
"""

from __future__ import annotations

from perfhouse.company import ColumnMapping

_MAIL = r"""([^\s<>:;,"()@]+@[^\s<>:;,"()@]+)"""
_PHONE = r"(?:^|:)\s*(\+\d{7,15})\s*$"
_SIP = r"^\s*[sS][iI][pP][sS]?:"  # where a phone rings, no mailbox


def person(field: str) -> ColumnMapping:
    """Map an id from a field; an address in it becomes the hash that `email_hash` would be."""
    return ColumnMapping(sql=f"coalesce(address_hash({found(field)}), {_quoted(field)})")


def unless_address(field: str) -> ColumnMapping:
    """Map a text from a field, or nothing where it holds an address."""
    return ColumnMapping(sql=f"case when {found(field)} is null then {_quoted(field)} end")


def found(field: str) -> str:
    """Return SQL of the address in a field: of mail, or a phone number with + before it."""
    text = _quoted(field)
    phone, mail = (f"nullif(regexp_extract({text}, '{p}', 1), '')" for p in (_PHONE, _MAIL))
    return f"case when not regexp_matches({text}, '{_SIP}') then coalesce({phone}, {mail}) end"


def _quoted(field: str) -> str:
    return '"' + field.replace('"', '""') + '"'
