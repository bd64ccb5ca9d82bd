"""A broker's queue that tells of deliveries: RabbitMQ, Redis or another that kombu speaks to.

Takes messages one at a time and hands them back unless they are acknowledged; what they mean is not
known here, and no address or message is in any error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from perfhouse.errors import ConfigError, TransientError
from perfhouse.settings import connection_url

if TYPE_CHECKING:
    import kombu

_SECONDS = 10.0  # to reach the broker
_MOST = 64 << 10  # bytes of a message that is read; a longer one only says to look
_KEPT = ("source", "month")
# Redis hands a message out again when nobody acknowledged it for that many seconds.
_OPTIONS = {"visibility_timeout": 300, "socket_connect_timeout": _SECONDS}


class Inbox:
    """An open queue; not for use by two threads at once."""

    def __init__(self, name: str, queue: str) -> None:
        """Name the connection and the queue; nothing is opened yet."""
        self._name, self._queue_name = name, queue
        self._broker: kombu.Connection | None = None
        self._queue: kombu.Queue | None = None

    def take(self) -> kombu.Message | None:
        """Return the next message, or None; it stays the broker's until it is acknowledged.

        Raises:
            TransientError: the broker cannot be reached (retry).
            ConfigError: there is no such connection (operator).
        """
        with self._told():
            return self._opened().get(no_ack=False)

    def acknowledge(self, message: kombu.Message) -> None:
        """Let the broker forget a message that was handed on."""
        with self._told():
            message.ack()

    def put(self, said: Mapping[str, Any]) -> None:
        """Put a message into the queue, as a system that delivers would."""
        with self._told():
            queue = self._opened()
            import kombu

            kombu.Producer(queue.channel).publish(
                dict(said), routing_key=self._queue_name, serializer="json", delivery_mode=2
            )

    def close(self) -> None:
        """Give the connection back; what was not acknowledged is handed out again."""
        broker, self._broker, self._queue = self._broker, None, None
        if broker is not None:
            with suppress(Exception):
                broker.release()

    def _opened(self) -> kombu.Queue:
        if self._queue is None:
            self._queue = self._open()
        return self._queue

    def _open(self) -> kombu.Queue:
        import kombu

        options = {} if self._url().startswith("amqp") else {"transport_options": _OPTIONS}
        self._broker = kombu.Connection(
            self._url(), connect_timeout=_SECONDS, heartbeat=0, **options
        )
        self._broker.ensure_connection(max_retries=1, timeout=_SECONDS)
        queue = kombu.Queue(self._queue_name, durable=True)
        try:  # as its owner made it, whatever that is
            bound = queue(self._broker.channel())
            bound.queue_declare(passive=True)
        except self._broker.channel_errors:
            bound = queue(self._broker.channel())
            bound.queue_declare()
        return bound

    def _url(self) -> str:
        return connection_url(self._name)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell what a broker refuses in our words: its own hold the address."""
        try:
            yield
        except ConfigError:
            raise
        except Exception as error:
            self.close()
            what = type(error).__name__
            raise TransientError(
                f"queue {self._queue_name} of connection {self._name!r}: {what}; it is tried again"
            ) from None


def read(body: object) -> dict[str, str]:
    """Return the source and the month that a message names; nothing else of it is kept.

    What cannot be read is empty: then the message only says to look.
    """
    raw = bytes(body) if isinstance(body, memoryview | bytearray) else body
    if not isinstance(raw, str | bytes) or len(raw) > _MOST:
        return {}
    try:
        said = json.loads(raw)
    except ValueError:
        return {}
    if not isinstance(said, Mapping):
        return {}
    return {key: str(said[key])[:60] for key in _KEPT if said.get(key) is not None}
