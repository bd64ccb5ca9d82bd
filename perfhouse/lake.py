"""The lake: archived bytes, landed Parquet and the manifests that point at them.

Commits by replacing one pointer file. Knows files and DuckDB views; may not know connectors,
gates or models.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import formats
from perfhouse.company_look_back import MONTHS, farthest, months_back
from perfhouse.company_types import Company
from perfhouse.errors import ConfigError, PerfhouseError, ReleaseError, SourceMissing
from perfhouse.month import Month
from perfhouse.settings import Home

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_AS_EVER: Mapping[str, int] = {}
_CHUNK = 1 << 20
# Archived beside a delivery of a month under way: the day after the last that it tells of.
_PART = re.compile(r"part-until-(\d{4}-\d{2}-\d{2})\.json")


@dataclass(frozen=True)
class ArchivedFile:
    """One delivered file as it is kept: its name, hash and the streams read from it."""

    name: str
    sha256: str
    bytes: int
    streams: tuple[str, ...]
    format: str


@dataclass(frozen=True)
class Receipt:
    """One delivery in the archive; `extracted_at` is ISO UTC and is kept when bytes repeat."""

    source: str
    month: str
    sha256: str
    extracted_at: str
    files: tuple[ArchivedFile, ...]


@dataclass(frozen=True)
class LandedFile:
    """One Parquet file; the path is relative to the home."""

    path: str
    sha256: str
    rows: int


@dataclass(frozen=True)
class StreamLanding:
    """What became of one stream's rows; rows_in = landed + duplicates + quarantined.

    `content_sha256` is of the landed and quarantined rows' values, whatever their order is and
    wherever they lay; empty in manifests of before it was kept. `refused` names what the
    account may not read, so that the stream has no rows.
    """

    files: tuple[LandedFile, ...]
    rows_read: int
    outside_window: int
    rows_in: int
    landed: int
    duplicates: int
    quarantined: int
    unknown: Mapping[str, Mapping[str, int]]
    undeclared_fields: tuple[str, ...]
    late_rows: Mapping[str, int]
    quarantine_file: str | None
    reasons: Mapping[str, int]
    content_sha256: str = ""
    refused: str = ""


@dataclass(frozen=True)
class Manifest:
    """What is landed now for one source and month.

    `manifest_sha256` covers inputs, mapping and counts, no clock and no place. `unchanged`
    is only said by the ingest that found nothing to do; it is not stored.
    """

    source: str
    connector: str
    month: str
    mapping_sha256: str
    archive_sha256: str
    archive: tuple[ArchivedFile, ...]
    streams: Mapping[str, StreamLanding]
    landed_at: str
    key_fingerprint: str
    manifest_sha256: str = ""
    unchanged: bool = field(default=False, compare=False)

    def sealed(self) -> Manifest:
        """Return the manifest with its hash filled in."""
        return replace(self, manifest_sha256=_content_sha256(self))


def _content_sha256(manifest: Manifest) -> str:
    what = asdict(manifest)
    for key in ("landed_at", "manifest_sha256", "unchanged", "key_fingerprint"):
        del what[key]
    for landing in what["streams"].values():
        del landing["files"], landing["quarantine_file"]
    return hashlib.sha256(_json(what)).hexdigest()


def _json(what: object) -> bytes:
    return (json.dumps(what, ensure_ascii=False, sort_keys=True, indent=1) + "\n").encode()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def partition(month: Month | str, source: str) -> Path:
    """Return the relative folder of a source's month."""
    return Path(f"month={month}") / f"source={source}"


def manifest_path(home: Home, source: str, month: Month) -> Path:
    """Return the pointer file of a source's month."""
    return home.manifests / f"month={month}" / f"source={source}.json"


def staging(home: Home, source: str, month: Month) -> Path:
    """Return the folder where a landing is made before it is committed."""
    return home.tmp / f"landing-{month}-{source}"


def part_name(until: date) -> str:
    """Return the name of the archived file that marks a part of a month."""
    return f"part-until-{until}.json"


def part_until(manifest: Manifest) -> date | None:
    """Return the day after the last that a delivery tells of, if it is a part of its month."""
    marks = (_PART.fullmatch(file.name) for file in manifest.archive if not file.streams)
    return next((date.fromisoformat(mark[1]) for mark in marks if mark), None)


# --- archive -----------------------------------------------------------------------------


def keep(
    home: Home, source: str, month: Month, staged: Path, files: Sequence[ArchivedFile]
) -> Receipt:
    """Move staged original files into the archive and point at them as the newest delivery.

    Bytes that were delivered before keep their first receipt.
    """
    ordered = tuple(sorted(files, key=lambda f: f.name))
    listing = "".join(f"{f.sha256} {f.name}\n" for f in ordered)
    sha256 = hashlib.sha256(listing.encode()).hexdigest()
    root = home.archive / partition(month, source)
    final = root / sha256[:12]
    if not (final / "receipt.json").exists() or damaged(final, ordered):
        made = datetime.fromtimestamp(staged.stat().st_mtime, UTC)
        receipt = Receipt(source, month.key, sha256, made.isoformat(timespec="seconds"), ordered)
        _write(staged / "receipt.json", _json(asdict(receipt)))
        root.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(final, ignore_errors=True)
        staged.replace(final)
        _sync(root)
    found = _receipt(final)
    if found.files != ordered:  # the same bytes, read for other streams than before
        found = replace(found, files=ordered)
        _replace(final / "receipt.json", _json(asdict(found)))
    _replace(root / "latest", f"{sha256[:12]}\n".encode())
    return found


def latest_receipt(home: Home, source: str, month: Month) -> Receipt:
    """Return the newest delivery of a source's month.

    Raises:
        SourceMissing: nothing was ever extracted for it.
    """
    root = home.archive / partition(month, source)
    if not (root / "latest").exists():
        raise SourceMissing(f"{source} {month}: nothing in the archive yet; ingest the month first")
    return _receipt(root / (root / "latest").read_text(encoding="ascii").strip())


def extracted_at(home: Home, source: str, month: str, archive_sha256: str) -> datetime | None:
    """Return when a delivery that a manifest names was taken from its source, if that is kept."""
    folder = home.archive / partition(month, source) / archive_sha256[:12]
    if not (folder / "receipt.json").exists():
        return None
    return datetime.fromisoformat(_receipt(folder).extracted_at)


def check_archive(home: Home, receipt: Receipt) -> None:
    """Refuse an archive whose bytes are not those that its receipt names.

    Originals are not forced to disk one by one, so a power cut may leave such a one.
    """
    folder = archived_path(home, receipt, "")
    names = damaged(folder, receipt.files)
    if names and not any((folder / f.name).exists() for f in receipt.files):
        raise SourceMissing(
            f"{receipt.source} {receipt.month}: the archived bytes were deleted, by `perfhouse "
            "retention` or `perfhouse erase` (see the ledger); ingest it again"
        )
    if names:
        raise SourceMissing(
            f"{receipt.source} {receipt.month}: archived {names[0]} is damaged; ingest it again"
        )


def damaged(folder: Path, files: Sequence[ArchivedFile]) -> list[str]:
    """Return the names of archived files that are missing or changed."""
    return [
        f.name
        for f in files
        if not (folder / f.name).is_file() or file_sha256(folder / f.name) != f.sha256
    ]


def archived_path(home: Home, receipt: Receipt, name: str) -> Path:
    """Return where an archived file lies."""
    return home.archive / partition(receipt.month, receipt.source) / receipt.sha256[:12] / name


def _receipt(folder: Path) -> Receipt:
    data = _known(folder / "receipt.json")
    return Receipt(**{**data, "files": _archived(data["files"])})


def _known(path: Path) -> dict[str, Any]:
    """Read a file of the lake, unless a later version wrote it."""
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    refused = formats.too_new(str(path), data, formats.LAKE)
    if refused:
        raise ConfigError([refused])
    return data


def _archived(files: Sequence[Mapping[str, Any]]) -> tuple[ArchivedFile, ...]:
    return tuple(ArchivedFile(**{**f, "streams": tuple(f["streams"])}) for f in files)


# --- commit ------------------------------------------------------------------------------


def commit(home: Home, manifest: Manifest, staged: Mapping[Path, Path]) -> Manifest:
    """Make a landing current: files into place, one pointer swap, old files out of the way.

    `staged` gives each staged file's final path, relative to the home.
    """
    sealed = manifest.sealed()
    month = Month(manifest.month)
    _install(home, staged)
    _swap(manifest_path(home, manifest.source, month), _stored(sealed))
    _remember(home, sealed)
    _retire(home, manifest.source, month, _listed(sealed))
    return sealed


def recover(home: Home, source: str, month: Month) -> None:
    """Clean up after a landing that was killed; what is committed stays as it is."""
    shutil.rmtree(staging(home, source, month), ignore_errors=True)
    current = read_manifest(home, source, month)
    if current is not None:
        _remember(home, current)
    _retire(home, source, month, _listed(current) if current else set())


def _install(home: Home, staged: Mapping[Path, Path]) -> None:
    for draft, final in staged.items():
        target = home.root / final
        target.parent.mkdir(parents=True, exist_ok=True)
        _sync(draft)
        draft.replace(target)
        _sync(target.parent)


def _swap(pointer: Path, content: bytes) -> None:
    pointer.parent.mkdir(parents=True, exist_ok=True)
    _replace(pointer, content)


def _remember(home: Home, manifest: Manifest) -> None:
    """Keep every committed manifest, named by the hash of its bytes."""
    content = _stored(manifest)
    file = home.manifests / "history" / f"{hashlib.sha256(content).hexdigest()[:24]}.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        _replace(file, content)


def _retire(home: Home, source: str, month: Month, current: Collection[str]) -> None:
    """Move files of earlier landings aside; delete those that were never committed.

    Not while somebody reads: then they stay, and the month's next landing moves them.
    """
    stale = [path for path in _present(home, source, month) if _relative(home, path) not in current]
    if not stale:
        return
    with _nobody_reads(home) as quiet:
        if quiet:
            _move(home, stale, _ever_committed(home, source, month))


def _move(home: Home, stale: Sequence[Path], committed: Collection[str]) -> None:
    for path in stale:
        relative = _relative(home, path)
        if relative in committed:
            target = home.superseded / path.relative_to(home.raw)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.replace(target)
        else:
            path.unlink()


@contextmanager
def reading(home: Home) -> Iterator[None]:
    """Keep the files that manifests name now where they are: a build reads them for minutes.

    Landings go on meanwhile; they only leave the files they replace in place.
    """
    with _readers(home).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield


@contextmanager
def _nobody_reads(home: Home) -> Iterator[bool]:
    with _readers(home).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _readers(home: Home) -> Path:
    home.tmp.mkdir(parents=True, exist_ok=True)
    return home.tmp / "raw-readers.lock"


def _present(home: Home, source: str, month: Month) -> Iterator[Path]:
    """Yield the data files that lie in a source's month, quarantined ones included."""
    roots = (
        [r for r in home.raw.iterdir() if not r.name.startswith("_")] if home.raw.exists() else []
    )
    if home.quarantine.exists():
        roots += list(home.quarantine.iterdir())
    for root in sorted(roots):
        folder = root / partition(month, source)
        if folder.is_dir():
            yield from sorted(path for path in folder.iterdir() if path.is_file())


def _relative(home: Home, path: Path) -> str:
    return path.relative_to(home.root).as_posix()


def _listed(manifest: Manifest) -> set[str]:
    """Return every file a manifest points at; a quarantine has a twin for people."""
    listed = {f.path for landing in manifest.streams.values() for f in landing.files}
    for landing in manifest.streams.values():
        if landing.quarantine_file:
            listed |= {
                landing.quarantine_file,
                str(Path(landing.quarantine_file).with_suffix(".csv")),
            }
    return listed


def _ever_committed(home: Home, source: str, month: Month) -> set[str]:
    listed: set[str] = set()
    for file in (home.manifests / "history").glob("*.json"):
        manifest = _load(file)
        if (manifest.source, manifest.month) == (source, month.key):
            listed |= _listed(manifest)
    return listed


def is_intact(home: Home, manifest: Manifest) -> bool:
    """Tell whether a manifest's files still lie there, the landed ones with the same bytes."""
    landed = [file for landing in manifest.streams.values() for file in landing.files]
    return all((home.root / path).is_file() for path in _listed(manifest)) and all(
        file_sha256(home.root / file.path) == file.sha256 for file in landed
    )


def restore(home: Home, into: Home, source: str, month: Month, manifest_sha256: str) -> None:
    """Make a landing that was once committed in `home` the current one of another home.

    Its files are linked from where they lie or were moved aside to.

    Raises:
        ReleaseError: no such landing is known, or a file of it is gone or changed.
    """
    known = [
        manifest
        for manifest in map(_load, sorted((home.manifests / "history").glob("*.json")))
        if (manifest.source, manifest.month) == (source, month.key)
        and manifest.manifest_sha256 == manifest_sha256
    ]
    for manifest in known:
        lying = {path: _lying(home, path, sha256) for path, sha256 in _hashes(manifest).items()}
        if None in lying.values():
            continue
        for path, origin in lying.items():
            target = into.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            os.link(str(origin), target)
        _swap(manifest_path(into, source, month), _stored(manifest))
        return
    what = "files of it are gone or changed" if known else "it was never kept"
    raise ReleaseError(f"{source} {month}: landing {manifest_sha256[:12]}: {what}")


def rehash(home: Home, altered: Collection[str] | None = None) -> None:
    """Say in every manifest which bytes landed files have since their rows were altered in place.

    `altered` are paths relative to the home, None all. What a manifest's own hash covers stays:
    releases name their inputs by it.
    """
    for file in sorted(home.manifests.rglob("*.json")):
        known = _load(file)
        streams = {
            name: replace(landing, files=tuple(_rehashed(home, f, altered) for f in landing.files))
            for name, landing in known.streams.items()
        }
        manifest = replace(known, streams=streams)
        if manifest == known:
            continue
        if file.parent.name == "history":
            _remember(home, manifest)
            file.unlink()
        else:
            _replace(file, _stored(manifest))


def _rehashed(home: Home, file: LandedFile, altered: Collection[str] | None) -> LandedFile:
    if altered is not None and file.path not in altered:
        return file
    origin = home.root / file.path
    places = (origin, home.superseded / origin.relative_to(home.raw))
    lying = next((place for place in places if place.is_file()), None)
    return replace(file, sha256=file_sha256(lying)) if lying else file


def _hashes(manifest: Manifest) -> dict[str, str]:
    return {f.path: f.sha256 for landing in manifest.streams.values() for f in landing.files}


def _lying(home: Home, path: str, sha256: str) -> Path | None:
    """Return where a landed file lies, in its place or moved aside, unless it changed."""
    origin = home.root / path
    aside = home.superseded / origin.relative_to(home.raw)
    places = (p for p in (origin, aside) if p.is_file() and file_sha256(p) == sha256)
    return next(places, None)


# --- manifests ---------------------------------------------------------------------------


def read_manifest(home: Home, source: str, month: Month) -> Manifest | None:
    """Return what is landed now for a source's month, or None."""
    path = manifest_path(home, source, month)
    return _load(path) if path.exists() else None


def manifests(home: Home, first: Month, last: Month) -> list[Manifest]:
    """Return the current manifests of a span of months, both included, by month and source."""
    found = []
    for month in first.until(last):
        folder = home.manifests / f"month={month}"
        found += [_load(path) for path in sorted(folder.glob("source=*.json"))]
    return found


def inputs(
    home: Home,
    month: Month,
    as_of: Month | None = None,
    look_back: Mapping[str, int] = _AS_EVER,
) -> list[dict[str, Any]]:
    """Return what a build of a month reads, as plain data without clocks or places.

    `look_back`: the company's, months by stream.
    """
    return [
        {
            "source": manifest.source,
            "month": manifest.month,
            "archive_sha256s": [manifest.archive_sha256],
            "mapping_sha256": manifest.mapping_sha256,
            "manifest_sha256": manifest.manifest_sha256,
        }
        for manifest in _read_by_a_build(home, month, as_of, look_back)
    ]


def _read_by_a_build(
    home: Home, month: Month, as_of: Month | None, look_back: Mapping[str, int]
) -> Iterator[Manifest]:
    for manifest in manifests(home, month.plus(-farthest(look_back)), as_of or month):
        near = manifest.month >= month.plus(-MONTHS).key
        if near or any(_is_read(name, manifest, month, look_back) for name in manifest.streams):
            yield manifest


def _is_read(stream: str, manifest: Manifest, month: Month, look_back: Mapping[str, int]) -> bool:
    return manifest.month >= month.plus(-months_back(stream, look_back)).key


def _stored(manifest: Manifest) -> bytes:
    data = asdict(manifest)
    del data["unchanged"]
    return _json(data)


def _load(path: Path) -> Manifest:
    try:
        data = _known(path)
        data["streams"] = {name: _landing(body) for name, body in data["streams"].items()}
        return Manifest(**{**data, "archive": _archived(data["archive"])})
    except (ValueError, KeyError, TypeError) as error:
        raise PerfhouseError(f"{path}: the manifest cannot be read ({error})") from error


def _landing(data: Mapping[str, Any]) -> StreamLanding:
    files = tuple(LandedFile(**f) for f in data["files"])
    undeclared = tuple(data["undeclared_fields"])
    return StreamLanding(**{**data, "files": files, "undeclared_fields": undeclared})


# --- views -------------------------------------------------------------------------------


def create_raw_views(
    con: DuckDBPyConnection,
    home: Home,
    company: Company,
    month: Month,
    as_of: Month | None,
    streams: Mapping[str, Sequence[tuple[str, str]]],
) -> None:
    """Create schema `raw`: a view per stream over the windows a build of the month may read.

    `as_of` is the last delivery window that counts, None the month itself. `streams` gives
    (column, type) by stream; a stream without files becomes a typed, empty view. The table
    `deliveries` says which streams were delivered for which month, be it without a row.
    """
    configured = {source.id for source in company.sources}
    found: dict[str, list[str]] = {name: [] for name in streams}
    delivered: set[tuple[str, str]] = set()
    for manifest in _read_by_a_build(home, month, as_of, company.look_back):
        if manifest.source not in configured:
            continue
        for name, landing in manifest.streams.items():
            if _is_read(name, manifest, month, company.look_back):
                paths = [_landed_path(home, manifest, f) for f in landing.files]
                found.setdefault(name, []).extend(paths)
                if not landing.refused:
                    delivered.add((manifest.month, name))
    con.execute("create schema if not exists raw")
    write_deliveries(con, delivered)
    for name, columns in streams.items():
        view = _view(con, columns, found[name])
        con.execute(f"create or replace view raw.{_quoted(name)} as {view}")


def write_deliveries(con: DuckDBPyConnection, delivered: Collection[tuple[str, str]]) -> None:
    """Replace `raw.deliveries` by (month as `2026-09`, stream) of what was delivered."""
    con.execute("create or replace table raw.deliveries (month date, stream varchar)")
    rows = [[Month(month).start, stream] for month, stream in sorted(delivered)]
    if rows:
        con.executemany("insert into raw.deliveries values (?, ?)", rows)


def _landed_path(home: Home, manifest: Manifest, file: LandedFile) -> str:
    path = (home.root / file.path).resolve()
    if not path.is_file():
        raise SourceMissing(
            f"{manifest.source} {manifest.month}: {file.path} is gone, perhaps by `perfhouse "
            "retention` (its lines in the ledger say so): ingest the month again, if its source "
            "still has it"
        )
    return str(path)


def _view(con: DuckDBPyConnection, columns: Sequence[tuple[str, str]], paths: Sequence[str]) -> str:
    if not paths:
        typed = ", ".join(f"cast(null as {kind}) as {_quoted(name)}" for name, kind in columns)
        return f"select {typed}, cast(null as varchar) as _month where false"
    files = ", ".join("'" + _globless(path).replace("'", "''") + "'" for path in paths)
    # A column that is younger than a landed file is empty there.
    schemas = con.execute(f"select file_name, name from parquet_schema([{files}])").fetchall()
    held: dict[str, set[str]] = {}
    for file, name in schemas:
        held.setdefault(file, set()).add(name)
    known = set().union(*held.values())
    names = ", ".join(
        _quoted(name) if name in known else f"cast(null as {kind}) as {_quoted(name)}"
        for name, kind in columns
    )
    older = any(name not in have for have in held.values() for name, _ in columns if name in known)
    by_name = ", union_by_name = true" if older else ""
    return (
        f"select {names}, _window as _month "
        f"from read_parquet([{files}], hive_partitioning = false{by_name})"
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _globless(path: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)


# --- files -------------------------------------------------------------------------------


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def _replace(path: Path, content: bytes) -> None:
    """Replace a small file in one step: readers see the old or the new bytes."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    _write(draft, content)
    draft.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
