"""Asking an API: its requests made, its clock and watermark minded, its answers counted.

Nothing here knows a vendor, or keeps an answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from connectors.endpoints import Call, Endpoint, System, Window, page_of
from connectors.http import Answer, Client, Later, told_time
from connectors.paging import Page, Request, number
from perfhouse.company import Source
from perfhouse.errors import SourceMissing, TransientError
from perfhouse.month import Month
from perfhouse.settings import Connection

_BY_CLOCK = "its clock minus the time it settles"


@dataclass
class Tally:
    """Counts of one endpoint, beside what the source told."""

    pages: int = 0
    records: int = 0
    told: int | None = None
    refused: int | None = None  # the HTTP status of what the account may not read

    def add(self, page: Page, endpoint: Endpoint) -> None:
        """Count a page."""
        self.pages += 1
        self.records += len(page.records(endpoint.records))
        if endpoint.total is not None:
            self.told = number(page.at(endpoint.total))

    def check(self, source: Source, month: Month, endpoint: Endpoint) -> None:
        """Raise TransientError when the source told another total: it changed while it was read."""
        if self.told is not None and self.told != self.records:
            raise TransientError(
                f"{source.id} {month}: {endpoint.name}: {self.records:,} records received, the "
                f"source told {self.told:,}: it changed while it was read; nothing was landed"
            )

    def facts(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return the counts, as the archive keeps them."""
        counts = {"pages": self.pages, "records": self.records, "told": self.told}
        if self.refused is None:
            return counts
        return {**counts, "refused": self.refused, "streams": endpoint.streams}


class Sender:
    """Makes an endpoint's requests; refuses a source whose clock lies before the window's end."""

    def __init__(
        self, system: System, source: Source, connection: Connection, client: Client, frame: Window
    ) -> None:
        self.system, self.source, self.connection = system, source, connection
        self.client, self.frame = client, frame
        self.prefix = f"/{connection.schema.strip('/')}" if connection.schema.strip("/") else ""

    def send(self, request: Request) -> Page:
        """Make a request; SourceMissing when the answer's clock lies before the window's end."""
        path = request.path
        if path.startswith("/") and self.prefix and not path.startswith(f"{self.prefix}/"):
            path = f"{self.prefix}{path}"
        answer = self.client.fetch(
            request.method, path, params=request.params, body=request.body, judge=self._judge
        )
        if self.system.watermark is None:
            self._enough(told_time(answer) - self.system.settle, _BY_CLOCK)
        return page_of(answer.body, request, answer.headers)

    def _judge(self, answer: Answer) -> None:
        """Refuse an answer cut short or no JSON at all, so that it is asked for again."""
        if answer.status == 204:
            return
        if not _is_json(answer.body):
            kind = answer.headers.get("content-type", "unknown").split(";")[0]
            raise Later(f"{self.source.id}: the answer is no complete JSON ({kind})")
        self.system.judge(answer)

    def wait_for_watermark(self) -> None:
        """Raise SourceMissing unless the source is complete to the end of the window."""
        if self.system.watermark is None:
            return
        reached = self.system.watermark(self.call(None, {}, ()))
        if reached is None:
            self._enough(told_time() - self.system.settle, _BY_CLOCK)
        else:
            self._enough(reached, "its watermark")

    def _enough(self, reached: datetime, what: str) -> None:
        if reached < self.frame.end:
            raise SourceMissing(
                f"{self.source.id} {self.frame.month}: {what} is {reached:%Y-%m-%d %H:%M:%S} UTC, "
                f"the month ends at {self.frame.end:%Y-%m-%d %H:%M:%S} UTC; wait until it is "
                f"past, or ask the source's owner: {self.source.owner}"
            )

    def call(
        self,
        endpoint: Endpoint | None,
        kept: Mapping[str, list[Path]],
        endpoints: tuple[Endpoint, ...],
    ) -> Call:
        """Return what the generator of an endpoint may use; `kept` holds the pages of others."""
        begin = self.frame.start - (endpoint.lookback if endpoint else timedelta(0))
        frame = Window(self.frame.month, begin, self.frame.end)
        paths = {e.name: e.records for e in endpoints}
        return Call(self.source, frame, self.send, self.connection, kept, paths)


def _is_json(body: bytes) -> bool:
    """Tell JSON from what is none or was cut; half a character is some record's own fault."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except msgspec.DecodeError:
        try:
            json.loads(body)
        except (ValueError, RecursionError):
            return False
    return True
