"""How an explanation is said to people, in English and in Chinese.

Words and layout only: it computes no number and reads nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perfhouse.explain import Explanation, KpiExplanation, SourceRows
    from perfhouse.scorecards import Verdict

_ROW_COLUMNS = (
    "employee_id",
    "source",
    "source_row_id",
    "file",
    "row_number",
    "event_on",
    "numerator",
    "denominator",
)


def as_text(explanation: Explanation, lang: str = "en") -> str:
    """Write an explanation for people to read, in `en` or `zh`."""
    words = _ZH if lang == "zh" else _EN
    lines = _head(explanation, words)
    for kpi in explanation.kpis:
        lines += ["", *_kpi_lines(kpi, words, lang)]
    lines += ["", *_tail(explanation, words)]
    return "\n".join(lines)


_EN = {
    "head": "{manager} in {month}: total {total}, grade {grade}, rank {rank} of {peers}",
    "no_total": "{manager} in {month}: no total ({status})",
    "no_team": "{manager} in {month}: no team this month, so nothing is scored",
    "change": "change since the month before: {change} (it was {before})",
    "coverage": "weight with enough data: {coverage} ({scored} of {all} KPIs with a weight)",
    "gates": "gates: {gates}",
    "passed": "{gate} passed, {warnings} warnings",
    "passed_1": "{gate} passed, 1 warning",
    "failed": "{gate} failed",
    "no_gates": "none has run",
    "release": "release: {release}",
    "moved_on": "release: {release} published another total; this one is not released",
    "draft": "release: none yet",
    "kpi": "{name}  [{id}, {category}, KPI version {version}, targets {targets}]",
    "value": "  value        {numerator} / {denominator} = {value}   (sample {sample}, "
    "minimum {minimum})",
    "scale": "  scale        floor {floor} = 0, target {target} = 100, stretch {stretch} = 120",
    "approved": "  targets      announced {announced}, approved by {by}",
    "approved_on": "  targets      announced {announced}, approved by {by} on {on}",
    "score": "  score        {arithmetic}",
    "not_scored": "  not scored   {status}",
    "points": "  contributes  {score} x {weight} = {points} points   (weight set: {set})",
    "sum": "sum of contributions = {points} = total",
    "rows": "{count} source rows add up to {numerator} / {denominator}, as published; first {n}:",
    "confidential": "{count} answers lie behind this; they are confidential and never listed",
    "hidden": "the answers behind this are not shown, so that nobody's can be worked out",
    "no_rows": "no source row lies behind this KPI in this month",
    "undeclared": "this KPI declares no source rows",
    "no_kpis": "no KPI is measured for this manager in this month",
    "insufficient_data": "not enough data",
    "lacks_cases": "not enough data: the sample is below the minimum",
    "lacks_rows": "not enough data: it rests on {rows} of the {minimum_rows} records needed",
    "lacks_months": "not enough data: too few months are known for a figure of a year",
    "lacks_answers": "not shown, so that nobody's answer can be worked out",
    "no_target": "no target is set for this role and month",
    "not_available": "nothing that this KPI counts was delivered",
    "excluded": "an upheld appeal left it out of this month",
    "insufficient_coverage": "too little of the weight has enough data",
}
_ZH = {
    "head": "{manager} {month}:总分 {total},等级 {grade},同岗第 {rank} 名(共 {peers} 人)",
    "no_total": "{manager} {month}:不计总分({status})",
    "no_team": "{manager} {month}:本月名下没有团队,不计分",
    "change": "较上月:{change}(上月 {before})",
    "coverage": "有足够数据的权重:{coverage}(有权重的指标 {scored}/{all} 项)",
    "gates": "质量门:{gates}",
    "passed": "{gate} 通过,{warnings} 项提醒",
    "passed_1": "{gate} 通过,1 项提醒",
    "failed": "{gate} 未通过",
    "no_gates": "尚未运行",
    "release": "版本:{release}",
    "moved_on": "版本:{release} 公布的是另一个总分;此处总分尚未发布",
    "draft": "版本:尚未发布",
    "kpi": "{name}  [{id},{category},口径版本 {version},目标版本 {targets}]",
    "value": "  实际    {numerator} / {denominator} = {value}   (样本 {sample},最少 {minimum})",
    "scale": "  标尺    底线 {floor} = 0 分,目标 {target} = 100 分,挑战 {stretch} = 120 分",
    "approved": "  目标    {announced} 公布,批准:{by}",
    "approved_on": "  目标    {announced} 公布,{on} 批准:{by}",
    "score": "  得分    {arithmetic}",
    "not_scored": "  不计分  {status}",
    "points": "  贡献    {score} x {weight} = {points} 分   (设定权重 {set})",
    "sum": "贡献合计 = {points} = 总分",
    "rows": "{count} 行来源数据合计 {numerator} / {denominator},与公布一致;前 {n} 行:",
    "confidential": "背后有 {count} 份回答;回答保密,从不逐条列出",
    "hidden": "背后的答卷不予显示,以免推算出任何人的回答",
    "no_rows": "本月没有任何来源行",
    "undeclared": "该指标未声明来源行",
    "no_kpis": "该经理本月没有任何指标",
    "insufficient_data": "数据不足",
    "lacks_cases": "样本不足:低于最少样本量",
    "lacks_rows": "数据不足:仅有 {rows} 条记录,至少需 {minimum_rows} 条",
    "lacks_months": "数据不足:已有数据的月份不足以得出全年数字",
    "lacks_answers": "不予显示,以免推算出任何人的回答",
    "no_target": "该岗位本月未设目标",
    "not_available": "本月没有可计入该指标的数据",
    "excluded": "经申诉核实,本月不计入",
    "insufficient_coverage": "有足够数据的权重太少",
}
Words = dict[str, str]


def _head(explanation: Explanation, words: Words) -> list[str]:
    total = explanation.total
    key = "head" if total.total_score is not None else "no_total"
    key = "no_team" if total.status == "no_team" else key
    lines = [
        words[key].format(
            manager=total.manager_id,
            month=explanation.month,
            total=points(total.total_score),
            grade=total.grade or "-",
            rank=total.rank or "-",
            peers=total.peer_count or "-",
            status=words.get(total.status or "", total.status),
        )
    ]
    if total.change is not None:
        change, before = f"{total.change:+.2f}", points(total.previous_total_score)
        lines.append(words["change"].format(change=change, before=before))
    if total.coverage_rate is not None and explanation.source_rows is None:
        weighted = [k for k in explanation.kpis if k.score.weight]
        scored = sum(k.score.is_scored for k in weighted)
        coverage = _share(total.coverage_rate)
        lines.append(words["coverage"].format(coverage=coverage, scored=scored, all=len(weighted)))
    gates = "; ".join(
        words[_passed(v)].format(gate=v.gate, warnings=v.warnings) for v in explanation.verdicts
    )
    lines.append(words["gates"].format(gates=gates or words["no_gates"]))
    state = "draft" if explanation.release is None else "release"
    state = "moved_on" if explanation.is_released is False else state
    return [*lines, words[state].format(release=explanation.release)]


def _kpi_lines(kpi: KpiExplanation, words: Words, lang: str) -> list[str]:
    score, definition = kpi.score, kpi.definition
    lines = [
        words["kpi"].format(
            name=definition.name_zh if lang == "zh" else definition.name_en,
            id=score.kpi_id,
            category=definition.category,
            version=score.kpi_version or "-",
            targets=score.target_version or "-",
        ),
        *_sentence(kpi, lang),
        words["value"].format(
            numerator=plain(score.numerator),
            denominator=plain(score.denominator),
            value=plain(score.value),
            sample=plain(score.sample_size),
            minimum=plain(score.minimum_sample or definition.minimum_sample),
        ),
    ]
    if score.scale:
        ends = {
            "floor": plain(score.floor),
            "target": plain(score.target),
            "stretch": plain(score.stretch),
        }
        lines.append(words["scale"].format(**ends))
    for approval in kpi.approvals:
        key = "approved_on" if approval.approved_on else "approved"
        by, on = approval.approved_by or "-", approval.approved_on
        lines.append(words[key].format(announced=approval.announced_on or "-", by=by, on=on))
    if not kpi.arithmetic:
        return [*lines, words["not_scored"].format(status=_why_not(kpi, words))]
    lines.append(words["score"].format(arithmetic=kpi.arithmetic))
    if kpi.contribution is not None:
        lines.append(
            words["points"].format(
                score=points(score.score),
                weight=_share(kpi.effective_weight),
                points=points(kpi.contribution),
                set=_share(kpi.set_weight),
            )
        )
    return lines


def _passed(verdict: Verdict) -> str:
    one = "passed_1" if verdict.warnings == 1 else "passed"
    return one if verdict.passed else "failed"


def _why_not(kpi: KpiExplanation, words: Words) -> str:
    score = kpi.score
    lacks = score.lacks(kpi.definition)
    said = words[f"lacks_{lacks}"] if lacks else words.get(score.status or "", score.status or "-")
    return said.format(rows=plain(score.row_count), minimum_rows=plain(score.minimum_rows))


def _sentence(kpi: KpiExplanation, lang: str) -> list[str]:
    said = kpi.sentence_zh if lang == "zh" else kpi.sentence_en
    return [f"  {said}"] if said else []


def _tail(explanation: Explanation, words: Words) -> list[str]:
    if not explanation.kpis:
        return [words["no_kpis"]]
    behind = explanation.source_rows
    if behind is not None:
        return _row_lines(behind, words)
    if len(explanation.kpis) == 1 and explanation.kpis[0].definition.row_sql is None:
        return [words["undeclared"]]
    if explanation.total.total_score is None:
        return []
    reached = sum(k.contribution or 0.0 for k in explanation.kpis)
    return [words["sum"].format(points=points(reached))]


def _row_lines(behind: SourceRows, words: Words) -> list[str]:
    if behind.count is None:
        return [words["hidden"]]
    if not behind.count:
        return [words["no_rows"]]
    if behind.is_confidential:
        return [words["confidential"].format(count=behind.count)]
    head = words["rows"].format(
        count=behind.count,
        numerator=plain(behind.numerator),
        denominator=plain(behind.denominator),
        n=len(behind.rows),
    )
    table = [list(_ROW_COLUMNS)]
    for row in behind.rows:
        cells = (getattr(row, name) for name in _ROW_COLUMNS)
        table.append([plain(c) if isinstance(c, float) else str(c or "-") for c in cells])
    widths = [max(len(line[at]) for line in table) for at in range(len(_ROW_COLUMNS))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in table]
    return [head, *(line.rstrip() for line in lines)]


def plain(value: float | None) -> str:
    """Write a number with up to six places and no trailing zeros."""
    if value is None:
        return "-"
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def points(value: float | None) -> str:
    """Write a score or a part of it."""
    return "-" if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{plain(round(value * 100, 2))} %"
