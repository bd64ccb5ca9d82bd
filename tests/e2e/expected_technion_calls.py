"""Count what the technion_calls example must give, from its CSV files alone.

Knows nothing of the project: the csv module and arithmetic only. Run it to write expected.json:
`python tests/e2e/expected_technion_calls.py DATA examples/technion_calls/expected.json`.

A call is in the month in which it ended (local time). In the queue: AGENT, and HANG with a queue
start. Short: a HANG that waited 5 seconds or less. Answered in time: an AGENT call that waited
20 seconds or less.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

MONTH = "1999-08"
SHORT_SECONDS, IN_TIME_SECONDS = 5, 20
NEVER = "0:00:00"


def rows(folder: Path):
    for file in sorted(folder.glob("*.csv*")):
        opened = gzip.open if file.suffix == ".gz" else open
        with opened(file, "rt", encoding="utf-8-sig", newline="") as handle:
            yield from csv.DictReader(handle)


def ended(row: dict) -> datetime:
    """Return the end: of the service, else of the queue, else of the menu; nights wrap."""
    served = row["outcome"] != "HANG" and row["ser_start"] != NEVER
    queued = row["q_start"] != NEVER
    last = row["ser_exit"] if served else row["q_exit"] if queued else row["vru_exit"]
    entry = datetime.strptime(f"{row['date']} {row['vru_entry']}", "%y%m%d %H:%M:%S").replace(
        tzinfo=UTC
    )
    end = datetime.strptime(f"{row['date']} {last}", "%y%m%d %H:%M:%S").replace(tzinfo=UTC)
    return end + timedelta(days=1) if end < entry - timedelta(hours=12) else end


def expected(data: Path, month: str = MONTH) -> dict:
    folder = data / "technion_calls"
    n: Counter = Counter()
    for row in rows(folder):
        n["calls"] += 1
        n[f"outcome {row['outcome']}"] += 1
        if f"{ended(row):%Y-%m}" != month:
            n["ended in another month"] += 1
            continue
        wait = int(row["q_time"])
        if row["outcome"] == "AGENT":
            n["answered"] += 1
            n["waited"] += wait
            n["in_time"] += wait <= IN_TIME_SECONDS
            n["no agent named"] += row["server"] == "NO_SERVER"
        elif row["outcome"] == "HANG" and row["q_start"] != NEVER:
            n["gave_up"] += 1
            n["short"] += wait <= SHORT_SECONDS
    queued = n["answered"] + n["gave_up"]
    return {
        "month": month,
        "inputs": {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(folder.glob("*.csv*"))
        },
        "counts": dict(sorted(n.items())),
        "service_level": [n["in_time"], queued - n["short"]],
        "speed_of_answer": [n["waited"], n["answered"]],
        "abandonment_rate": [n["gave_up"] - n["short"], queued],
    }


if __name__ == "__main__":
    text = json.dumps(expected(Path(sys.argv[1])), indent=2, ensure_ascii=False) + "\n"
    Path(sys.argv[2]).write_text(text, encoding="utf-8")
