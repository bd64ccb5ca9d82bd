"""Erasing one person leaves others as they are: the next holder of an account, a longer name."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import small_warehouse as small

from perfhouse import cli, erase_lake, erase_person, erase_releases, erasure, provenance, warehouse
from perfhouse.erase_lake import Found
from perfhouse.erase_person import Person
from perfhouse.settings import Home

ROSTER = """
    select employee_id, display_name, date '2020-01-01' as valid_from,
        date '2026-09-30' as snapshot_date
    from (values ('A1', '李明'), ('B2', '李明华')) r(employee_id, display_name)
"""
MAP = """
    select 'desk' as mapped_source, 'u17' as source_user_id, employee_id, valid_from, valid_to
    from (values
        ('A1', date '2020-01-01', date '2026-07-01'), ('B2', date '2026-07-01', null)
    ) r(employee_id, valid_from, valid_to)
"""
MAP_CRM = "select 'crm', 'a.one', 'A1', null, null"
# Of each ticket: when it was created, solved, last changed; t4 changed hands with the account.
TICKETS = """
    select ticket_id, 'u17' as assignee_id, 'u17' as first_responder_id,
        case when ticket_id in ('t1', 't2') then '{"by": "u17"}' end as extra,
        timezone('UTC', created_on) as created_at, timezone('UTC', created_on) as first_response_at,
        timezone('UTC', resolved_on) as resolved_at
    from (values
        ('t1', timestamp '2026-03-01', timestamp '2026-03-02'),
        ('t2', timestamp '2026-09-01', timestamp '2026-09-02'),
        ('t3', timestamp '2026-03-01', null),
        ('t4', timestamp '2026-06-30', timestamp '2026-07-01')
    ) r(ticket_id, created_on, resolved_on)
"""
MENTIONS = {
    "李明华": False,
    "李明和李明华": True,
    "李明": True,
    "王李明华 u17": False,
    '"\\u674e\\u660e\\u534e"': False,
    '"\\u674e\\u660e"': True,
    "李明华2": False,
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Two people, of whom one has the account that the other had until July."""
    home = small.home(tmp_path / "home")
    small.land(home, "hr", {"hr_roster": ROSTER})
    small.land(home, "map", {"identity_map": MAP})
    small.land(home, "desk", {"tickets": TICKETS})
    return home


def erase(home: Home, key: str) -> tuple[Person, Found]:
    person = erase_person.find(home, "employee", key)
    return person, erase_lake.erase(home, person, apply=True)


def rows(home: Home, stream: str, columns: str) -> list[tuple[Any, ...]]:
    """Return the landed rows of a stream, in the order of their file."""
    with warehouse.connect() as con:
        (file,) = (home.raw / stream).rglob("*.parquet")
        query = f"select {columns} from read_parquet('{file}', hive_partitioning = false)"
        return con.execute(f"{query} order by _row_number").fetchall()


def archive(home: Home, month: str, source: str, text: str) -> Path:
    folder = home.archive / f"month={month}" / f"source={source}" / "1"
    folder.mkdir(parents=True)
    (folder / "receipt.json").write_text("{}", encoding="utf-8")
    (folder / "rows.csv").write_text(text, encoding="utf-8")
    return folder / "rows.csv"


def test_an_account_that_passed_on_is_the_persons_on_their_days_only(home: Home) -> None:
    person, _ = erase(home, "A1")
    mine = person.pseudonym
    found = rows(home, "tickets", "ticket_id, assignee_id, first_responder_id, extra")
    assert found == [
        ("t1", mine, mine, None),
        ("t2", "u17", "u17", '{"by": "u17"}'),
        ("t3", mine, mine, None),
        ("t4", "u17", mine, None),
    ]


def test_who_has_the_account_since_is_erased_from_their_days_only(home: Home) -> None:
    person, _ = erase(home, "B2")
    assert rows(home, "tickets", "assignee_id") == [
        ("u17",), (person.pseudonym,), ("u17",), (person.pseudonym,)
    ]  # fmt: skip


def test_a_landed_map_loses_the_persons_account_and_keeps_the_others(home: Home) -> None:
    person, _ = erase(home, "A1")
    mine = person.pseudonym
    assert rows(home, "identity_map", "source_user_id, employee_id, valid_to") == [
        (mine, mine, date(2026, 7, 1)), ("u17", "B2", None)
    ]  # fmt: skip


def test_a_map_of_another_source_loses_an_account_that_nobody_else_had(home: Home) -> None:
    small.land(home, "map", {"identity_map": MAP.replace("B2", "A1")})
    person, _ = erase(home, "A1")
    assert rows(home, "identity_map", "source_user_id") == [(person.pseudonym,)] * 2
    assert set(rows(home, "tickets", "assignee_id")) == {(person.pseudonym,)}


def test_a_row_without_a_day_stays_with_the_other_holder_and_is_told(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    undated = "select 'r1' as record_id, 'u17' as learner_id, 'c' as course_id"
    small.land(home, "desk", {"training_records": undated})
    words = ("--by", "Privacy office", "--reason", "Request 2026-17", "--at", "2026-11-20")
    assert cli.main(["erase", "--employee", "A1", *words, "--home", str(home.root)]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "rows stay" in line]
    file = "raw/training_records/month=2026-09/source=desk/000000000000.parquet"
    assert said == [
        f"{file}: 1 rows stay: others hold their account too, and no day tells whose it was then"
    ]
    _, found = erase(home, "A1")
    assert rows(home, "training_records", "learner_id") == [("u17",)]
    assert found.shared == {file: 1}


def test_a_file_that_is_left_is_told_by_an_account_that_only_the_person_had(home: Home) -> None:
    (home.root / "notes.txt").write_text("seen by a.one", encoding="utf-8")
    (home.root / "other.txt").write_text("seen by u17", encoding="utf-8")
    small.land(home, "map", {"identity_map": f"{MAP} union all {MAP_CRM}"})
    person, _ = erase(home, "A1")
    assert [*erasure._left(home, person)] == ["notes.txt"]


def test_days_of_an_older_map_count_where_nobody_else_is_known(home: Home) -> None:
    newest = MAP.replace("('A1', date '2020-01-01', date '2026-07-01'), ", "")
    small.land(home, "map", {"identity_map": newest}, small.MONTH.plus(1))
    person, found = erase(home, "A1")
    assert rows(home, "tickets", "assignee_id")[:2] == [(person.pseudonym,), ("u17",)]
    assert found.shared == {}


def test_an_account_that_a_map_moved_without_a_day_stays_and_is_told(home: Home) -> None:
    undated = "select 'desk' as mapped_source, 'u17' as source_user_id, '{}' as employee_id"
    small.land(home, "map", {"identity_map": undated.format("A1")})
    small.land(home, "map", {"identity_map": undated.format("B2")}, small.MONTH.plus(1))
    _, found = erase(home, "A1")
    assert set(rows(home, "tickets", "assignee_id")) == {("u17",)}
    assert [*found.shared.values()] == [4]


def test_a_directory_speaks_for_its_month_where_no_roster_is_left(home: Home) -> None:
    users = "select 'u9' as source_user_id, '{}' as employee_no"
    calls = """
        select timezone('UTC', ended_at) as ended_at, 'u9' as agent_id
        from (values (timestamp '2026-08-31'), (timestamp '2026-09-01')) r(ended_at)
    """
    small.land(home, "crm", {"source_users": users.format("Z9")}, small.MONTH.plus(-1))
    small.land(home, "crm", {"source_users": users.format("B2"), "calls": calls})
    person, found = erase(home, "Z9")
    assert rows(home, "calls", "agent_id") == [(person.pseudonym,), ("u9",)]
    assert len(found.rows) == 2, "and the row of the directory"


def test_an_account_of_a_roster_passes_on_with_its_assignments(home: Home) -> None:
    moved = """
        select employee_id, 'seat' as source_user_id, valid_from, valid_to,
            date '2026-09-30' as snapshot_date
        from (values ('A1', date '2020-01-01', date '2026-07-01'),
            ('B2', date '2026-07-01', null)) r(employee_id, valid_from, valid_to)
    """
    calls = """
        select ended_at, 'seat' as agent_id from (values
            (timestamptz '2026-03-01 00:00:00+00'), (timestamptz '2026-09-01 00:00:00+00')
        ) r(ended_at)
    """
    small.land(home, "hr", {"hr_roster": moved})
    small.land(home, "desk", {"calls": calls})
    person, _ = erase(home, "A1")
    mine = person.pseudonym
    assert rows(home, "calls", "agent_id") == [(mine,), ("seat",)]
    assert rows(home, "hr_roster", "employee_id, source_user_id") == [(mine, mine), ("B2", "seat")]


def test_kept_lines_and_files_of_who_has_the_account_since_stay(home: Home) -> None:
    kept = home.configurations / "0"
    kept.mkdir(parents=True)
    head = "source,source_user_id,employee_id,valid_from,valid_to"
    theirs = f"{head}\ndesk,u17,B2,2026-07-01,\n"
    lines = theirs + "desk,u17,A1,,2026-07-01\ncrm,a.one,A1,,\n"
    (kept / "identity.csv").write_text(lines, encoding="utf-8")
    before = archive(home, "2026-03", "desk", "t1,u17\n")
    since = archive(home, "2026-09", "desk", "t2,u17\n")
    erase(home, "A1")
    assert (kept / "identity.csv").read_text(encoding="utf-8") == theirs
    assert not before.exists()
    assert since.exists()


def test_the_days_are_those_of_the_companys_clock(home: Home) -> None:
    company = small.company(home.root.parent / "company")
    settings = '\ufeff[company]\ntime_zone = "Asia/Shanghai"\n'
    (company.folder / "perfhouse.toml").write_text(settings, encoding="utf-8")
    provenance.keep_configuration(home, company)
    evening = datetime(2026, 6, 30, 17, tzinfo=UTC)  # the first of July in Shanghai
    call = f"select timestamptz '{evening}' as ended_at, 'u17' as agent_id"
    small.land(home, "desk", {"calls": call})
    erase(home, "A1")
    assert rows(home, "calls", "agent_id") == [("u17",)]


@pytest.mark.parametrize("text", MENTIONS)
def test_the_longest_name_wins(home: Home, text: str) -> None:
    person = erase_person.find(home, "employee", "A1")
    assert person.stands_in(text) is MENTIONS[text]
    assert Person.read(person.as_json()) == person


def test_what_names_only_a_longer_name_stays(home: Home) -> None:
    kept = archive(home, "2026-09", "qa", "B2,李明华\n")
    gone = archive(home, "2026-08", "qa", "A1,李明\n")
    extra = """select 'L1' as leg_id, '{"said": "李明华"}' as extra"""
    small.land(home, "desk", {"calls": extra})
    erase(home, "A1")
    assert kept.exists()
    assert not gone.exists()
    assert rows(home, "calls", "extra") == [('{"said": "李明华"}',)]


@pytest.mark.parametrize("between", ["", "\n"])
def test_the_index_of_cards_loses_the_row_of_a_number_and_links_to_files_that_go(
    home: Home, between: str
) -> None:
    cards = home.root / "release" / "cards"
    cards.mkdir(parents=True)
    rows = {
        name: f'{between}<tr><th scope=row><a href="{name}.html">{name}</a><td>8{name}.5<td>B'
        f'<td><a href="{name}.pdf">PDF<span class=x> {name}</span></a>'
        for name in ("1", "2", "3")
    }
    for name in rows:
        text = "<h1>李明</h1>" if name == "2" else "<h1>x</h1>"
        (cards / f"{name}.html").write_text(text, encoding="utf-8")
        (cards / f"{name}.pdf").write_bytes(b"%PDF")
    index = f"<table><tbody>{''.join(rows.values())}</tbody></table>"
    for gone, without in (("1", "1"), ("3", "3")):
        (cards / "index.html").write_text(index, encoding="utf-8")
        person = erase_person.Person("employee", gone, "erased-x", names=("李明",))
        erase_releases._without_pages(cards.parent, person)
        said = (cards / "index.html").read_text(encoding="utf-8")
        assert f"8{without}.5" not in said
        assert "<td>—" in said
        assert 'href="2.html"' in said
        assert 'href="2.pdf"' not in said, "its card held the name: the file is gone"
        assert said.endswith("</tbody></table>")


def test_a_page_keeps_a_longer_name_and_its_pdf(home: Home) -> None:
    cards = home.root / "release" / "cards"
    cards.mkdir(parents=True)
    for name, text in (("B2", "<h1>李明华</h1>\n"), ("C3", "<h1>李明 李明华</h1>\n")):
        (cards / f"{name}.html").write_text(text, encoding="utf-8")
        (cards / f"{name}.pdf").write_bytes(b"%PDF")
    person = erase_person.find(home, "employee", "A1")
    erase_releases._without_pages(cards.parent, person)
    assert (cards / "B2.html").read_text(encoding="utf-8") == "<h1>李明华</h1>\n"
    assert (cards / "C3.html").read_text(encoding="utf-8") == "<h1>— 李明华</h1>\n"
    assert [paper.name for paper in cards.glob("*.pdf")] == ["B2.pdf"]
