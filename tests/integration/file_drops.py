"""A small company whose files are dropped on a server, and a network that fails on request."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import duckdb
import pytest
from servers.moto import S3
from servers.sshd import Sftp

from connectors import landing
from perfhouse.company import ColumnMapping, Company, Source, StreamMapping
from perfhouse.lake import Manifest
from perfhouse.month import Month
from perfhouse.settings import Home

OWNER = "HR <hr@example.com>"
MONTH = Month("2026-09")
SURVEY = {
    "response_id": ColumnMapping(source="id"),
    "survey_id": ColumnMapping(value="s1"),
    "survey_kind": ColumnMapping(value="csat"),
    "question_id": ColumnMapping(value="q1"),
    "submitted_at": ColumnMapping(source="when", format="%d/%m/%Y %H:%M"),
    "score": ColumnMapping(source="score"),
    "scale_min": ColumnMapping(value=1),
    "scale_max": ColumnMapping(value=5),
}
GOOD = "id,when,score\na,02/09/2026 10:00,5\nb,03/09/2026 00:30,4\n"


def stream(columns: dict[str, ColumnMapping] | None = None, **options: Any) -> StreamMapping:
    name = options.pop("stream", "survey_responses")
    window = options.pop("window", None)
    return StreamMapping(
        name, {"path": "{month}/*.csv", **options}, window, columns or SURVEY, ()
    )  # fmt: skip


def source(*streams: StreamMapping, connector: str = "files", **options: Any) -> Source:
    return Source(
        id="drop",
        connector=connector,
        owner=OWNER,
        schedule="0 3 1 * *",
        required=True,
        time_zone="Asia/Shanghai",
        options=options,
        streams=streams if streams or connector != "files" else (stream(),),
    )


@dataclass
class Warehouse:
    """A home that ingests, and what it said."""

    root: Path
    zone: str = "Asia/Shanghai"
    said: list[str] = field(default_factory=list)

    @property
    def home(self) -> Home:
        return Home(self.root / "home").ensure()

    def ingest(self, given: Source, month: Month = MONTH) -> Manifest:
        (self.root / "data").mkdir(exist_ok=True)
        company = cast(Company, SimpleNamespace(time_zone=self.zone, sources=(given,)))
        return landing.ingest(
            given, company, month, self.root / "data", self.home, self.said.append
        )

    def rows(self, manifest: Manifest, what: str, name: str = "survey_responses") -> list[Any]:
        files = [str(self.home.root / f.path) for f in manifest.streams[name].files]
        with duckdb.connect() as con:
            con.execute("set TimeZone = 'UTC'")
            return con.execute(
                f"select {what} from read_parquet(?) order by _file, _row_number", [files]
            ).fetchall()

    def archived(self) -> list[str]:
        return sorted(
            path.name
            for path in self.home.archive.rglob("*")
            if path.is_file() and path.name not in ("receipt.json", "latest")
        )


def connect_sftp(monkeypatch: pytest.MonkeyPatch, server: Sftp, **changes: Any) -> None:
    """Name the server `hr_drop`, as Airflow's environment does."""
    extra = {"key_file": str(server.client_key), "known_hosts": str(server.known_hosts)}
    extra = {**extra, **changes.pop("extra", {})}
    form = {
        "conn_type": "sftp",
        "host": server.host,
        "port": server.port,
        "login": server.user,
        "extra": {key: value for key, value in extra.items() if value is not None},
        **changes,
    }
    monkeypatch.setenv("AIRFLOW_CONN_HR_DROP", json.dumps(form))


def connect_s3(monkeypatch: pytest.MonkeyPatch, server: S3, **changes: Any) -> None:
    """Name the bucket's account `lake`."""
    extra = {"endpoint_url": server.url, "region_name": server.region}
    form = {
        "conn_type": "aws",
        "login": server.access_key,
        "password": server.secret_key,
        "extra": extra,
        **changes,
    }
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(form))


@dataclass
class Wire:
    """A TCP relay to a server.

    Args:
        cut_after: bytes from the server after which a connection is cut; None never.
        cuts: how many connections are cut; the ones after live.
        bytes_per_second: how fast it is, 0 for as fast as it goes.
        at: called once when that many bytes came from the server.
    """

    port: int
    cut_after: int | None = None
    cuts: int = 1_000
    bytes_per_second: int = 0
    at: tuple[int, Callable[[], object]] | None = None
    seen: int = 0
    connections: int = 0


@contextmanager
def wire(host: str, port: int, **how: Any) -> Iterator[Wire]:
    """Relay a port of this machine to a server until the block ends."""
    ending = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        relay = Wire(listener.getsockname()[1], **how)
        threads: list[threading.Thread] = []

        def accept() -> None:
            while not ending.is_set():
                with suppress(TimeoutError):
                    client, _ = listener.accept()
                    relay.connections += 1
                    server = socket.create_connection((host, port))
                    pump = threading.Thread(target=_pump, args=(relay, client, server, ending))
                    threads.append(pump)
                    pump.start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield relay
        finally:
            ending.set()
            for thread in (acceptor, *threads):
                thread.join()


def _pump(relay: Wire, client: socket.socket, server: socket.socket, end: threading.Event) -> None:
    came = 0
    with client, server:
        while not end.is_set():
            ready, _, _ = select.select([client, server], [], [], 0.1)
            for end_point in ready:
                try:
                    data = end_point.recv(32_768)
                    (client if end_point is server else server).sendall(data)
                except OSError:
                    return
                if not data:
                    return
                if end_point is server:
                    came += len(data)
                    _watch(relay, len(data))
                    if relay.cut_after is not None and came > relay.cut_after and relay.cuts > 0:
                        relay.cuts -= 1
                        return


def _watch(relay: Wire, size: int) -> None:
    relay.seen += size
    if relay.bytes_per_second:
        time.sleep(size / relay.bytes_per_second)
    if relay.at is not None and relay.seen > relay.at[0]:
        _, act = relay.at
        relay.at = None
        act()
