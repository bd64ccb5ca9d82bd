"""Names of the roster, and whether a text that many will read holds one of them.

Reads landed rosters; what is done about a name is decided elsewhere, and no name is told.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from pathlib import Path

from perfhouse import lake, warehouse
from perfhouse.month import Month
from perfhouse.settings import Home

_STREAM = "hr_roster"
_LATIN = re.compile(r"[a-z]")


def known(home: Home, *, since: Month | None = None, until: Month | None = None) -> frozenset[str]:
    """Return every name that landed rosters hold, of deliveries since and until a month."""
    months = sorted(path.name.removeprefix("month=") for path in home.manifests.glob("month=*"))
    first = since.key if since else ""
    last = until.key if until else "9999"
    files = [
        str(home.root / file.path)
        for month in months
        if first <= month <= last
        for manifest in lake.manifests(home, Month(month), Month(month))
        if _STREAM in manifest.streams
        for file in manifest.streams[_STREAM].files
    ]
    there = [warehouse.plain(file) for file in files if Path(file).exists()]
    if not there:  # or erased, or not kept any more
        return frozenset()
    with warehouse.connect() as con:
        rows = con.execute(
            "select distinct display_name from read_parquet(?, union_by_name = true, "
            "hive_partitioning = false) where display_name is not null",
            [there],
        ).fetchall()
    return frozenset(str(name) for (name,) in rows)


def names_somebody(text: str, names: Collection[str]) -> bool:
    """Say whether a text holds a whole name: a Chinese one, or one of several Latin words.

    A single Latin word is none: May, Grace and Mark are also words.
    """
    said = _plain(text)
    return any(_holds(said, name) for name in names)


def _holds(said: str, name: str) -> bool:
    wanted = _plain(name)
    if not _LATIN.search(wanted):
        return len(wanted) > 1 and wanted.replace(" ", "") in said.replace(" ", "")
    if " " not in wanted and wanted.isascii():
        return False
    return re.search(rf"(?<![a-z0-9]){re.escape(wanted)}(?![a-z0-9])", said) is not None


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
