"""What a connector hands in to be judged by the one suite, and the server its vendor runs on.

A case is a vendor in small: records in the published shape and an `answer` that serves them as
the vendor's documentation says. Faults are the suite's, never the case's.
"""

from __future__ import annotations

import copy
import importlib
import json
import pkgutil
import random
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from connectors import base, landing, streams
from perfhouse.company import Company, Source
from perfhouse.company_sources import Known, read_sources
from perfhouse.config_reader import Table
from perfhouse.lake import Manifest
from perfhouse.month import Month
from perfhouse.settings import Home

SECRET = "S3CRET-d41d8cd98f"  # every password, key and token of a case holds this text
AFTERWARDS = datetime(2026, 11, 20, 12, tzinfo=UTC)  # the server's clock, unless a test skews it


@dataclass(frozen=True)
class Exchange:
    """One request as the vendor's server sees it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    now: datetime
    url: str  # of this server, without a slash at its end

    def json(self) -> Any:
        return json.loads(self.body or b"null")


@dataclass(frozen=True)
class Reply:
    """What the vendor answers; a body that is not bytes is sent as JSON."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Record = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One connector for the suite.

    Args:
        source: a [[sources]] table in TOML with id `it`; `{url}`, `{host}`, `{port}` are filled.
        connection: text of AIRFLOW_CONN_IT, filled likewise; its password or key is SECRET.
        stream: the stream whose rows the suite counts; the main records make it.
        world: n main records in the vendor's published shape, inside the month, all different,
            deterministic; large n (2,000) must be quick.
        answer: the vendor: serves a world by request. Tokens it gives out contain SECRET. Time
            windows, paging, page caps and totals behave as documented. An unknown path: 404.
            Users, groups and other side data are its own, fixed.
        key: the landed key of a record: values of `key_columns`, as text. A record that makes
            several rows gives several keys.
        main: a piece of the path that answers with main records; faults hit those answers.
        page_size: main records in one answer, small: between 5 and 100.
        moved: the record at another instant; None where the vendor has no window (snapshots).
        lookback: the connector fetches earlier records again: one just before the month may land.
        required: the record without what no row can land.
        renamed: the record with a field nobody has declared (default: one at its top).
        paged: main records come in several answers.
        repeats: a repeated page must be noticed as a loop (cursors, links, counted pages).
        watermark: the vendor tells how far it is complete; then its Date header does not count,
            and `answer` derives the watermark from `Exchange.now`.
        settle: the connector waits longer than the default after the window's end.
        fuzzed: fields (top of the record) that fuzzing leaves alone, for they steer the fetch.
    """

    connector: str
    source: str
    connection: str
    stream: str
    world: Callable[[int], list[Record]]
    answer: Callable[[Exchange, Sequence[Record]], Reply]
    key: Callable[[Record], Sequence[tuple[str, ...]]]
    key_columns: tuple[str, ...]
    main: str
    page_size: int
    required: Callable[[Record], Record]
    moved: Callable[[Record, datetime], Record] | None = None  # the instant is in UTC
    lookback: bool = False
    renamed: Callable[[Record], Record] = lambda record: {**record, "zz_brand_new": 1}
    paged: bool = True
    repeats: bool = True
    watermark: bool = False
    fuzzed: tuple[str, ...] = ()
    month: str = "2026-09"
    zone: str = "Asia/Shanghai"


def cases() -> list[Case]:
    """Return every case: each module in tests/suite/cases has one CASE."""
    folder = importlib.import_module("suite.cases")
    names = sorted(m.name for m in pkgutil.iter_modules(folder.__path__))
    return [importlib.import_module(f"suite.cases.{name}").CASE for name in names]


Fault = Callable[[Exchange, int], "Reply | str | None"]


class Vendor:
    """A case's vendor behind a real HTTP server on a free port.

    `fault(exchange, nth)` may stand in for the answer to the nth request (from 0) to this path
    and query: a Reply, "cut" (the connection ends inside the body), "half" (half of the JSON as
    a complete answer), "hang" (no answer while `hang` is set).
    """

    def __init__(self, case: Case, world: Sequence[Record] = ()) -> None:
        self.case, self.world = case, list(world)
        self.now = AFTERWARDS
        self.fault: Fault = lambda exchange, nth: None
        self.seen: list[Exchange] = []
        self.hanging = threading.Event()
        self.let_go = threading.Event()
        self._counts: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def respond(self, exchange: Exchange) -> tuple[Reply, str]:
        with self._lock:
            self.seen.append(exchange)
            key = (exchange.path, repr((sorted(exchange.query.items()), exchange.body)))
            nth = self._counts.get(key, 0)
            self._counts[key] = nth + 1
        chosen = self.fault(exchange, nth)
        if isinstance(chosen, Reply):
            return chosen, ""
        if chosen == "hang":
            self.hanging.set()
            self.let_go.wait(30)
        return self.case.answer(exchange, self.world), chosen or ""

    def is_main(self, exchange: Exchange) -> bool:
        return self.case.main in exchange.path

    @contextmanager
    def serving(self) -> Iterator[str]:
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                parts = urlsplit(self.path)
                size = int(self.headers.get("Content-Length") or 0)
                exchange = Exchange(
                    self.command,
                    parts.path,
                    dict(parse_qsl(parts.query, keep_blank_values=True)),
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(size),
                    vendor.now,
                    vendor.url,
                )
                reply, fault = vendor.respond(exchange)
                body = reply.body
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                if fault == "half":
                    body = body[: len(body) // 2]
                self.send_response_only(reply.status)
                self.send_header("Date", format_datetime(vendor.now.astimezone(UTC), usegmt=True))
                self.send_header("Content-Length", str(len(body)))
                headers = {"Content-Type": "application/json", **reply.headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if fault == "cut":
                    body = body[: len(body) // 2]
                    self.close_connection = True
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = _answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self.url
        finally:
            self.let_go.set()
            server.shutdown()
            server.server_close()


@dataclass
class Bench:
    """A case's source and a home to land in."""

    case: Case
    url: str
    root: Path
    said: list[str] = field(default_factory=list)

    @property
    def month(self) -> Month:
        return Month(self.case.month)

    @property
    def home(self) -> Home:
        return Home(self.root / "home").ensure()

    @property
    def source(self) -> Source:
        return source_of(self.fill(self.case.source), self.case.zone)

    def fill(self, text: str) -> str:
        host, _, port = self.url.removeprefix("http://").partition(":")
        filled = {"{url}": self.url, "{host}": host, "{port}": port}
        for word, value in filled.items():
            text = text.replace(word, value)
        return text

    @property
    def connection(self) -> tuple[str, str]:
        """Return the name and text of the environment variable that holds the connection."""
        return "AIRFLOW_CONN_IT", self.fill(self.case.connection)

    def ingest(self, accept_loss: bool = False) -> Manifest:
        company = cast(Company, SimpleNamespace(time_zone=self.case.zone, sources=(self.source,)))
        (self.root / "data").mkdir(exist_ok=True)
        where = (self.month, self.root / "data", self.home)
        return landing.ingest(self.source, company, *where, self.said.append, accept_loss)

    def keys(self, manifest: Manifest) -> list[tuple[str, ...]]:
        return landed_keys(self.home, manifest, self.case.stream, self.case.key_columns)

    def visible(self) -> list[Path]:
        return visible_files(self.home)


def landed_keys(
    home: Home, manifest: Manifest, stream: str, columns: Sequence[str]
) -> list[tuple[str, ...]]:
    """Return the landed keys of a stream, counted from the files."""
    import duckdb

    files = [str(home.root / f.path) for f in manifest.streams[stream].files]
    if not files:
        return []
    names = ", ".join(f'cast("{name}" as varchar)' for name in columns)
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        rows = con.execute(f"select {names} from read_parquet(?)", [files]).fetchall()
    return sorted(tuple("" if v is None else str(v) for v in row) for row in rows)


def visible_files(home: Home) -> list[Path]:
    """Return what a reader could see: landed files and manifests."""
    found = []
    for path in home.raw.rglob("*"):
        hidden = {"_archive", "_quarantine"} & set(path.relative_to(home.raw).parts)
        if path.is_file() and not hidden and path.suffix in (".parquet", ".json"):
            found.append(path)
    return found


def source_of(toml: str, zone: str) -> Source:
    problems: list[str] = []
    known = Known(
        streams.columns_by_stream(), streams.required_by_stream(), base.Keys(), None, None
    )
    sources = read_sources(Table(tomllib.loads(toml), "", problems), zone, known)
    assert not problems, problems
    return sources[0]


def wanted_keys(case: Case, world: Sequence[Record]) -> list[tuple[str, ...]]:
    return sorted(key for record in world for key in case.key(record))


def balances(manifest: Manifest) -> bool:
    return all(
        s.rows_in == s.landed + s.duplicates + s.quarantined
        and s.rows_read == s.rows_in + s.outside_window
        and s.landed == sum(f.rows for f in s.files)
        for s in manifest.streams.values()
    )


def wait_for(event: threading.Event, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not event.wait(0.05):
        assert time.monotonic() < end, "it did not happen in time"


ODD: tuple[Any, ...] = (
    *(None, "", " ", "\u0000", "﷽😀 中文", "-1", "NaN", "1e309", "2026-02-30T25:61:00Z"),
    *(
        "2026-13-01",
        "31/12/2026",
        True,
        False,
        0,
        -1,
        2**63,
        -(2**70),
        10**17,
        1.5e300,
        0.1,
        [],
        {},
    ),
    *([[]], [None, {}], {"a": {"b": [1]}}, "x" * 5_000, "'; drop table tickets; --", "\\", '"'),
)


def mangled(record: dict[str, Any], chance: random.Random, spared: tuple[str, ...]) -> Any:
    """Return the record with up to three values of its tree changed, lost or doubled in depth."""
    changed = json.loads(json.dumps(record))
    for _ in range(chance.randint(0, 3)):
        found = [p for p in places(changed) if p[0] not in spared]
        if not found:
            break
        place = chance.choice(found)
        if chance.random() < 0.3 and isinstance(place[-1], str):
            del _holder(changed, place)[place[-1]]
        else:
            _holder(changed, place)[place[-1]] = copy.deepcopy(chance.choice(ODD))
    return changed


Turn = tuple[tuple[Any, ...], Any]


def every_turn(record: Record, spared: tuple[str, ...]) -> list[Turn]:
    """Return every odd value in every place of a record's tree."""
    return [(p, odd) for p in places(record) if p[0] not in spared for odd in ODD]


def changed_once(record: Record, turns: list[Turn]) -> Record | None:
    """Return the record with the next odd value in the next place, if it has that place."""
    if not turns or turns[-1][0] not in places(record):
        return None
    changed: Record = json.loads(json.dumps(record))
    place, value = turns.pop()
    _holder(changed, place)[place[-1]] = copy.deepcopy(value)
    return changed


def _holder(tree: Any, place: tuple[Any, ...]) -> Any:
    for step in place[:-1]:
        tree = tree[step]
    return tree


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = node.items() if isinstance(node, dict) else enumerate(node)
    found = []
    for step, value in steps:
        found.append((*path, step))
        if isinstance(value, dict | list):
            found.extend(places(value, (*path, step)))
    return found
