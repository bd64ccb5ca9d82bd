"""A sound month of a small company, and copies of it into which faults are planted.

Changes copies only; which faults there are, and what should stop them, is said elsewhere.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.measure import say
from perfhouse import (
    demo,
    lake,
    release_files,
    release_tables,
    release_verdicts,
    signing,
    stages,
    warehouse,
)
from perfhouse.month import Month
from perfhouse.public_tables import PUBLIC_TABLES
from perfhouse.release_label import Label
from perfhouse.settings import Home
from perfhouse.stages import Workspace

MONTHS = 2
_BANDS = """\
role,grade,from_score,points,multiplier,valid_from,valid_to,version,announced_on,approved_by
*,A,,10,1.2,2026-01-01,,1,2025-12-01,HR
*,B,,6,1.0,2026-01-01,,1,2025-12-01,HR
*,C,,3,0.8,2026-01-01,,1,2025-12-01,HR
*,D,,0,0.5,2026-01-01,,1,2025-12-01,HR
"""


@dataclass(frozen=True)
class Fault:
    """One fault: what is planted in words, where, and what must come of it.

    `gate` is `landing` where nothing of the delivery lands: then `check` is the kind of error.
    `plant` returns a text that must stand among the failing rows' keys (of `landing`: in the
    message), such as the id it spoiled.
    """

    id: str
    words: str
    where: str
    gate: str
    check: str
    severity: str
    plant: Callable[[Site], str]


@dataclass
class Site:
    """A copy of the sound company's month; `staged` is the folder of its staged release."""

    ws: Workspace
    month: Month
    staged: Path

    @property
    def home(self) -> Home:
        """Return the copied home."""
        return self.ws.home

    # --- the sources

    def file(self, name: str) -> Path:
        """Return a file of the sources that may be changed: it is nobody else's any more."""
        path = self.ws.data / name.format(month=self.month)
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
        return path

    def rewrite(self, name: str, change: Callable[[str], str], encoding: str = "utf-8-sig") -> None:
        """Change the text of a source's file; a change that changes nothing is a mistake."""
        path = self.file(name)
        before = path.read_bytes().decode(encoding)
        after = change(before)
        assert after != before, name
        path.write_bytes(after.encode(encoding))

    def forget(self, source: str) -> None:
        """Let the month's delivery of a source be one that never came."""
        lake.manifest_path(self.home, source, self.month).unlink()

    def ingest(self, source: str) -> None:
        """Fetch and land a source as any run does."""
        stages.ingest(self.ws, source, self.month, lambda _: None)

    # --- the lake

    def manifest(self, source: str, month: Month | None = None) -> lake.Manifest:
        """Return what is landed of a source."""
        found = lake.read_manifest(self.home, source, month or self.month)
        assert found is not None, source
        return found

    def said(self, source: str, stream: str, **counts: Any) -> None:
        """Let the manifest say something else of a stream."""
        manifest = self.manifest(source)
        streams = {**manifest.streams, stream: replace(manifest.streams[stream], **counts)}
        lake.commit(self.home, replace(manifest, streams=streams), {})

    def landed(self, source: str, stream: str, query: str, *, made: bool = False) -> None:
        """Land a stream again as a query over `batch` has it, none of it quarantined or twice.

        `made`: the source does not have the stream, and the query reads no `batch`.
        """
        manifest = self.manifest(source)
        old = next(iter(manifest.streams.values())) if made else manifest.streams[stream]
        relative = Path("raw") / stream / lake.partition(self.month, source) / "fault.parquet"
        path = self.home.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        listed = [str(self.home.root / file.path) for file in old.files]
        with warehouse.connect() as con:
            con.execute(f"create view batch as select * from read_parquet({listed!r})")
            rows = con.execute(f"copy ({query}) to '{path}' (format parquet)").fetchall()[0][0]
        file = lake.LandedFile(relative.as_posix(), lake.file_sha256(path), rows)
        late = {} if made else old.late_rows
        new = replace(old, files=(file,), landed=rows, rows_in=rows, late_rows=late)
        new = replace(new, rows_read=rows + old.outside_window, duplicates=0, quarantined=0)
        streams = {**manifest.streams, stream: new}
        lake.commit(self.home, replace(manifest, streams=streams), {})

    def one(self, source: str, stream: str, column: str, where: str = "true") -> str:
        """Return the smallest value of a column of what landed."""
        files = self.manifest(source).streams[stream].files
        listed = [str(self.home.root / file.path) for file in files]
        with warehouse.connect() as con:
            found = con.execute(
                f"select min({column}) from read_parquet({listed!r}) where {where}"
            ).fetchall()
        return str(found[0][0])

    # --- the warehouse and the staged release

    def ask(self, query: str) -> str:
        """Return one value of the warehouse."""
        with warehouse.connect(self.home.warehouse, read_only=True) as con:
            return str(con.execute(query.format(m=self._first)).fetchall()[0][0])

    def sql(self, *statements: str) -> None:
        """Change the warehouse; `{m}` is the month's first day."""
        with warehouse.connect(self.home.warehouse) as con:
            for statement in statements:
                con.execute(statement.format(m=self._first))

    def stage(self) -> None:
        """Stage the tables and exports again, from the warehouse as it is; cards stay."""
        kept = self.staged.with_name("cards")
        shutil.move(self.staged / "cards", kept)
        shutil.rmtree(self.staged)
        _stage(self.ws, self.month, self.staged)
        shutil.move(kept, self.staged / "cards")

    def published(self, statement: str) -> None:
        """Change the staged DuckDB file."""
        with warehouse.connect(self.staged / release_files.DATABASE) as con:
            con.execute(statement)

    @property
    def _first(self) -> str:
        return f"date '{self.month.start}'"


@dataclass(frozen=True)
class Sound:
    """The sound company, landed, judged, built and staged."""

    ws: Workspace
    months: tuple[Month, ...]
    staged: Path

    def copy(self, root: Path, *, where: str) -> Site:
        """Copy what a fault at `where` may touch; the rest is shared and must not be written."""
        month, home = self.months[-1], Home(root / "home").ensure()
        _linked(self.ws.home.raw, home.raw, "_archive")  # thousands of files that no gate reads
        _linked(self.ws.home.secrets, home.secrets)
        data = self.ws.data
        if where == "source":
            data = root / "sources"
            _linked(self.ws.data, data, "ctr")
        if where in ("facts", "scorecards", "exports"):
            shutil.copyfile(self.ws.home.warehouse, home.warehouse)
        staged = root / "staged"
        if where == "exports":
            shutil.copytree(self.staged, staged)
        return Site(replace(self.ws, home=home, data=data), month, staged)


def _linked(source: Path, target: Path, *without: str) -> None:
    left_out = shutil.ignore_patterns(*without)
    shutil.copytree(source, target, copy_function=os.link, ignore=left_out, dirs_exist_ok=True)


def company(root: Path, *, built: bool = True) -> Sound:
    """Make the company and take it through every stage up to a staged release.

    `built`: with warehouse and staged release; without, it is landed only.
    """
    made = demo.generate(
        root / "demo",
        months=MONTHS,
        managers=6,
        agents=48,
        tickets=2_400,
        calls=2_400,
        seed=11,
        progress=lambda _: None,
    )
    with (made.company / "perfhouse.toml").open("a", encoding="utf-8") as handle:
        handle.write('\n[payroll]\nbands = "payroll_bands.csv"\n')
    (made.company / "payroll_bands.csv").write_text(_BANDS, encoding="utf-8")
    ws = stages.open_workspace(made.company, made.sources, root / "home")
    for month in made.months:
        for source in ws.company.sources:
            stages.ingest(ws, source.id, month, lambda _: None)
    sound = Sound(ws, tuple(made.months), root / "staged")
    if built:
        for month in made.months:
            say(f"   {month}: built")
            stages.build(ws, month)
        _settle(ws, sound.months[-1])
        _stage(ws, sound.months[-1], sound.staged)
        label = Label(ws.company, sound.months[-1], 1, sound.months[-1])
        release_files.stage_cards(ws.home, label, sound.staged)
        release_files.stage_pdfs(ws.home, label, sound.staged)
    return sound


def _settle(ws: Workspace, month: Month) -> None:
    """Call the month final and pay for it, as a build as of the next month would."""
    first = f"date '{month.start}'"
    with warehouse.connect(ws.home.warehouse) as con:
        con.execute(
            "update scorecards.scorecard_kpi_months set is_provisional = false "
            f"where month = {first}"
        )
        con.execute(
            "insert into exports.export_payroll_manager_months by name select t.month, "
            "t.manager_id as employee_number, b.points, b.multiplier, b.version as band_version "
            "from scorecards.scorecard_manager_months t join config.payroll_bands b using (grade) "
            f"where t.month = {first} and t.status = 'scored'"
        )


def _stage(ws: Workspace, month: Month, folder: Path) -> None:
    """Stage a release as far as the exports gate reads it."""
    signing.release_key(ws.home)
    label = Label(ws.company, month, 1, month)
    release_tables.stage_tables(ws.home, month, folder)
    release_tables.stage_database(folder)
    release_files.stage_exports(ws.home, label, folder)
    release_verdicts.stage_verdicts(folder, label, ())


def tables() -> Sequence[str]:
    """Return the names of the public tables."""
    return [table.name for table in PUBLIC_TABLES]
