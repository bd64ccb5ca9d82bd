"""Names and texts as SQL writes them.

Text in, text out: whatever the name or the text is, it stays one.
"""

from __future__ import annotations


def quoted(name: str) -> str:
    """Return an SQL identifier, safe for any name but the empty one."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
