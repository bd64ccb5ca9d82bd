"""The files of one release: tables, exports, cards, and the manifest that seals them.

Works on staging folders only; it may not move, number or record a release.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from perfhouse import (
    erased,
    evidence,
    exports,
    lake,
    ledger,
    months,
    provenance,
    restatement,
    signing,
    warehouse,
)
from perfhouse.errors import ReleaseError
from perfhouse.lake import file_sha256
from perfhouse.ledger import PERSONAL_COLUMNS, PUBLIC_TABLES, PublicTable
from perfhouse.month import Month
from perfhouse.restatement import Reason
from perfhouse.settings import Home

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from perfhouse.company import Company

DATABASE = "scorecards.duckdb"
MANIFEST = "release.json"
_PERSONAL_FOLDERS = ("exports", "cards")
CHECKSUM = f"{DATABASE}.sha256"
# What no hash of a release's content covers: what depends on this machine or on its keys.
_UNHASHED = {DATABASE, MANIFEST, CHECKSUM, *(f + evidence.SIGNED for f in (MANIFEST, CHECKSUM))}
# Readable by every DuckDB from 1.0 on.
_STORAGE = "v1.0.0"
_DISTRIBUTIONS = ("perfhouse", "duckdb", "dbt-core", "dbt-duckdb", "great-expectations")


_VERDICTS = "gate_verdicts"
_RECONCILIATION = "reconciliation"
RECONCILIATION_KEY = ("month", "stream", "source", "delivered", "reason")
_PERSONAL_CHECKS = frozenset(
    {"people_ambiguous", "people_changed", "people_contested", "people_known", "people_unknown"}
)
_VERDICT_COLUMNS = (
    "month date, gate varchar, check_id varchar, title_en varchar, title_zh varchar, "
    "severity varchar, passed boolean, observed varchar, threshold varchar, failing_keys varchar, "
    "agreed_by varchar, agreed_on date, agreed_reason varchar, "
    "accepted_by varchar, accepted_reason varchar"
)


class Check(Protocol):
    """What the release tells of one check of a gate."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def title_en(self) -> str: ...  # noqa: D102
    @property
    def title_zh(self) -> str: ...  # noqa: D102
    @property
    def severity(self) -> str: ...  # noqa: D102
    @property
    def passed(self) -> bool: ...  # noqa: D102
    @property
    def observed(self) -> str: ...  # noqa: D102
    @property
    def threshold(self) -> str: ...  # noqa: D102
    @property
    def failing_keys(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def agreed_by(self) -> str: ...  # noqa: D102
    @property
    def agreed_on(self) -> str: ...  # noqa: D102
    @property
    def agreed_reason(self) -> str: ...  # noqa: D102
    @property
    def accepted_by(self) -> str: ...  # noqa: D102
    @property
    def accepted_reason(self) -> str: ...  # noqa: D102


class Verdict(Protocol):
    """What the release tells of one gate."""

    @property
    def gate(self) -> str: ...  # noqa: D102
    @property
    def passed(self) -> bool: ...  # noqa: D102
    @property
    def checks(self) -> Sequence[Check]: ...  # noqa: D102


TableHashes = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Succession:
    """Which release one follows, how many values differ, and why, if the month was closed."""

    follows: str
    change_count: int
    reason: Reason | None

    def as_json(self) -> dict[str, Any]:
        """Return what release.json says of it."""
        said: dict[str, Any] = {"follows": self.follows, "change_count": self.change_count}
        if self.reason is not None:
            said["restatement"] = {"reason": self.reason.reason, "by": self.reason.by}
        return said

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Succession | None:
        """Return what release.json says, or None for a first release."""
        if "follows" not in said:
            return None
        why = said.get("restatement")
        return cls(said["follows"], said["change_count"], Reason(**why) if why else None)


@dataclass(frozen=True)
class Label:
    """What a release is a release of."""

    company: Company
    month: Month
    number: int
    as_of: Month
    succession: Succession | None = None

    @property
    def name(self) -> str:
        """Return the release's name, such as `2026-09.r1`."""
        return f"{self.month}.r{self.number}"


def stage_tables(home: Home, month: Month, folder: Path) -> TableHashes:
    """Write the month's public tables as Parquet, without personal names; return their hashes."""
    parquet = folder / "parquet"
    parquet.mkdir(parents=True)
    con = warehouse.connect(home.warehouse, read_only=True)
    try:
        for table in PUBLIC_TABLES:
            _copy_table(con, table, month, parquet / f"{table.name}.parquet")
    finally:
        con.close()
    return _hashes_of_parquet(parquet)


def public_columns(con: DuckDBPyConnection, table: PublicTable) -> list[str]:
    """List the columns of a warehouse table that may be published, in their order."""
    rows = con.execute(
        "select column_name from information_schema.columns "
        "where table_schema = ? and table_name = ? order by ordinal_position",
        [table.schema, table.name],
    ).fetchall()
    if not rows:
        raise ReleaseError(f"{table.relation}: not in the warehouse; build the month")
    return [str(row[0]) for row in rows if row[0] not in PERSONAL_COLUMNS]


def stage_database(folder: Path) -> None:
    """Write the DuckDB file from the Parquet files.

    Its connection has never seen the warehouse: DuckDB leaves stale memory in unused parts of
    its blocks, and what is stale here must not be somebody's name.
    """
    parquet = folder / "parquet"
    with _Database(folder / DATABASE) as con:
        for table in PUBLIC_TABLES:
            _load(con, table.name, [parquet / f"{table.name}.parquet"], table.key)


def restage_database(folder: Path) -> None:
    """Write the DuckDB file again from every Parquet file, those of `stage_evidence` included."""
    keys = {table.name: table.key for table in PUBLIC_TABLES}
    with _Database(folder / DATABASE) as con:
        for file in sorted((folder / "parquet").glob("*.parquet")):
            if file.stem in keys:
                _load(con, file.stem, [file], keys[file.stem])
            else:
                scan = f"read_parquet({_literal(file)})"
                con.execute(f"create table release.{_name(file.stem)} as select * from {scan}")


def stage_exports(home: Home, label: Label, folder: Path) -> None:
    """Write the exports of the month; payroll's only where the company has bands."""
    chosen = [exports.HR, *([exports.PAYROLL] if label.company.payroll_bands else [])]
    of_month = f"month = date '{label.month.start}'"
    with warehouse.connect(home.warehouse, read_only=True) as con:
        tables = [exports.read(con, each.relation, each.key, of_month) for each in chosen]
    for export, table in zip(chosen, tables, strict=True):
        target = folder / "exports" / export.folder
        exports.write(export, table, label.month, label.name, target)


def copy_changes(before: Path, folder: Path) -> None:
    """Copy the changes that a release lists, if it lists any."""
    if (before / restatement.FOLDER).is_dir():
        shutil.copytree(before / restatement.FOLDER, folder / restatement.FOLDER)


def stage_evidence(folder: Path, label: Label, verdicts: Sequence[Verdict]) -> None:
    """Add the tables `gate_verdicts` and `releases` to the database and the Parquet folder.

    Done again it replaces them: once for the exports gate to read, once with its verdict.
    """
    rows = [
        [
            *(label.month.start, v.gate, c.id, c.title_en, c.title_zh, c.severity, c.passed),
            *(c.observed, c.threshold, _published_keys(c)),
            *(
                c.agreed_by or None,
                c.agreed_on or None,
                c.agreed_reason or None,
                c.accepted_by,
                c.accepted_reason,
            ),
        ]
        for v in verdicts
        for c in v.checks
    ]
    with _Database(folder / DATABASE) as con:
        con.execute(f"create or replace table release.{_VERDICTS} ({_VERDICT_COLUMNS})")
        if rows:
            con.executemany(
                f"insert into release.{_VERDICTS} values ({', '.join('?' * len(rows[0]))})", rows
            )
        con.execute(
            "create or replace table release.releases as select ?::varchar as release, "
            "?::varchar as company, ?::date as month, ?::integer as number, "
            "?::date as as_of_month, ?::varchar as follows, ?::integer as change_count, "
            "?::varchar as restatement_reason",
            [
                *(label.name, label.company.id, label.month.start, label.number),
                *(label.as_of.start, *_succession(label)),
            ],
        )
        for name in (_VERDICTS, "releases"):
            _to_parquet(con, f"select * from release.{name}", folder / f"parquet/{name}.parquet")


def stage_reconciliation(home: Home, label: Label, folder: Path) -> None:
    """Add the table `reconciliation`: how many landed rows are in facts, and why others are not."""
    target = folder / f"parquet/{_RECONCILIATION}.parquet"
    with warehouse.connect(home.warehouse, read_only=True) as con:
        columns = [*RECONCILIATION_KEY, "in_facts", "rows"]
        _to_parquet(
            con,
            f"select {_names(columns)} from ops.{_RECONCILIATION} "
            f"where month = date '{label.month.start}' order by {_names(RECONCILIATION_KEY)}",
            target,
        )
    with _Database(folder / DATABASE) as con:
        _load(con, _RECONCILIATION, [target], RECONCILIATION_KEY)


def _succession(label: Label) -> tuple[str | None, int | None, str | None]:
    said = label.succession
    if said is None:
        return None, None, None
    return said.follows, said.change_count, said.reason.reason if said.reason else None


def _published_keys(check: Check) -> str:
    """Leave out the people nobody knows: a source's user ids may be addresses or numbers."""
    return "" if check.id in _PERSONAL_CHECKS else "; ".join(check.failing_keys)


def stage_cards(home: Home, month: Month, number: int, folder: Path) -> None:
    """Render one page per manager from the warehouse's read-only connection."""
    from perfhouse import cards

    con = warehouse.connect(home.warehouse, read_only=True)
    try:
        cards.render_all(con, month, folder / "cards", release={"number": number})
    finally:
        con.close()


def seal(folder: Path, home: Home, label: Label, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Hash everything staged, write release.json, and make every file read-only.

    `release_sha256` covers the content of every table and the bytes of every file except the
    DuckDB file, whose bytes differ from run to run (decision 0003), and what depends on the keys
    of this installation: evidence and signatures (decision 0014).
    """
    tables, files = database_hashes(folder / DATABASE), file_hashes(folder)
    month, as_of = label.month, label.as_of
    said = {
        "release": label.name,
        "company": label.company.id,
        "month": month.key,
        "number": label.number,
        "as_of": as_of.key,
        "closes_on": months.closes_on(label.company, month).isoformat(),
        **(label.succession.as_json() if label.succession else {}),
        "inputs": lake.inputs(home, month, as_of),
        "earlier_months": _earlier_months(home, month),
        "configuration_sha256": provenance.configuration_sha256(label.company),
        "code_sha256": provenance.code_sha256(),
        "versions": {name: _version(name) for name in _DISTRIBUTIONS},
        "gates": {v.gate: _summary(v) for v in verdicts},
        "tables": tables,
        "files": files,
        "release_sha256": ledger.sha256_of({"tables": tables, "files": files}),
        "evidence": {
            "key": signing.public_text(signing.release_key(home)).splitlines()[-1],
            "merkle_root": evidence.merkle_root(folder),
            "files": sealed_files(folder),
        },
    }
    text = json.dumps(said, ensure_ascii=False, indent=2, sort_keys=True)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    checksum = file_sha256(folder / DATABASE)
    (folder / CHECKSUM).write_text(f"{checksum}  {DATABASE}\n", encoding="ascii")
    for name in (MANIFEST, CHECKSUM):
        evidence.sign(folder / name, home, label.name)
    _close(folder)
    return said


def _close(folder: Path) -> None:
    """Make every file read-only; what names people is not for other accounts to read."""
    for path in folder.rglob("*"):
        personal = path.relative_to(folder).parts[0] in _PERSONAL_FOLDERS
        if path.is_file():
            path.chmod(0o440 if personal else 0o444)
        elif personal:
            path.chmod(0o750)


def _earlier_months(home: Home, month: Month) -> dict[str, dict[str, str | None]]:
    """Say of every earlier month in the warehouse what it holds and from which release it came.

    Changes, trends and references read earlier months. `release` is None when a month stands as
    it was never released.
    """
    table = "scorecards.scorecard_manager_months"
    with warehouse.connect(home.warehouse, read_only=True) as con:
        rows = con.execute(
            f"select distinct month from {table} where month < ? order by month", [month.start]
        ).fetchall()
        hashes = {
            Month.of(first): ledger.content_sha256(
                con, table, ("manager_id",), f"month = date '{first.isoformat()}'"
            )[1]
            for (first,) in rows
        }
    return {
        earlier.key: {**_release_behind(home, earlier), "content_sha256": sha256}
        for earlier, sha256 in hashes.items()
    }


def _release_behind(home: Home, month: Month) -> dict[str, str | None]:
    """Return the newest release that was made from what the warehouse holds of a month."""
    built = provenance.read(home, month)
    for entry in reversed(ledger.entries(home)):
        if entry.month != month.key:
            continue
        if built == origin(home, entry):
            name = f"{month}.r{entry.number}"
            return {"release": name, "release_sha256": entry.release_sha256}
    return {"release": None, "release_sha256": None}


def origin(home: Home, entry: ledger.Entry) -> provenance.Origin:
    """Return what a release was built from."""
    said = read_manifest(home.published / entry.path)
    inputs, configuration = ledger.sha256_of(said["inputs"]), said["configuration_sha256"]
    return provenance.Origin(entry.as_of, inputs, configuration)


def sync(folder: Path) -> None:
    """Force every file and folder below, and the folder itself, to disk."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            continue  # its folder holds it
        if path.is_dir():
            ledger.sync_folder(path)
        else:
            ledger.sync_file(path)
    ledger.sync_folder(folder)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a release's release.json."""
    said: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return said


def same_tables(published: Path, tables: TableHashes) -> bool:
    """Say whether a release holds exactly these tables."""
    said = read_manifest(published)["tables"]
    return all(said.get(name) == content for name, content in tables.items())


def problems(folder: Path) -> list[str]:
    """Check a release against its release.json and the erasures that the ledger names since.

    Returns what does not fit, empty if intact.
    """
    try:
        said = read_manifest(folder)
        listed = {"tables": said["tables"], "files": said["files"]}
        sealed = said.get("evidence")
    except Exception as error:
        return [f"{MANIFEST}: unreadable: {type(error).__name__}"]
    try:
        since = erased.of_release(folder)
    except ReleaseError as error:
        return [str(error)]
    files = erased.applied(said["files"], since.files)
    found = differences("file", files, file_hashes(folder))
    if sealed:
        expected = erased.applied(sealed["files"], since.sealed)
        names = differences("file", expected, sealed_files(folder))
        found += [name for name in names if name not in found]
    try:
        tables = erased.applied(said["tables"], since.tables)
        found += differences("table", tables, database_hashes(folder / DATABASE))
        checksum = since.database_sha256 or (folder / CHECKSUM).read_text("ascii").split()[0]
        if checksum != file_sha256(folder / DATABASE):
            found.append(f"{DATABASE}: bytes differ from {CHECKSUM}")
    except Exception as error:
        found.append(f"{DATABASE}: unreadable: {type(error).__name__}")
    named = since.manifest_sha256 is None or since.manifest_sha256 != file_sha256(folder / MANIFEST)
    if named and said["release_sha256"] != ledger.sha256_of(listed):
        found.append("release_sha256 does not fit what release.json lists")
    return found


def differences(kind: str, said: Mapping[str, object], found: Mapping[str, object]) -> list[str]:
    """Name what differs between what a release lists and what is found."""
    names = sorted({*said, *found})
    return [f"{kind} {name} differs" for name in names if said.get(name) != found.get(name)]


class Named(Protocol):
    """What the combined database tells of a release."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def release_sha256(self) -> str: ...  # noqa: D102


def combine(releases: Sequence[Path], entries: Sequence[Named], folder: Path) -> None:
    """Write folder/combined/scorecards.duckdb: every table over the given releases."""
    target = folder / "combined"
    target.mkdir()
    with _Database(target / DATABASE) as con:
        for table in PUBLIC_TABLES:
            files = [p / f"parquet/{table.name}.parquet" for p in releases]
            files = [file for file in files if file.exists()]  # a newer table than the release
            _load(con, table.name, files, table.key, newest_only=not table.by_month)
        verdicts = [p / f"parquet/{_VERDICTS}.parquet" for p in releases]
        _load(con, _VERDICTS, verdicts, ("month", "gate", "check_id"))
        for column in _VERDICT_COLUMNS.split(", "):  # younger than every release
            con.execute(f"alter table release.{_VERDICTS} add column if not exists {column}")
        counted = [p / f"parquet/{_RECONCILIATION}.parquet" for p in releases]
        counted = [file for file in counted if file.exists()]
        if counted:
            _load(con, _RECONCILIATION, counted, RECONCILIATION_KEY)
        _load(con, "releases", [p / "parquet/releases.parquet" for p in releases], ("month",))
        con.execute("alter table release.releases add column release_sha256 varchar")
        con.executemany(
            "update release.releases set release_sha256 = ? where release = ?",
            [[e.release_sha256, e.name] for e in entries],
        )
    (target / DATABASE).chmod(0o444)


def database_hashes(path: Path) -> TableHashes:
    """Return rows and content hash of every table of a release's DuckDB file."""
    keys = {table.name: table.key for table in PUBLIC_TABLES}
    con = warehouse.connect(path, read_only=True)
    try:
        names = con.execute("select table_name from duckdb_tables() order by 1").fetchall()
        return {str(name): _hash(con, f'"{name}"', keys.get(str(name), ())) for (name,) in names}
    finally:
        con.close()


def file_hashes(folder: Path) -> dict[str, dict[str, Any]]:
    """Return sha256 and size of every file of a release that its hash covers.

    A card counts with its proof blanked, which depends on the keys of this installation.
    """
    found = {}
    for name, path in _files(folder):
        if name in _UNHASHED or _top(name) == evidence.FOLDER:
            continue
        if _is_card(name):
            page = evidence.blank(path.read_bytes())
            found[name] = {"sha256": hashlib.sha256(page).hexdigest(), "bytes": len(page)}
        else:
            found[name] = {"sha256": file_sha256(path), "bytes": path.stat().st_size}
    return found


def sealed_files(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file of a release that depends on keys: evidence and cards."""
    return {
        name: file_sha256(path)
        for name, path in _files(folder)
        if _top(name) == evidence.FOLDER or _is_card(name)
    }


def _files(folder: Path) -> list[tuple[str, Path]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path.relative_to(folder).as_posix(), path) for path in paths]


def _top(name: str) -> str:
    return name.split("/", 1)[0]


def _is_card(name: str) -> bool:
    return _top(name) == "cards" and name.endswith(".html")


class _Database:
    """An in-memory connection with a release's DuckDB file attached as `release`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> DuckDBPyConnection:
        self._con = warehouse.connect()
        self._con.execute("set threads = 1")
        self._con.execute(
            f"attach {_literal(self._path)} as release (storage_version '{_STORAGE}')"
        )
        return self._con

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._con.execute("checkpoint release")
            self._con.execute("detach release")
        self._con.close()


def _copy_table(con: DuckDBPyConnection, table: PublicTable, month: Month, target: Path) -> None:
    columns = public_columns(con, table)
    order = [*table.key, *(name for name in columns if name not in table.key)]
    _to_parquet(
        con,
        f"select {_names(columns)} from {table.relation} where {table.where(month)} "
        f"order by {', '.join(f'{_name(c)} nulls last' for c in order)}",
        target,
    )


def _to_parquet(con: DuckDBPyConnection, query: str, target: Path) -> None:
    con.execute(f"copy ({query}) to {_literal(target)} (format parquet, compression zstd)")


def _load(
    con: DuckDBPyConnection,
    name: str,
    files: Sequence[Path],
    key: Sequence[str],
    *,
    newest_only: bool = False,
) -> None:
    listed = f"[{', '.join(_literal(file) for file in files)}]"
    last = (
        f"qualify row_number() over (partition by {_names(key)} "
        f"order by list_position({listed}, filename) desc) = 1"
    )
    con.execute(
        f"create table release.{name} as select * exclude (filename) "
        f"from read_parquet({listed}, union_by_name = true, filename = true) "
        f"{last if newest_only else ''} "
        f"order by {', '.join(f'{_name(c)} nulls last' for c in key)}"
    )


def _hashes_of_parquet(folder: Path) -> TableHashes:
    keys = {table.name: table.key for table in PUBLIC_TABLES}
    con = warehouse.connect()
    try:
        return {
            file.stem: _hash(con, f"read_parquet({_literal(file)})", keys[file.stem])
            for file in sorted(folder.glob("*.parquet"))
        }
    finally:
        con.close()


def _hash(con: DuckDBPyConnection, relation: str, key: Sequence[str]) -> dict[str, Any]:
    rows, sha256 = ledger.content_sha256(con, relation, key)
    return {"rows": rows, "sha256": sha256}


def _summary(verdict: Verdict) -> dict[str, Any]:
    failed = [check for check in verdict.checks if not check.passed]
    accepted = [check.id for check in failed if check.accepted_by]
    return {
        "passed": verdict.passed,
        "checks": len(verdict.checks),
        "warnings": [check.id for check in failed if check.severity == "warning"],
        **({"accepted": accepted} if accepted else {}),
    }


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _names(columns: Sequence[str]) -> str:
    return ", ".join(_name(column) for column in columns)


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
