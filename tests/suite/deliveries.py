"""What a connector without HTTP hands in to be judged by the one suite: what its source delivers.

A delivery is a source in small: records in its own shape, and `put`, which writes them as the
source would. Where the source is a server that is no file, `put` writes what would be archived.
"""

from __future__ import annotations

import csv
import importlib
import io
import json
import pkgutil
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from connectors import landing
from perfhouse import lake
from perfhouse.company import Company, Source
from perfhouse.lake import Manifest
from perfhouse.month import Month
from perfhouse.settings import Home
from suite.kit import Record, landed_keys, source_of, visible_files

# a record, or a line that is none any more
Row = Record | str


@dataclass(frozen=True)
class Delivery:
    """One way in which one connector is delivered to.

    Args:
        id: names it in tests: the connector, and the variant where there are several.
        source: a [[sources]] table in TOML with id `it`; of `stream` alone.
        stream: the stream whose rows the suite counts.
        world: n records inside the month, all different, deterministic; 2,000 must be quick. A
            value that must not be told, such as a caller's number, begins with SECRET.
        put: writes all that is delivered of a world into an empty folder; none: nothing but
            what a source without records delivers. Same world, same bytes.
        key: the landed key of a record, values of `key_columns`, as text.
        required: the record without what no row can land.
        renamed: the record with a field nobody has declared.
        moved: the record at another instant, in UTC; None where the delivery has no window.
        line: the record as one line, where the format has lines; such a line may be a Row.
        files: patterns of the files that could be cut off on their way; () where none could.
        fuzzed: fields that fuzzing leaves alone, for they steer what is read.
        replayed: why nothing is extracted here; what is put is archived as if it had been.
            Formats are told by the archive's names, `pages` where they end in json.
        fixed: why a new field is not seen: the query names its columns.
        unheard: why a delivery without records cannot be told from none.
        unreachable: text of AIRFLOW_CONN_IT for a server on a closed `{port}`; its password is
            SECRET. `reached` is the [[sources]] table that uses it.
    """

    id: str
    connector: str
    source: str
    stream: str
    world: Callable[[int], list[Record]]
    put: Callable[[Path, Sequence[Row]], None]
    key: Callable[[Record], tuple[str, ...]]
    key_columns: tuple[str, ...]
    required: Callable[[Record], Record]
    renamed: Callable[[Record], Record] = lambda record: {**record, "zz_brand_new": "1"}
    moved: Callable[[Record, Any], Record] | None = None
    line: Callable[[Record], str] | None = None
    files: tuple[str, ...] = ()
    fuzzed: tuple[str, ...] = ()
    replayed: str = ""
    fixed: str = ""
    unheard: str = ""
    unreachable: str = ""
    reached: str = ""
    month: str = "2026-09"
    zone: str = "Asia/Shanghai"


def deliveries() -> list[Delivery]:
    """Return every delivery: the modules in tests/suite/deliveries_of have DELIVERIES."""
    folder = importlib.import_module("suite.deliveries_of")
    names = sorted(m.name for m in pkgutil.iter_modules(folder.__path__))
    modules = [importlib.import_module(f"suite.deliveries_of.{name}") for name in names]
    return [delivery for module in modules for delivery in module.DELIVERIES]


@dataclass
class Yard:
    """Where a delivery is put down, and a home to land it in."""

    delivery: Delivery
    root: Path
    said: list[str] = field(default_factory=list)

    @property
    def month(self) -> Month:
        return Month(self.delivery.month)

    @property
    def home(self) -> Home:
        return Home(self.root / "home").ensure()

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def source(self) -> Source:
        return source_of(self.delivery.source, self.delivery.zone)

    def put(self, world: Sequence[Row]) -> None:
        """Deliver a world in place of the one before."""
        self.clear()
        self.delivery.put(self.data, world)

    def clear(self) -> None:
        import shutil

        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True)

    def files(self) -> list[Path]:
        """Return the delivered files that could be cut off."""
        return sorted(p for pattern in self.delivery.files for p in self.data.glob(pattern))

    def ingest(self) -> Manifest:
        source = self.source
        company = cast(Company, SimpleNamespace(time_zone=self.delivery.zone, sources=(source,)))
        if self.delivery.replayed:
            self._archive()
            return landing.land(source, company, self.month, self.home, self.said.append)
        return landing.ingest(source, company, self.month, self.data, self.home, self.said.append)

    def _archive(self) -> None:
        """Keep what was put as an extraction would."""
        import shutil

        staged = self.home.tmp / "replayed"
        shutil.rmtree(staged, ignore_errors=True)
        shutil.copytree(self.data, staged)
        kept = []
        for path in sorted(p for p in staged.rglob("*") if p.is_file()):
            name = path.relative_to(staged).as_posix()
            form = "pages" if path.suffix == ".json" else path.suffix.removeprefix(".")
            kept.append(
                lake.ArchivedFile(
                    name, lake.file_sha256(path), path.stat().st_size, (self.delivery.stream,), form
                )
            )
        if kept:
            lake.keep(self.home, "it", self.month, staged, kept)
        shutil.rmtree(staged, ignore_errors=True)

    def keys(self, manifest: Manifest) -> list[tuple[str, ...]]:
        return landed_keys(self.home, manifest, self.delivery.stream, self.delivery.key_columns)

    def visible(self) -> list[Path]:
        return visible_files(self.home)


def wanted(delivery: Delivery, world: Iterable[Record]) -> list[tuple[str, ...]]:
    return sorted(delivery.key(record) for record in world)


# ---------------------------------------------------------------- ways to write


def columns_of(world: Iterable[Row]) -> list[str]:
    """Return the fields that any record has, in their first order."""
    return list(dict.fromkeys(name for row in world if isinstance(row, dict) for name in row))


def as_text(value: Any) -> str:
    """Return a value as an export writes it into one field."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def csv_line(values: Iterable[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([as_text(value) for value in values])
    return text.getvalue()


def table(path: Path, name: str, rows: Sequence[Record], columns: Sequence[str] = ()) -> None:
    """Make a table of an SQLite file; it has the columns that any record has."""
    names = columns_of(rows) or list(columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    con = sqlite3.connect(path)
    try:
        listed = ", ".join(f'"{each}"' for each in names)
        con.execute(f'create table "{name}" ({listed})')
        marks = ", ".join("?" * len(names))
        con.executemany(
            f'insert into "{name}" values ({marks})',
            [[_bound(row.get(each)) for each in names] for row in rows],
        )
        con.commit()
    finally:
        con.close()


def _bound(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def parquet(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> None:
    """Write an answer of a database as it is archived, its values as text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = columns_of(cast(Sequence[Row], rows)) or list(columns)
    values = {
        name: pa.array(
            [None if row.get(name) is None else as_text(row[name]) for row in rows], pa.string()
        )
        for name in names
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(values), path)
