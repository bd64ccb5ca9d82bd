"""Files as a source: CSV, Excel, JSON, JSON lines and Parquet in a folder, on SFTP or in S3.

Finds the complete files of a month and fetches them; what is in them is the landing engine's
business.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

from connectors import remote
from connectors.base import Connector, ExtractContext, Extracted
from connectors.remote import Drop, Entry
from perfhouse.company import Company, Source, StreamMapping
from perfhouse.errors import ConfigError, SourceChanged, SourceMissing
from perfhouse.month import Month

PLACEHOLDERS = ("month", "yyyymm", "yyyy", "mm", "dd", "hh")
OPTIONS = ("complete", "settle_minutes")
STREAM_OPTIONS = (*OPTIONS, "sheet", "header_row")
COMPLETE = ("none", "settled", "done", "checksum")
SETTLE_MINUTES = 5
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
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_MARK = "_SUCCESS"
_SUMS = {".sha256": "sha256", ".md5": "md5"}
_BESIDE = (".done", *_SUMS)  # names that speak of a data file and are none
_UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".swp", "~")
_SUM = re.compile(r"^\\?([0-9a-fA-F]{32}|[0-9a-fA-F]{64})\b")
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
            wanted = _delivered(drop, source, stream, month, context.company)
            formats = {item.path: format_of(item.path, stream) for item in wanted}
            known = [item for item in wanted if item.path in taken]  # by the stream before
            fresh = [item for item in wanted if item.path not in taken]
            ahead = _fetch_ahead(drop, fresh, context) if drop.is_remote else None
            for item, save in chain(_one_by_one(drop, known), ahead or _one_by_one(drop, fresh)):
                yield Extracted((stream.stream,), item.path, formats[item.path], save)
            taken.update(formats)
    finally:
        drop.close()


def plan(source: Source, month: Month, context: ExtractContext) -> Iterator[str]:
    """Say which files would be looked for, and where."""
    where = remote.address(source) or context.data
    for stream in source.streams:
        names = paths(_template(source, stream), source, context.company, month)
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


def paths(template: str, source: Source, company: Company, month: Month) -> list[str]:
    """Fill a path template for a month.

    `{dd}` and `{hh}` are days and hours in the source's zone; every one that touches the
    company's local month is listed. `{month}`, `{yyyymm}`, `{yyyy}` and `{mm}` alone name
    the month itself.
    """
    words = set(_PLACEHOLDER.findall(template))
    unknown = sorted(words - set(PLACEHOLDERS))
    if unknown:
        known = ", ".join("{" + word + "}" for word in PLACEHOLDERS)
        raise ConfigError([f"{source.id}: path: expected {known}; got {{{unknown[0]}}}"])
    if not words & {"dd", "hh"}:
        return [_fill(template, datetime.combine(month.start, datetime.min.time()))]
    return list(dict.fromkeys(_fill(template, hour) for hour in _hours(source, company, month)))


def _fill(template: str, at: datetime) -> str:
    values = {
        "month": f"{at:%Y-%m}",
        "yyyymm": f"{at:%Y%m}",
        "yyyy": f"{at:%Y}",
        "mm": f"{at:%m}",
        "dd": f"{at:%d}",
        "hh": f"{at:%H}",
    }
    return _PLACEHOLDER.sub(lambda match: values[match.group(1)], template)


def _bounds(company: Company, month: Month) -> tuple[datetime, datetime]:
    home = ZoneInfo(company.time_zone)
    start, end = (
        datetime.combine(day, datetime.min.time(), home).astimezone(UTC)
        for day in (month.start, month.end)
    )
    return start, end


def _hours(source: Source, company: Company, month: Month) -> Iterator[datetime]:
    zone = ZoneInfo(source.time_zone)
    at, end = _bounds(company, month)
    at = at.replace(minute=0)
    while at < end:
        yield at.astimezone(zone)
        at += timedelta(hours=1)


# --- what was delivered ---------------------------------------------------------------------


@dataclass(frozen=True)
class _Wanted:
    """A complete file: how it was listed, and the checksum its owner gave it."""

    entry: Entry
    algorithm: str = ""
    checksum: str = ""

    @property
    def path(self) -> str:
        return self.entry.path


def _template(source: Source, stream: StreamMapping) -> str:
    where = f"{source.id}.{stream.stream}"
    template = stream.options.get("path")
    if not isinstance(template, str):
        raise ConfigError([f"{where}.path: expected a path, got nothing"])
    if "://" in template:
        raise ConfigError([f"{where}.path: expected a path below the source's url"])
    if not _PLACEHOLDER.search(template) and stream.window is None:
        raise ConfigError([f"{where}.window: expected a column, for path names no month"])
    if not _is_data(PurePosixPath(template).name):
        raise ConfigError([f"{where}.path: expected no name of a hidden or unfinished file"])
    return template


def _delivered(
    drop: Drop, source: Source, stream: StreamMapping, month: Month, company: Company
) -> list[_Wanted]:
    template = _template(source, stream)
    mode, settle = _completeness(drop, source, stream)
    names = paths(template, source, company, month)
    drop.expect(_days(template, source, company, month))
    entries = [entry for entry in remote.find(drop, names) if _is_data(entry.name)]
    waits = drop.is_remote or mode != "none"
    if waits and {"dd", "hh"} & set(_PLACEHOLDER.findall(template)):
        _check_watermark(drop, source, month, _bounds(company, month)[1] + settle)
    if not entries:
        raise SourceMissing(
            f"{source.id} {month}: no file for {stream.stream} at {template} "
            f"under {drop.where}; ask the source's owner: {source.owner}"
        )
    _check_empty([e for e in entries if format_of(e.path, stream) != "jsonl"], source)
    return _complete(drop, entries, mode, settle, f"{source.id} {month}", source.owner)


def _is_data(name: str) -> bool:
    """Tell a file's name from those of hidden, unfinished and accompanying files."""
    lower = name.lower()
    return not (
        name.startswith((".", "~$")) or name == _MARK or lower.endswith((*_UNFINISHED, *_BESIDE))
    )


def _days(template: str, source: Source, company: Company, month: Month) -> list[str]:
    """Return the folders of days above folders of hours, so that a day is listed at once."""
    parts = PurePosixPath(template).parts
    hour = next((at for at, part in enumerate(parts) if "{hh}" in part), 0)
    above = "/".join(parts[:hour])
    if "{dd}" not in above or remote.is_wild(above):
        return []
    return paths(above, source, company, month)


def _completeness(drop: Drop, source: Source, stream: StreamMapping) -> tuple[str, timedelta]:
    options = {**source.options, **stream.options}
    where = f"{source.id}.{stream.stream}"
    mode = options.get("complete", "settled" if drop.is_remote else "none")
    minutes = options.get("settle_minutes", SETTLE_MINUTES)
    if mode not in COMPLETE:
        raise ConfigError(
            [f"{where}.complete: expected one of {', '.join(COMPLETE)}, got {mode!r}"]
        )
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or minutes < 0:
        raise ConfigError([f"{where}.settle_minutes: expected minutes from 0, got {minutes!r}"])
    return str(mode), timedelta(minutes=minutes)


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


def _complete(
    drop: Drop, entries: Sequence[Entry], mode: str, settle: timedelta, where: str, owner: str
) -> list[_Wanted]:
    """Return the files when every one is there whole; else SourceMissing names the first."""
    if mode == "settled":
        late = _unsettled(drop, entries, settle)
        wanted = [_Wanted(entry) for entry in entries]
    elif mode == "done":
        late = _unmarked(drop, entries)
        wanted = [_Wanted(entry) for entry in entries]
    elif mode == "checksum":
        wanted, late = _summed(drop, entries, where, owner)
    else:
        return [_Wanted(entry) for entry in entries]
    if late:
        raise SourceMissing(
            f"{where}: {late[0]}, as of {len(late)} of {len(entries)} files; nothing was landed, "
            f"it is tried again; if it stays so, ask the source's owner: {owner}"
        )
    return wanted


def _unsettled(drop: Drop, entries: Sequence[Entry], settle: timedelta) -> list[str]:
    now = drop.now()
    said = f"was written less than {settle.total_seconds() / 60:g} minutes ago"
    return [f"{e.path} {said}" for e in entries if now - e.changed < settle.total_seconds()]


def _beside(drop: Drop, entries: Sequence[Entry]) -> dict[str, Entry]:
    """Return every file that lies in a folder of these, by path."""
    folders = dict.fromkeys(entry.path.rpartition("/")[0] for entry in entries)
    return {e.path: e for folder in folders for e in drop.entries(folder) if not e.is_folder}


def _unmarked(drop: Drop, entries: Sequence[Entry]) -> list[str]:
    """List files without a mark that is at least as new as they are."""
    beside = _beside(drop, entries)
    late = []
    for entry in entries:
        folder = entry.path.rpartition("/")[0]
        marks = (f"{entry.path}.done", f"{folder}/{_MARK}" if folder else _MARK)
        found = [beside[mark] for mark in marks if mark in beside]
        if not found:
            late.append(f"{entry.path} has neither {entry.name}.done nor {_MARK} beside it")
        elif max(mark.changed for mark in found) < entry.changed:
            late.append(f"{entry.path} is newer than the mark beside it")
    return late


def _summed(
    drop: Drop, entries: Sequence[Entry], where: str, owner: str
) -> tuple[list[_Wanted], list[str]]:
    beside = _beside(drop, entries)
    wanted, late = [], []
    for entry in entries:
        named = [(s, beside[entry.path + s]) for s in _SUMS if entry.path + s in beside]
        if not named:
            late.append(f"{entry.path} has no {' or '.join(_SUMS)} file beside it")
            continue
        suffix, sidecar = named[0]
        text = drop.read(sidecar, 4096).decode("ascii", "replace").strip()
        match = _SUM.match(text)
        if match is None or len(match[1]) != hashlib.new(_SUMS[suffix]).digest_size * 2:
            raise SourceChanged(
                f"{where}: {sidecar.path} holds no {_SUMS[suffix]} checksum; nothing was landed; "
                f"ask the source's owner: {owner}"
            )
        wanted.append(_Wanted(entry, _SUMS[suffix], match[1].lower()))
    return wanted, late


# --- fetching -------------------------------------------------------------------------------


def _one_by_one(drop: Drop, wanted: Sequence[_Wanted]) -> Iterator[tuple[_Wanted, Any]]:
    for item in wanted:
        yield item, partial(_save, drop, item)


def _save(drop: Drop, item: _Wanted, target: Path) -> None:
    drop.fetch([(item.entry, target)])
    _check_sum(drop, item, target)


def _fetch_ahead(
    drop: Drop, wanted: Sequence[_Wanted], context: ExtractContext
) -> Iterator[tuple[_Wanted, Any]]:
    """Fetch remote files some at a time, for a question each would take the network's delay."""
    folder = context.tmp / "fetched"
    folder.mkdir(parents=True, exist_ok=True)
    for batch in _batches(wanted):
        pairs = [(item, folder / str(at)) for at, item in enumerate(batch)]
        drop.fetch([(item.entry, path) for item, path in pairs])
        for item, path in pairs:
            _check_sum(drop, item, path)
            yield item, path.replace
        context.progress(f"{drop.where}: fetched {len(batch):,} files up to {batch[-1].path}")


def _batches(wanted: Sequence[_Wanted]) -> Iterator[list[_Wanted]]:
    batch: list[_Wanted] = []
    size = 0
    for item in wanted:
        if batch and (len(batch) == _TOGETHER or size + item.entry.size > _TOGETHER_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.entry.size
    if batch:
        yield batch


def _check_sum(drop: Drop, item: _Wanted, path: Path) -> None:
    if not item.checksum:
        return
    with path.open("rb") as handle:
        found = hashlib.file_digest(handle, item.algorithm).hexdigest()
    if found != item.checksum:
        raise SourceMissing(
            f"{drop.where}: {item.path} does not have its {item.algorithm} checksum: it is still "
            "being written, or was damaged on its way; nothing was archived"
        )


CONNECTOR = Connector(
    name="files",
    title="Files",
    reads="CSV, Excel, JSON, JSON lines or Parquet files in a folder, on SFTP or in S3; the path "
    "or a window column tells the month",
    extract=extract,
    options=OPTIONS,
    stream_options=STREAM_OPTIONS,
    plan=plan,
)
