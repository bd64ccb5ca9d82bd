"""The SQL that says who an id is, against the same rules written down day by day in Python."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from expectations import people
from perfhouse import warehouse
from perfhouse.company_identities import read_identities
from perfhouse.month import Month
from perfhouse.settings import project_dir

START, FOREVER = date(1900, 1, 1), date(2999, 1, 1)
DAYS = [date(2026, 9, 1) + timedelta(n) for n in range(12)]
EDGES = [START, *DAYS, FOREVER]
PEOPLE, IDS, SOURCES = ("1", "2", "3"), ("1", "2", "x", "y"), ("desk", "phone")
RULES = {"manual": 12, "employee_no": 21, "email": 31, "userid": 41}


class World:
    """Random roster, directory and claims; few values, so that everything collides."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        pick = self.chance.choice
        self.employees = [
            (who, pick((None, "x", "1")), pick((None, "h", "i")), *self.span())
            for who in PEOPLE
            for _ in range(pick((0, 1, 1, 2)))
        ]
        listing = pick((("desk",), ("desk", "phone"), ()))
        self.directory = [
            (source, id, pick((None, "1", "2")), pick((None, "h")), pick((None, "x")), *self.span())
            for source in listing
            for id in self.chance.sample(IDS, 2)
        ]
        self.claims = list(self.claimed())

    def span(self) -> tuple[date, date]:
        first, last = sorted(self.chance.sample(EDGES, 2))
        return first, last

    def claimed(self) -> Iterator[tuple[Any, ...]]:
        for _ in range(self.chance.choice((0, 1, 3))):
            rule = self.chance.choice([*RULES])
            source = self.chance.choice(("*", *SOURCES))
            who = self.chance.choice((*PEOPLE, "-", "9"))
            strength = RULES[rule] + (source == "*")
            yield (source, self.chance.choice(IDS), who, rule, strength, *self.span())

    # -------------------------------------------------------------- the rules, one day at a time

    def roster_says(self, kind: int, identifier: str | None, day: date) -> set[str]:
        """Return who has an identifier: always, if one person only ever had it, else on the day."""
        if identifier is None:
            return set()
        having = [row for row in self.employees if row[kind] == identifier]
        ever = {row[0] for row in having}
        return ever if len(ever) == 1 else {row[0] for row in having if row[3] <= day < row[4]}

    def candidates(self, source: str, id: str, day: date) -> dict[int, set[str]]:
        found: dict[int, set[str]] = {}
        for at, key, who, _, strength, first, last in self.claims:
            if at in (source, "*") and key == id and first <= day < last:
                found.setdefault(strength, set()).add(who)
        rows = [row for row in self.directory if row[:2] == (source, id)]
        for _, _, number, address, login, first, last in rows:
            if first <= day < last:
                found.setdefault(20, set()).update(self.roster_says(0, number, day))
                found.setdefault(30, set()).update(self.roster_says(2, address, day))
                found.setdefault(40, set()).update(self.roster_says(1, login or id, day))
        found[33] = self.roster_says(2, id, day)
        if not rows:
            found[43] = self.roster_says(1, id, day)
        lists_accounts = any(row[0] == source and (row[2] or row[4]) for row in self.directory)
        if not rows and not lists_accounts:
            found[53] = self.roster_says(0, id, day)
        return {strength: who for strength, who in sorted(found.items()) if who}

    def verdict(self, source: str, id: str, day: date) -> tuple[str | None, str]:
        found = self.candidates(source, id, day)
        if not found:
            return None, "unmatched"
        best = next(iter(found.values()))
        if len(best) > 1:
            return None, "ambiguous"
        (who,) = best
        if who == "-":
            return None, "nobody"
        return who, "matched" if who in {row[0] for row in self.employees} else "not_in_roster"


def resolved(world: World) -> dict[tuple[str, str], list[tuple[Any, ...]]]:
    with warehouse.connect() as con:
        con.execute("create table employees (employee_id varchar, source_user_id varchar, "
                    "work_email_hash varchar, valid_from date, valid_to date)")  # fmt: skip
        con.execute("create table directory (_source varchar, source_user_id varchar, "
                    "employee_no varchar, email_hash varchar, login varchar, valid_from date, "
                    "valid_to date)")  # fmt: skip
        con.execute("create table claims (_source varchar, source_user_id varchar, "
                    "employee_id varchar, match_rule varchar, preference int, valid_from date, "
                    "valid_to date)")  # fmt: skip
        for table in ("employees", "directory", "claims"):
            rows = getattr(world, table)
            marks = ", ".join("?" for _ in rows[0]) if rows else ""
            if rows:
                con.executemany(f"insert into {table} values ({marks})", rows)
        *_, statement = people._resolution(Month("2026-09"), Month("2026-09"))
        con.execute(statement)
        found: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
        for source, id, *rest in con.execute(
            "select _source, source_user_id, valid_from, valid_to, employee_id, status, "
            "contested_employee_id from identities order by all"
        ).fetchall():
            found.setdefault((source, id), []).append(tuple(rest))
        return found


def on(rows: list[tuple[Any, ...]], day: date) -> list[tuple[Any, ...]]:
    return [row for row in rows if row[0] <= day < row[1]]


@pytest.mark.parametrize("seed", range(60))
def test_an_id_is_at_most_one_employees_and_the_strongest_rules_on_every_day(seed: int) -> None:
    world = World(seed)
    found = resolved(world)
    for source in SOURCES:
        for id in IDS:
            for day in (date(2020, 1, 1), *DAYS):
                own, other = on(found.get((source, id), []), day), on(found.get(("*", id), []), day)
                assert len(own) <= 1
                assert len(other) <= 1
                row = (own or other or [(None, None, None, "unmatched", None)])[0]
                assert row[2:4] == world.verdict(source, id, day), (source, id, day)


@pytest.mark.parametrize("seed", range(60))
def test_another_employee_whom_a_rule_names_is_never_kept_silent(seed: int) -> None:
    world = World(seed)
    for (source, id), rows in resolved(world).items():
        if source == "*":
            continue
        for day in DAYS:
            for row in on(rows, day):
                named = set().union(*world.candidates(source, id, day).values(), set())
                assert (row[4] is not None) == (len(named) > 1), (source, id, day)


def test_the_file_that_the_documentation_shows_is_read_as_it_says(tmp_path: Path) -> None:
    page = (project_dir().parent / "docs" / "identity.md").read_text(encoding="utf-8")
    shown = page.split("```csv\n")[1].split("```")[0]
    (tmp_path / "identity.csv").write_text(shown, encoding="utf-8")
    problems: list[str] = []
    found = read_identities(tmp_path, problems, ["zendesk"])
    assert problems == []
    assert [(i.source, i.employee_id, i.valid_from, i.valid_to) for i in found] == [
        ("*", "-", None, None),
        ("zendesk", "E1007", None, None),
        ("zendesk", "E1012", None, date(2026, 9, 16)),
        ("zendesk", "E1044", date(2026, 9, 16), None),
    ]


def test_a_note_with_a_bare_comma_shifts_nobody_into_another_column(tmp_path: Path) -> None:
    lines = [
        "source,source_user_id,note,employee_id",
        'desk,1,"left, moved",E7',
        "desk,2,left, b,E8",
    ]
    (tmp_path / "identity.csv").write_text("\n".join(lines), encoding="utf-8")
    problems: list[str] = []
    found = read_identities(tmp_path, problems, ["desk"])
    assert [(one.source_user_id, one.employee_id) for one in found] == [("1", "E7")]
    assert problems == [
        "identity.csv: line 3: expected 4 cells, got 5; put a note that holds a comma in double "
        "quotes"
    ]
