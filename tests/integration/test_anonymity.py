"""Nobody's confidential answer can be worked out: an attacker with everything published tries to.

The attacker does linear algebra over all releases: a combination of published sums that rests on
fewer answers than the minimum is a find.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors import streams
from perfhouse import build as builder
from perfhouse import cards, confidential, lake, release_tables, settings, warehouse
from perfhouse.company import load_company
from perfhouse.explain import as_json, as_text, explain
from perfhouse.settings import Home
from tests.integration import tiny_company as tiny
from tests.own_kpi import TOP_SCORE_RATE

MONTH = tiny.SEPTEMBER
LEAST = 5
KPI, SEVERAL = "employee_satisfaction", "peer_review_score"  # one answer each, or several
WHOLE = confidential.WHOLE
Answers = dict[int, tuple["Place", float]]
Published = dict[tuple[str, str], tuple[frozenset[tuple[int, float]], float]]


@dataclass(frozen=True)
class Place:
    """Where an answer counts: its manager, who stands above, and the team."""

    manager_id: str
    path: str | None
    team_id: str


class Cells:
    """The model's own SQL over tables that are filled at will."""

    def __init__(self, home: Home, sql: str) -> None:
        self.con, self.sql = warehouse.connect(home.warehouse), sql

    def published(
        self, answers: Answers, before: list[Published], kpi: str = KPI, points: int = 1
    ) -> Published:
        """Return what a release shows of these answers of so many points each, after others."""
        sums: dict[Place, list[float]] = {}
        for place, value in answers.values():
            sums.setdefault(place, []).append(value)
        self.con.execute("delete from kpis.kpi_stratum_months")
        for place, values in sums.items():
            self.con.execute(
                "insert into kpis.kpi_stratum_months by name select ?::date as month, ? as kpi_id, "
                "'1' as kpi_version, ? as manager_id, ? as management_path, ? as team_id, "
                "?::double as numerator, ? as denominator, ? as denominator_squares, "
                "? as row_count",
                [MONTH.start, kpi, place.manager_id, place.path, place.team_id, sum(values),
                 len(values) * points, len(values) * points**2, len(values)],
            )  # fmt: skip
        self._tree({place.path for place in sums if place.path})
        self.con.execute("delete from config.released_answers")
        for number, shown in enumerate(before, start=1):
            for (manager, team), (counted, numerator) in shown.items():
                self.con.execute(
                    "insert into config.released_answers values (?, ?, ?, ?, ?, ?)",
                    [kpi, manager, team, number, numerator, len(counted) * points],
                )
        rows = self.con.execute(
            f"select manager_id, team_id from ({self.sql}) where not is_hidden"
        ).fetchall()
        found = {(manager, team): counted_for(answers, manager, team) for manager, team in rows}
        return {
            key: (counted, round(sum(value for _, value in counted), 6))
            for key, counted in found.items()
        }

    def _tree(self, paths: set[str]) -> None:
        self.con.execute("delete from core.dim_manager_tree")
        for path in sorted(paths):
            steps = path.split("/")
            for distance, ancestor in enumerate(reversed(steps)):
                self.con.execute(
                    "insert into core.dim_manager_tree by name select ?::date as month, "
                    "? as management_path, ? as ancestor_id, ? as distance",
                    [MONTH.start, path, ancestor, distance],
                )


def counted_for(answers: Answers, manager: str, team: str) -> frozenset[tuple[int, float]]:
    """Return the answers a published row adds up; whoever stands above has no teams here."""
    return frozenset(
        (who, value)
        for who, (place, value) in answers.items()
        if (place.manager_id == manager and team in (WHOLE, place.team_id))
        or (team == WHOLE and place.path and manager in place.path.split("/")[:-1])
    )


def finds(releases: list[Published]) -> list[list[int]]:
    """Return groups of fewer than LEAST answers that some combination of sums rests on."""
    sums = sorted({counted for shown in releases for counted, _ in shown.values()}, key=sorted)
    if not sums:
        return []
    answers = sorted(set().union(*sums))
    alike: dict[tuple[bool, ...], int] = Counter(
        tuple(answer in counted for counted in sums) for answer in answers
    )
    matrix, sizes = np.array(list(alike), float).T, np.array(list(alike.values()))
    _, scale, basis = np.linalg.svd(matrix, full_matrices=False)
    basis = basis[scale > 1e-9 * scale[0]]
    small = [int(at) for at in np.flatnonzero(sizes < LEAST)]
    found = []
    for count in range(1, LEAST):
        for group in itertools.combinations(small, count):
            if sizes[list(group)].sum() < LEAST:
                rest = np.delete(basis, group, axis=1)
                if np.linalg.matrix_rank(rest, tol=1e-7) < len(basis):
                    found.append([int(sizes[at]) for at in group])
    return found


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Cells:
    home = Home(tmp_path_factory.mktemp("cells") / "home").ensure()
    con = warehouse.connect(home.warehouse)
    for schema in ("kpis", "core", "config"):
        con.execute(f"create schema {schema}")
    con.execute(
        "create table kpis.kpi_definitions as select kpi_id, '1' as version, "
        f"{LEAST} as minimum_sample, true as is_suppressed "
        f"from (values ('{KPI}'), ('{SEVERAL}')) as k(kpi_id)"
    )
    con.execute(
        "create table kpis.kpi_stratum_months (month date, kpi_id varchar, kpi_version varchar, "
        "manager_id varchar, management_path varchar, team_id varchar, "
        "numerator decimal(28, 10), denominator decimal(28, 10), "
        "denominator_squares decimal(38, 12), row_count integer)"
    )
    con.execute(
        "create table core.dim_manager_tree (month date, management_path varchar, "
        "ancestor_id varchar, distance integer)"
    )
    con.execute(
        "create table kpis.kpi_shared_answers (month date, kpi_id varchar, kpi_version varchar, "
        "manager_id varchar, management_path varchar)"
    )
    con.execute("create table config.kpis (kpi_id varchar, minimum_sample bigint)")
    # Whoever lowers the minimum lowers nothing.
    con.execute("insert into config.kpis values ('employee_satisfaction', 1)")
    con.execute(
        "create table config.released_answers (kpi_id varchar, manager_id varchar, "
        "team_id varchar, release_number bigint, numerator double, denominator double)"
    )
    con.close()
    extra = {"PERFHOUSE_COMPANY_KPIS": "company_kpis"}
    with settings.dbt_environment(home, MONTH, MONTH, extra):
        runs, failure = builder.run_dbt(["compile", "--select", "kpi_confidential_cells"])
    assert failure is None
    assert runs
    file = next((home.dbt / "target" / "compiled").rglob("kpi_confidential_cells.sql"))
    return Cells(home, file.read_text(encoding="utf-8"))


def company_of(rng: np.random.Generator) -> list[Place]:
    """Draw a tree of managers; some have teams, some stand under two directors in one month."""
    places = []
    for number in range(int(rng.integers(2, 7))):
        manager = f"M{number}"
        paths: list[str | None] = [f"D0/D{1 + rng.integers(2)}/{manager}"]
        if rng.random() < 0.25:
            paths = [f"D0/D1/{manager}", f"D0/D2/{manager}"]
        if rng.random() < 0.15:
            paths = [None]
        teams = [f"T{team}" for team in range(int(rng.integers(1, 4)))]
        places += [Place(manager, path, team) for path in paths for team in teams]
    if rng.random() < 0.5:
        places.append(Place("D1", "D0/D1", "-"))
    return places


def draw(rng: np.random.Generator, places: list[Place]) -> Answers:
    numbers = itertools.count()
    return {
        next(numbers): (place, round(float(rng.random()), 6))
        for place in places
        for _ in range(int(rng.choice([0, 1, 2, 3, 5, 6, 9])))
    }


def corrected(rng: np.random.Generator, answers: Answers, places: list[Place]) -> Answers:
    """Add late answers, correct some, take some back and move some to another place."""
    found = dict(answers)
    for who in list(found):
        chance = rng.random()
        if chance < 0.02:
            del found[who]
        elif chance < 0.06:
            found[who] = (found[who][0], round(float(rng.random()), 6))
        elif chance < 0.08:
            found[who] = (places[rng.integers(len(places))], found[who][1])
    for place in places:
        if rng.random() < 0.3:
            for _ in range(int(rng.choice([1, 2, 5, 7]))):
                found[max(found, default=0) + 1] = (place, round(float(rng.random()), 6))
    return found


@pytest.mark.parametrize("seed", range(25))
def test_no_release_gives_away_fewer_answers_than_the_minimum(cells: Cells, seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = company_of(rng)
    answers = draw(rng, places)
    assert finds([cells.published(answers, [])]) == []


@pytest.mark.parametrize("seed", range(100, 130))
def test_no_restatement_gives_away_fewer_answers_beside_the_releases_before(
    cells: Cells, seed: int
) -> None:
    points = 10 if seed % 5 == 0 else 1  # of an answer: what a company's own KPI may divide by
    rng = np.random.default_rng(seed)
    places = company_of(rng)
    answers = draw(rng, places)
    releases: list[Published] = []
    for _ in range(3):
        releases.append(cells.published(answers, releases, points=points))
        assert finds(releases) == []
        answers = corrected(rng, answers, places)


def test_ten_points_of_one_answer_are_one_answer(cells: Cells) -> None:
    few: Answers = {who: (Place("M1", None, "-"), 7.0) for who in range(LEAST - 1)}
    assert cells.published(few, [], points=10) == {}
    enough = few | {9: (Place("M1", None, "-"), 7.0)}
    first = cells.published(enough, [], points=10)
    assert set(first) == {("M1", WHOLE), ("M1", "-")}
    # One more answer moves the sum by ten points, which are fewer than five people.
    more = enough | {10: (Place("M1", None, "-"), 7.0)}
    assert cells.published(more, [first], points=10) == {}


def test_the_attack_finds_what_a_plain_minimum_gives_away() -> None:
    """Teams of 6 and 3 of one manager: the shown team and the whole tell of the hidden three."""
    whole = {(who, who / 10) for who in range(9)}
    shown = {
        ("M1", WHOLE): (frozenset(whole), 0.0),
        ("M1", "A"): (frozenset(one for one in whole if one[0] < 6), 0.0),
    }
    assert finds([shown]) == [[3]]
    later = {("M1", WHOLE): (frozenset({*whole, (9, 0.9)}), 0.0)}
    one_more = [{("M1", WHOLE): shown["M1", WHOLE]}, later]
    assert finds(one_more) == [[1]]


def test_what_may_be_shown_is_shown(cells: Cells) -> None:
    places = [Place("M1", "D1/M1", "A")] * 6 + [Place("M1", "D1/M1", "B")] * 7
    places += [Place("M1", "D1/M1", "C")] * 2 + [Place("M2", "D1/M2", "A")] * 5
    answers: Answers = {who: (place, who / 100) for who, place in enumerate(places)}
    first = cells.published(answers, [])
    # C is too small, and A beside it: B and the whole give away eight people, not two.
    assert set(first) == {("M1", WHOLE), ("M1", "B"), ("M2", WHOLE), ("M2", "A"), ("D1", WHOLE)}
    assert cells.published(answers, [first]) == first
    answers[100] = (Place("M1", "D1/M1", "B"), 0.5)
    assert set(cells.published(answers, [first])) == {("M2", WHOLE), ("M2", "A")}
    answers |= {200 + who: (Place("M1", "D1/M1", "B"), 0.5) for who in range(4)}
    assert set(cells.published(answers, [first])) == {("M1", WHOLE), ("M2", WHOLE), ("M2", "A")}


def test_where_a_person_gives_several_answers_a_release_is_never_moved(cells: Cells) -> None:
    place = Place("M1", None, "-")
    answers: Answers = {who: (place, who / 100) for who in range(9)}
    first = cells.published(answers, [], SEVERAL)
    assert set(first) == {("M1", WHOLE), ("M1", "-")}
    assert cells.published(answers, [first], SEVERAL) == first
    more = answers | {20 + who: (place, 0.5) for who in range(7)}
    assert cells.published(more, [first], SEVERAL) == {}
    assert set(cells.published(more, [first])) == {("M1", WHOLE)}


# ---------------------------------------------------------------- the whole way out

TARGET = "employee_satisfaction,*,*,0.2,0.8,1.0,3,2026-01-01,,1,2025-12-01,HR\n"
LEAKS = ("121212", "363636", "12.12", "36.36", "12.1%", "36.4%", "0.12 ", "0.36 ", "878788")


ROWS = tiny.rows()


def own_view(person: str, about: str, satisfied: int, **more: Any) -> list[dict[str, Any]]:
    """One person's answers to eleven questions, so many of them satisfied."""
    return [
        tiny.answer(person, None, 5 if n < satisfied else 1, "2026-09-25 10:00",
                    subject_employee_id=about, question_id=f"q{n}", **{**tiny.OWN, **more})
        for n in range(11)
    ]  # fmt: skip


def surveys(of_m1: int, of_m2: int) -> Mapping[str, list[dict[str, Any]]]:
    rows = ROWS
    kept = [row for row in rows["survey_responses"] if row["survey_kind"] == "csat"]
    about_m1 = [row for n in range(of_m1) for row in own_view(f"p{n}", "M1", 8 if n % 2 else 3)]
    about_m2 = [row for n in range(of_m2) for row in own_view(f"s{n}", "M2", 0 if n else 4)]
    return {**rows, "survey_responses": [*kept, *about_m1, *about_m2]}


class House:
    """A home whose employee surveys are set and built at will."""

    def __init__(self, root: Path) -> None:
        tiny.company(root / "company")
        with (root / "company" / "targets.csv").open("a", encoding="utf-8") as file:
            file.write(TARGET)
        self.company, self.home = load_company(root / "company"), Home(root / "home")

    def build(self, of_m1: int, of_m2: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lake, "create_raw_views", tiny.raw_tables)
            patch.setattr(tiny, "rows", lambda: surveys(of_m1, of_m2))
            builder.build(self.company, self.home, MONTH, MONTH, streams.declarations(), print)

    def shown(self) -> dict[str, tuple[Any, ...]]:
        rows = self.query(
            "select manager_id, numerator::double, denominator::double, score is not null, status "
            "from scorecards.scorecard_kpi_months where kpi_id = 'employee_satisfaction' "
            "and manager_id in ('M1', 'M2')"
        )
        return {row[0]: row[1:] for row in rows}

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        con = warehouse.connect(self.home.warehouse, read_only=True)
        try:
            return con.execute(sql).fetchall()
        finally:
            con.close()

    def release(self, number: int) -> Path:
        folder = self.home.published / str(MONTH) / f"r{number}"
        release_tables.stage_tables(self.home, MONTH, folder)
        return folder


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("house"))


HIDDEN = (None, None, False, "insufficient_data")


def test_what_is_hidden_is_in_no_table_no_card_and_no_explanation(house: House) -> None:
    house.build(6, 3)
    assert house.shown() == {"M1": (3, 6, True, "scored"), "M2": HIDDEN}
    hidden = house.query("from scorecards.scorecard_kpi_months where kpi_id = "
                         "'employee_satisfaction' and manager_id = 'M2'")  # fmt: skip
    texts = [repr(hidden)]
    tables = house.query(
        "select schema_name || '.' || table_name from duckdb_tables() "
        "where schema_name in ('scorecards', 'exports') and database_name = 'warehouse'"
    )
    assert len(tables) >= 5
    texts += [repr(house.query(f"from {table} where month = '{MONTH.start}'"))
              for (table,) in tables if table != "scorecards.scorecard_kpi_months"]  # fmt: skip
    texts += [repr(house.query("from kpis.kpi_references")),
              repr(house.query("from kpis.kpi_reliabilities"))]  # fmt: skip
    con = warehouse.connect(house.home.warehouse, read_only=True)
    paths = cards.render_all(con, MONTH, house.home.root / "cards")
    con.close()
    texts += [path.read_text(encoding="utf-8") for path in paths]
    for kpi in (None, "employee_satisfaction"):
        found = explain(house.home, MONTH, "M2", kpi)
        texts += [as_json(found), as_text(found), as_text(found, lang="zh")]
    for text in texts:
        of_m2 = [leak for leak in LEAKS if leak in text]
        assert of_m2 == []
    said = house.query(
        "select value_change, rate_effect, mix_effect, sentence_en from "
        "scorecards.scorecard_explanations where kpi_id = 'employee_satisfaction' "
        "and manager_id = 'M2'"
    )
    assert said == [
        (None, None, None, "Employee satisfaction is not shown, so that nobody's answer can be "
         "worked out, and is not scored.")
    ]  # fmt: skip


ASKED_LIKE_CUSTOMERS = [
    tiny.answer(f"leak{n}", who, score, "2026-09-11 10:00", subject_employee_id=about,
                survey_kind=kind, metric=metric, scale_min=low, scale_max=high)
    for n, (kind, metric, score, low, high) in enumerate((
        *(("employee_satisfaction", "csat", 1, 1, 5), ("peer_360", "attitude", 1, 1, 5)),
        *(("training_feedback", "csat", 1, 1, 5), ("employee_satisfaction", "nps", 0, 0, 10)),
    ))
    for who, about in (("u1", None), (None, "M2"))
]  # fmt: skip


def test_an_employee_whose_survey_looks_like_a_customers_is_in_no_customers_kpi(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = (
        "select kpi_id, manager_id, sum(numerator), sum(denominator) from kpis.kpi_employee_months "
        "where kpi_id not in ('employee_satisfaction', 'peer_review_score') "
        "group by all order by all"
    )
    house.build(6, 3)
    before = house.query(sums)
    assert [row for row in before if row[0] == "csat_rate"]
    answers = surveys
    monkeypatch.setitem(
        globals(), "surveys", lambda *counts: {
            **answers(*counts),
            "survey_responses": [*answers(*counts)["survey_responses"], *ASKED_LIKE_CUSTOMERS],
        },
    )  # fmt: skip
    house.build(6, 3)
    assert house.query(sums) == before
    for manager in ("M1", "M2"):
        found = explain(house.home, MONTH, manager, None)
        assert "leak" not in as_json(found) + as_text(found)


def test_a_late_answer_hides_and_a_minimum_of_them_shows_again(house: House) -> None:
    house.build(6, 3)
    house.release(1)
    house.build(6, 3)
    assert house.shown() == {"M1": (3, 6, True, "scored"), "M2": HIDDEN}
    house.build(7, 5)
    assert house.shown()["M1"] == HIDDEN
    assert house.shown()["M2"][3] == "scored"
    house.build(11, 3)
    assert house.shown()["M1"][1] == 11


def test_another_home_is_shown_only_the_releases_before(house: House, tmp_path: Path) -> None:
    for number in (1, 2):
        if not (house.home.published / str(MONTH) / f"r{number}").exists():
            house.release(number)
    other = Home(tmp_path / "other").ensure()
    confidential.carry(house.home, other, MONTH, before=2)
    mine = confidential.released(house.home, MONTH)
    assert {row[3] for row in mine} == {1, 2}
    assert confidential.released(other, MONTH) == [row for row in mine if row[3] == 1]


# A company's own confidential KPI: the same answers, but only those that came in one way.
KIOSK = (
    TOP_SCORE_RATE.replace("top_score_rate", "kiosk_satisfaction")
    .replace("submitted_on", "counted_on")
    .replace("is_csat_rated and score = scale_max then 1", "is_employee_answer and channel = 'sms' "
             "then employee_satisfied_share")
    .replace("is_csat_rated", "is_employee_answer and channel = 'sms'")
    .replace("proportion", "score")
    .replace("to: employee", "to: manager")
    .replace("minimum_sample: 1", f"minimum_sample: {LEAST}\n          is_suppressed: true"
             "\n          one_answer_each: true")
)  # fmt: skip


def of_channels(of_m1: dict[str, int], of_m2: dict[str, int]) -> dict[str, list[dict[str, Any]]]:
    rows = [row for row in ROWS["survey_responses"] if row["survey_kind"] == "csat"]
    for manager, counts in (("M1", of_m1), ("M2", of_m2)):
        for channel, count in counts.items():
            for n in range(count):
                rows += own_view(f"{manager}{channel}{n}", manager, 8 if n % 2 else 3,
                                 channel=channel)  # fmt: skip
    return {**ROWS, "survey_responses": rows}


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> House:
    root = tmp_path_factory.mktemp("nested")
    house = House(root)
    (root / "company" / "kpis").mkdir()
    (root / "company" / "kpis" / "kiosk_satisfaction.yml").write_text(KIOSK, encoding="utf-8")
    house.company = load_company(root / "company")
    return house


def shown_of_both(house: House) -> dict[tuple[str, str], int | None]:
    rows = house.query(
        "select manager_id, kpi_id, denominator::integer from scorecards.scorecard_kpi_months "
        "where kpi_id in ('employee_satisfaction', 'kiosk_satisfaction') "
        "and manager_id in ('M1', 'M2')"
    )
    return {(manager, kpi): count for manager, kpi, count in rows}


def test_of_two_kpis_over_the_same_answers_the_rest_of_one_is_not_told(
    nested: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of M1 two answers came in otherwise: all less those of the kiosk would be these two."""
    answers = of_channels({"sms": 6, "web": 2}, {"sms": 5, "web": 5})
    monkeypatch.setitem(globals(), "surveys", lambda *_: answers)
    nested.build(0, 0)
    assert shown_of_both(nested) == {
        ("M1", "employee_satisfaction"): 8,
        ("M1", "kiosk_satisfaction"): None,
        ("M2", "employee_satisfaction"): 10,
        ("M2", "kiosk_satisfaction"): 5,
    }
    reasons = nested.query(
        "select manager_id, reason from kpis.kpi_confidential_cells "
        "where kpi_id = 'kiosk_satisfaction' and is_hidden and team_id = '*'"
    )
    assert reasons == [("M1", "shared_answers")]


def test_two_kpis_over_all_of_the_same_answers_are_both_shown(
    nested: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = of_channels({"sms": 6}, {"sms": 3})
    monkeypatch.setitem(globals(), "surveys", lambda *_: answers)
    nested.build(0, 0)
    assert shown_of_both(nested) == {
        ("M1", "employee_satisfaction"): 6,
        ("M1", "kiosk_satisfaction"): 6,
        ("M2", "employee_satisfaction"): None,
        ("M2", "kiosk_satisfaction"): None,
    }
