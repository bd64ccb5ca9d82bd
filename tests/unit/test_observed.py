"""A task's numbers leave by the channel that Airflow is set to: StatsD or OpenTelemetry.

Airflow must not be imported into the process of the tests: a process of its own sends.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

PROGRAM = """
from airflow.sdk.observability.metrics import stats_utils
from airflow.sdk.observability.stats import Stats
from perfhouse import observed
from perfhouse.measurements import COUNT, Measure

Stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
observed._send([
    Measure("rows", 7, {"source": "desk", "fate": "landed"}),
    Measure("model_seconds", 0.5, {"model": "no ascii: 中"}),
    Measure("releases", 1, {"kind": "new"}, COUNT),
])
"""


def send(home: Path, **settings: str) -> None:
    """Send three numbers, of which StatsD cannot take one."""
    env = {**os.environ, "AIRFLOW_HOME": str(home)}
    env |= {f"AIRFLOW__METRICS__{key}": value for key, value in settings.items()}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.nightly  # tests/e2e/test_operations.py sends more by the same way
def test_statsd_gets_names_with_labels_and_loses_no_more_than_what_it_cannot_take(
    tmp_path: Path,
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taking:
        taking.bind(("127.0.0.1", 0))
        taking.settimeout(5)
        port = str(taking.getsockname()[1])
        on = {"STATSD_ON": "True", "STATSD_HOST": "127.0.0.1", "STATSD_PORT": port}
        send(tmp_path, **on, STATSD_INFLUXDB_ENABLED="True", LEGACY_NAMES_ON="False")
        packets: list[str] = []
        while not packets or "releases" not in packets[-1]:
            packets.append(taking.recv(9999).decode())
    ours = [packet for packet in packets if "perfhouse" in packet]
    assert ours == [
        "airflow.perfhouse.rows,source=desk,fate=landed:7|g",
        "airflow.perfhouse.releases,kind=new:1|c",
    ]


@contextmanager
def collector(bodies: list[bytes]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield str(server.server_address[1])
        server.shutdown()
        thread.join()


def test_opentelemetry_gets_the_same_names_and_labels(tmp_path: Path) -> None:
    bodies: list[bytes] = []
    with collector(bodies) as port:
        send(tmp_path, OTEL_ON="True", OTEL_HOST="127.0.0.1", OTEL_PORT=port)
    found = {}
    for body in bodies:
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in (*metric.gauge.data_points, *metric.sum.data_points):
                        labels = {each.key: each.value.string_value for each in point.attributes}
                        found[metric.name] = (labels, point.as_double or point.as_int)
    assert found["airflow.perfhouse.rows"] == ({"source": "desk", "fate": "landed"}, 7)
    assert found["airflow.perfhouse.releases"] == ({"kind": "new"}, 1)
