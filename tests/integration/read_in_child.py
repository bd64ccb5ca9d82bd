"""A reader of its own process: opens the published link until told to stop; see test_release.py.

Prints how often it read, and everything that was ever wrong.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from perfhouse import warehouse

LIMIT = 1_000_000
PAUSE = 0.01


def read(link: Path) -> str:
    """Return what is wrong with what a reader sees now, or nothing."""
    con = warehouse.connect(link, read_only=True)
    try:
        months = con.execute("select count(*), count(distinct month) from releases").fetchall()[0]
        rows = con.execute("select count(*) from scorecard_kpi_months").fetchall()[0][0]
        fitting = con.execute(
            "select count(*) from scorecard_manager_months m join (select month, manager_id, "
            "sum(score * effective_weight) as total from scorecard_kpi_months group by all) k "
            "using (month, manager_id) where abs(m.total_score - k.total) < 0.001"
        ).fetchall()[0][0]
    finally:
        con.close()
    if months[0] != months[1] or rows != 4 * months[0] or fitting != 2 * months[0]:
        return f"torn: {months} releases, {rows} KPI rows, {fitting} totals that fit"
    return ""


def main(link: Path, stop: Path) -> None:
    reads, wrong = 0, []
    for _ in range(LIMIT):
        reads += 1
        try:
            found = read(link)
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        if found:
            wrong.append(found)
        if stop.exists():
            break
        time.sleep(PAUSE)
    sys.stdout.write(f"{reads} {wrong}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
