"""Personal markers, planted where sources really hold such things, and the search for them.

What is planted is unique: where it turns up, the very thing turned up that must not.
"""

from __future__ import annotations

import csv
import gzip
import html
import json
import urllib.parse
import zipfile
from collections.abc import Iterator
from pathlib import Path

MAIL = "marker.7f3a@customer.example.org"
PHONE = "+86 139-7f3a-0001"
COMMENT = "MARKER-7f3a 我对客服很不满意"
PRIVATE_PHONE = "+86 138-7f3a-0002"
ADDRESS = "MARKER-7f3a Home Street 7"
CUSTOMER_KEY = "marker-7f3a-customer-key"
API_KEY = "marker-7f3a-api-key"
PERSONAL = (MAIL, PHONE, COMMENT, PRIVATE_PHONE, ADDRESS)
AGENT_NAME = "Marker-7f3a Agent 标记甲"
MANAGER_NAME = "Marker-7f3a Manager 标记乙"
NAMES = (AGENT_NAME, MANAGER_NAME)
SECRETS = (CUSTOMER_KEY, API_KEY)
ENVIRONMENT = {
    "PERFHOUSE_CUSTOMER_KEY": CUSTOMER_KEY,
    "AIRFLOW_CONN_PLANTED": f"https://robot:{API_KEY}@desk.example.org/api",
}
# Beside what a mapping names: fields of the source that nobody declared, and one to be hashed.
_PLANTED = {
    "desk": {"customer_mail": MAIL, "customer_phone": PHONE},
    "survey": {"comment": COMMENT},
    "hr": {"private_phone": PRIVATE_PHONE, "home_address": ADDRESS},
}
_CALLED = {"A1": AGENT_NAME, "MA": MANAGER_NAME}
_HASHED = '[sources.streams.columns]\nticket_id = "id"\n'


def mapped(toml: str) -> str:
    """Return a tiny company's settings with the customer's mail as the requester, hashed."""
    assert _HASHED in toml
    return toml.replace(
        _HASHED, f'{_HASHED}requester_key = {{ from = "customer_mail", hash = true }}\n'
    ).replace("allow_empty = 0", "allow_empty = 0\nquarantine_share = 0.5")


def plant(data: Path) -> None:
    """Add the markers to every row of a tiny company's files; once is enough for each file."""
    for source, columns in _PLANTED.items():
        for file in sorted((data / source).rglob("*.csv")):
            with file.open(encoding="utf-8", newline="") as handle:
                rows = list(csv.reader(handle))
            if set(columns) <= set(rows[0]):
                continue
            planted = [[*rows[0], *columns], *([*row, *columns.values()] for row in rows[1:])]
            if source == "survey" and len(rows) > 1:  # a row that fails is kept with its raw text
                planted.append(["broken", "no day", COMMENT, rows[1][3], COMMENT])
            if source == "hr":
                id, name = rows[0].index("id"), rows[0].index("name")
                for row in planted[1:]:
                    row[name] = _CALLED.get(row[id], row[name])
            with file.open("w", encoding="utf-8", newline="") as handle:
                csv.writer(handle, lineterminator="\n").writerows(planted)


def found(root: Path, markers: tuple[str, ...]) -> dict[str, set[str]]:
    """Return which markers stand in which files below a folder; names of files count, too.

    However they are written there: as UTF-8 or UTF-16, escaped for JSON, HTML or an address.
    """
    forms = {marker: _forms(marker) for marker in markers}
    seen: dict[str, set[str]] = {}
    for file in sorted(path for path in root.rglob("*") if path.is_file()):
        name = file.relative_to(root).as_posix()
        for content in (name.encode(), *_contents(file)):
            hits = {m for m, said in forms.items() if any(form in content for form in said)}
            if hits:
                seen.setdefault(name, set()).update(hits)
    return seen


def _forms(marker: str) -> set[bytes]:
    ascii_only = json.dumps(marker)[1:-1]
    texts = {marker, ascii_only, html.escape(marker), urllib.parse.quote(marker)}
    texts |= {marker.encode("ascii", "xmlcharrefreplace").decode(), repr(marker)[1:-1]}
    texts |= {ascii_only.replace("\\u", "\\\\u")}  # JSON within JSON, as Airflow's database has it
    texts |= {urllib.parse.quote_plus(marker)}
    return {text.encode() for text in texts} | {marker.encode("utf-16-le")}


def _contents(file: Path) -> Iterator[bytes]:
    content = file.read_bytes()
    yield content
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    elif content[:2] == b"PK":
        with zipfile.ZipFile(file) as packed:
            yield from (packed.read(name) for name in packed.namelist())
    elif content[:4] == b"PAR1":
        import pyarrow.parquet as pq

        yield str(pq.ParquetFile(file).read().to_pylist()).encode()
    elif file.suffix == ".duckdb":
        yield from _tables(file)


def _tables(file: Path) -> Iterator[bytes]:
    from perfhouse import warehouse

    with warehouse.connect(file.resolve(), read_only=True) as con:
        tables = "select schema_name, table_name from duckdb_tables()"
        for schema, name in con.execute(tables).fetchall():
            yield str(con.execute(f'from "{schema}"."{name}"').fetchall()).encode()
