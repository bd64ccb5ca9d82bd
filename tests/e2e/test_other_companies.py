"""Files of other companies, nastier than the examples' ones, from configuration alone.

Each company is run by the command line month by month and compared with a direct count of its
file's rows, made here with nothing but arithmetic.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import tiny

from tests.hr_source import hr_source

pytestmark = pytest.mark.e2e
HEAD = """
[company]
id = "{id}"
name_en = "{id}"
time_zone = "Europe/Berlin"
default_calendar = "always"
[calendars.always]
time_zone = "Europe/Berlin"
[calendars.always.hours]
mon = ["00:00-24:00"]
tue = ["00:00-24:00"]
wed = ["00:00-24:00"]
thu = ["00:00-24:00"]
fri = ["00:00-24:00"]
sat = ["00:00-24:00"]
sun = ["00:00-24:00"]
"""
TARGETS = "kpi_id,role,team_id,floor,target,stretch,weight,valid_from,valid_to,version,announced_on,approved_by\n"  # noqa: E501
LEADS = {"Müller, Jörg": "Ägidius", "Özil; A.": "Ägidius", 'Šárka "S"': "Bø", "李 伟": "Bø"}


class Place:
    """A company, its data and its home under one folder."""

    def __init__(self, root: Path, name: str, toml: str, targets: str) -> None:
        self.root, self.data, self.home = root, root / "data", root / "home"
        company = root / "company"
        company.mkdir(parents=True)
        (company / "perfhouse.toml").write_text(HEAD.format(id=name) + toml, encoding="utf-8")
        (company / "targets.csv").write_text(TARGETS + targets, encoding="utf-8")

    def put(self, name: str, content: bytes) -> None:
        (self.data / name).parent.mkdir(parents=True, exist_ok=True)
        (self.data / name).write_bytes(content)

    def run(self, month: str, word: str = "run") -> None:
        done = tiny.perfhouse(
            *(word, "--company", self.root / "company", "--data", self.data),
            *("--home", self.home, "--month", month),
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def scores(self, month: str, kpi_id: str) -> dict[str, tuple]:
        """Return numerator, denominator and status of each manager, as published."""
        file = (self.home / "published" / "scorecards.duckdb").resolve()
        with duckdb.connect(str(file), read_only=True) as con:
            found = con.execute(
                "select manager_id, numerator, denominator, status from scorecard_kpi_months "
                "where month = ? and kpi_id = ?",
                [f"{month}-01", kpi_id],
            ).fetchall()
        return {manager: tuple(rest) for manager, *rest in found}

    def facts(self, sql: str) -> list[tuple]:
        with duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True) as con:
            return con.execute(sql).fetchall()

    def landed(self, source: str, month: str) -> dict:
        file = self.home / "raw" / "_manifests" / f"month={month}" / f"source={source}.json"
        return json.loads(file.read_text(encoding="utf-8"))["streams"]


def table(rows: list[dict], encoding: str, **keys: str) -> bytes:
    """Return rows as a CSV file of lines that end as Windows ends them."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\r\n", **keys)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


# ------------------------------------------------- NPS: comments of many lines, a month missing

NPS = """
[kpis]
choose = ["nps"]
minimum_sample = { nps = 5 }
[[sources]]
id = "nps"
connector = "files"
owner = "NPS"
required = false
[[sources.streams]]
stream = "survey_responses"
path = "umfrage/{yyyymm}*.txt"
format = "csv"
delimiter = ";"
encoding = "windows-1252"
null_values = ["k. A.", "-"]
ignore = ["Kommentar"]
where = '''"Vorgang" <> 'Summe' '''
[sources.streams.columns]
response_id = "Vorgang"
survey_id = { value = "nps" }
survey_kind = { value = "nps" }
question_id = { value = "nps" }
metric = { value = "nps" }
submitted_at = { from = "Beantwortet", format = "%d.%m.%Y %H:%M" }
score = { from = "Empfehlung", decimal = "," }
scale_min = { value = 0 }
scale_max = { value = 10 }
agent_id = "Berater"
rater_key = { from = "Kunde", hash = true }
[[sources]]
id = "hr"
connector = "files"
owner = "HR"
[[sources.streams]]
stream = "hr_roster"
path = "hr_{month}.csv"
delimiter = ";"
encoding = "utf-16"
[sources.streams.columns]
snapshot_date = "Stand"
valid_from = { value = "2020-01-01" }
employee_id = "Berater"
department_id = { value = "d" }
manager_employee_id = "Leitung"
job_family = { value = "agent" }
employment_status = { value = "active" }
hire_date = { value = "2020-01-01" }
"""
COMMENTS = (
    "", "gut", 'Er sagte "nein",\r\ndann\n\n\r\nlegte er auf; wieder', "Größe…", ";;;", '"', "\r\n",
    "Summe\r\nSumme;1.7.2026 9:00;9,0", "=1+1", "k. A.",
)  # fmt: skip
CP1252 = {name: lead for name, lead in LEADS.items() if name != "李 伟"}


def nps_rows() -> list[dict]:
    chance, rows = random.Random(7), []
    for n in range(400):
        when = datetime(2026, 7, 1) + timedelta(minutes=chance.randrange(92 * 1440))  # noqa: DTZ001
        if when.month == 8:
            continue
        score = chance.choice(["k. A.", "-", "", " ", *(f"{chance.randint(0, 10)},0",) * 9])
        rows.append(
            {
                "Kommentar": chance.choice(COMMENTS),
                "Empfehlung": score,
                "Beantwortet": f"{when.day}.{when.month}.{when.year} {when.hour}:{when:%M}",
                "Kunde": chance.choice(["", f"K{chance.randrange(250)}"]),
                "Berater": chance.choice(list(CP1252)),
                "Vorgang": f"{n:05d}",
            }
        )
    return rows


def at(row: dict) -> datetime:
    return datetime.strptime(row["Beantwortet"], "%d.%m.%Y %H:%M")  # noqa: DTZ007


@pytest.mark.nightly
def test_nps_of_comments_of_many_lines_and_a_month_that_is_missing(tmp_path: Path) -> None:
    place = Place(tmp_path, "nps", NPS, "nps,*,*,-0.5,0.5,0.9,1,2026-01-01,,1,2025-12-01,HR\n")
    rows = nps_rows()
    staff = [{"Leitung": lead, "Berater": name} for name, lead in CP1252.items()]
    for month in (7, 8, 9):
        day = f"2026-{month:02d}-28"
        own = [row for row in rows if at(row).month == month]
        place.put(
            f"hr_2026-{month:02d}.csv",
            table([{"Stand": day, **row} for row in staff], "utf-16", delimiter=";"),
        )
        if own:
            total = {**dict.fromkeys(own[0], ""), "Vorgang": "Summe", "Empfehlung": "7,3"}
            place.put(
                f"umfrage/2026{month:02d}_export.txt",
                table([*own, total], "windows-1252", delimiter=";"),
            )

    last: dict[str, datetime] = {}
    want: dict[int, Counter] = defaultdict(Counter)
    for row in sorted(rows, key=lambda row: (at(row), row["Vorgang"])):
        if not row["Empfehlung"].strip(" -k.A"):
            continue
        if row["Kunde"] in last and at(row) < last[row["Kunde"]] + timedelta(days=90):
            continue
        if row["Kunde"]:
            last[row["Kunde"]] = at(row)
        score, lead = int(row["Empfehlung"].split(",")[0]), CP1252[row["Berater"]]
        want[at(row).month][lead, "below"] += 1
        want[at(row).month][lead, "above"] += (score >= 9) - (score <= 6)

    place.run("2026-07", "ingest")
    place.run("2026-08")
    place.run("2026-09")
    told = want[9]
    assert place.scores("2026-09", "nps") == {
        lead: (told[lead, "above"], told[lead, "below"], "scored") for lead in set(CP1252.values())
    }
    for month in ("2026-07", "2026-09"):
        landed = place.landed("nps", month)["survey_responses"]
        assert landed["landed"] == sum(at(row).month == int(month[-2:]) for row in rows)
        assert (landed["quarantined"], landed["outside_window"]) == (0, 1)
    assert {row[2] for row in place.scores("2026-08", "nps").values()} == {"not_available"}
    said = "".join(map(str, place.facts("from core.fct_survey_responses")))
    assert not any(word in said for word in ("nein", "Größe", "1+1"))


# ------------------------------------------------- calls: a workbook, most ratings empty

CALLS = """
[service_levels]
short_abandon_seconds = 5
answer_within_seconds = 60
[kpis]
choose = ["csat_rate", "survey_response_rate", "average_handle_time", "speed_of_answer", "abandonment_rate"]
minimum_sample = { csat_rate = 5, survey_response_rate = 5, average_handle_time = 5, speed_of_answer = 5, abandonment_rate = 5 }
[[queue_owners]]
queue_id = "*"
manager_id = "Bø"
valid_from = 2020-01-01
[gates.raw]
duplicate_share = 1.0
[[sources]]
id = "calls"
connector = "files"
owner = "Calls"
[[sources.streams]]
stream = "calls"
path = "calls*.xlsx"
sheet = "Calls 2026"
header_row = 3
window = "ended_at"
ignore = ["Topic", "Satisfaction rating"]
[sources.streams.columns]
leg_id = "Call Id"
interaction_id = "Call Id"
queue_id = { value = "hotline" }
agent_id = { sql = '''case when "Answered (Y/N)" in ('Y', 'y') then "Agent" end''' }
started_at = { sql = '''try_cast("Date" || ' ' || "Time" as timestamp)''' }
queued_at = { sql = '''try_cast("Date" || ' ' || "Time" as timestamp)''' }
ended_at = { sql = '''try_cast("Date" || ' ' || "Time" as timestamp)
    + coalesce(to_seconds(try_cast("Speed of answer in seconds" as integer)), interval 0 second)
    + coalesce(try_cast("AvgTalkDuration" as interval), interval 0 second)''' }
wait_ms = { from = "Speed of answer in seconds", unit = "s" }
talk_ms = { from = "AvgTalkDuration", unit = "h:mm:ss" }
disposition = { from = "Answered (Y/N)", values = { Y = "answered", y = "answered", N = "abandoned" } }

[[sources.streams]]
stream = "survey_responses"
path = "calls*.xlsx"
sheet = "Calls 2026"
header_row = 3
window = "submitted_at"
where = '''"Answered (Y/N)" in ('Y', 'y')'''
null_values = ["", "n/a"]
[sources.streams.columns]
response_id = "Call Id"
survey_id = { value = "after-call" }
survey_kind = { value = "csat" }
question_id = { value = "rating" }
metric = { value = "csat" }
status = { sql = '''case when "Satisfaction rating" is null then 'sent' else 'completed' end''' }
submitted_at = { sql = '''try_cast("Date" || ' ' || "Time" as timestamp)''' }
score = "Satisfaction rating"
scale_min = { value = 1 }
scale_max = { value = 5 }
agent_id = "Agent"

[[sources.streams]]
stream = "hr_roster"
path = "calls*.xlsx"
sheet = "Calls 2026"
header_row = 3
window = "snapshot_date"
where = '''"Agent" is not null'''
[sources.streams.columns]
snapshot_date = { sql = '''date_trunc('month', try_cast("Date" as date))''' }
valid_from = { sql = '''date_trunc('month', try_cast("Date" as date))''' }
employee_id = "Agent"
department_id = { value = "d" }
manager_employee_id = { from = "Agent", values = { LEADS } }
job_family = { value = "agent" }
employment_status = { value = "active" }
hire_date = { value = "2020-01-01" }
"""  # noqa: E501


def call_rows() -> list[dict]:
    chance, rows = random.Random(8), []
    for n in range(900):
        begun = datetime(2026, 8, 20) + timedelta(seconds=chance.randrange(45 * 86_400))  # noqa: DTZ001
        answered = chance.random() < 0.8
        rows.append(
            {
                "id": f"ID{n:04d}",
                "begun": begun,
                "agent": chance.choice(list(LEADS)),
                "answered": chance.choice("YYYy") if answered else "N",
                "wait": chance.randrange(10, 125) if answered else None,
                "talk": timedelta(seconds=chance.randrange(30, 5_000)) if answered else None,
                "rating": chance.randint(1, 5) if answered and chance.random() < 0.15 else None,
                "blank": chance.choice([None, "", " ", "n/a"]),
            }
        )
    return rows


def workbook(rows: list[dict]) -> bytes:
    import xlsxwriter

    made = io.BytesIO()
    with xlsxwriter.Workbook(made, {"in_memory": True}) as book:
        book.add_worksheet("Read me").write(0, 0, "Export of the telephone system")
        sheet = book.add_worksheet("Calls 2026")
        day, clock, span = (
            book.add_format({"num_format": f}) for f in ("d-mmm-yy", "h:mm", "[h]:mm:ss")
        )
        sheet.write(0, 0, "Calls")
        names = ["Satisfaction rating", "Agent", "Call Id", "Topic", "Date", "AvgTalkDuration",
                 "Time", "Answered (Y/N)", "Speed of answer in seconds"]  # fmt: skip
        sheet.write_row(2, 0, names)
        for at, row in enumerate(rows, start=3):
            begun = row["begun"]
            rating = row["blank"] if row["rating"] is None else row["rating"]
            sheet.write(at, 0, str(rating) if at % 3 == 0 and row["rating"] else rating)
            sheet.write_row(at, 1, [row["agent"], row["id"], "Überweisung\nab\r\nMontag"])
            sheet.write_datetime(at, 4, datetime(begun.year, begun.month, begun.day), day)  # noqa: DTZ001
            if row["talk"] is not None:
                sheet.write_datetime(at, 5, row["talk"], span if at % 2 else clock)
            sheet.write_datetime(at, 6, begun.time(), clock)
            sheet.write(at, 7, row["answered"])
            sheet.write(at, 8, row["wait"])
    return made.getvalue()


@pytest.mark.nightly
def test_calls_whose_ratings_are_mostly_empty_in_a_workbook(tmp_path: Path) -> None:
    leads = ", ".join(f"'{name}' = '{lead}'" for name, lead in LEADS.items())
    kpis = {
        "csat_rate": "0.5,0.8,0.9", "survey_response_rate": "0.05,0.2,0.5",
        "average_handle_time": "6000,2000,1000", "speed_of_answer": "120,60,20",
        "abandonment_rate": "0.5,0.1,0.05",
    }  # fmt: skip
    targets = "".join(f"{k},*,*,{t},1,2026-01-01,,1,2025-12-01,HR\n" for k, t in kpis.items())
    place = Place(tmp_path, "calls", CALLS.replace("LEADS", leads), targets)
    rows = call_rows()
    place.put("calls_all.xlsx", workbook(rows))
    place.run("2026-09")

    n: dict[str, Counter] = defaultdict(Counter)
    for row in rows:
        talk, wait = row["talk"] or timedelta(), row["wait"] or 0
        ended, lead = row["begun"] + talk + timedelta(seconds=wait), LEADS[row["agent"]]
        if row["answered"] in "Yy" and row["begun"].month == 9:
            n[lead]["asked"] += 1
            n[lead]["rated"] += row["rating"] is not None
            n[lead]["good"] += (row["rating"] or 0) >= 4
        if ended.month != 9:
            continue
        n["Bø"]["queued"] += 1
        n["Bø"]["left"] += row["answered"] == "N"
        if row["answered"] in "Yy":
            n[lead]["legs"] += 1
            n[lead]["seconds"] += int(talk.total_seconds())
            n["Bø"]["waited"] += wait
            n["Bø"]["answered"] += 1

    def found(kpi_id: str) -> dict[str, tuple]:
        return {m: (a, b) for m, (a, b, _) in place.scores("2026-09", kpi_id).items() if b}

    both = {lead: n[lead] for lead in ("Ägidius", "Bø")}
    assert found("csat_rate") == {m: (c["good"], c["rated"]) for m, c in both.items()}
    assert found("survey_response_rate") == {m: (c["rated"], c["asked"]) for m, c in both.items()}
    assert found("average_handle_time") == {m: (c["seconds"], c["legs"]) for m, c in both.items()}
    assert found("speed_of_answer") == {"Bø": (n["Bø"]["waited"], n["Bø"]["answered"])}
    assert found("abandonment_rate") == {"Bø": (n["Bø"]["left"], n["Bø"]["queued"])}
    for stream in place.landed("calls", "2026-09").values():
        assert stream["quarantined"] == 0
        assert stream["undeclared_fields"] == []


# ------------------------------------------------- tickets: service-level verdicts inside

TICKETS = """
[kpis]
choose = ["sla_met_rate", "reopen_rate"]
minimum_sample = { sla_met_rate = 5, reopen_rate = 5 }
[gates.raw]
duplicate_share = 1.0
[[sources]]
id = "desk"
connector = "files"
owner = "Desk"
[[sources.streams]]
stream = "tickets"
path = "tickets/*.tsv"
format = "csv"
delimiter = "\\t"
encoding = "utf-16"
window = "created_at"
ignore = ["SLA For first response", "SLA For Resolution"]
[sources.streams.columns]
ticket_id = "Ticket ID"
priority = { from = "Priority", values = { High = "high", Medium = "normal", Low = "low" } }
status = { from = "Status", values = { Closed = "closed", Resolved = "solved", "In progress" = "open" } }
assignee_id = "Agent Name"
resolved_by_id = "Agent Name"
created_at = { from = "Created time", format = "%m/%d/%Y %I:%M %p" }
resolved_at = { from = "Resolution time", format = "%m/%d/%Y %I:%M %p" }

[[sources.streams]]
stream = "ticket_events"
path = "tickets/*.tsv"
format = "csv"
delimiter = "\\t"
encoding = "utf-16"
window = "occurred_at"
null_values = ["", "-", "N/A"]
unpivot = { columns = ["SLA For first response", "SLA For Resolution"], name = "promise", value = "verdict" }
where = '"verdict" is not null'
[sources.streams.columns]
event_id = { sql = '''"Ticket ID" || '/' || "promise"''' }
ticket_id = "Ticket ID"
occurred_at = { sql = '''case "promise" when 'SLA For Resolution' then "Resolution time" else "First response time" end''', format = "%m/%d/%Y %I:%M %p" }
event_type = { sql = 'lower("verdict")', values = { "within sla" = "sla_fulfilled", met = "sla_fulfilled", yes = "sla_fulfilled", "1" = "sla_fulfilled", true = "sla_fulfilled", "sla violated" = "sla_breached", breached = "sla_breached", no = "sla_breached", "0" = "sla_breached", false = "sla_breached" } }
field = "promise"

[[sources.streams]]
stream = "hr_roster"
path = "tickets/*.tsv"
format = "csv"
delimiter = "\\t"
encoding = "utf-16"
window = "snapshot_date"
[sources.streams.columns]
snapshot_date = { sql = '''date_trunc('month', try_strptime("First response time", '%m/%d/%Y %I:%M %p'))''' }
valid_from = { value = "2020-01-01" }
employee_id = "Agent Name"
department_id = { value = "d" }
manager_employee_id = { from = "Agent Name", values = { LEADS } }
job_family = { value = "agent" }
employment_status = { value = "active" }
hire_date = { value = "2020-01-01" }
"""  # noqa: E501
MET = ("Within SLA", "within sla ", "Met", "Yes", "YES", "1", "true")
MISSED = ("SLA Violated", "Breached", "no", "No", "0", "FALSE")


def ticket_rows() -> list[dict]:
    chance, rows = random.Random(9), []
    for n in range(500):
        created = datetime(2026, 8, 1) + timedelta(minutes=chance.randrange(60 * 1440))  # noqa: DTZ001
        replied = created + timedelta(minutes=chance.randrange(600))
        solved = replied + timedelta(minutes=chance.randrange(4000))
        ended = chance.random() < 0.9
        said = [chance.choice(MET if chance.random() < 0.7 else MISSED) for _ in range(2)]
        rows.append(
            {
                "SLA For Resolution": said[1] if ended else chance.choice(["", "-", "N/A"]),
                "Agent Name": chance.choice(list(LEADS)),
                "Resolution time": f"{solved:%m/%d/%Y %I:%M %p}" if ended else "",
                "Status": chance.choice(["Closed", "Resolved"]) if ended else "In progress",
                "Priority": chance.choice(["High", "Medium", "Low"]),
                "SLA For first response": said[0],
                "First response time": f"{replied:%m/%d/%Y %I:%M %p}",
                "Created time": f"{created:%m/%d/%Y %I:%M %p}",
                "Ticket ID": f"{n}",
            }
        )
    return rows


@pytest.mark.nightly
def test_verdicts_on_service_levels_that_stand_in_the_tickets(tmp_path: Path) -> None:
    leads = ", ".join(f"'{name}' = '{lead}'" for name, lead in LEADS.items())
    targets = "".join(
        f"{kpi},*,*,{t},1,2026-01-01,,1,2025-12-01,HR\n"
        for kpi, t in (("sla_met_rate", "0.4,0.8,0.9"), ("reopen_rate", "0.3,0.1,0.05"))
    )
    place = Place(tmp_path, "desk", TICKETS.replace("LEADS", leads), targets)
    rows = ticket_rows()
    place.put("tickets/b.tsv", table(rows[:250], "utf-16", delimiter="\t"))
    turned = [dict(reversed(row.items())) for row in rows[250:]]
    place.put("tickets/a.tsv", table(turned, "utf-16", delimiter="\t"))
    place.run("2026-08", "ingest")
    place.run("2026-09")
    n: Counter = Counter()
    for row in rows:
        for verdict, when in (
            ("SLA For first response", "First response time"),
            ("SLA For Resolution", "Resolution time"),
        ):
            if row[when][:2] == "09" and row[verdict] not in ("", "-", "N/A"):
                n[LEADS[row["Agent Name"]], "all"] += 1
                n[LEADS[row["Agent Name"]], "met"] += row[verdict] in MET
    assert place.scores("2026-09", "sla_met_rate") == {
        lead: (n[lead, "met"], n[lead, "all"], "scored") for lead in set(LEADS.values())
    }


# ------------------------------------------------- 360: a column per question, known means

REVIEWS = """
[kpis]
choose = ["peer_review_score"]
[[sources]]
id = "feedback"
connector = "files"
owner = "HR"
required = false
[[sources.streams]]
stream = "peer_reviews"
path = "360.csv"
delimiter = ";"
encoding = "windows-1252"
window = "cycle_closed_on"
unpivot = { columns = ["Vertrauen", "Klarheit", "Hilfe"], name = "Frage", value = "Note" }
[sources.streams.columns]
review_id = "Bogen"
cycle_id = "Runde"
ratee_id = "Über"
rater_key = { from = "Von", hash = true }
rater_type = { from = "Rolle", values = { Kollege = "peer", Mitarbeiter = "subordinate", Chef = "manager", Selbst = "self" } }
dimension = "Frage"
score = { from = "Note", decimal = "," }
scale_min = { value = 1 }
scale_max = { value = 6 }
submitted_at = { from = "Am", format = "%d.%m.%y" }
cycle_closed_on = { value = "2026-09-30" }
"""  # noqa: E501
REVIEWS += hr_source()
GROUPS = {"Ägidius": {"Kollege": 4, "Mitarbeiter": 2, "Chef": 1, "Selbst": 1},
          "Bø": {"Kollege": 3, "Mitarbeiter": 5, "Chef": 1, "Selbst": 1}}  # fmt: skip


def review_rows() -> list[dict]:
    chance, rows = random.Random(10), []
    for about, groups in GROUPS.items():
        for role, raters in groups.items():
            for rater in range(raters):
                row = {
                    q: chance.choice(["1", "2,5", "3", "4,50", "6", ""])
                    for q in ("Hilfe", "Klarheit", "Vertrauen")
                }
                rows.append(
                    {
                        **row,
                        "Am": f"{chance.randint(1, 29)}.09.26",
                        "Rolle": role,
                        "Von": f"{role} {rater}",
                        "Runde": "2026",
                        "Bogen": f"{about[:1]}{role}{rater}",
                        "Über": about,
                    }
                )
    return rows


@pytest.mark.nightly
def test_a_360_with_a_column_per_question_has_the_known_means_of_its_groups(
    tmp_path: Path,
) -> None:
    target = "peer_review_score,*,*,0.2,0.8,0.9,1,2026-01-01,,1,2025-12-01,HR\n"
    place = Place(tmp_path, "feedback", REVIEWS, target)
    rows = review_rows()
    place.put("360.csv", table(rows, "windows-1252", delimiter=";"))
    staff = [
        *({"id": name, "manager": lead, "job": "agent"} for name, lead in LEADS.items()),
        *({"id": lead, "manager": "", "job": "cs_manager"} for lead in set(LEADS.values())),
    ]
    place.put(
        "hr_2026-09.csv",
        table([{"day": str(date(2026, 9, 30)), **row} for row in staff], "utf-8"),
    )
    place.run("2026-09")
    want: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
    for row in rows:
        if GROUPS[row["Über"]][row["Rolle"]] >= 3:
            for question in ("Hilfe", "Klarheit", "Vertrauen"):
                if row[question]:
                    points = Decimal(row[question].replace(",", ".")) - 1
                    want[row["Über"], row["Rolle"]].append(points / 5)
    kinds = {"Kollege": "peer", "Mitarbeiter": "subordinate"}
    found = place.facts(
        "select manager_id, stratum, sum(numerator), sum(denominator) "
        "from kpis.kpi_stratum_months where kpi_id = 'peer_review_score' group by all"
    )
    assert {(m, s): (above, below) for m, s, above, below in found} == {
        (about, kinds[role]): (sum(shares), len(shares)) for (about, role), shares in want.items()
    }
