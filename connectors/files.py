"""Files as a source: CSV, Excel, JSON, JSON lines and Parquet in a folder, on SFTP or in S3.

Finds the complete files of a month and fetches them; what is in them is the landing engine's
business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from connectors import completeness, remote
from connectors.base import Connector, ExtractContext, Extracted, Sight
from connectors.completeness import Wanted, is_data
from connectors.path_templates import BRACED, bounds, has_days, paths
from connectors.remote import Drop, Entry
from perfhouse.company import Company, Source, StreamMapping
from perfhouse.errors import ConfigError, SourceChanged, SourceMissing
from perfhouse.month import Month

OPTIONS = ("complete", "settle_minutes")
STREAM_OPTIONS = (*OPTIONS, "sheet", "header_row")
_FORMATS = {
    ".csv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
}
_PACKED = (".gz", ".gzip", ".bz2", ".xz", ".zst", ".zip")
_TOGETHER = 32  # remote files fetched by one question
_TOGETHER_BYTES = 64 << 20


def extract(source: Source, month: Month, context: ExtractContext) -> Iterator[Extracted]:
    """Yield the files of a month, by stream and name.

    Raises:
        SourceMissing: no file of a stream is there, or not complete yet (source owner).
        SourceChanged: a file is empty (source owner).
        ConfigError: the place cannot be reached with this configuration (operator).
        TransientError: the connection was lost, or a file changed while it was read.
    """
    drop = remote.open_drop(source, context.data)
    try:
        taken: set[str] = set()
        for stream in source.streams:
            wanted = _delivered(drop, source, stream, month, context)
            formats = {item.path: format_of(item.path, stream) for item in wanted}
            known = [item for item in wanted if item.path in taken]  # by the stream before
            fresh = [item for item in wanted if item.path not in taken]
            ahead = _fetch_ahead(drop, fresh, context) if drop.is_remote else None
            for item, save in chain(_one_by_one(drop, known), ahead or _one_by_one(drop, fresh)):
                yield Extracted((stream.stream,), item.path, formats[item.path], save)
            taken.update(formats)
        if any(has_days(_template(source, stream)) for stream in source.streams):
            yield from context.part(month)
    finally:
        drop.close()


def look(source: Source, months: Sequence[Month], context: ExtractContext) -> Iterator[Sight]:
    """Tell of each month what lies there and whether it is whole; nothing is fetched.

    Raises:
        ConfigError, TransientError: as `extract`.
    """
    drop = remote.open_drop(source, context.data)
    try:
        for month in months:
            try:
                entries = [
                    item.entry
                    for stream in source.streams
                    for item in _delivered(drop, source, stream, month, context)
                ]
            except SourceMissing as missing:
                yield Sight(month, waits=str(missing))
            except SourceChanged:  # an empty file: its ingest says so, to whom it concerns
                yield Sight(month, fingerprint=f"empty {month}")
            else:
                yield Sight(month, fingerprint=_fingerprint(entries))
    finally:
        drop.close()


def _fingerprint(entries: Sequence[Entry]) -> str:
    listed = sorted({(e.path, e.size, e.changed, e.tag) for e in entries})
    return hashlib.sha256(repr(listed).encode()).hexdigest()


def plan(source: Source, month: Month, context: ExtractContext) -> Iterator[str]:
    """Say which files would be looked for, and where."""
    where = remote.address(source) or context.data
    for stream in source.streams:
        template, until = _template(source, stream), context.end(month)
        names = paths(template, source, context.company, month, until)
        more = f" ... {names[-1]} ({len(names):,} patterns)" if len(names) > 1 else ""
        yield f"{where}: {names[0]}{more} -> {stream.stream}"


def format_of(name: str, stream: StreamMapping) -> str:
    """Return the declared format, or the one the file's name tells."""
    declared = stream.options.get("format")
    if declared:
        return str(declared)
    suffixes = [s for s in PurePosixPath(name.lower()).suffixes if s not in _PACKED]
    known = _FORMATS.get(suffixes[-1]) if suffixes else None
    if known is None:
        choice = "csv, xlsx, json, jsonl or parquet"
        raise ConfigError([f"{stream.stream}.format: expected {choice} for {name}"])
    return known


def _template(source: Source, stream: StreamMapping) -> str:
    where = f"{source.id}.{stream.stream}"
    template = stream.options.get("path")
    if not isinstance(template, str):
        raise ConfigError([f"{where}.path: expected a path, got nothing"])
    if "://" in template:
        raise ConfigError([f"{where}.path: expected a path below the source's url"])
    if not BRACED.search(template) and stream.window is None:
        raise ConfigError([f"{where}.window: expected a column, for path names no month"])
    if not is_data(PurePosixPath(template).name):
        raise ConfigError([f"{where}.path: expected no name of a hidden or unfinished file"])
    return template


def _delivered(
    drop: Drop, source: Source, stream: StreamMapping, month: Month, context: ExtractContext
) -> list[Wanted]:
    template, company, until = _template(source, stream), context.company, context.end(month)
    mode, settle = completeness.asked_of(drop, source, stream)
    names = paths(template, source, company, month, until)
    drop.expect(_days(template, source, company, month, until))
    entries = [entry for entry in remote.find(drop, names) if is_data(entry.name)]
    waits = drop.is_remote or mode != "none"
    if waits and has_days(template):
        _check_watermark(drop, source, month, bounds(company, month, until)[1] + settle)
    if not entries:
        raise SourceMissing(
            f"{source.id} {month}: no file for {stream.stream} at {template} "
            f"under {drop.where}; ask the source's owner: {source.owner}"
        )
    _check_empty([e for e in entries if format_of(e.path, stream) != "jsonl"], source)
    return completeness.complete(drop, entries, mode, settle, f"{source.id} {month}", source.owner)


def _days(template: str, source: Source, company: Company, month: Month, until: date) -> list[str]:
    """Return the folders of days above folders of hours, so that a day is listed at once."""
    parts = PurePosixPath(template).parts
    hour = next((at for at, part in enumerate(parts) if "{hh}" in part), 0)
    above = "/".join(parts[:hour])
    if "{dd}" not in above or remote.is_wild(above):
        return []
    return paths(above, source, company, month, until)


def _check_watermark(drop: Drop, source: Source, month: Month, until: datetime) -> None:
    if drop.now() < until.timestamp():
        raise SourceMissing(
            f"{source.id} {month}: {drop.where} may still receive files of the month until "
            f"{until:%Y-%m-%d %H:%M} UTC by its clock; nothing was landed, it is tried again"
        )


def _check_empty(entries: Sequence[Entry], source: Source) -> None:
    """Refuse empty files; of JSON lines, no line at all is an empty delivery."""
    empty = [entry.path for entry in entries if entry.size == 0]
    if empty:
        raise SourceChanged(
            f"{empty[0]}: the file is empty (0 bytes; {len(empty)} of {len(entries)} files are); "
            f"nothing was landed; ask the source's owner: {source.owner}"
        )


def _one_by_one(drop: Drop, wanted: Sequence[Wanted]) -> Iterator[tuple[Wanted, Any]]:
    for item in wanted:
        yield item, partial(_save, drop, item)


def _save(drop: Drop, item: Wanted, target: Path) -> None:
    drop.fetch([(item.entry, target)])
    completeness.check_sum(drop, item, target)


def _fetch_ahead(
    drop: Drop, wanted: Sequence[Wanted], context: ExtractContext
) -> Iterator[tuple[Wanted, Any]]:
    """Fetch remote files some at a time, for a question each would take the network's delay."""
    folder = context.tmp / "fetched"
    folder.mkdir(parents=True, exist_ok=True)
    for batch in _batches(wanted):
        pairs = [(item, folder / str(at)) for at, item in enumerate(batch)]
        drop.fetch([(item.entry, path) for item, path in pairs])
        for item, path in pairs:
            completeness.check_sum(drop, item, path)
            yield item, path.replace
        context.progress(f"{drop.where}: fetched {len(batch):,} files up to {batch[-1].path}")


def _batches(wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    batch: list[Wanted] = []
    size = 0
    for item in wanted:
        if batch and (len(batch) == _TOGETHER or size + item.entry.size > _TOGETHER_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.entry.size
    if batch:
        yield batch


CONNECTOR = Connector(
    name="files",
    title="Files",
    reads="CSV, Excel, JSON, JSON lines or Parquet files in a folder, on SFTP or in S3; the path "
    "or a window column tells the month",
    extract=extract,
    options=OPTIONS,
    stream_options=STREAM_OPTIONS,
    plan=plan,
    look=look,
)
