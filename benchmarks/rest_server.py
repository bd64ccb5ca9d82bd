"""A ticketing API with every page ready in memory, for `benchmarks.sources`.

Answers by keyset or by offset with the same bytes; it checks no credentials.
"""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

START = datetime(2026, 9, 1)  # noqa: DTZ001 - UTC, written without a zone as the vendor does


def main() -> None:
    """Serve until killed; the first line printed is the port."""
    rows, size = int(sys.argv[1]), int(sys.argv[2])
    pages = [_page(at, min(size, rows - at), rows) for at in range(0, rows, size)]
    user = json.dumps({"result": [{"sys_id": "perf", "time_zone": "UTC"}]}).encode()
    empty = b'{"result": []}'

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {k: v[0] for k, v in parse_qs(parts.query).items()}
            body, total = user, 1
            if parts.path.endswith("/incident"):
                asked = query.get("sysparm_query", "")
                after = re.search(r"sys_id>([0-9a-f]+)", asked)
                at = int(after[1], 16) + 1 if after else int(query.get("sysparm_offset", 0))
                at = rows if "resolved_at" in asked else at  # none was changed after the month
                body, total = (pages[at // size] if at < rows else empty), rows - at
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Total-Count", str(total))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


def _page(first: int, count: int, rows: int) -> bytes:
    step = 2_500_000 / rows
    records = []
    for n in range(first, first + count):
        made = START + timedelta(seconds=int(n * step))
        records.append(
            {
                "sys_id": f"{n:032x}",
                "number": f"INC{n:09d}",
                "sys_created_on": f"{made:%Y-%m-%d %H:%M:%S}",
                "sys_updated_on": f"{made + timedelta(hours=3):%Y-%m-%d %H:%M:%S}",
                "sys_mod_count": str(n % 7),
                "category": ("network", "hardware", "software")[n % 3],
                "priority": str(1 + n % 5),
                "incident_state": str((1, 2, 3, 6, 7)[n % 5]),
                "assignment_group": f"queue{n % 20}",
                "assigned_to": f"agent{n % 500}",
                "resolved_by": f"agent{n % 500}",
                "resolved_at": f"{made + timedelta(hours=2):%Y-%m-%d %H:%M:%S}",
                "closed_at": "",
                "caller_id": f"caller{n % 90_000}",
                "contact_type": ("phone", "email", "chat")[n % 3],
                "reopen_count": str(n % 3),
                "reassignment_count": str(n % 5),
                "made_sla": "true" if n % 4 else "false",
                "sla_due": "",
                "due_date": "",
            }
        )
    return json.dumps({"result": records}).encode()


if __name__ == "__main__":
    main()
