"""A Prometheus with our rules, and something that takes StatsD packets for it.

The `Relay` stands in for statsd_exporter, which neither Debian nor PyPI nor npm has: it does what
that documents for what our mapping uses (tags, names, drops, timers as histograms of seconds).
"""

from __future__ import annotations

import json
import re
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from servers import process

MONITORING = process.ROOT / "monitoring"
_PACKET = re.compile(
    r"(?P<name>[^,:|]+)(?P<tags>(?:,[^:|]*)?):(?P<value>[^|]+)\|(?P<kind>c|g|ms)"
    r"(?:\|@(?P<rate>[\d.]+))?"
)
Labels = tuple[tuple[str, str], ...]


@dataclass
class Relay:
    """Adds up what packets say and tells it as Prometheus reads it."""

    mapping: dict[str, Any]
    values: dict[tuple[str, Labels], float] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, packet: str) -> None:
        """Read one packet: `airflow.task.duration,dag_id=x:12|ms`, several by lines."""
        for line in packet.splitlines():
            found = _PACKET.fullmatch(line)
            if not found:
                self.refused.append(line)
                continue
            name = self._named(found["name"])
            tags = [each.split("=", 1) for each in found["tags"].split(",") if each]
            labels = tuple(sorted((_escaped(key), value) for key, value in tags))
            with self._lock:
                self.lines.append(line)
                if name is not None:
                    value, rate = float(found["value"]), float(found["rate"] or 1)
                    is_delta = found["value"][0] in "+-"
                    self._add(name, labels, found["kind"], value, rate, is_delta=is_delta)

    def _named(self, name: str) -> str | None:
        for rule in self.mapping["mappings"]:
            is_regex = rule.get("match_type") == "regex"
            glob = re.escape(rule["match"]).replace(r"\*", "([^.]*)")
            found = re.search(rule["match"] if is_regex else f"^{glob}$", name)
            if found:
                if rule.get("action") == "drop":
                    return None
                return re.sub(r"\$(\d)", lambda m: found[int(m[1])], rule["name"])  # noqa: B023
        return _escaped(name)

    def _add(
        self, name: str, labels: Labels, kind: str, value: float, rate: float, *, is_delta: bool
    ) -> None:
        if self.kinds.setdefault(name, kind) != kind:
            self.refused.append(f"{name} is {kind} and {self.kinds[name]}")
            return
        if kind == "g":
            before = self.values.get((name, labels), 0.0) if is_delta else 0.0
            self.values[name, labels] = before + value
            return
        if kind == "c":
            self.values[name, labels] = self.values.get((name, labels), 0.0) + value / rate
            return
        seconds = value / 1000
        buckets = self.mapping["defaults"]["histogram_options"]["buckets"]
        ends = [(f"{end:g}", seconds <= end) for end in buckets] + [("+Inf", True)]
        for end, is_in in ends:
            key = (f"{name}_bucket", (*labels, ("le", end)))
            self.values[key] = self.values.get(key, 0.0) + is_in
        for part, more in (("sum", seconds), ("count", 1.0)):
            at = (f"{name}_{part}", labels)
            self.values[at] = self.values.get(at, 0.0) + more

    def told(self) -> str:
        """Return everything in Prometheus's text format."""
        with self._lock:
            return "".join(
                f"{name}{{{','.join(f'{k}={json.dumps(v)}' for k, v in labels)}}} {value}\n"
                for (name, labels), value in self.values.items()
            )


def _escaped(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus that scrapes the relay every second."""

    url: str
    statsd_port: int
    relay: Relay

    def ask(self, path: str, **params: str) -> Any:
        """Ask its API and return `data`."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(params)}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.loads(answer.read())["data"]

    def query(self, text: str) -> list[dict[str, Any]]:
        """Return the series that a query answers with now."""
        found: list[dict[str, Any]] = self.ask("query", query=text)["result"]
        return found

    def environment(self) -> dict[str, str]:
        """Return Airflow's settings as docs/operations.md gives them, for this relay."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self.statsd_port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
            "AIRFLOW__METRICS__STATSD_DISABLED_TAGS": "job_id,run_id,dagrun_id",
            "AIRFLOW__METRICS__LEGACY_NAMES_ON": "False",
        }


@contextmanager
def _listening(relay: Relay) -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taking:
        taking.bind(("127.0.0.1", 0))
        taking.settimeout(0.2)
        stop = threading.Event()

        def run() -> None:
            while not stop.is_set():
                try:
                    relay.take(taking.recv(65535).decode())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield taking.getsockname()[1]
        stop.set()
        thread.join()


@contextmanager
def _telling(relay: Relay) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(relay.told().encode())

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = False  # the last answers are waited for
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def prometheus() -> Iterator[Prometheus]:
    """A Prometheus with our rules that nothing has told anything."""
    binary = process.program("prometheus", package="prometheus")
    relay = Relay(yaml.safe_load((MONITORING / "statsd-mapping.yml").read_text("utf-8")))
    with (
        process.folder("prometheus") as folder,
        _listening(relay) as statsd,
        _telling(relay) as source,
    ):
        port, config = process.free_port(), folder / "prometheus.yml"
        config.write_text(_configured(source), encoding="utf-8")
        command = [
            *(binary, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"),
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        url = f"http://127.0.0.1:{port}"

        def ready() -> bool:
            try:
                with urllib.request.urlopen(f"{url}/-/ready", timeout=2) as answer:
                    return bool(answer.status == 200)
            except urllib.error.HTTPError as early:
                early.close()
                return False

        with process.start("prometheus", command, ready=ready, log=folder / "log"):
            yield Prometheus(url, statsd, relay)


def _configured(source: int) -> str:
    """Return our configuration, with the relay's address and a second instead of a quarter."""
    told = yaml.safe_load((MONITORING / "prometheus.yml").read_text("utf-8"))
    told["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    told["rule_files"] = [str(MONITORING / Path(each)) for each in told["rule_files"]]
    told["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{source}"]}]
    return yaml.safe_dump(told)
