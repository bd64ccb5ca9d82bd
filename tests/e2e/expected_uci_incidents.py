"""Count what the uci_incidents example must give, from its CSV files alone.

Knows nothing of the project: the csv module and arithmetic only. Run it to write expected.json:
`python tests/e2e/expected_uci_incidents.py DATA examples/uci_incidents/expected.json`.

Known in a month: the rows whose sys_updated_at lies in it. The final version of an incident is the
one with the latest sys_updated_at, then the highest sys_mod_count, then the last in the file. Its
resolution is resolved_at, else closed_at; a date later than the version itself is not known yet.

- resolved: incidents whose resolution lies in the month.
- sla_met_rate: of those, made_sla true / closed (the flag is settled on closing).
- reopen_rate: of those, reopen_count above 0 / all.
Each by the assignment group of the final version; without group or resolver it is unmatched.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

MONTHS = ("2016-03", "2016-04", "2016-05")
INSTANT = "%d/%m/%Y %H:%M"


def rows(folder: Path):
    for file in sorted(folder.glob("*.csv*")):
        opened = gzip.open if file.suffix == ".gz" else open
        with opened(file, "rt", encoding="utf-8-sig", newline="") as handle:
            yield from csv.DictReader(handle)


def instant(text: str) -> datetime | None:
    return None if text == "?" else datetime.strptime(text, INSTANT).replace(tzinfo=UTC)


def resolution(row: dict) -> datetime | None:
    updated = instant(row["sys_updated_at"])
    known = [at for key in ("resolved_at", "closed_at") if (at := instant(row[key])) is not None]
    return next((at for at in known if at <= updated), None)


def finals(folder: Path, month: str) -> list[dict]:
    newest: dict[str, tuple] = {}
    for number, row in enumerate(rows(folder)):
        updated = instant(row["sys_updated_at"])
        if f"{updated:%Y-%m}" == month:
            rank = (updated, int(row["sys_mod_count"]), number)
            if row["number"] not in newest or rank > newest[row["number"]][0]:
                newest[row["number"]] = (rank, row)
    return [row for _, row in newest.values()]


def one_month(folder: Path, month: str) -> dict:
    first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    end = (first + timedelta(days=32)).replace(day=1)
    groups: dict[str, Counter] = defaultdict(Counter)
    unmatched: Counter = Counter()
    for row in finals(folder, month):
        at = resolution(row)
        if at is None or not first <= at < end:
            continue
        nobody = "?" in (row["assignment_group"], row["resolved_by"])
        n = unmatched if nobody else groups[row["assignment_group"]]
        n["resolved"] += 1
        if row["incident_state"] == "Closed":
            n["sla_settled"] += 1
            n["sla_met"] += row["made_sla"] == "true"
        n["reopened"] += int(row["reopen_count"]) > 0
    names = ("resolved", "sla_met", "sla_settled", "reopened")
    return {
        "groups": {g: {k: groups[g][k] for k in names} for g in sorted(groups)},
        "unmatched": {k: unmatched[k] for k in names},
    }


def expected(data: Path, months: tuple[str, ...] = MONTHS) -> dict:
    folder = data / "uci_incident_event_log"
    return {
        "inputs": {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(folder.glob("*.csv*"))
        },
        "months": {month: one_month(folder, month) for month in months},
    }


if __name__ == "__main__":
    text = json.dumps(expected(Path(sys.argv[1])), indent=2, ensure_ascii=False) + "\n"
    Path(sys.argv[2]).write_text(text, encoding="utf-8")
