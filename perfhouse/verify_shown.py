"""What readers of published/ see, verified: the database of all months, the links, and no more.

It writes nothing there. Releases themselves are verified in `verify_release`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from perfhouse import (
    erased,
    ledger,
    release_combined,
    release_manifest,
    release_shown,
    release_tables,
    warehouse,
)
from perfhouse.ledger import Entry
from perfhouse.release_files import DATABASE
from perfhouse.release_shown import CURRENT, VERSIONS

_MONTH = re.compile(r"\d{4}-\d{2}")
_VERSION = re.compile(r"[0-9a-f]{64}")
_OURS = (ledger.LEDGER, DATABASE, CURRENT, VERSIONS, erased.FOLDER)
_KEY = re.compile(r"release(-.*)?\.pub")
# What a publisher, an erasure or a key's first use works in, and leaves behind if it dies.
_WORK = re.compile(
    rf"\.staging|\.erasing|\.({CURRENT}|{re.escape(DATABASE)})\.new|\.release\.pub\.\d+"
)


def problems(published: Path, stands: Mapping[str, Entry]) -> Iterator[str]:
    """Compare what BI opens with the releases it is made of, table by table; and the links."""
    newest = [stands[month] for month in sorted(stands)]
    if (published / CURRENT).exists():
        yield from _links(published, stands)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        release_combined.combine([published / entry.path for entry in newest], newest, made)
        expected = release_tables.database_hashes(made / "combined" / DATABASE)
        try:
            found = release_tables.database_hashes(published / DATABASE)
            more = _more_than_tables(published / DATABASE)
        except Exception as error:
            yield f"published/{DATABASE}: unreadable: {type(error).__name__}"
            return
    for problem in release_manifest.differences("table", expected, found):
        yield f"published/{DATABASE}: {problem} from the releases"
    for name in more:
        yield f"published/{DATABASE}: {name} is in no release"


def _links(published: Path, stands: Mapping[str, Entry]) -> Iterator[str]:
    shown = release_shown.months(published)
    for month, entry in sorted(stands.items()):
        if shown.get(month) != (published / entry.path).resolve():
            yield f"published/{CURRENT}/{month}: does not lead to {entry.name}"
    for path in sorted((published / CURRENT).iterdir()):
        if path.name not in (*stands, DATABASE):
            yield f"published/{CURRENT}/{path.name}: no release that stands shows it"


def _more_than_tables(database: Path) -> list[str]:
    """Name the views and macros of a database: a release has none."""
    with warehouse.connect(database, read_only=True) as con:
        views = "select 'view ' || view_name from duckdb_views() where not internal"
        macros = (
            "select 'macro ' || function_name from duckdb_functions() "
            "where not internal and function_type in ('macro', 'table_macro')"
        )
        rows = con.execute(f"{views} union all {macros} order by 1").fetchall()
    return [str(name) for (name,) in rows]


def strays(published: Path, releases: Collection[str]) -> Iterator[str]:
    """Name whatever else lies there: it would pass for published.

    `releases` are the folders that are judged as releases, as `2026-09/r1`.
    """
    months = {path.split("/")[0] for path in releases}
    for path in sorted(published.iterdir()):
        if path.name in _OURS or _KEY.fullmatch(path.name) or _WORK.fullmatch(path.name):
            continue
        if path.name not in months and not (_MONTH.fullmatch(path.name) and _is_empty(path)):
            yield f"published/{path.name}: nothing that is signed names it"
    inside = [p for month in sorted(months) for p in sorted((published / month).glob("*"))]
    inside += sorted((published / VERSIONS).glob("*"))
    for path in inside:
        name = path.relative_to(published).as_posix()
        if name not in releases and not (path.parent.name == VERSIONS and _is_version(path)):
            yield f"published/{name}: nothing that is signed names it"


def notes(published: Path) -> Iterator[str]:
    """Tell of what lies there that is judged by nothing, and does no harm."""
    shown = (published / CURRENT).resolve()
    versions = (path for path in (published / VERSIONS).glob("*") if _is_version(path))
    earlier = [path for path in versions if path.resolve() != shown]
    if earlier:
        yield f"not verified: {len(earlier)} databases that BI opened before, in {VERSIONS}"
    for path in sorted(published.glob(".*")):
        if _WORK.fullmatch(path.name):
            yield f"not verified: {path.name}, in which a publisher works or worked until it died"


def _is_version(path: Path) -> bool:
    return bool(_VERSION.fullmatch(path.name)) and path.is_dir()


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())
