"""What a month's last run cost, in lines for people: its steps, and its slowest models.

It reads notes that may differ from run to run; nothing published may read it.
"""

from __future__ import annotations

from collections.abc import Iterator

from perfhouse import step_times, warehouse
from perfhouse.errors import TransientError
from perfhouse.month import Month
from perfhouse.settings import Home

_SLOWEST = 5
_KNOWN = "select 1 from duckdb_tables() where schema_name = 'ops' and table_name = 'model_runs'"
_MODELS = """
select name, seconds from ops.model_runs where month = ? and kind = 'model'
order by seconds desc, name limit ?
"""


def lines(home: Home, month: Month) -> Iterator[str]:
    """Yield each step's seconds and those of its cores, then the slowest models; or nothing."""
    steps = step_times.of(home, month)
    for step in steps:
        failed = "" if step.is_done else "  failed"
        name = f"{step.name} {step.source}".strip()
        yield f"{name:<28} {step.seconds:>8.1f} s {step.cpu_seconds:>8.1f} s CPU{failed}"
    waited = step_times.since_arrival(steps)
    if waited is not None:
        yield f"last delivery to release: {waited[0]:.0f} s, of which {waited[1]:.0f} s at work"
    found = _models(home, month)
    if found:
        yield "slowest models: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in found)


def _models(home: Home, month: Month) -> list[tuple[str, float]]:
    if not home.warehouse.exists():
        return []
    try:
        with warehouse.connect(home.warehouse, read_only=True) as con:
            known = con.execute(_KNOWN).fetchall()
            return con.execute(_MODELS, [month.start, _SLOWEST]).fetchall() if known else []
    except TransientError:  # a month is being built
        return []
