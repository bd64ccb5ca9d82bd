"""Streams that an account may not read: absent where nobody asked for them, an error elsewhere.

Judges what an archive's control totals tell; it lands nothing and asks no server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from perfhouse import lake
from perfhouse.company import Source
from perfhouse.errors import ConfigError
from perfhouse.month import Month
from perfhouse.settings import Home

CONTROL = "control.json"  # beside an API's answers: counts by endpoint, and what was refused


def judged(
    configured: Source, month: Month, home: Home, receipt: lake.Receipt, accept_loss: bool
) -> Mapping[str, str]:
    """Return what was refused to the account, by stream; `configured` is without defaults.

    Raises:
        ConfigError: the configuration lists such a stream, or it delivered rows before and
            `accept_loss` is not set (operator: the account's permission, or the list).
    """
    refused = _told(home, receipt)
    listed = {stream.stream for stream in configured.streams}
    problems = []
    for stream, what in refused.items():
        why = "perfhouse.toml lists the stream" if stream in listed else ""
        if not why and not accept_loss:
            why = _had(home, configured, stream)
        if why:
            problems.append(
                f"{configured.id} {month}: {stream}: the account is refused {what}, but {why}; "
                "nothing was landed. Give the account that permission (docs/connectors/"
                f"{configured.connector}.md), or list in [[sources.streams]] only what it may read"
            )
    if problems:
        raise ConfigError(problems)
    return refused


def _told(home: Home, receipt: lake.Receipt) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in receipt.files:
        if file.name != CONTROL or file.streams:
            continue
        path = lake.archived_path(home, receipt, file.name)
        for endpoint, facts in json.loads(path.read_bytes()).items():
            for stream in facts.get("streams", ()):
                found[stream] = f"{endpoint} (HTTP {facts['refused']})"
    return found


def _had(home: Home, source: Source, stream: str) -> str:
    """Say when the source last had rows of a stream, in words; nothing if it never had any."""
    for month in sorted(_months(home), reverse=True):
        manifest = lake.read_manifest(home, source.id, month)
        landing = manifest.streams.get(stream) if manifest else None
        if landing and landing.refused:
            return ""  # it was accepted then
        if landing and landing.landed:
            rows = f"{landing.landed:,} rows of {month}"
            return (
                f"could read {rows}: a permission was lost "
                "(--accept-loss does without it from then on)"
            )
    return ""


def _months(home: Home) -> Iterator[Month]:
    for folder in home.manifests.glob("month=*"):
        yield Month(folder.name.removeprefix("month="))
