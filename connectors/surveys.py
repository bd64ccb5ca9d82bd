"""What the survey tools share: which questions are metrics, and an answer's row.

A tool cannot know what a company asks, so its source says so; nothing here speaks with a server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors import addresses
from connectors.streams import SURVEY_RESPONSES
from perfhouse.company import ColumnMapping, StreamMapping
from perfhouse.errors import ConfigError

# where a response tells of whom and of what it is: canonical column to the tool's own field
LINKS = ("agent_id", "ticket_id", "interaction_id", "subject_employee_id", "rater_key", "team_id")
# who answers where a survey does not say; of every other kind it is a customer
_USUAL_RATERS = {
    "employee_satisfaction": "subordinate",
    "peer_360": "peer",
    "training_feedback": "peer",
}
_WORDS = ("id", "kind", "rater_type", "version", "questions", "fields")
_QUESTION_WORDS = ("id", "metric", "scale", "scores")


@dataclass(frozen=True)
class Question:
    """One question that counts: its metric, its scale and what its choices are worth."""

    id: str
    metric: str
    scale: tuple[float, float]
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Survey:
    """One survey of a source; `fields` names the response's fields behind the links."""

    id: str
    kind: str
    rater_type: str
    version: str
    questions: Mapping[str, Question]
    fields: Mapping[str, str]


def surveys(options: Mapping[str, Any], where: str = "surveys") -> dict[str, Survey]:
    """Return the source's `surveys`, by id.

    Raises:
        ConfigError: what is missing or unknown, all of it (operator).
    """
    given = options.get("surveys")
    if not isinstance(given, list) or not given:
        raise ConfigError([f"{where}: expected at least one [[sources.surveys]] table"])
    problems: list[str] = []
    found = [_survey(table, f"{where}[{at}]", problems) for at, table in enumerate(given)]
    if problems:
        raise ConfigError(problems)
    return {survey.id: survey for survey in found}


def _survey(table: Any, where: str, problems: list[str]) -> Survey:
    table = _table(table, where, _WORDS, problems)
    questions = table.get("questions")
    if not isinstance(questions, list) or not questions:
        problems.append(f"{where}.questions: expected at least one question")
        questions = []
    asked = [_question(q, f"{where}.questions[{at}]", problems) for at, q in enumerate(questions)]
    fields = _table(table.get("fields", {}), f"{where}.fields", LINKS, problems)
    rater = _USUAL_RATERS.get(str(table.get("kind")), "customer")
    return Survey(
        id=_text(table, "id", where, problems),
        kind=_one_of(table, "kind", "survey_kind", where, problems),
        rater_type=_one_of({"rater_type": rater, **table}, "rater_type", "", where, problems),
        version=str(table.get("version", "")),
        questions={question.id: question for question in asked},
        fields={key: str(value) for key, value in fields.items()},
    )


def _question(table: Any, where: str, problems: list[str]) -> Question:
    table = _table(table, where, _QUESTION_WORDS, problems)
    scale = table.get("scale")
    numbers = isinstance(scale, list) and all(isinstance(n, int | float) for n in scale)
    if not isinstance(scale, list) or len(scale) != 2 or not numbers:
        problems.append(f"{where}.scale: expected the least and the most, such as [1, 5]")
        scale = [0, 0]
    scores = table.get("scores", {})
    if not isinstance(scores, Mapping) or not all(
        isinstance(n, int | float) for n in scores.values()
    ):
        problems.append(f"{where}.scores: expected a number for each choice")
        scores = {}
    return Question(
        id=_text(table, "id", where, problems),
        metric=_one_of(table, "metric", "", where, problems),
        scale=(scale[0], scale[1]),
        scores={str(choice): float(value) for choice, value in scores.items()},
    )


def _table(
    table: Any, where: str, words: tuple[str, ...], problems: list[str]
) -> Mapping[str, Any]:
    if not isinstance(table, Mapping):
        problems.append(f"{where}: expected a table")
        return {}
    for key in table:
        if key not in words:
            problems.append(f"{where}.{key}: expected one of {', '.join(words)}")
    return table


def _text(table: Mapping[str, Any], key: str, where: str, problems: list[str]) -> str:
    value = table.get(key)
    if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
        problems.append(f"{where}.{key}: expected text")
    return str(value)


def _one_of(
    table: Mapping[str, Any], key: str, column: str, where: str, problems: list[str]
) -> str:
    allowed = next(c.values for c in SURVEY_RESPONSES.columns if c.name == (column or key))
    if table.get(key) not in allowed:
        problems.append(f"{where}.{key}: expected one of {', '.join(allowed)}")
    return str(table.get(key))


def rows(
    survey: Survey,
    response: Mapping[str, Any],
    answers: Mapping[str, Any],
    told: Mapping[str, Any],
    known: tuple[str, ...],
) -> Iterator[dict[str, Any]]:
    """Yield a row for each question that counts and was answered.

    `answers` are by question id; of a text only that it is there. `told` are the columns that
    all rows share. Fields of the `response` outside `known` go along, so that they are reported.
    """
    unknown = {key: value for key, value in response.items() if key not in known}
    for question in survey.questions.values():
        answer = answers.get(question.id)
        if answer in (None, "", [], {}):
            continue
        yield {
            **unknown,
            **told,
            "survey_id": survey.id,
            "survey_kind": survey.kind,
            "survey_version": survey.version or None,
            "rater_type": survey.rater_type,
            "question_id": question.id,
            "metric": question.metric,
            "scale_min": question.scale[0],
            "scale_max": question.scale[1],
            **_answered(question, answer),
        }


def _answered(question: Question, answer: Any) -> dict[str, Any]:
    """Return the score or the choice; never the words of a comment."""
    if question.metric == "comment":
        return {"has_comment": True}
    if isinstance(answer, str) and answer in question.scores:
        return {"score": question.scores[answer], "score_choice": answer}
    return {"score": answer}


def mapping(**options: Any) -> StreamMapping:
    """Return the ready mapping of the rows above to `survey_responses`."""
    plain = (
        *("response_id", "survey_id", "survey_version", "survey_kind", "question_id", "metric"),
        *("status", "started_at", "submitted_at", "score", "scale_min", "scale_max"),
        *("score_choice", "has_comment", "subject_employee_id", "agent_id", "team_id"),
        *("ticket_id", "interaction_id", "channel", "rater_type", "language", "is_test"),
        "source_updated_at",
    )
    columns = {name: ColumnMapping(source=name) for name in plain}
    for name in ("started_at", "submitted_at", "source_updated_at"):
        columns[name] = ColumnMapping(source=name, time_zone="UTC")
    for name in LINKS:  # an operator may name a field that holds somebody's address
        columns[name] = addresses.person(name)
    columns["rater_key"] = ColumnMapping(source="rater_key", hash=True)
    return StreamMapping("survey_responses", {"format": "pages", **options}, None, columns, ())
