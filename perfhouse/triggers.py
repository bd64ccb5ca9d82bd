"""What the triggerer runs: looks at watched places, and a queue that tells of deliveries.

Only hints leave it, no secret and no datum; it may not ingest, build or fail for good.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer
from asgiref.sync import sync_to_async

from perfhouse.errors import PerfhouseError

_log = logging.getLogger(__name__)
_IDLE_SECONDS = 1.0  # between two questions to an empty queue
_PATIENCE_SECONDS = 15.0  # after a broker could not be reached
_T = TypeVar("_T")


class PlacesTrigger(BaseEventTrigger):
    """Looks at every watched place and says so when there is something new to ingest.

    It remembers what it said, so a restart says it once more. `configuration` is the hash of the
    company's settings: another one makes another trigger, which reads them anew.
    """

    def __init__(self, company: str, configuration: str, seconds: float) -> None:
        super().__init__()
        self.company, self.configuration, self.seconds = company, configuration, seconds
        self.said: frozenset[str] = frozenset()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes this trigger again."""
        given = {"company": self.company, "configuration": self.configuration}
        return f"{__name__}.{type(self).__name__}", {**given, "seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event whenever a place shows what it did not show at the last look."""
        # In a thread that may ask Airflow for connections through this loop.
        look = sync_to_async(_look, thread_sensitive=False)
        running = True
        while running:
            try:
                found = await look(self.company)
            except Exception as error:  # one that ends the trigger would end all that watches
                _log.warning("places: %s", _words(error))
            else:
                if found - self.said:
                    yield TriggerEvent({"arrived": len(found)})
                self.said = found
            await asyncio.sleep(self.seconds)


def _look(company: str) -> frozenset[str]:
    from perfhouse import arrivals, clock, orchestration

    ws = orchestration.workspace(Path(company))
    seen = arrivals.look(ws, clock.today(ws.company))
    for line in seen.failed:
        _log.warning("%s", line)
    return frozenset(each.key for each in seen.arrived)


class QueueTrigger(BaseEventTrigger):
    """Takes messages from a queue, and lets the broker forget each when Airflow has its event."""

    def __init__(self, connection: str, name: str) -> None:
        super().__init__()
        self.connection, self.name = connection, name

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes this trigger again: the connection's name, no address."""
        given = {"connection": self.connection, "name": self.name}
        return f"{__name__}.{type(self).__name__}", given

    def shared_stream_key(self) -> Hashable:
        """Share one broker connection for a queue."""
        return ("perfhouse-queue", self.connection, self.name)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """Return the broker's side of the stream, which acknowledges what was handed on."""
        return QueueProducer(kwargs["connection"], kwargs["name"])

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> Any:
        """Yield an event for every message."""
        async for said in shared_stream:
            yield TriggerEvent(said)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Refuse to run alone: nobody would acknowledge."""
        raise NotImplementedError("the triggerer runs this as a shared stream")
        yield


class QueueProducer(SharedStreamProducer):
    """One queue's connection, in a thread of its own: brokers' clients are for one thread."""

    def __init__(self, connection: str, name: str) -> None:
        from connectors.queues import Inbox

        self._inbox = Inbox(connection, name)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="queue")

    async def open_stream(self) -> AsyncIterator[tuple[Any, Any]]:
        """Yield what each message names, and the message; wait while there is none."""
        from connectors import queues

        running = True
        while running:
            try:
                message = await self._in_thread(self._inbox.take)
            except PerfhouseError as error:
                _log.warning("%s", error)
                await asyncio.sleep(_PATIENCE_SECONDS)
                continue
            if message is None:
                await asyncio.sleep(_IDLE_SECONDS)
                continue
            yield queues.read(message.body), message

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Acknowledge what Airflow has stored; the rest the broker hands out again."""
        for item in batch:
            if item.outcome.is_clean:
                await self._in_thread(partial(self._acked, item.broker_payload))

    def _acked(self, message: Any) -> None:
        try:
            self._inbox.acknowledge(message)
        except PerfhouseError as error:  # it comes again, which does no harm
            _log.warning("%s", error)

    async def aclose(self) -> None:
        """Give the connection back."""
        await self._in_thread(self._inbox.close)
        self._thread.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, PerfhouseError) else type(error).__name__
