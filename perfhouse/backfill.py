"""Many months at once: sources are read side by side, months are built one after another.

It keeps no state of its own: what is landed and published already is not done again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

from perfhouse import lake, processed, settings, stages
from perfhouse.errors import MonthClosed, NotSignedOff, PerfhouseError, SourceMissing
from perfhouse.month import Month

if TYPE_CHECKING:
    from perfhouse.company import Source
    from perfhouse.stages import Progress, Workspace

PUBLISHED, STOOD, WAITS, FAILED, NOT_TRIED = "published", "stood", "waits", "failed", "not tried"
STATES = (PUBLISHED, STOOD, WAITS, FAILED, NOT_TRIED)


@dataclass(frozen=True)
class Outcome:
    """What became of one month: `state` is one of the words above; `error` says why it stopped.

    A month waits where only a person may go on: it is to be signed, or closed.
    """

    month: Month
    state: str
    release: str = ""
    error: PerfhouseError | None = None

    @property
    def said(self) -> str:
        """Return a line for people."""
        told = f"{self.month}  {self.state}{f' as {self.release}' if self.release else ''}"
        if self.error is None:
            return told
        return f"{told}: {type(self.error).__name__} (who must act: {self.error.who}) {self.error}"


def backfill(
    ws: Workspace, months: Sequence[Month], progress: Progress, jobs: int | None = None
) -> Iterator[Outcome]:
    """Land, build, judge and publish months in their order; yield what became of each.

    Sources are landed ahead while a month is built, each source month by month: its server sees no
    more than one reader. A month is compared with those before it, so the first that fails ends
    the building; what follows is landed all the same. The same call goes on where it ended.

    Args:
        ws: the company and its home.
        months: in order.
        progress: told what happens, month by month.
        jobs: how many sources are read at the same time; the default is one a core.

    Raises:
        KeyboardInterrupt: it was stopped; what is published stands, what is landed is kept.
    """
    feed = _Feed(ws, months, progress)
    many = jobs or min(len(ws.company.sources), settings.cores())
    with ThreadPoolExecutor(max_workers=max(1, many)) as pool, feed:
        for source in ws.company.sources:
            pool.submit(feed.land, source)
        yield from _in_order(ws, months, feed, progress)


class _Feed:
    """Deliveries as they land: a promise for each source and month, kept in the order of months."""

    def __init__(self, ws: Workspace, months: Sequence[Month], progress: Progress) -> None:
        self._ws, self._months, self._progress = ws, months, progress
        self._stopped = Event()
        self._landed: dict[tuple[str, Month], Future[None]] = {
            (source.id, month): Future() for source in ws.company.sources for month in months
        }

    def __enter__(self) -> _Feed:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:  # each source ends after the month that it is at
            self._stopped.set()

    def land(self, source: Source) -> None:
        """Land every month of a source that is not landed; one that fails keeps no other back."""
        for month in self._months:
            promise = self._landed[source.id, month]
            if self._stopped.is_set():
                promise.cancel()
                continue
            try:
                if lake.read_manifest(self._ws.home, source.id, month) is None:
                    stages.ingest(self._ws, source.id, month, self._progress)
            except SourceMissing as missing:
                if source.required:
                    promise.set_exception(missing)
                    continue
                self._progress(f"{source.id}: optional, not delivered: {missing}")
            except BaseException as error:
                promise.set_exception(error)
                continue
            promise.set_result(None)

    def wait_for(self, month: Month) -> None:
        """Wait for the deliveries of a month; raises what the first that failed did."""
        for source in self._ws.company.sources:
            self._landed[source.id, month].result()


def _in_order(
    ws: Workspace, months: Sequence[Month], feed: _Feed, progress: Progress
) -> Iterator[Outcome]:
    failed = False
    for number, month in enumerate(months, start=1):
        if failed:
            yield Outcome(month, NOT_TRIED)
            continue
        progress(f"{month}: {number} of {len(months)}")
        outcome = _one(ws, month, feed, progress)
        failed = outcome.state == FAILED
        yield outcome


def _one(ws: Workspace, month: Month, feed: _Feed, progress: Progress) -> Outcome:
    try:
        feed.wait_for(month)
        newest = processed.newest_entry(ws.home, month)
        now = processed.landed(ws.home, ws.company, month)
        if newest and processed.published(ws.home, ws.company, month) == now:
            return Outcome(month, STOOD, newest.name)
        as_of = Month(max(newest.as_of, month.key)) if newest else None
        released = stages.made(ws, month, as_of, progress)
    except (MonthClosed, NotSignedOff) as waits:
        return Outcome(month, WAITS, error=waits)
    except PerfhouseError as error:
        return Outcome(month, FAILED, error=error)
    return Outcome(month, PUBLISHED, released.name)
