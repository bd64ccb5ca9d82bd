"""KPI files: which KPIs the project has, and what is wrong with those that a company adds.

Reads YAML only; it may not run dbt, build a number or know a company's settings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from perfhouse import warehouse
from perfhouse.config_reader import Table, did_you_mean
from perfhouse.settings import project_dir

FOLDER = "kpis"  # of a company's own KPIs, inside the company folder
CATEGORIES = ("result", "quality", "efficiency", "people", "innovation")
CREDITS = ("employee", "queue", "manager")
DIRECTIONS = ("up", "down")
KINDS = ("proportion", "score", "ratio")
# Facts with what people say of each other or of their work; flags tell customers' answers.
_OPINIONS = ("fct_peer_reviews", "fct_survey_responses")
_CUSTOMERS = frozenset(
    {"is_csat_rated", "is_satisfied", "is_nps_answered", "is_ces_answered", "is_easy"}
    | {"is_attitude_rated", "is_invitation", "is_invitation_answered", "rater_type"}
)
_SHARES = ("rate", "net_rate")  # units with bounds
_LEAST_ANSWERS = 3  # of a confidential KPI, below which nothing of it is shown
_ID = re.compile(r"^[a-z][a-z0-9_]*$")
_MONTH = re.compile(r"^\d{4}-(0[1-9]|1[0-2])$")
_REF = re.compile(r"^ref\('(\w+)'\)$")
_FACT = re.compile(r"^-- depends_on: \{\{ ref\('(fct_\w+)'\) \}\}", re.MULTILINE)
_TEMPLATES = ("{{", "{%", "{#")
_KNOWN = (
    "name_en", "name_zh", "definition_en", "definition_zh", "category", "unit", "direction",
    "version", "first_month", "last_month", "minimum_sample", "maturity_days", "credit", "row_id",
    "strata", "denominator_credit", "denominator_row_id", "is_suppressed", "id",
    "minimum_months",
    "kind", "minimum_rows", "is_signed",
)  # fmt: skip


@dataclass
class Known:
    """What may be named, and what is taken already."""

    ids: dict[str, str] = field(default_factory=dict)  # of KPIs, and which direction is better
    names: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)


def catalogue() -> dict[str, str]:
    """Return 'up' or 'down' by KPI of the project: one YAML file with a metric each."""
    return dict(_known(project_dir()).ids)


def read(folders: Iterable[Path], problems: list[str]) -> dict[str, str]:
    """Return the directions of the KPIs in some folders, and note what is wrong by file and field.

    Each file holds one KPI: its semantic model, a ratio metric with `config.meta.kpi`, and the two
    simple metrics that it divides.
    """
    common = _known(project_dir())
    taken = Known(dict(common.ids), set(common.names), set(common.words))
    found: dict[str, str] = {}
    for folder in folders:
        _only_yaml(folder, problems)
        for file in sorted(folder.glob("*.yml")):
            kpi_id = _checked(file, f"{folder.name}/{file.name}: ", taken, problems)
            if kpi_id:
                found[kpi_id] = taken.ids[kpi_id]
    return found


def _only_yaml(folder: Path, problems: list[str]) -> None:
    """Refuse what dbt would run or read though nobody checked it: SQL, Python, seeds, folders."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix != ".yml" or not path.is_file():
            problems.append(f"{folder.name}/{path.name}: expected only KPI files (*.yml) here")


@cache
def _known(project: Path) -> Known:
    known = Known(words=set(_KNOWN))
    for file in sorted((project / "models" / "kpis").glob("*.yml")):
        text = file.read_text(encoding="utf-8")
        if "\nsemantic_models:" not in text:
            continue
        body = _yaml(text)
        known.names |= set(_names(body))
        for metric in body.get("metrics") or ():
            kpi = _kpi_of(metric)
            if kpi is not None:
                known.ids[str(kpi.get("id", metric["name"]))] = str(kpi.get("direction"))
                known.words |= set(kpi)
    return known


def _yaml(text: str) -> Any:
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader, written in C where there is


def _names(body: Any) -> list[str]:
    """List what dbt wants to be unique: semantic models, their measures, metrics."""
    models = body.get("semantic_models") or ()
    measures = [measure for model in models for measure in model.get("measures") or ()]
    return [str(each["name"]) for each in (*models, *measures, *(body.get("metrics") or ()))]


def _kpi_of(metric: Mapping[str, Any]) -> Mapping[str, Any] | None:
    config = metric.get("config") or {}
    meta = config.get("meta") if isinstance(config, Mapping) else None
    kpi = meta.get("kpi") if isinstance(meta, Mapping) else None
    return kpi if isinstance(kpi, Mapping) else None


# ---------------------------------------------------------------- one file of a company


def _checked(file: Path, place: str, taken: Known, problems: list[str]) -> str | None:
    import yaml

    try:
        body = _yaml(file.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        problems.append(f"{place}expected UTF-8")
        return None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        what = getattr(error, "problem", None) or type(error).__name__
        problems.append(f"{place}{line}expected YAML, got {what}")
        return None
    top = Table(body, place, problems)
    _no_template(body, place, problems)
    top.take("version")
    measures = _measures(top)
    metrics = {table.text("name"): table for table in top.tables("metrics")}
    top.finish()
    kpis = [table for table in metrics.values() if _kpi_of(table.data) is not None]
    if len(kpis) != 1:
        got = [table.data.get("name") for table in kpis]
        top.problem("metrics", "one ratio metric with config.meta.kpi", got)
        return None
    _no_clash(top, body, taken)
    return _kpi(kpis[0], metrics, measures, taken)


def _no_template(node: object, place: str, problems: list[str]) -> None:
    """Refuse texts that dbt would render: a template reads the environment, secrets included."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            _no_template(key, place, problems)
            _no_template(value, f"{place.rstrip()} {key}:", problems)
    elif isinstance(node, list):
        for value in node:
            _no_template(value, place, problems)
    elif isinstance(node, str) and any(mark in node for mark in _TEMPLATES):
        problems.append(f"{place} expected plain text, without {{{{, {{% and {{#")


def _no_clash(top: Table, body: Any, taken: Known) -> None:
    try:
        names = _names(body)
    except (KeyError, TypeError, AttributeError):
        return  # noted where the name is read
    for name in dict.fromkeys(names):
        if name in taken.names:
            top.problems.append(f"{top.path}{name}: expected a name that no other KPI file uses")
    taken.names |= set(names)


@dataclass(frozen=True)
class _Measure:
    """One measure of a semantic model; `columns` are those of its fact, None when unknown."""

    fact: str
    columns: tuple[str, ...] | None
    used: frozenset[str]


def _measures(top: Table) -> dict[str, _Measure]:
    found = {}
    for model in top.tables("semantic_models"):
        fact = _fact(model)
        columns = _columns(fact) if fact else None
        for entity in model.tables("entities"):
            _expression(entity, columns)
        for measure in model.tables("measures"):
            name = measure.text("name")
            measure.one_of("agg", ("sum",))
            found[name] = _Measure(fact, columns, _expression(measure, columns))
    if not found:
        top.problem("semantic_models", "a semantic model with two measures over a fact")
    return found


def _fact(model: Table) -> str:
    text = model.text("model")
    match = _REF.fullmatch(text.replace('"', "'").replace(" ", ""))
    name = match.group(1) if match else text
    known = _facts()
    if name not in known:
        choice = ", ".join(f"ref('{each}')" for each in sorted(known))
        model.problem("model", f"one of {choice}{did_you_mean(name, known)}", text)
        return ""
    return name


@cache
def _facts() -> frozenset[str]:
    """Return the facts a KPI may be counted from: those that the sums of all KPIs depend on."""
    sums = project_dir() / "models" / "kpis" / "kpi_stratum_months.sql"
    return frozenset(_FACT.findall(sums.read_text(encoding="utf-8")))


@cache
def _columns(fact: str) -> tuple[str, ...]:
    file = project_dir() / "models" / "core" / f"{fact}.yml"
    model = _yaml(file.read_text(encoding="utf-8"))["models"][0]
    return tuple(str(column["name"]) for column in model["columns"])


def _expression(table: Table, columns: Sequence[str] | None) -> frozenset[str]:
    """Check that SQL can be read and names columns of the fact only; return those it names."""
    value = table.take("expr")
    number = isinstance(value, int | float)
    sql = str(value) if number else table.text("expr", str(table.data.get("name") or ""))
    if not sql or columns is None:
        return frozenset()
    parsed = _parse(sql)
    if parsed is None:
        table.problem("expr", "one SQL expression", sql)
        return frozenset()
    foreign = warehouse.refused(parsed)
    if foreign is not None:
        table.problem("expr", "an expression over one row", foreign)
        return frozenset()
    names = dict.fromkeys(_column_names(parsed))
    for name in names:
        if name.lower() not in columns:
            hint = did_you_mean(name, columns)
            table.problem("expr", f"columns of the fact{hint}", name)
    return frozenset(name.lower() for name in names)


def _parse(sql: str) -> Any:
    with warehouse.connect() as con:
        text = con.execute("select json_serialize_sql(?)", [f"select ({sql}\n)"]).fetchall()[0][0]
    parsed = json.loads(text)
    return None if parsed.get("error") or len(parsed["statements"]) != 1 else parsed


def _column_names(parsed: Any) -> Iterable[str]:
    for node in warehouse.nodes(parsed):
        if node.get("class") == "COLUMN_REF":
            yield str(node["column_names"][-1])


def _kpi(
    metric: Table, metrics: Mapping[str, Table], measures: Mapping[str, _Measure], taken: Known
) -> str:
    metric.one_of("type", ("ratio",))
    parts = metric.table("type_params")
    above = _part(parts, "numerator", metrics, measures)
    below = _part(parts, "denominator", metrics, measures)
    kpi = metric.table("config").table("meta").table("kpi")
    kpi_id = kpi.text(
        "id", metric.text("name", pattern=_ID, expected="an id of a-z, 0-9 and _"), pattern=_ID
    )
    if kpi_id in taken.ids:
        kpi.problems.append(f"{metric.at('name')}: expected an id that no other KPI has: {kpi_id}")
    taken.ids[kpi_id] = kpi.one_of("direction", DIRECTIONS)
    for key in ("name_en", "name_zh", "definition_en", "definition_zh", "unit"):
        kpi.text(key)
    kpi.one_of("category", CATEGORIES)
    kind = kpi.one_of("kind", KINDS, "ratio")
    if kpi.flag("is_signed", default=False) and kind == "proportion":
        kpi.problem("is_signed", "false for a proportion, which is never negative", True)
    kpi.whole("minimum_rows", 1, low=1)
    kpi.whole("minimum_months", 1, low=1)
    _needed_whole(kpi, "version")
    _confidential(kpi, str(kind), _needed_whole(kpi, "minimum_sample"), (above, below))
    kpi.whole("maturity_days", 0)
    for key in ("first_month", "last_month"):
        if kpi.take(key) is not None:
            kpi.text(key, pattern=_MONTH, expected='a month in quotes such as "2026-09"')
    _credits(kpi, above, below)
    kpi.finish(taken.words)
    return kpi_id


def _needed_whole(kpi: Table, key: str) -> int:
    if kpi.take(key) is None:
        kpi.problem(key, "a whole number from 1")
    return kpi.whole(key, 1, low=1)


def _confidential(kpi: Table, kind: str, minimum: int, parts: Iterable[_Measure | None]) -> None:
    """Refuse to show what one person said of another, or of their work, from too few answers."""
    suppressed = kpi.flag("is_suppressed", default=False)
    kpi.flag("one_answer_each", default=False)
    opinions = {
        part.fact
        for part in parts
        if part and part.fact in _OPINIONS and not part.used & _CUSTOMERS
    }
    if opinions and not suppressed:
        told = f"true, for {sorted(opinions)[0]} holds answers of employees"
        customers = ", ".join(sorted(_CUSTOMERS))
        kpi.problem("is_suppressed", f"{told} (or count those of customers: {customers})")
    if suppressed and minimum < _LEAST_ANSWERS:
        kpi.problem("minimum_sample", f"a whole number from {_LEAST_ANSWERS}", minimum)
    is_bounded = kind == "proportion" or (kind == "score" and kpi.take("unit") in _SHARES)
    if suppressed and not is_bounded:
        told = "proportion, or score with `unit: rate`, of confidential answers: an interval that"
        kpi.problem("kind", f"{told} may borrow from nobody needs the bounds of an answer", kind)


def _part(
    parts: Table, key: str, metrics: Mapping[str, Table], measures: Mapping[str, _Measure]
) -> _Measure | None:
    """Return the measure behind the numerator or the denominator."""
    value = parts.take(key)
    name = value.get("name") if isinstance(value, Mapping) else value
    metric = metrics.get(str(name))
    if metric is None:
        parts.problem(key, "the name of a simple metric of this file", name)
        return None
    metric.one_of("type", ("simple",))
    inner = metric.table("type_params")
    named = inner.take("measure")
    wanted = named.get("name") if isinstance(named, Mapping) else named
    if wanted not in measures:
        inner.problem("measure", f"a measure of this file{_hint(wanted, measures)}", wanted)
    return measures.get(str(wanted))


def _hint(word: object, known: Collection[str]) -> str:
    return did_you_mean(word, known) if isinstance(word, str) else ""


def _credits(kpi: Table, above: _Measure | None, below: _Measure | None) -> None:
    """Check whom a row is credited to, where in the fact that is said, and the strata."""
    columns = above.columns if above else None
    _credit(kpi, "credit", columns)
    _column(kpi, "row_id", columns)
    for index, name in enumerate(kpi.texts("strata")):
        if columns is not None and name not in columns:
            what = f"a column of the fact{did_you_mean(name, columns)}"
            kpi.problem(f"strata[{index}]", what, name)
    others = below.columns if below else None
    if kpi.take("denominator_credit") is not None:
        _credit(kpi, "denominator_credit", others)
    if kpi.take("denominator_row_id") is not None:
        _column(kpi, "denominator_row_id", others)
    if above and below and above.fact != below.fact and kpi.texts("strata"):
        kpi.problem("strata", "none, where the two sums lie in two facts", kpi.data["strata"])


def _credit(kpi: Table, key: str, columns: Collection[str] | None) -> None:
    credit = kpi.table(key)
    to = credit.one_of("to", CREDITS)
    _column(credit, "id", columns)
    _column(credit, "day", columns)
    for name in ("team", "employee", "path", "queue"):
        if credit.take(name) is not None:
            _column(credit, name, columns)
    if credit.take("queue") is not None and to != "employee":
        credit.problem("queue", "a queue only beside `to: employee`", credit.data["queue"])


def _column(table: Table, key: str, columns: Collection[str] | None) -> None:
    table.one_of(key, columns)
