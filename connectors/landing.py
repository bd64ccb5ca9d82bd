"""The one landing engine: extract, archive, cast, judge, write, commit.

Every connector's files go this way. Nothing is visible before the manifest's swap, and
every count in the manifest is taken again from the files that were written.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from connectors import base, landing_stream, refusals, writing
from connectors.base import ExtractContext, Progress, quiet
from connectors.streams import SCHEMA_VERSION
from perfhouse import lake, warehouse
from perfhouse.company import Company, Source, mapping_sha256
from perfhouse.errors import SourceChanged, SourceMissing, TransientError
from perfhouse.month import Month
from perfhouse.settings import Home, customer_key

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ENGINE_VERSION = "3"  # raise it when the same bytes and mapping would land differently
_LOSS, _SNAPSHOT_LOSS = 0.5, 0.2  # shares of a month's rows that its next delivery may lack
_JUDGED = 20  # rows; of fewer any share is chance
_MEMORY = "192MB"  # of the engine; rows go through it by the chunk, hashes and files beside it


def ingest(
    source: Source,
    company: Company,
    month: Month,
    data: Path,
    home: Home,
    progress: Progress = quiet,
    accept_loss: bool = False,
    until: date | None = None,
) -> lake.Manifest:
    """Extract a source's month, archive the bytes, land them; a repeat changes nothing.

    `until`: the company's day, where a month under way may be taken up to the day before.

    Raises:
        SourceMissing: not delivered yet (source owner).
        SourceChanged: what was delivered does not fit, or is far less than it was before and
            `accept_loss` is not set; nothing was landed.
        ConfigError: the mapping cannot work (operator).
    """
    lake.recover(home, source.id, month)
    staging = lake.staging(home, source.id, month)
    with _scratch(staging):
        context = ExtractContext(company, data, staging, progress, until)
        receipt = _archive(source, month, home, staging, context)
        return _land(source, company, month, home, receipt, progress, accept_loss)


def land(
    source: Source,
    company: Company,
    month: Month,
    home: Home,
    progress: Progress = quiet,
    accept_loss: bool = False,
) -> lake.Manifest:
    """Land the newest archived delivery again, without asking the source.

    Raises:
        SourceMissing: nothing was archived for this month.
    """
    receipt = lake.latest_receipt(home, source.id, month)
    lake.check_archive(home, receipt)
    lake.recover(home, source.id, month)
    with _scratch(lake.staging(home, source.id, month)):
        return _land(source, company, month, home, receipt, progress, accept_loss)


@contextmanager
def _scratch(folder: Path) -> Iterator[None]:
    import shutil

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _archive(
    source: Source, month: Month, home: Home, staging: Path, context: ExtractContext
) -> lake.Receipt:
    """Save what the connector extracts; one file read for several streams is kept once.

    Files are hashed while the next ones come in.
    """
    folder = staging / "archive"
    folder.mkdir()
    kept: dict[str, lake.ArchivedFile] = {}
    hashes: dict[str, Future[str]] = {}
    connector = base.get(source.connector)
    with ThreadPoolExecutor(1, thread_name_prefix="hash") as pool:
        for item in connector.extract(base.effective(source), month, context):
            known = kept.get(item.name)
            if known is not None:
                kept[item.name] = replace(known, streams=(*known.streams, *item.streams))
                continue
            target = _saved(item, folder, source, month)
            name, size = target.relative_to(folder).as_posix(), target.stat().st_size
            kept[item.name] = lake.ArchivedFile(name, "", size, item.streams, item.format)
            hashes[item.name] = pool.submit(lake.file_sha256, target)
    if not kept:
        raise SourceMissing(
            f"{source.id} {month}: nothing was delivered; ask the source's owner: {source.owner}"
        )
    total = sum(file.bytes for file in kept.values())
    context.progress(f"{source.id} {month}: {len(kept):,} files, {total:,} bytes archived")
    files = [replace(file, sha256=hashes[name].result()) for name, file in kept.items()]
    return lake.keep(home, source.id, month, folder, files)


def _saved(item: base.Extracted, folder: Path, source: Source, month: Month) -> Path:
    target = folder / safe_name(item.name)
    if target.exists():
        raise SourceChanged(
            f"{source.id} {month}: {item.name} and another file would have one name in the "
            f"archive; nothing was landed: rename one of them, or ask {source.owner}"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    item.save(target)
    return target


def safe_name(name: str) -> PurePosixPath:
    """Return a relative path that cannot leave the archive nor hide its receipt."""
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", ".", "..")]
    path = PurePosixPath(*parts) if parts else PurePosixPath("unnamed")
    return path.with_name("_receipt.json") if str(path) == "receipt.json" else path


def _land(
    source: Source,
    company: Company,
    month: Month,
    home: Home,
    receipt: lake.Receipt,
    progress: Progress,
    accept_loss: bool,
) -> lake.Manifest:
    configured = source
    source = base.effective(source)
    key = customer_key(home)
    fingerprint = hmac.new(key, b"fingerprint", hashlib.sha256).hexdigest()[:16]
    mapping = _mapping_sha256(configured, source, company)
    current = lake.read_manifest(home, source.id, month)
    if current and _same(current, receipt, mapping, fingerprint) and lake.is_intact(home, current):
        progress(f"{source.id} {month}: unchanged")
        return replace(current, unchanged=True)
    refused = refusals.judged(configured, month, home, receipt, accept_loss)
    staging = lake.staging(home, source.id, month)
    delivery = writing.Delivery(source, company, month, home, receipt, staging, progress)
    streams: dict[str, lake.StreamLanding] = {}
    staged: dict[Path, Path] = {}
    for stream in source.streams:
        with _connection(key, staging, lake.archived_path(home, receipt, "")) as con:
            landed, files = landing_stream.land_stream(con, delivery, stream)
        streams[stream.stream] = replace(landed, refused=refused.get(stream.stream, ""))
        staged.update(files)
        progress(_sentence(source.id, month, stream.stream, landed))
    same = current and _same_rows(current, receipt, mapping, fingerprint, streams)
    if current and same and lake.is_intact(home, current):
        progress(f"{source.id} {month}: unchanged: the same rows as before")
        return replace(current, unchanged=True)
    if not accept_loss:
        _check_loss(source, month, home, receipt, streams)
    manifest = lake.Manifest(
        source=source.id,
        connector=source.connector,
        month=month.key,
        mapping_sha256=mapping,
        archive_sha256=receipt.sha256,
        archive=receipt.files,
        streams=streams,
        landed_at=receipt.extracted_at,
        key_fingerprint=fingerprint,
    )
    return lake.commit(home, manifest, staged)


def _check_loss(
    source: Source,
    month: Month,
    home: Home,
    receipt: lake.Receipt,
    streams: Mapping[str, lake.StreamLanding],
) -> None:
    """Refuse a delivery that lost many rows.

    The month's delivery before counts if it brought other bytes; for snapshots the month before.
    """
    snapshots = base.get(source.connector).snapshots
    current = lake.read_manifest(home, source.id, month)
    if current is not None and current.archive_sha256 == receipt.sha256:
        current = None
    earlier = lake.read_manifest(home, source.id, month.plus(-1))
    for name, landed in streams.items():
        kept = name in snapshots
        allowed = float(source.options.get("max_loss", _SNAPSHOT_LOSS if kept else _LOSS))
        for before in (current, earlier if kept else None):
            rows = before.streams[name].rows_in if before and name in before.streams else 0
            if before is None or rows < _JUDGED or landed.rows_in >= (1 - allowed) * rows:
                continue
            when = "the delivery before" if before.month == month.key else before.month
            raise SourceChanged(
                f"{source.id} {month}: {name}: {landed.rows_in:,} rows, {rows:,} in {when}; a loss "
                f"of more than {allowed:.0%} (max_loss) is refused, nothing was landed; ask the "
                f"source's owner: {source.owner}. If it is right: perfhouse ingest --source "
                f'{source.id} --month {month} --accept-loss --reason "..." --by NAME'
            )


@contextmanager
def _connection(key: bytes, staging: Path, archived: Path) -> Iterator[DuckDBPyConnection]:
    """Open an engine for a mapping's SQL: it reaches the delivery and the staging folder only."""
    import duckdb

    from connectors.keyed_hashes import hmac_setup
    from connectors.quoting import literal

    con = warehouse.connect(":memory:")
    try:
        con.execute(f"set temp_directory = {literal(str(staging / 'spill'))}")
        con.execute(f"set memory_limit = '{_MEMORY}'")
        con.execute("set threads = 1")  # rows keep their order; chunks are cast side by side
        con.execute("set disabled_optimizers = 'in_clause'")  # a join would lose the rows' order
        hmac_setup(con, key)
        warehouse.lock(con, staging, archived)
        yield con
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        raise TransientError(f"landing: {error}") from None
    except duckdb.Error as error:  # its text may quote a row, so only its kind is told
        raise writing.LandingFailed(f"landing: {type(error).__name__}") from None
    finally:
        con.close()


def _mapping_sha256(configured: Source, source: Source, company: Company) -> str:
    """Hash everything beside the bytes that decides what lands; ready-made mappings too."""
    parts = (
        mapping_sha256(configured),
        mapping_sha256(source),
        company.time_zone,
        SCHEMA_VERSION,
        ENGINE_VERSION,
        str(base.get(source.connector).version),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _same(manifest: lake.Manifest, receipt: lake.Receipt, mapping: str, fingerprint: str) -> bool:
    return (manifest.archive_sha256, manifest.mapping_sha256, manifest.key_fingerprint) == (
        receipt.sha256,
        mapping,
        fingerprint,
    ) and manifest.archive == receipt.files


def _same_rows(
    manifest: lake.Manifest,
    receipt: lake.Receipt,
    mapping: str,
    fingerprint: str,
    streams: Mapping[str, lake.StreamLanding],
) -> bool:
    """Tell whether tables brought the rows that are landed already, in another order.

    A database gives the same rows in whatever order; lines of a file are told in one that counts.
    """
    if (manifest.mapping_sha256, manifest.key_fingerprint) != (mapping, fingerprint):
        return False
    if not all(file.name.endswith(".parquet") for file in (*manifest.archive, *receipt.files)):
        return False
    return set(manifest.streams) == set(streams) and all(
        _facts(manifest.streams[name]) == _facts(landed) for name, landed in streams.items()
    )


def _facts(landed: lake.StreamLanding) -> tuple[object, ...]:
    return (
        *(landed.content_sha256, landed.rows_in, landed.landed, landed.duplicates),
        *(landed.quarantined, landed.outside_window, landed.undeclared_fields, landed.refused),
        {**landed.unknown},
    )


def _sentence(source: str, month: Month, stream: str, landed: lake.StreamLanding) -> str:
    outside = f", {landed.outside_window:,} outside the month" if landed.outside_window else ""
    return (
        f"{source} {month}: {stream}: {landed.rows_in:,} in = {landed.landed:,} landed + "
        f"{landed.duplicates:,} duplicates + {landed.quarantined:,} quarantined{outside}"
    )


def counts(manifest: lake.Manifest) -> Mapping[str, int]:
    """Return the rows of all streams together: rows_in, landed, duplicates, quarantined."""
    names = ("rows_in", "landed", "duplicates", "quarantined")
    return {n: sum(getattr(s, n) for s in manifest.streams.values()) for n in names}
