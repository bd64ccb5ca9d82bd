"""Count what the ecommerce_csat example must give, from its CSV files alone.

Knows nothing of the project: the csv module and arithmetic only. Run it to write expected.json:
`python tests/e2e/expected_ecommerce_csat.py DATA examples/ecommerce_csat/expected.json`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path

MONTH = "2023-08"
INSTANT = "%d/%m/%Y %H:%M"


def rows(folder: Path):
    """Yield the distinct tickets of every file; a row repeated in a second file counts once."""
    seen = set()
    for file in sorted(folder.glob("*.csv")):
        with file.open(encoding="utf-8-sig", newline="") as handle:
            for row in csv.DictReader(handle):
                if row["Unique id"] not in seen:
                    seen.add(row["Unique id"])
                    yield row


def expected(data: Path, month: str = MONTH) -> dict:
    folder = data / "ecommerce_csat"
    csat = defaultdict(lambda: {"satisfied": 0, "rated": 0})
    handled, counts, roster, reported_in = Counter(), Counter(), set(), Counter()
    for row in rows(folder):
        answered = datetime.strptime(row["Survey_response_Date"], "%d-%b-%y").replace(tzinfo=UTC)
        reported = datetime.strptime(row["Issue_reported at"], INSTANT).replace(tzinfo=UTC)
        responded = datetime.strptime(row["issue_responded"], INSTANT).replace(tzinfo=UTC)
        manager = row["Manager"]
        if f"{answered:%Y-%m}" == month:
            csat[manager]["rated"] += 1
            csat[manager]["satisfied"] += int(row["CSAT Score"]) >= 4
            counts["survey_responses"] += 1
            roster.add((row["Agent_name"], row["Supervisor"], manager))
        if f"{responded:%Y-%m}" == month:
            counts["tickets"] += 1
            counts["lost_times"] += responded < reported
            reported_in[f"{reported:%Y-%m}"] += 1
            if row["connected_handling_time"]:
                handled[manager] += 1
    return {
        "month": month,
        "inputs": inputs(folder, "*.csv"),
        "counts": {**dict(sorted(counts.items())), "roster": len(roster)},
        "reported_in": dict(sorted(reported_in.items())),
        "csat_rate": {name: csat[name] for name in sorted(csat)},
        "average_handle_time": {name: handled[name] for name in sorted(csat)},
    }


def inputs(folder: Path, pattern: str) -> dict[str, str]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.glob(pattern))
    }


if __name__ == "__main__":
    text = json.dumps(expected(Path(sys.argv[1])), indent=2, ensure_ascii=False) + "\n"
    Path(sys.argv[2]).write_text(text, encoding="utf-8")
