"""Why a manager has this score: from the total to its KPIs, and from a KPI to its source rows.

Reads the warehouse and checks every sum it shows against the published number; it writes
nothing and may not judge.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from perfhouse import ledger, scorecards, warehouse
from perfhouse.errors import BuildFailed, ConfigError
from perfhouse.explain_text import as_text, plain, points
from perfhouse.month import Month
from perfhouse.scorecards import Definition, KpiScore, Scale, Total, Verdict
from perfhouse.settings import Home

if TYPE_CHECKING:
    import duckdb

# Published numbers are rounded to six places; a narrow scale magnifies that rounding.
_SCORE_TOLERANCE = 0.05
_SUM_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Approval:
    """When a KPI's target was announced, and who approved it when; what was not said is None."""

    announced_on: date | None
    approved_by: str | None
    approved_on: date | None


@dataclass(frozen=True)
class KpiExplanation:
    """How one KPI came to its score; `contribution` is in points of the total.

    Weights are shares of 1: as set, and after KPIs without a score gave theirs away. The sentence
    says in words why it scored what it did and what moved it, empty before a build wrote one;
    `rate_effect` and `mix_effect` sum to `value_change`. Targets of several roles or teams that
    say the same may have been approved apart: then all `approvals` are told.
    """

    score: KpiScore
    definition: Definition
    arithmetic: str
    set_weight: float | None
    effective_weight: float | None
    contribution: float | None
    sentence_en: str = ""
    sentence_zh: str = ""
    value_change: float | None = None
    rate_effect: float | None = None
    mix_effect: float | None = None
    approvals: tuple[Approval, ...] = ()


@dataclass(frozen=True)
class SourceRow:
    """One delivered row behind a KPI; `file` and `row_number` say where it was delivered."""

    employee_id: str | None
    source: str | None
    source_row_id: str | None
    file: str | None
    row_number: int | None
    event_on: date | None
    numerator: float | None
    denominator: float | None


@dataclass(frozen=True)
class SourceRows:
    """The rows behind one KPI: all are counted and summed, the first ones are listed.

    Of confidential answers none is listed, and hidden ones are neither counted nor summed.
    """

    kpi_id: str
    count: int | None
    numerator: float | None
    denominator: float | None
    is_confidential: bool
    rows: tuple[SourceRow, ...]


@dataclass(frozen=True)
class Explanation:
    """Everything behind one manager's month.

    `release` is the month's newest, or None; `is_released` says whether its total for this
    manager is the one explained here, None when nothing is released.
    """

    month: str
    total: Total
    kpis: tuple[KpiExplanation, ...]
    verdicts: tuple[Verdict, ...]
    release: str | None
    is_released: bool | None
    source_rows: SourceRows | None


def explain(
    home: Home, month: Month, manager_id: str, kpi_id: str | None = None, limit: int = 20
) -> Explanation:
    """Explain a manager's total, and with `kpi_id` the source rows behind that KPI.

    Raises:
        ConfigError: no such month, manager or KPI; the nearest known ones are named (operator).
        BuildFailed: what is published does not follow from what lies behind it (data engineer).
    """
    with _opened(home) as con:
        total = _total(con, month, manager_id)
        scores = scorecards.kpi_scores(con, month, manager_id).get(manager_id, [])
        known = scorecards.definitions(con)
        kpis = _in_words(con, month, manager_id, _kpis(total, scores, known))
        kpis = _approved(con, month, kpis)
        if kpi_id is not None:
            _expect_known("--kpi", kpi_id, [s.kpi_id for s in scores])
            kpis = tuple(k for k in kpis if k.score.kpi_id == kpi_id)
        release, is_released = _release(con, home, month, total)
        return Explanation(
            month=str(month),
            total=total,
            kpis=kpis,
            verdicts=tuple(scorecards.verdicts(con, month)),
            release=release,
            is_released=is_released,
            source_rows=_source_rows(con, month, kpis[0], limit) if kpi_id is not None else None,
        )


# ---------------------------------------------------------------- reading


@contextmanager
def _opened(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    if not home.warehouse.exists():
        raise ConfigError([f"--home: expected {home.warehouse}, found none; build a month first"])
    con = warehouse.connect(home.warehouse, read_only=True)
    try:
        yield con
    finally:
        con.close()


def _total(con: duckdb.DuckDBPyConnection, month: Month, manager_id: str) -> Total:
    totals = scorecards.totals(con, month)
    if not totals:
        _expect_known("--month", str(month), scorecards.months(con))
        raise ConfigError([f"--month: {month} has no scorecards"])
    _expect_known("--manager", manager_id, [t.manager_id for t in totals])
    return next(t for t in totals if t.manager_id == manager_id)


_NAMES_SHOWN = 20


def _expect_known(option: str, given: str, known: Sequence[str]) -> None:
    if given in known:
        return
    if not known:
        raise ConfigError([f"{option}: got {given!r}, but there is nothing to explain yet"])
    near = difflib.get_close_matches(given, known, n=5, cutoff=0.5)
    near = [*near, *(each for each in sorted(known) if each not in near)][:_NAMES_SHOWN]
    rest = len(known) - len(near)
    more = f" and {rest} more" if rest else ""
    raise ConfigError([f"{option}: expected one of {', '.join(near)}{more}; got {given!r}"])


def _release(
    con: duckdb.DuckDBPyConnection, home: Home, month: Month, total: Total
) -> tuple[str | None, bool | None]:
    """Name the newest release and whether it published this very total."""
    entry = ledger.latest(home, month)
    if entry is None:
        return None, None
    folder = home.published / str(month) / f"r{entry.number}"
    file = folder / "parquet" / "scorecard_manager_months.parquet"
    rows = con.execute(
        "select cast(total_score as double) from read_parquet(?) where manager_id = ?",
        [str(file), total.manager_id],
    ).fetchall()
    return f"{month}.r{entry.number}", rows == [(total.total_score,)]


# ---------------------------------------------------------------- from the total to the KPIs


def _kpis(
    total: Total, scores: Sequence[KpiScore], known: dict[tuple[str, str | None], Definition]
) -> tuple[KpiExplanation, ...]:
    definitions = {
        s.kpi_id: scorecards.definition_of(known, s.kpi_id, s.kpi_version) for s in scores
    }
    weights: dict[str, float] = {}
    if total.total_score is not None:
        categories = {kpi_id: d.category for kpi_id, d in definitions.items()}
        weights = scorecards.effective_weights(scores, categories)
    intended = scorecards.set_weights(scores)
    found = [
        _kpi(s, definitions[s.kpi_id], intended.get(s.kpi_id), weights.get(s.kpi_id))
        for s in scores
    ]
    reached = sum(k.contribution or 0.0 for k in found)
    if total.total_score is not None and abs(reached - total.total_score) > _SCORE_TOLERANCE:
        raise BuildFailed(
            f"{total.manager_id} {total.month:%Y-%m}: the KPIs contribute {reached:.4f} points, "
            f"the total says {total.total_score:.4f}"
        )
    order = {name: at for at, name in enumerate(scorecards.CATEGORIES)}
    found.sort(
        key=lambda k: (
            order.get(k.definition.category, len(order)),
            -(k.score.weight or 0.0),
            k.score.kpi_id,
        )
    )
    return tuple(found)


_SENTENCES: scorecards.Columns = {
    "kpi_id": "varchar",
    "sentence_en": "varchar",
    "sentence_zh": "varchar",
    "value_change": "double",
    "rate_effect": "double",
    "mix_effect": "double",
}


def _in_words(
    con: duckdb.DuckDBPyConnection,
    month: Month,
    manager_id: str,
    kpis: Sequence[KpiExplanation],
) -> tuple[KpiExplanation, ...]:
    """Add the published sentences and what moved each KPI."""
    rows = scorecards.read(
        con,
        "scorecards.scorecard_explanations",
        _SENTENCES,
        "month = ? and manager_id = ?",
        [month.start, manager_id],
    )
    said = {row[0]: row[1:] for row in rows}
    found = []
    for kpi in kpis:
        en, zh, change, rate, mix = said.get(kpi.score.kpi_id, ("", "", None, None, None))
        words = {"sentence_en": en, "sentence_zh": zh}
        found.append(replace(kpi, **words, value_change=change, rate_effect=rate, mix_effect=mix))
    return tuple(found)


_APPROVALS: scorecards.Columns = {
    "announced_on": "date",
    "approved_by": "varchar",
    "approved_on": "date",
}


def _approved(
    con: duckdb.DuckDBPyConnection, month: Month, kpis: Sequence[KpiExplanation]
) -> tuple[KpiExplanation, ...]:
    """Add who approved the targets that the scores were measured by."""
    where = (
        "valid_from <= ? and coalesce(valid_to > ?, true) and kpi_id = ? and version = ? "
        "and floor = ? and target = ? and stretch is not distinct from ?"
    )
    found = []
    for kpi in kpis:
        score = kpi.score
        values = [month.start, month.start, score.kpi_id, score.target_version]
        values += [score.floor, score.target, score.stretch]
        rows = scorecards.read(con, "config.targets", _APPROVALS, where, values)
        approvals = tuple(Approval(*row) for row in dict.fromkeys(rows))
        found.append(replace(kpi, approvals=approvals))
    return tuple(found)


def _kpi(
    score: KpiScore, definition: Definition, intended: float | None, weight: float | None
) -> KpiExplanation:
    contribution = None
    if weight is not None and score.score is not None:
        contribution = weight * score.score
    return KpiExplanation(score, definition, _arithmetic(score), intended, weight, contribution)


def _arithmetic(score: KpiScore) -> str:
    """Spell out the score and check it against the published one; empty when not scored."""
    scale = score.scale
    value = score.shrunk_value if score.shrunk_value is not None else score.value
    if not score.is_scored or score.score is None or scale is None or value is None:
        return ""
    computed = scale.score(value)
    if abs(computed - score.score) > _SCORE_TOLERANCE:
        raise BuildFailed(
            f"{score.manager_id} {score.kpi_id}: {_formula(scale, value)} gives {computed:.4f}, "
            f"the scorecard says {score.score:.4f}"
        )
    return f"{_formula(scale, value)} = {points(score.score)}"


def _formula(scale: Scale, value: float) -> str:
    raw = scale.unclipped(value)
    floor, target = plain(scale.floor), plain(scale.target)
    if raw < scorecards.TARGET_SCORE:
        text = f"({plain(value)} - {floor}) / ({target} - {floor}) x 100"
    elif scale.stretch is None or scale.stretch == scale.target:
        return f"target {target} reached by {plain(value)}: 100"
    else:
        stretch = plain(scale.stretch)
        text = f"100 + ({plain(value)} - {target}) / ({stretch} - {target}) x 20"
    if raw < 0 or raw > scorecards.TOP_SCORE:
        text += f" = {points(raw)}, clipped"
    return text


# ---------------------------------------------------------------- from a KPI to its rows


_BELOW = "select management_path from core.dim_manager_tree where month = ? and ancestor_id = ?"


def _source_rows(
    con: duckdb.DuckDBPyConnection, month: Month, kpi: KpiExplanation, limit: int
) -> SourceRows | None:
    """List the first rows behind a KPI and check the sums of all; None: the KPI declares none."""
    sql = (kpi.definition.row_sql or "").strip().rstrip(";")
    if not sql:
        return None
    # `sql` was generated by the build from the KPI's own definition; values are parameters.
    behind = f"from ({sql}\n) as behind where cast(month as date) = ? and manager_id = ?"
    key: list[object] = [month.start, kpi.score.manager_id]
    described = con.execute(f"select * from ({sql}\n) as behind limit 0").description or ()
    if any(column[0] == "management_path" for column in described):
        # A manager answers for everybody below, too.
        behind = behind.replace(
            "manager_id = ?", f"(manager_id = ? or management_path in ({_BELOW}))"
        )
        key += [month.start, kpi.score.manager_id]
    summed = con.execute(
        "select count(*), coalesce(sum(cast(numerator as double)), 0), "
        f"coalesce(sum(cast(denominator as double)), 0) {behind}",
        key,
    ).fetchone()
    count, numerator, denominator = summed or (0, 0.0, 0.0)
    confidential = kpi.definition.is_suppressed
    hidden = kpi.score.numerator is None
    if not hidden:
        _expect_sum(kpi.score, "numerator", numerator, kpi.score.numerator)
        _expect_sum(kpi.score, "denominator", denominator, kpi.score.denominator)
    listed = () if confidential else _listed(con, behind, key, limit)
    return SourceRows(
        kpi_id=kpi.score.kpi_id,
        count=None if hidden else count,
        numerator=None if hidden else numerator,
        denominator=None if hidden else denominator,
        is_confidential=confidential,
        rows=listed,
    )


def _listed(
    con: duckdb.DuckDBPyConnection, behind: str, key: list[object], limit: int
) -> tuple[SourceRow, ...]:
    rows = con.execute(
        "select employee_id, source, cast(source_row_id as varchar), file, row_number, "
        "cast(event_on as date), cast(numerator as double), cast(denominator as double) "
        f"{behind} order by event_on nulls last, source, source_row_id, file, row_number, "
        "employee_id, numerator, denominator limit ?",
        [*key, max(limit, 0)],
    ).fetchall()
    return tuple(SourceRow(*row) for row in rows)


def _expect_sum(score: KpiScore, name: str, found: float, published: float | None) -> None:
    expected = published or 0.0
    if abs(found - expected) > _SUM_TOLERANCE * max(1.0, abs(expected)):
        raise BuildFailed(
            f"{score.manager_id} {score.kpi_id}: the source rows add up to a {name} of "
            f"{plain(found)}, the scorecard says {plain(expected)}"
        )


# ---------------------------------------------------------------- handing it over


def as_json(explanation: Explanation) -> str:
    """Write an explanation as JSON, dates as ISO text."""
    return json.dumps(asdict(explanation), ensure_ascii=False, indent=2, default=str)


__all__ = [
    "Explanation",
    "KpiExplanation",
    "SourceRow",
    "SourceRows",
    "as_json",
    "as_text",
    "explain",
]
