"""A broker's queue that tells of deliveries: a real Redis, and RabbitMQ where there is one."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
from servers import process

from connectors import queues
from connectors.queues import Inbox
from perfhouse.errors import ConfigError, TransientError

pytestmark = pytest.mark.server
SAID = {"source": "desk", "month": "2026-09"}
RABBIT = ("127.0.0.1", 5672)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = process.free_port()
    folder = tmp_path_factory.mktemp("redis")
    server = process.program("redis-server", package="redis-server")
    command = [str(server), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    ready = process.listening(port)
    with process.start("redis", command, ready=ready, log=folder / "redis.log"):
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture(params=["redis", "rabbitmq"])
def name(
    request: pytest.FixtureRequest, redis: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Name a queue of its own at a broker that the connection `events` names."""
    url = redis
    if request.param == "rabbitmq":
        with suppress(OSError), socket.create_connection(RABBIT, 1):
            url = "amqp://guest:guest@127.0.0.1:5672//"
        if url == redis:
            pytest.skip("no RabbitMQ listens on this machine")
    monkeypatch.setenv("PERFHOUSE_URL_EVENTS", url)
    queue = f"perfhouse-test-{uuid4().hex[:8]}"
    yield queue
    inbox = Inbox("events", queue)
    while (message := inbox.take()) is not None:
        inbox.acknowledge(message)
    inbox.close()


def test_a_message_is_handed_out_until_it_is_acknowledged(name: str) -> None:
    inbox = Inbox("events", name)
    assert inbox.take() is None
    inbox.put({**SAID, "file": "/home/somebody/private.csv"})
    first = inbox.take()
    assert first is not None
    assert queues.read(first.body) == SAID, "nothing else of it is kept"
    assert inbox.take() is None, "it is ours for now"
    inbox.close()  # and we died
    again = inbox.take()
    assert again is not None
    assert queues.read(again.body) == SAID
    inbox.acknowledge(again)
    inbox.close()
    assert inbox.take() is None
    inbox.close()


def test_a_broker_that_is_gone_is_one_to_ask_again_and_its_address_is_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PERFHOUSE_URL_EVENTS", "redis://:s3cret@127.0.0.1:9/0")
    with pytest.raises(TransientError, match="connection 'events'") as refused:
        Inbox("events", "drops").take()
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None
    monkeypatch.delenv("PERFHOUSE_URL_EVENTS")
    with pytest.raises(ConfigError, match="PERFHOUSE_URL_EVENTS"):
        Inbox("events", "drops").take()


PROGRAM = """
import asyncio, json, sys
from airflow.triggers.shared_stream import AdvanceItem, AdvanceOutcome
from perfhouse import triggers

name, clean = sys.argv[1], sys.argv[2] == "stored"

async def main():
    made = triggers.QueueTrigger("events", name)
    path, kwargs = made.serialize()
    producer = triggers.QueueTrigger.create_shared_stream_producer(kwargs)
    stream = producer.open_stream()
    said, message = await asyncio.wait_for(anext(stream), 30)
    outcome = AdvanceOutcome(acked=int(clean), failed=int(not clean))
    await producer.advance([AdvanceItem(message, outcome)])
    await stream.aclose()
    await producer.aclose()
    return {"path": path, "kwargs": kwargs, "said": said}

found = asyncio.run(main())
print("@@" + json.dumps(found))
"""


async def _told(folder: Path, *words: str) -> dict[str, object]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, *words),
        env={**os.environ, "AIRFLOW_HOME": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(child.communicate(), 120)
    assert b"@@" in out, err.decode()[-2000:]
    return dict(json.loads(out.rpartition(b"@@")[2]))


def test_the_trigger_lets_the_broker_forget_only_what_airflow_has_stored(
    name: str, tmp_path: Path
) -> None:
    inbox = Inbox("events", name)
    inbox.put(SAID)
    inbox.close()
    failed = asyncio.run(_told(tmp_path, name, "lost"))
    stored = asyncio.run(_told(tmp_path, name, "stored"))
    assert failed["said"] == stored["said"] == SAID, "it came again"
    assert stored["path"] == "perfhouse.triggers.QueueTrigger"
    assert stored["kwargs"] == {"connection": "events", "name": name}, "no address is stored"
    assert inbox.take() is None
    inbox.close()
