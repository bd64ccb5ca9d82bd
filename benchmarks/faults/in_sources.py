"""Faults of deliveries as they come: files and tables that a source sends."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from benchmarks.faults.planting import Fault, Site

_LONDON, _TRAINING = "surveys/{month}/london.csv", "training/{month}.jsonl"
_ROSTER = "hr/roster_{month}.csv"


def _cut(text: str, share: float) -> str:
    return text[: int(len(text) * share)]


def _truncated(site: Site) -> str:
    site.rewrite(_LONDON, lambda text: _cut(text, 0.02))
    site.rewrite("surveys/{month}/shanghai.csv", lambda text: _cut(text, 0.3))
    site.ingest("surveys")
    return "lost"


def _truncated_at_first(site: Site) -> str:
    site.forget("surveys")
    for name in ("london", "shanghai"):
        site.rewrite(f"surveys/{{month}}/{name}.csv", lambda text: _cut(text, 0.2))
    site.ingest("surveys")
    return "stream=survey_responses"


def _lines(change: Callable[[list[str]], list[str]]) -> Callable[[str], str]:
    return lambda text: "\r\n".join(change(text.split("\r\n")))


def _renamed_column(site: Site) -> str:
    site.rewrite(_LONDON, lambda text: text.replace("Score,Min", "Points,Min", 1))
    site.ingest("surveys")
    return "Score"


def _semicolons(site: Site) -> str:
    site.rewrite(_LONDON, lambda text: text.replace(",", ";"))
    site.ingest("surveys")
    return "london.csv"


def _one_more_column(site: Site) -> str:
    for name in ("london", "shanghai"):
        site.rewrite(
            f"surveys/{{month}}/{name}.csv",
            _lines(lambda found: [f"{found[0]},Mood", *(f"{x},ok" if x else x for x in found[1:])]),
        )
    site.ingest("surveys")
    return "Mood"


def _header_only(site: Site) -> str:
    site.forget("training")
    site.rewrite(_TRAINING, lambda _: "")
    site.ingest("training")
    return "stream=training_records"


def _header_only_again(site: Site) -> str:
    for name in ("london", "shanghai"):
        site.rewrite(f"surveys/{{month}}/{name}.csv", _lines(lambda found: [found[0], ""]))
    site.ingest("surveys")
    return "survey_responses: 0 rows"


def _american_dates(site: Site) -> str:
    site.forget("surveys")

    def turned(text: str) -> str:
        head, *rows = text.split("\r\n")
        cells = [row.split(",") for row in rows]
        for row in cells:
            for at in (6, 7, 8, 9):
                if len(row) > at and row[at].count("/") == 2:
                    day, month, rest = row[at].split("/")
                    row[at] = f"{month}/{day}/{rest}"
        return "\r\n".join([head, *(",".join(row) for row in cells)])

    site.rewrite(_LONDON, turned)
    site.ingest("surveys")
    return "stream=survey_responses"


def _sent_twice(site: Site) -> str:
    path = site.file(_LONDON)
    path.with_name("london (1).csv").write_bytes(path.read_bytes())
    site.ingest("surveys")
    return "stream=survey_responses"


def _last_months_file(site: Site) -> str:
    for name in ("london", "shanghai"):
        old = (site.ws.data / f"surveys/{site.month.plus(-1)}/{name}.csv").read_bytes()
        site.file(f"surveys/{{month}}/{name}.csv").write_bytes(old)
    site.ingest("surveys")
    return "stream=survey_responses"


def _last_months_roster(site: Site) -> str:
    old = site.ws.data / f"hr/roster_{site.month.plus(-1)}.csv"
    site.rewrite(_ROSTER, lambda _: old.read_text("utf-8"), "gb18030")
    site.ingest("roster")
    return "stream=hr_roster"


def _third_of_a_roster(site: Site) -> str:
    site.rewrite(_ROSTER, lambda text: _cut(text, 0.3), "gb18030")
    site.ingest("roster")
    return "hr_roster"


def _half_a_first_roster(site: Site) -> str:
    site.forget("roster")
    site.rewrite(_ROSTER, lambda text: _cut(text, 0.5), "gb18030")
    site.ingest("roster")
    return "vanished="


def _unknown_code(site: Site) -> str:
    site.rewrite(_ROSTER, lambda text: text.replace(",在职,", ",在岗,"), "gb18030")
    site.ingest("roster")
    return "stream=hr_roster"


def _broken_json(site: Site) -> str:
    site.rewrite(_TRAINING, lambda text: text.replace('"verb"', '"verb', 40))
    site.ingest("training")
    return "training"


def _no_file(site: Site) -> str:
    site.forget("training")
    site.file(_TRAINING).unlink()
    site.ingest("training")
    return "training"


def _database(site: Site, statement: str) -> None:
    with sqlite3.connect(site.file("helpdesk.db")) as con:
        con.execute(statement)
    con.close()


def _column_gone(site: Site) -> str:
    _database(site, "alter table tickets rename column solved to solved_time")
    site.ingest("helpdesk")
    return "solved"


def _negative_handling(site: Site) -> str:
    _database(site, "update ticket_events set seconds_spent = -5 where event_no % 5 = 0")
    site.ingest("helpdesk")
    return "stream=ticket_events"


FAULTS = (
    Fault("S01", "a delivery is sent again, cut off after a third", "source", "landing",
          "SourceChanged", "critical", _truncated),
    Fault("S02", "the first delivery of a month is cut off after a fifth", "source", "raw",
          "volume_drop", "warning", _truncated_at_first),
    Fault("S03", "a column of a CSV is renamed", "source", "landing", "SourceChanged", "critical",
          _renamed_column),
    Fault("S04", "a CSV comes with semicolons", "source", "landing", "SourceChanged", "critical",
          _semicolons),
    Fault("S05", "a CSV comes with one column more", "source", "raw", "undeclared_fields",
          "warning", _one_more_column),
    Fault("S06", "the export of a stream is an empty file", "source", "raw", "stream_not_empty",
          "critical", _header_only),
    Fault("S07", "a delivery is sent again with a header only", "source", "landing",
          "SourceChanged", "critical", _header_only_again),
    Fault("S08", "dates come month first", "source", "raw", "quarantine_share", "critical",
          _american_dates),
    Fault("S09", "one file lies there twice, under two names", "source", "raw", "duplicate_share",
          "warning", _sent_twice),
    Fault("S10", "last month's surveys are delivered as this month's", "source", "raw",
          "month_described", "critical", _last_months_file),
    Fault("S11", "last month's roster is delivered as this month's", "source", "raw",
          "month_described", "critical", _last_months_roster),
    Fault("S12", "a roster is sent again and only a third is there", "source", "landing",
          "SourceChanged", "critical", _third_of_a_roster),
    Fault("S13", "the month's roster holds half of last month's people", "source", "raw",
          "roster_is_whole", "critical", _half_a_first_roster),
    Fault("S14", "HR uses a new word for being active", "source", "raw", "quarantine_share",
          "critical", _unknown_code),
    Fault("S15", "lines of a JSON file are broken", "source", "raw", "quarantine_share",
          "critical", _broken_json),
    Fault("S16", "a file has not come", "source", "landing", "SourceMissing", "critical", _no_file),
    Fault("S17", "a column of the help desk's table is renamed", "source", "landing",
          "SourceChanged", "critical", _column_gone),
    Fault("S18", "every fifth event took less than no time", "source", "raw", "quarantine_share",
          "critical", _negative_handling),
)  # fmt: skip
