from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from landing_kit import SURVEY, Place, balances, column, mapping, source

from connectors import reading
from perfhouse.errors import ConfigError, SourceChanged

CSV = "id,when,score\na,02/09/2026 10:00,5\nb,03/09/2026 00:30,4\n"


def zipped(*names: str, content: bytes = CSV.encode()) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
        for name in names:
            out.writestr(name, b"" if name.endswith("/") else content)
    return packed.getvalue()


def zstandard(content: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(content)
    return bytes(out.getvalue())


PACKED = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard,
    "zip": lambda content: zipped("a/", "a/s.csv", content=content),
}


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
def test_packed_files_land_like_plain_ones(place: Place, kind: str, form: str) -> None:
    lines = [line.split(",") for line in CSV.splitlines()]
    records = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    texts = {
        "csv": "\ufeff" + CSV,
        "json": json.dumps(records),
        "jsonl": "\n".join(map(json.dumps, records)),
    }
    place.put("s.dat", PACKED[kind](texts[form].encode()))
    manifest = place.ingest(source(mapping(format=form)))
    assert place.rows(manifest, "response_id, cast(score as int)") == [("a", 5), ("b", 4)]


@pytest.mark.parametrize("kind", PACKED)
def test_a_damaged_packed_file_is_named(place: Place, kind: str) -> None:
    whole = PACKED[kind](b"".join(b"%d,02/09/2026 10:00,5\n" % n for n in range(99_999)))
    place.put("s.csv", whole[: len(whole) * 2 // 3])
    with pytest.raises(SourceChanged, match=r"s\.csv: .*(damaged|cannot be read).*Desk"):
        place.ingest()


@pytest.mark.parametrize("names", [(), ("a.csv", "b.csv")])
def test_a_zip_file_holds_one_file(place: Place, names: tuple[str, ...]) -> None:
    content = zipped(*names) if names else zipped("only-a-folder/")
    place.put("s.csv", content)
    with pytest.raises(SourceChanged, match=rf"holds {len(names)} files, expected one"):
        place.ingest()


# --- numbers as people write them --------------------------------------------------------

KB = {
    "contribution_id": column("id"),
    "author_id": column(value="a"),
    "submitted_at": column(value="2026-09-01 10:00:00"),
}


@pytest.mark.parametrize(
    ("decimal", "thousands", "good", "bad"),
    [
        (
            ",",
            ".",
            {"1.234,5": 1234.5, "12": 12, "-12.345,25": -12345.25, "0,5": 0.5, "1234,": 1234},
            ["1,234.5", "12.34,5", "1.2345", "1.234.56", ",", "1 234,5", "1e3", "1,2,3", "1.,5"],
        ),
        (",", None, {"3,5": 3.5, "1234,5": 1234.5, " 7 ": 7}, ["3.5", "1.234,5"]),
        (
            ",",
            " ",
            {"1 234,5": 1234.5, "1\u00a0234": 1234, "12\u202f345,5": 12345.5},
            ["12 34", "1.234"],
        ),
        (None, ",", {"1,234.5": 1234.5, "1234.5": 1234.5}, ["1,23,456", "1.234,5", "1,2345"]),
        (None, "'", {"1'234.5": 1234.5, "1\u2019234": 1234}, ["1'23"]),
    ],
)
def test_numbers_of_a_place_are_read_strictly(
    place: Place, decimal: str | None, thousands: str | None, good: dict[str, float], bad: list[str]
) -> None:
    texts = [*good, *bad]
    lines = [f'a{n};"{text}"' for n, text in enumerate(texts)]
    place.put("s.csv", "id;score\n" + "\n".join(lines))
    columns = {
        **SURVEY,
        "submitted_at": column(value="2026-09-05 10:00:00"),
        "score": column("score", decimal=decimal, thousands=thousands),
    }
    manifest = place.ingest(source(mapping(columns, delimiter=";")))
    landed = place.rows(manifest, "cast(score as double)")
    assert [r[0] for r in landed] == list(good.values())
    shown = f"1{thousands or ''}234{decimal or '.'}5"
    assert [r[:3] for r in place.bad(manifest)] == [
        (len(good) + n + 2, "score", f"expected a number like {shown}") for n in range(len(bad))
    ]
    assert balances(manifest)


def test_whole_numbers_may_have_marks_but_no_fraction(place: Place) -> None:
    place.put("s.csv", "id;n\n1;1.234\n2;1.234.567,0\n3;1.234,5\n4;1234\n")
    columns = {**KB, "helpful_n": column("n", decimal=",", thousands=".")}
    stream = mapping(columns, stream="kb_contributions", delimiter=";")
    manifest = place.ingest(source(stream))
    rows = place.rows(manifest, "helpful_n", "kb_contributions")
    assert rows == [(1234,), (1234567,), (1234,)]
    (bad,) = place.bad(manifest, "kb_contributions")
    assert bad[:3] == (4, "helpful_n", "expected a whole number like 1.234")


def test_marks_of_numbers_stand_beside_numbers_only(place: Place) -> None:
    place.put("s.csv", CSV)
    with pytest.raises(ConfigError, match=r"survey_id: decimal and thousands are for numbers"):
        place.ingest(source(mapping({**SURVEY, "survey_id": column("id", decimal=",")})))


# --- Excel's day numbers -----------------------------------------------------------------


def serial(at: datetime, start: date) -> str:
    day = datetime(start.year, start.month, start.day, tzinfo=UTC)
    return repr((at - day) / timedelta(days=1))


@pytest.mark.parametrize(("form", "start"), [("excel", date(1899, 12, 30)),
                                             ("excel1904", date(1904, 1, 1))])  # fmt: skip
def test_day_numbers_become_the_instants_they_show(place: Place, form: str, start: date) -> None:
    local = [datetime(2026, 9, 1 + n % 30, n % 24, 7 * n % 60, n, tzinfo=UTC) for n in range(60)]
    place.put("s.csv", "id,when,score\n" + "".join(
        f"a{n},{serial(at, start)},5\n" for n, at in enumerate(local)))  # fmt: skip
    columns = {**SURVEY, "submitted_at": column("when", format=form, time_zone="UTC")}
    manifest = place.ingest(source(mapping(columns)))
    found = [r[0] for r in place.rows(manifest, "epoch_ms(submitted_at)")]
    assert found == [int(at.timestamp() * 1000) for at in local]


def test_days_of_both_calendars_are_exact_and_the_false_leap_day_is_none(place: Place) -> None:
    cases = {
        "46266": "2026-09-01", "46266.0": "2026-09-01", "61": "1900-03-01", "59": "1900-02-28",
        "1": "1900-01-01", "2026-09-02": "2026-09-02", "60": None, "0": None, "46266.5": None,
        "9999999": None, "-1": None, "46,266": None, "01/09/2026": None,
    }  # fmt: skip
    lines = [f'e{n};"{text}"' for n, text in enumerate(cases)]
    place.put("s.csv", "id;day\n" + "\n".join(lines))
    columns = {
        "snapshot_date": column(value="2026-09-30"),
        "employee_id": column("id"),
        "department_id": column(value="d"),
        "employment_status": column(value="active"),
        "hire_date": column("day", format=("%Y-%m-%d", "excel")),
        "valid_from": column(value="2026-09-01"),
    }
    stream = mapping(columns, stream="hr_roster", delimiter=";")
    manifest = place.ingest(source(stream))
    rows = place.rows(manifest, "cast(hire_date as varchar)", "hr_roster")
    assert [r[0] for r in rows] == [day for day in cases.values() if day]
    bad = place.bad(manifest, "hr_roster")
    assert len(bad) == sum(day is None for day in cases.values())
    assert {r[2] for r in bad} == {"expected a day like %Y-%m-%d or an Excel day number"}


# --- typed columns -----------------------------------------------------------------------


def test_typed_columns_land_as_their_text_would(place: Place) -> None:
    micros = [1_788_602_400_120_000, None, -5_364_662_400_000_000]  # the last is 1800-01-01
    table = pa.table(
        {
            "id": pa.array(["1", "2", "3"]),
            "naive": pa.array(micros, pa.timestamp("us")),
            "zoned": pa.array([datetime(2026, 9, 5, tzinfo=UTC)] * 3, pa.timestamp("us", "UTC")),
            "n": pa.array([3, None, -4], pa.int32()),
            "double": pa.array([3.0, 4.5, None]),
            "flag": pa.array([True, False, None]),
        }
    )
    path = place.put("t.parquet", b"")
    pq.write_table(table, path)
    columns = {
        "ticket_id": column("id"),
        "created_at": column("zoned"),
        "resolved_at": column("naive"),
        "category": column("n"),
        "reopen_count": column("n", required=False),
        "reply_count": column("double"),
        "csat_score": column("n"),
        "is_complaint": column("flag"),
        "external_ref": column(sql='"naive" || \'/\' || "n"'),
    }
    manifest = place.ingest(source(mapping(columns, stream="tickets", format="parquet")))
    rows = place.rows(
        manifest,
        "ticket_id, cast(created_at as varchar), cast(resolved_at as varchar), category, "
        "reopen_count, reply_count, cast(csat_score as varchar), is_complaint, external_ref",
        "tickets",
    )
    assert rows == [
        ("1", "2026-09-05 00:00:00+00", "2026-09-05 02:00:00.12+00", "3", 3, 3, "3.0000", True,
         "2026-09-05 10:00:00.12/3"),
    ]  # fmt: skip
    assert [r[:3] for r in place.bad(manifest, "tickets")] == [
        (2, "reply_count", "expected a whole number"),
        (3, "resolved_at", "expected a time like YYYY-MM-DD hh:mm:ss"),
    ]
    assert json.loads(place.bad(manifest, "tickets")[1][3])["n"] == "-4"


def test_a_number_that_means_nothing_is_null_though_it_is_typed(place: Place) -> None:
    path = place.put("t.parquet", b"")
    pq.write_table(pa.table({"id": ["a", "b"], "n": pa.array([-1, 2], pa.int64())}), path)
    columns = {**KB, "helpful_n": column("n")}
    stream = mapping(columns, stream="kb_contributions", format="parquet", null_values=["", "-1"])
    manifest = place.ingest(source(stream))
    assert place.rows(manifest, "helpful_n", "kb_contributions") == [(None,), (2,)]


@pytest.mark.parametrize("group", [1, 3, 10, 100])
def test_parquet_lands_the_same_whatever_its_row_groups(
    place: Place, monkeypatch: pytest.MonkeyPatch, group: int
) -> None:
    monkeypatch.setattr(reading, "_SPAN_ROWS", 7)
    table = pa.table({"id": [f"r{n % 40}" for n in range(50)], "n": range(50)})
    path = place.put("t.parquet", b"")
    pq.write_table(table, path, row_group_size=group)
    columns = {**KB, "helpful_n": column(sql="case when \"id\" <> 'r3' then '1' end")}
    columns["views_30d"] = column("n", required=True, unknown_when="views_30d < 0")
    manifest = place.ingest(source(mapping(columns, stream="kb_contributions", format="parquet")))
    rows = place.rows(manifest, "contribution_id, views_30d, _row_number", "kb_contributions")
    assert rows == [(f"r{n % 40}", n, n + 1) for n in range(50)]
    assert balances(manifest)
