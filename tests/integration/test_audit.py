"""`make audit`: a locked package with an advisory fails it; without a service it says so."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from servers import process

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.server


@contextmanager
def advisories(flawed: str | None) -> Iterator[str]:
    """Answer as osv.dev does, with an advisory about one package."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            package = asked["package"]
            found: dict[str, Any] = {}
            if package["name"] == flawed:
                version = {"package": package, "versions": [asked["version"]]}
                found = {
                    "vulns": [{"id": "OSV-2026-1", "summary": "a flaw", "affected": [version]}]
                }
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the tests' output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def audit(url: str) -> subprocess.CompletedProcess[str]:
    if not (ROOT / ".servers" / "venv" / "bin" / "pip-audit").exists():
        process.missing("pip-audit")
    return subprocess.run(
        [str(ROOT / "tests" / "audit.sh")], env={**os.environ, "PERFHOUSE_OSV_URL": url},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("flawed", ["jinja2", "moto"])
def test_a_locked_package_with_an_advisory_fails(flawed: str) -> None:
    with advisories(flawed) as url:
        done = audit(url)
    assert done.returncode != 0
    assert f"{flawed} " in done.stdout
    assert "OSV-2026-1" in done.stdout


def test_locks_without_an_advisory_pass() -> None:
    with advisories(None) as url:
        done = audit(url)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("No known vulnerabilities found") == 2


def test_a_service_that_cannot_be_asked_is_told() -> None:
    done = audit(f"http://127.0.0.1:{process.free_port()}/v1/query")
    assert done.returncode == 0
    assert "not scanned" in done.stderr
    assert "no locked package was held against advisories" in done.stdout
