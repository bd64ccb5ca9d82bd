"""Survey answers as exports drop them: two CSV files, two files of JSON lines, two workbooks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from suite.deliveries import Delivery, Row, as_text, columns_of, csv_line
from suite.kit import SECRET, Record

START = datetime(2026, 8, 31, 16, tzinfo=UTC)  # the month's start in Shanghai
ZONE = ZoneInfo("Asia/Shanghai")
FORM = "%d/%m/%Y %H:%M:%S"
COLUMNS = ("id", "when", "score", "who", "from")
SOURCE = """
[[sources]]
id = "it"
connector = "files"
owner = "Surveys <surveys@corp.example>"
[[sources.streams]]
stream = "survey_responses"
path = "surveys/*.KIND"
window = "submitted_at"
[sources.streams.columns]
response_id = "id"
survey_id = {value = "s1"}
survey_kind = {value = "csat"}
question_id = {value = "q1"}
submitted_at = {from = "when", format = "%d/%m/%Y %H:%M:%S"}
score = "score"
scale_min = {value = 1}
scale_max = {value = 5}
agent_id = "who"
rater_key = {from = "from", hash = true}
"""
UNREACHABLE = SOURCE.replace('id = "it"', 'id = "it"\nconnection = "it"').replace("KIND", "csv")


def world(count: int) -> list[Record]:
    return [_answer(n, START + timedelta(minutes=n, hours=1)) for n in range(count)]


def _answer(n: int, at: datetime) -> Record:
    return {
        "id": f"r{n:05d}",
        "when": at.astimezone(ZONE).strftime(FORM),
        "score": 1 + n % 5,
        "who": f"代理 {n % 7}",
        "from": f"{SECRET}-{n}@customer.example",
    }


def moved(record: Record, at: datetime) -> Record:
    return {**record, "when": at.astimezone(ZONE).strftime(FORM)}


def halves(world: Sequence[Row]) -> list[tuple[str, Sequence[Row]]]:
    """Return the two files a world is delivered in; one of them may hold nothing."""
    middle = (len(world) + 1) // 2
    return [("a", world[:middle]), ("b", world[middle:])]


def put_csv(folder: Path, world: Sequence[Row]) -> None:
    names = columns_of(world) or list(COLUMNS)
    for name, rows in halves(world):
        lines = [csv_line(names), *(_line(row, names) for row in rows)]
        _write(folder / "surveys" / f"{name}.csv", "".join(f"{line}\n" for line in lines))


def _line(row: Row, names: Sequence[str] = COLUMNS) -> str:
    return row if isinstance(row, str) else csv_line(row.get(name) for name in names)


def put_jsonl(folder: Path, world: Sequence[Row]) -> None:
    for name, rows in halves(world):
        lines = [row if isinstance(row, str) else _json(row) for row in rows]
        _write(folder / "surveys" / f"{name}.jsonl", "".join(f"{line}\n" for line in lines))


def _json(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")


def put_xlsx(folder: Path, world: Sequence[Row]) -> None:
    import xlsxwriter

    (folder / "surveys").mkdir(parents=True)
    names = columns_of(world) or list(COLUMNS)
    for name, rows in halves(world):
        path = folder / "surveys" / f"{name}.xlsx"
        with xlsxwriter.Workbook(path, {"strings_to_formulas": False}) as book:
            book.set_properties({"created": START.replace(tzinfo=None)})
            sheet = book.add_worksheet()
            sheet.write_row(0, 0, names)
            for at, row in enumerate(rows, start=1):
                for column, field in enumerate(names):
                    _cell(sheet, at, column, row.get(field) if isinstance(row, dict) else row)


def _cell(sheet: Any, row: int, column: int, value: Any) -> None:
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, int | float) and abs(value) < 1e300:
        sheet.write_number(row, column, value)
    elif value is not None:
        sheet.write_string(row, column, as_text(value).replace("\0", ""))  # XML cannot hold it


def _files(kind: str, **more: Any) -> Delivery:
    return Delivery(
        id=f"files-{kind}",
        connector="files",
        source=SOURCE.replace("KIND", kind),
        stream="survey_responses",
        world=world,
        key=lambda record: (record["id"],),
        key_columns=("response_id",),
        required=lambda record: {k: v for k, v in record.items() if k != "id"},
        moved=moved,
        files=("surveys/*",),
        **more,
    )


DELIVERIES = (
    _files(
        "csv",
        put=put_csv,
        line=_line,
        unreachable=f"sftp://drop:{SECRET}@127.0.0.1:{{port}}/out?host_key=SHA256:nothing",
        reached=UNREACHABLE,
    ),
    _files("jsonl", put=put_jsonl, line=_json),
    _files("xlsx", put=put_xlsx),
)
