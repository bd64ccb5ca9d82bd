"""What an approver sees before signing: counts of what changes, payroll, and what the gates said.

Reads release folders; it tells of groups only, names no manager, and may not decide or write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import exports, release_pay, restatement, warehouse
from perfhouse.month import Month

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from jinja2 import Template

_TEMPLATES = Path(__file__).resolve().parent / "templates" / "sign_off"
_TOTALS = "scorecard_manager_months"
# Of fewer people a sum, a mean or the count of a grade may tell what one of them has.
FEWEST = 5


def facts(
    manifest: Mapping[str, Any], folder: Path, before: Path | None, note: str = ""
) -> dict[str, Any]:
    """Return what is told of a staged release, beside the release that it follows.

    `note` is a sentence of the publisher's. What is about fewer than five people is a count of
    people, and no value.
    """
    month = Month(manifest["month"])
    with warehouse.connect() as con:
        changes = _changes(con, folder) if before else None
        # of a few who changed, the difference of two means would tell what changed of one
        whole = changes is None or changes["totals"] == 0 or changes["totals"] >= FEWEST
        return {
            "release": manifest["release"],
            "release_sha256": manifest["release_sha256"],
            "month": month.key,
            "as_of": manifest["as_of"],
            "closes_on": manifest["closes_on"],
            "follows": manifest.get("follows", ""),
            "restatement": manifest.get("restatement", {}),
            "note": note,
            "scores": _scores(con, folder, whole=whole),
            "scores_before": _scores(con, before, whole=whole) if before else None,
            "changes": changes,
            "payroll": _payroll(folder, before, month),
            "gates": _gates(con, folder),
        }


def _file(folder: Path, name: str) -> str:
    return str(folder / "parquet" / f"{name}.parquet")


def _scores(con: DuckDBPyConnection, folder: Path, *, whole: bool) -> dict[str, Any]:
    """Return how many are on the scorecards, how many have a total, and what it is on the whole."""
    file = _file(folder, _TOTALS)
    count, scored, mean = con.execute(
        "select count(*), count(total_score), round(avg(total_score), 2)::varchar "
        "from read_parquet(?)",
        [file],
    ).fetchall()[0]
    told: dict[str, Any] = {"managers": count, "scored": scored}
    if whole and scored >= FEWEST:
        grades = con.execute(
            "select grade, count(*) from read_parquet(?) where grade is not null "
            "group by all order by all",
            [file],
        ).fetchall()
        told |= {"mean": mean, "grades": [list(row) for row in grades]}
    return told


def _changes(con: DuckDBPyConnection, folder: Path) -> dict[str, Any]:
    """Return how many values differ from the release before, and of how many people."""
    file = str(folder / restatement.FOLDER / "changes.parquet")
    values, managers, totals = con.execute(
        "select count(*), count(distinct manager_id), count(distinct manager_id) filter ("
        "table_name = ? and column_name = 'total_score') from read_parquet(?)",
        [_TOTALS, file],
    ).fetchall()[0]
    kpis = con.execute(
        "select kpi_id, count(*), count(distinct manager_id) from read_parquet(?) "
        "where kpi_id is not null group by all order by all",
        [file],
    ).fetchall()
    tables = con.execute(
        "select table_name, count(*) from read_parquet(?) group by all order by all", [file]
    ).fetchall()
    return {
        "values": values,
        "managers": managers,
        "totals": totals,
        "kpis": [list(row) for row in kpis],
        "tables": [list(row) for row in tables],
    }


def _payroll(folder: Path, before: Path | None, month: Month) -> dict[str, Any] | None:
    """Return how many payroll would pay, and how many otherwise; None without its export."""
    if not (folder / "exports" / exports.PAYROLL.folder).is_dir():
        return None
    paid = release_pay.released(folder, month)
    was = release_pay.released(before, month) if before else {}
    told: dict[str, Any] = {"people": len(paid), "people_before": len(was) if before else None}
    told["otherwise"] = sum(paid.get(one) != was.get(one) for one in {*paid, *was})
    if len(paid) >= FEWEST and (not before or told["otherwise"] >= FEWEST):
        told["points"] = str(release_pay.points(paid))
    return told


def _gates(con: DuckDBPyConnection, folder: Path) -> list[dict[str, Any]]:
    """Return each gate with the titles of what failed and stands all the same."""
    rows = con.execute(
        "select gate, title_en, title_zh, severity, passed, accepted_by from read_parquet(?)",
        [_file(folder, "gate_verdicts")],
    ).fetchall()
    found: dict[str, dict[str, Any]] = {}
    for gate, title_en, title_zh, severity, passed, accepted_by in rows:
        of = found.setdefault(str(gate), {"gate": gate, "checks": 0, "open": []})
        of["checks"] += 1
        if not passed:
            of["open"].append(
                {"en": title_en, "zh": title_zh, "severity": severity, "by": accepted_by or ""}
            )
    return list(found.values())


def text(said: Mapping[str, Any], signers: Sequence[str] = ()) -> str:
    """Return the form in Markdown, in Chinese and in English; `signers` are told by login."""
    return _template().render(said, sha12=said["release_sha256"][:12], signers=signers)


def subject(said: Mapping[str, Any]) -> str:
    """Return the form's headline."""
    return f"签发 · Sign off {said['release']} ({said['release_sha256'][:12]})"


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=False,  # noqa: S701  Markdown: what people wrote is escaped by `plain`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    return environment.get_template("form.md")


def plain(words: object) -> str:
    """Return text that Markdown and HTML leave as it is, on one line."""
    line = " ".join(str(words).split())
    return "".join(f"&#{ord(c)};" if c in "<>&[]()*`|\\!#~{}" else c for c in line)
