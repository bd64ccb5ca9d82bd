"""Every appeal that landed, whatever is built of it: where it stands, until when, in which release.

Reads raw deliveries and releases; it may not decide an appeal or change a month. What day it is,
the newest complete delivery says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from perfhouse import appeal_days, appeal_month, lake, ledger, months, warehouse
from perfhouse.company_types import Company
from perfhouse.month import Month
from perfhouse.settings import Home, project_dir

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STREAM = "appeals"
OPEN = ("submitted", "accepted")
_MACROS = ("rows.sql", "numbers.sql", "appeals.sql")
_PUBLISHED = "parquet/scorecard_appeals.parquet"


@dataclass(frozen=True)
class Appeal:
    """One appeal by its newest version; people are named as its source names them.

    `month` is None where it names none; `release` is the month's standing release, `published` and
    `outcome` what that release says of the appeal.
    """

    month: str | None
    appeal_id: str
    employee_id: str
    kpi_id: str
    row_id: str | None
    effect: str | None
    state: str
    raised_on: date
    deadline_on: date | None
    decide_by: date
    decided_on: date | None
    decided_by: str | None
    reason_code: str | None
    decision_code: str | None
    is_overdue: bool
    release: str | None
    published: str | None
    outcome: str | None

    @property
    def is_waiting(self) -> bool:
        """Say whether a restatement is due: it is decided and the release says otherwise."""
        decided = self.state in ("upheld", "rejected")
        return decided and self.release is not None and self.published != self.state

    @property
    def problem(self) -> str | None:
        """Say what somebody must mend in it, if anything."""
        if self.month is None:
            return "its scorecard_id names no month, or several: write it as 2026-09 or 2026-09.r1"
        if self.state in ("upheld", "rejected") and not (self.decided_by and self.decided_on):
            return "it is decided and says not by whom and when"
        if self.state == "rejected" and self.decision_code is None:
            return "it is rejected without a reason: decision_code is empty"
        if self.outcome not in (None, "none", "applied"):
            return f"it is upheld and changes nothing: {self.outcome}"
        return None


def listing(
    home: Home,
    company: Company,
    columns: Sequence[tuple[str, str]],
    month: Month | None = None,
) -> list[Appeal]:
    """List the appeals about a month, or about any, by month and day; `columns` are the stream's.

    Those that name no month come last, and only where no month is asked for.
    """
    delivered = sorted(
        Month(path.name.removeprefix("month=")) for path in home.manifests.glob("month=*")
    )
    if not delivered:
        return []
    with lake.reading(home), warehouse.connect() as con:
        span = (delivered[0], delivered[-1])
        lake.create_raw_views(con, home, company, *span, {STREAM: columns})
        found = [*_appeals(con, home, company)]
    wanted = [each for each in found if month is None or each.month == month.key]
    return sorted(wanted, key=lambda a: (a.month or "9999", a.raised_on, a.appeal_id))


def _appeals(con: DuckDBPyConnection, home: Home, company: Company) -> Iterator[Appeal]:
    sql = _macros()
    zone = company.time_zone.replace("'", "''")
    con.execute(
        "create table appeals as select *, cast(timezone($zone, raised_at) as date) as raised_on, "
        "cast(timezone($zone, decided_at) as date) as decided_on, "
        f"{appeal_month.about_sql('scorecard_id')} as about, "
        f"{sql.key_of(['_source', 'appeal_id'])} as appeal_key "
        f"from ({sql.latest_versions('raw.appeals', ['_source', 'appeal_id'])}) "
        "where _op <> 'delete'".replace("$zone", f"'{zone}'")
    )
    con.execute("create table deadlines (about varchar, deadline_on date)")
    named = con.execute("select distinct about from appeals where about is not null").fetchall()
    for (about,) in named:
        last = appeal_days.deadline(company, Month(about))
        con.execute("insert into deadlines values (?, ?)", [about, last])
    state = sql.appeal_state(
        "coalesce(status, 'open')",
        "coalesce(raised_on > deadline_on, false)",
        "(admitted_by is not null and admitted_code is not null)",
    )
    rows = con.execute(
        "select about, appeal_id, employee_id, coalesce(nullif(trim(metric_id), ''), '*'), "
        f"nullif(trim(row_id), ''), effect, {state}, raised_on, deadline_on, decided_on, "
        "decided_by, reason_code, decision_code, appeal_key "
        "from appeals left join deadlines using (about)"
    ).fetchall()
    today = months.known_until(company, home)
    releases = {about: _released(con, home, Month(about)) for (about,) in named}
    for about, *told, stands, raised_on, deadline, decided_on, by, reason, decision, key in rows:
        due = appeal_days.decide_by(company, raised_on)
        overdue = stands in OPEN and today is not None and due < today
        release, published = releases.get(about, (None, {}))
        said = published.get(key, (None, None))
        days = (raised_on, deadline, due, decided_on)
        codes = (by, reason, decision)
        cells: list[Any] = [about, *told, stands, *days, *codes, overdue, release, *said]
        yield Appeal(*cells)


def _macros() -> Any:
    from jinja2 import Environment

    folder = project_dir() / "macros"
    text = "".join((folder / name).read_text(encoding="utf-8") for name in _MACROS)
    return Environment(autoescape=False).from_string(text).module  # noqa: S701 - SQL, not HTML


def _released(
    con: DuckDBPyConnection, home: Home, month: Month
) -> tuple[str | None, Mapping[str, tuple[str, str]]]:
    """Return a month's standing release, and what it says of each appeal by key."""
    entry = ledger.latest(home, month)
    if entry is None:
        return None, {}
    file = home.published / entry.path / _PUBLISHED
    if not file.exists():  # older than the table
        return entry.name, {}
    rows = con.execute(
        "select appeal_key, state, outcome from read_parquet(?)", [str(file)]
    ).fetchall()
    return entry.name, {key: (state, outcome) for key, state, outcome in rows}


def newest_delivery(home: Home) -> Month | None:
    """Return the newest month of which anything was delivered."""
    found = [Month(path.name.removeprefix("month=")) for path in home.manifests.glob("month=*")]
    return max(found) if found else None


def as_text(found: Sequence[Appeal], newest: Month | None) -> str:
    """Write appeals for people: a line each, what is to be mended, and what is to be restated."""
    if not found:
        return "no appeals"
    lines = [line for appeal in found for line in _lines(appeal)]
    for month in sorted({a.month for a in found if a.month and a.is_waiting}):
        waiting = [a for a in found if a.month == month and a.is_waiting]
        ids = ", ".join(a.appeal_id for a in waiting)
        words = f"appeal{'s' if len(waiting) > 1 else ''} {ids}"
        lines.append(
            f"{month}: decided and not in {waiting[0].release}: {ids}\n"
            f"  perfhouse run --month {month} --as-of {newest} --restate "
            f'--reason "{words}" --by NAME'
        )
    overdue = sum(appeal.is_overdue for appeal in found)
    if overdue:
        lines.append(f"{overdue} overdue: decide them, or say who lets them wait")
    return "\n".join(lines)


def _lines(appeal: Appeal) -> Iterator[str]:
    what = f"row {appeal.row_id} of {appeal.kpi_id}" if appeal.row_id else appeal.kpi_id
    yield (
        f"{appeal.month or '-':<8}{appeal.appeal_id:<14} {appeal.employee_id:<10} "
        f"{appeal.state:<10} {what}, {_when(appeal)}"
    )
    if appeal.problem:
        yield f"        {appeal.appeal_id}: {appeal.problem}"


def _when(appeal: Appeal) -> str:
    if appeal.state in OPEN:
        return f"decide by {appeal.decide_by}{': OVERDUE' if appeal.is_overdue else ''}"
    if appeal.state == "late":
        return f"raised {appeal.raised_on}, was due by {appeal.deadline_on}"
    said = appeal.decision_code or "no reason said"
    where = f"; in {appeal.release}" if appeal.published == appeal.state else ""
    return f"decided {appeal.decided_on} by {appeal.decided_by}: {said}{where}"
