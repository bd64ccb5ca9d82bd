"""Files as a source: CSV, JSON, JSON lines and Parquet under the data folder or a URL.

Finds and copies files; what is in them is the landing engine's business.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

from connectors.base import Connector, ExtractContext, Extracted
from perfhouse.company import Company, Source, StreamMapping
from perfhouse.errors import ConfigError, SourceMissing, TransientError
from perfhouse.month import Month

PLACEHOLDERS = ("month", "yyyymm", "yyyy", "mm", "dd", "hh")
_FORMATS = {
    ".csv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def extract(source: Source, month: Month, context: ExtractContext) -> Iterator[Extracted]:
    """Yield the files of a month, by stream and name.

    Raises:
        SourceMissing: no file of a stream is there; the path and the owner are named.
    """
    for stream in source.streams:
        found = dict(_found(source, stream, month, context))
        if not found:
            raise SourceMissing(
                f"{source.id} {month}: no file for {stream.stream} at {stream.options['path']} "
                f"under {context.data}; ask the source's owner: {source.owner}"
            )
        for name, save in sorted(found.items()):
            yield Extracted((stream.stream,), name, format_of(name, stream), save)


def format_of(name: str, stream: StreamMapping) -> str:
    """Return the declared format, or the one the file's name tells."""
    declared = stream.options.get("format")
    if declared:
        return str(declared)
    suffixes = [s for s in PurePosixPath(name.lower()).suffixes if s not in (".gz", ".gzip")]
    known = _FORMATS.get(suffixes[-1]) if suffixes else None
    if known is None:
        raise ConfigError(
            [f"{stream.stream}.format: expected csv, json, jsonl or parquet for {name}"]
        )
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


def _hours(source: Source, company: Company, month: Month) -> Iterator[datetime]:
    home, zone = ZoneInfo(company.time_zone), ZoneInfo(source.time_zone)
    at = datetime.combine(month.start, datetime.min.time(), home).astimezone(UTC)
    end = datetime.combine(month.end, datetime.min.time(), home).astimezone(UTC)
    at = at.replace(minute=0)
    while at < end:
        yield at.astimezone(zone)
        at += timedelta(hours=1)


def _found(
    source: Source, stream: StreamMapping, month: Month, context: ExtractContext
) -> Iterator[tuple[str, Any]]:
    template = stream.options.get("path")
    if not isinstance(template, str):
        raise ConfigError([f"{source.id}.{stream.stream}.path: expected a path, got nothing"])
    if not _PLACEHOLDER.search(template) and stream.window is None:
        raise ConfigError(
            [f"{source.id}.{stream.stream}.window: expected a column, for path names no month"]
        )
    for pattern in paths(template, source, context.company, month):
        yield from _remote(pattern) if "://" in pattern else _local(pattern, context.data)


def _local(pattern: str, data: Path) -> Iterator[tuple[str, Any]]:
    exact = data / pattern
    if exact.is_file():
        yield pattern, partial(_copy, exact)
        return
    anchor = exact.anchor if Path(pattern).is_absolute() else ""
    root = Path(anchor) if anchor else data
    for path in root.glob(pattern.removeprefix(anchor)) if root.is_dir() else ():
        if path.is_file():
            # not resolved: behind a linked folder, files of one name would become one file
            inside = path.is_relative_to(data)
            name = path.relative_to(data) if inside else path
            yield name.as_posix(), partial(_copy, path)


def _copy(path: Path, target: Path) -> None:
    try:
        shutil.copyfile(path, target)
    except OSError as error:
        raise TransientError(f"{path}: the file cannot be read ({error.strerror})") from error


def _remote(pattern: str) -> Iterator[tuple[str, Any]]:
    import fsspec

    fs, base = fsspec.core.url_to_fs(pattern)
    for path in fs.glob(base):
        yield str(path).lstrip("/"), partial(_fetch, fs, str(path))


def _fetch(fs: Any, path: str, target: Path) -> None:
    try:
        fs.get_file(path, str(target))
    except OSError as error:
        raise TransientError(f"{path}: the file cannot be fetched") from error


CONNECTOR = Connector(
    name="files",
    title="Files",
    reads="CSV, JSON, JSON lines or Parquet files; the path or a window column tells the month",
    extract=extract,
)
