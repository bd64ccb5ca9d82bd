from __future__ import annotations

import csv
import gzip
import hashlib
import hmac
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from landing_kit import MONTH, OWNER, SURVEY, Place, balances, column, mapping, query, source

from connectors import keyed_hashes, quoting, reading, reading_csv
from perfhouse import formulas, warehouse
from perfhouse.company_sources import ENCODINGS
from perfhouse.errors import ConfigError, SourceChanged, SourceMissing
from perfhouse.settings import customer_key

HEAD = "id,when,score\n"
GOOD = HEAD + "a,02/09/2026 10:00,5\nb,03/09/2026 00:30,4\n"


def test_a_row_lands_typed_with_its_file_row_and_instant(place: Place) -> None:
    place.put("s.csv", GOOD)
    manifest = place.ingest()
    rows = place.rows(
        manifest,
        "response_id, cast(submitted_at as varchar), score, _file, _row_number, _window, _op",
    )
    assert [(r[0], r[1], str(r[2]), *r[3:]) for r in rows] == [
        ("a", "2026-09-02 02:00:00+00", "5.0000", "2026-09/s.csv", 2, "2026-09", "upsert"),
        ("b", "2026-09-02 16:30:00+00", "4.0000", "2026-09/s.csv", 3, "2026-09", "upsert"),
    ]
    assert balances(manifest)


def test_exact_duplicates_are_removed_and_counted_across_files(place: Place) -> None:
    place.put("a.csv", GOOD)
    place.put("b.csv", GOOD + "c,03/09/2026 00:30,4\n")
    landing = place.ingest().streams["survey_responses"]
    assert (landing.rows_in, landing.landed, landing.duplicates) == (5, 3, 2)


def test_a_bad_row_is_quarantined_with_row_field_reason_and_raw_text(place: Place) -> None:
    place.put(
        "s.csv",
        HEAD + "a,31/02/2026 10:00,5\nb,02/09/2026 10:00,five\n,02/09/2026 10:00,1\n"
        "d,2026-09-02 10:00,1\ne,02/09/26 10:00,1\nf,02/09/2026 10:00\ng,02/09/2026 10:00,3\n",
    )
    manifest = place.ingest()
    bad = place.bad(manifest)
    assert [row[:3] for row in bad] == [
        (2, "submitted_at", "expected a time like %d/%m/%Y %H:%M"),
        (3, "score", "expected a number"),
        (4, "response_id", "missing"),
        (5, "submitted_at", "expected a time like %d/%m/%Y %H:%M"),
        (6, "submitted_at", "expected a time like %d/%m/%Y %H:%M"),
        (7, "(row)", "expected 3 fields, found 2"),
    ]
    assert '"five"' in bad[1][3]
    assert bad[5][3] == "f,02/09/2026 10:00"
    assert manifest.streams["survey_responses"].landed == 1
    assert balances(manifest)
    folder = place.home.quarantine
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_is_quarantined_is_safe_to_open_and_whole_beside_it(place: Place) -> None:
    place.put("s.csv", HEAD + '=cmd|calc!A0,02/09/2026 10:00\n"@sum(A1)",02/09/2026 10:00,five\n')
    manifest = place.ingest()
    bad = place.bad(manifest)
    assert bad[0][3] == "=cmd|calc!A0,02/09/2026 10:00"
    shown = next(place.home.quarantine.rglob("*.csv"))
    with shown.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["raw"] for row in rows] == [formulas.guarded(str(row[3])) for row in bad]
    assert any(row["raw"].startswith("'=cmd") for row in rows)


def test_enumerations_ranges_booleans_and_whole_numbers_are_strict(place: Place) -> None:
    lines = (
        "id,who,at,what,n",
        "1,a,2026-09-01 10:00:00,create,3",
        "2,a,2026-09-01 10:00:00,CREATE,3",
        "3,a,2026-09-01T10:00:00Z,create,-1",
        "4,a,2026-09-01 10:00,create,1.5",
        "5,a,01/09/2026,create,1",
        "6,a,2026-09-01 10:00:00+0530,create,2.0",
    )
    place.put("k.csv", "\n".join(lines))
    stream = mapping(
        {
            "contribution_id": column("id"),
            "author_id": column("who"),
            "submitted_at": column("at"),
            "action": column("what"),
            "helpful_n": column("n"),
        },
        stream="kb_contributions",
    )
    manifest = place.ingest(source(stream))
    assert [row[:3] for row in place.bad(manifest, "kb_contributions")] == [
        (3, "action", "expected one of create, update, review, retire"),
        (4, "helpful_n", "below 0"),
        (5, "helpful_n", "expected a whole number"),
        (6, "submitted_at", "expected a time like YYYY-MM-DD hh:mm:ss"),
    ]
    rows = place.rows(
        manifest, "contribution_id, cast(submitted_at as varchar)", "kb_contributions"
    )
    assert rows == [("1", "2026-09-01 02:00:00+00"), ("6", "2026-09-01 04:30:00+00")]


def test_values_map_what_the_source_says_and_otherwise_takes_the_rest(place: Place) -> None:
    place.put("s.csv", "id,when,score,ch\na,02/09/2026 10:00,5,In\nb,02/09/2026 10:00,5,Fax\n"
              "c,02/09/2026 10:00,5,\n")  # fmt: skip
    columns = {**SURVEY, "channel": column("ch", values={"In": "phone"}, otherwise="other")}
    manifest = place.ingest(source(mapping(columns)))
    assert [r[0] for r in place.rows(manifest, "channel")] == ["phone", "other", None]


def test_an_unknown_value_becomes_null_and_is_counted(place: Place) -> None:
    place.put("s.csv", "id,when,score,start\na,02/09/2026 10:00,5,02/09/2026 00:00\n"
              "b,02/09/2026 10:00,5,03/09/2026 00:00\n")  # fmt: skip
    reason = "started_at > submitted_at"
    columns = {**SURVEY, "started_at": column("start", format="%d/%m/%Y %H:%M",
                                              unknown_when=reason)}  # fmt: skip
    manifest = place.ingest(source(mapping(columns)))
    assert manifest.streams["survey_responses"].unknown == {"started_at": {reason: 1}}
    assert [r[0] is None for r in place.rows(manifest, "started_at")] == [False, True]


def test_hashed_columns_equal_hmac_sha256_and_never_show_the_value(place: Place) -> None:
    place.put("s.csv", "id,when,score,who\na,02/09/2026 10:00,5,张三@example.com\n"
              "b,02/09/2026 10:00,5,\n")  # fmt: skip
    manifest = place.ingest(source(mapping({**SURVEY, "rater_key": column("who", hash=True)})))
    want = hmac.new(customer_key(place.home), "张三@example.com".encode(), hashlib.sha256)
    assert [r[0] for r in place.rows(manifest, "rater_key")] == [want.hexdigest(), None]


def test_a_quote_that_swallows_a_large_file_does_not_fill_memory(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_csv, "BLOCK", 256)
    monkeypatch.setattr(reading, "_LARGEST", 16)
    lines = [f"{n},02/09/2026 10:00,5" for n in range(400)]
    place.put("s.csv", "\n".join(["id,when,score", '"a,02/09/2026 10:00,5', *lines]))
    with pytest.raises(SourceChanged, match="a quote that is never closed"):
        place.ingest()


def test_what_tells_who_a_customer_is_lands_hashed_or_not_at_all(place: Place) -> None:
    place.put("s.csv", "id,when,score,who\na,02/09/2026 10:00,5,13912345678\n")
    with pytest.raises(ConfigError, match=r"survey_responses\.rater_key: expected hash = true"):
        place.ingest(source(mapping({**SURVEY, "rater_key": column("who")})))


@pytest.mark.parametrize("length", [16, 32, 64, 65, 200])
def test_hmac_in_sql_equals_the_standard_library_for_any_key_length(length: int) -> None:
    key = bytes(range(length % 256)) + b"k" * (length - length % 256)
    con = warehouse.connect()
    keyed_hashes.hmac_setup(con, key)
    for text in ("", "a", "é漢" * 100):
        row = con.execute(f"select {keyed_hashes.hmac_of(quoting.literal(text))}").fetchone()
        assert row == (hmac.new(key, text.encode(), hashlib.sha256).hexdigest(),)
    con.close()


def test_local_times_follow_daylight_saving(place: Place) -> None:
    place.put("s.csv", HEAD + "a,24/10/2026 12:00,5\nb,26/10/2026 12:00,5\n", month="2026-10")
    stream = mapping({**SURVEY, "submitted_at": replace(
        SURVEY["submitted_at"], time_zone="Europe/London")})  # fmt: skip
    manifest = place.ingest(source(stream), type(MONTH)("2026-10"))
    assert [r[0] for r in place.rows(manifest, "cast(submitted_at as varchar)")] == [
        "2026-10-24 11:00:00+00",
        "2026-10-26 12:00:00+00",
    ]


def test_a_window_column_is_half_open_in_the_company_zone_and_never_loses_a_row(
    place: Place,
) -> None:
    place.put("s.csv", HEAD + "before,31/08/2026 23:59,5\nfirst,01/09/2026 00:00,5\n"
              "last,30/09/2026 23:59,5\nafter,01/10/2026 00:00,5\nbroken,x,5\n"
              "bad-before,31/08/2026 23:59,five\n")  # fmt: skip
    landed = place.ingest(source(mapping(window="submitted_at")))
    landing = landed.streams["survey_responses"]
    assert [r[0] for r in place.rows(landed, "response_id")] == ["first", "last"]
    assert (landing.rows_read, landing.outside_window, landing.quarantined) == (6, 3, 1)
    assert balances(landed)


def test_late_rows_are_counted_by_their_local_month(place: Place) -> None:
    place.put("s.csv", HEAD + "a,31/08/2026 23:59,5\nb,01/07/2026 00:00,5\nc,01/09/2026 00:00,5\n")
    landing = place.ingest().streams["survey_responses"]
    assert landing.late_rows == {"2026-07": 1, "2026-08": 1}
    assert landing.landed == 3


def test_a_changed_header_refuses_the_delivery_and_names_both_differences(place: Place) -> None:
    place.put("a.csv", GOOD)
    place.put("b.csv", "id,when,points,Team\na,02/09/2026 10:00,5,x\n")
    with pytest.raises(SourceChanged) as caught:
        place.ingest()
    text = str(caught.value)
    assert "2026-09/b.csv" in text
    assert "'score' (for score) is missing" in text
    assert "'points', 'Team'" in text
    assert OWNER in text
    assert place.home.manifests.joinpath("month=2026-09").exists() is False


def test_a_file_without_a_header_tells_no_value_of_its_first_row(place: Place) -> None:
    place.put("s.csv", "Ann Lee,ann@example.com,13800138000\nBob,b@example.com,5\n")
    with pytest.raises(SourceChanged) as caught:
        place.ingest()
    text = str(caught.value)
    assert "header line seems to be missing" in text
    assert "none of the 3 columns" in text
    assert "'id', 'when', 'score'" in text
    assert not any(value in text for value in ("Ann", "ann@", "13800138000"))


def test_unknown_names_that_look_like_values_are_hidden_and_long_lists_are_cut(
    place: Place,
) -> None:
    odd = ["ann@example.com", "Tel 13800138000", "x" * 41]
    names = ["id", "when", *odd, *(f"extra_{n:02d}" for n in range(20))]
    place.put("s.csv", ",".join(names) + "\n")
    with pytest.raises(SourceChanged) as caught:
        place.ingest()
    text = str(caught.value)
    assert "'score' (for score) is missing" in text
    assert not any(value in text for value in odd)
    assert text.count("'<hidden>'") == 3
    assert "'extra_16' and 3 more" in text


def test_undeclared_fields_are_reported_and_ignored_ones_are_not(place: Place) -> None:
    place.put("s.csv", "id,when,score,Secret,Remark\na,02/09/2026 10:00,5,x,y\n")
    manifest = place.ingest(source(mapping(ignore=("Remark",))))
    assert manifest.streams["survey_responses"].undeclared_fields == ("Secret",)
    file = place.home.root / manifest.streams["survey_responses"].files[0].path
    names = [r[0] for r in query("describe select * from read_parquet(?)", [str(file)])]
    assert "Secret" not in names


def test_a_header_alone_is_an_empty_month_not_an_error(place: Place) -> None:
    for name, text in (("a.csv", HEAD), ("b.csv", HEAD.strip())):
        place.put(name, text)
    landing = place.ingest().streams["survey_responses"]
    assert (landing.rows_in, landing.landed, landing.files) == (0, 0, ())


def test_an_empty_file_names_itself_and_the_owner(place: Place) -> None:
    place.put("s.csv", "")
    with pytest.raises(SourceChanged, match=r"2026-09/s.csv.*empty.*Desk <desk"):
        place.ingest()


def test_a_missing_file_names_its_pattern_and_the_owner(place: Place) -> None:
    place.data.mkdir(parents=True)
    with pytest.raises(SourceMissing, match=r"2026-09.*\{month\}/\*.*Desk <desk"):
        place.ingest()


def test_encodings_land_the_same_text(place: Place) -> None:
    text = "id,when,score,姓名\n甲,02/09/2026 10:00,5,王小明\n"
    columns = {**SURVEY, "agent_id": column("姓名")}
    cases = {
        "plain": (text.encode(), "utf-8"),
        "bom": (text.encode("utf-8-sig"), "utf-8"),
        "gb": (text.encode("gb18030"), "gb18030"),
        "auto-gb": (text.encode("gb18030"), "auto"),
        "auto-utf16": (text.encode("utf-16"), "auto"),
        "gzip": (gzip.compress(text.encode("utf-8-sig"), mtime=0), "utf-8"),
        "crlf": (text.replace("\n", "\r\n").encode(), "utf-8"),
    }
    for name, (content, encoding) in cases.items():
        here = Place(place.root / name)
        here.put("s.csv", content)
        manifest = here.ingest(source(mapping(columns, encoding=encoding)))
        assert here.rows(manifest, "response_id, agent_id") == [("甲", "王小明")], name


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        *(("windows-1252", "Müller – “Käthe” €"), ("iso-8859-15", "Šárka €"), ("utf-16", "王")),
        *(("windows-1250", "Łódź"), ("windows-1251", "Анна"), ("big5", "王小明")),
        *(("shift_jis", "山田"), ("euc-kr", "김")),
    ],
)
def test_a_file_of_another_encoding_is_read_once_it_is_named(
    place: Place, encoding: str, name: str
) -> None:
    assert encoding in ENCODINGS
    place.put("s.csv", f"id,when,score,n\na,02/09/2026 10:00,5,{name}\n".encode(encoding))
    columns = {**SURVEY, "agent_id": column("n")}
    manifest = place.ingest(source(mapping(columns, encoding=encoding)))
    assert place.rows(manifest, "agent_id") == [(name,)]


def test_a_wrong_encoding_refuses_the_file_and_says_what_to_set(place: Place) -> None:
    place.put("s.csv", "id,when,score\n甲,02/09/2026 10:00,5\n".encode("gb18030"))
    with pytest.raises(SourceChanged, match=r"s.csv: expected utf-8 text.*encoding.*Desk"):
        place.ingest()


def test_a_damaged_gzip_file_is_named(place: Place) -> None:
    place.put("s.csv", gzip.compress(GOOD.encode() * 999)[:-20])
    with pytest.raises(SourceChanged, match=r"s.csv: the gzip file is damaged.*Desk"):
        place.ingest()


def test_quotes_newlines_and_odd_names_cannot_break_out(place: Place) -> None:
    odd = 'x"; drop table typed; --'
    quoted = odd.replace('"', '""')
    place.put("o'dd [1]; drop.csv", f'id,when,score,"{quoted}",,,id2,ID\n'
              '"a\n\'b",02/09/2026 10:00,5,v,1,2,3,4\n')  # fmt: skip
    columns = {**SURVEY, "agent_id": column(odd)}
    manifest = place.ingest(source(mapping(columns)))
    assert place.rows(manifest, "response_id, agent_id, _file") == [
        ("a\n'b", "v", "2026-09/o'dd [1]; drop.csv")
    ]
    assert "ID" in manifest.streams["survey_responses"].undeclared_fields


def test_a_used_column_that_appears_twice_is_refused(place: Place) -> None:
    place.put("s.csv", "id,when,score,score\na,02/09/2026 10:00,5,4\n")
    with pytest.raises(SourceChanged, match="'score' appears more than once"):
        place.ingest()


def test_a_column_without_a_name_can_be_mapped(place: Place) -> None:
    place.put("s.csv", ",when,score\na,02/09/2026 10:00,5\n")
    manifest = place.ingest(source(mapping({**SURVEY, "response_id": column("")})))
    assert place.rows(manifest, "response_id") == [("a",)]


@pytest.mark.parametrize(
    "expression",
    [
        "(select 1)",
        "id; drop table records",
        "id) , (id",
        "row_number() over ()",
        "now()",
        "getvariable('hmac_inner')",
        "random()",
        "cast(age(timestamp '2026-01-01') as varchar)",
        "cast(pg_postmaster_start_time() as varchar)",
        "cast(txid_current() as varchar)",
        "version()",
        "read_text('x')",
        "id from records",
        "nonsense(",
    ],
)
def test_an_expression_that_is_no_row_expression_is_refused(place: Place, expression: str) -> None:
    place.put("s.csv", GOOD)
    with pytest.raises(ConfigError, match="response_id"):
        place.ingest(source(mapping({**SURVEY, "response_id": column(sql=expression)})))


def test_a_failing_expression_is_named_without_quoting_a_row(place: Place) -> None:
    place.put("s.csv", GOOD + "secret-name,02/09/2026 10:00,5\n")
    with pytest.raises(ConfigError) as caught:
        place.ingest(source(mapping({**SURVEY, "survey_id": column(sql='cast("id" as int)')})))
    assert "survey_id.sql" in str(caught.value)
    assert "secret-name" not in str(caught.value)


def test_an_expression_reads_source_columns_and_null_markers(place: Place) -> None:
    place.put("s.csv", GOOD + "?,02/09/2026 10:00,?\n")
    columns = {**SURVEY, "response_id": column(sql="coalesce(\"id\", 'none') || '!'")}
    manifest = place.ingest(source(mapping(columns, null_values=["", "?"])))
    assert [(r[0], r[1] is None) for r in place.rows(manifest, "response_id, score")] == [
        ("a!", False),
        ("b!", False),
        ("none!", True),
    ]


def test_a_format_list_tries_each_strictly(place: Place) -> None:
    place.put("s.csv", HEAD + "a,02/09/2026 10:00,5\nb,2026-09-02,5\nc,9/2/26,5\n")
    both = replace(SURVEY["submitted_at"], format=("%d/%m/%Y %H:%M", "%Y-%m-%d"))  # type: ignore[arg-type]
    manifest = place.ingest(source(mapping({**SURVEY, "submitted_at": both})))
    assert manifest.streams["survey_responses"].landed == 2


def test_a_quote_never_closed_quarantines_every_line_it_swallows(place: Place) -> None:
    place.put("s.csv", GOOD + '"oops,02/09/2026 10:00,5\nc,02/09/2026 10:00,5\nd,,\n')
    manifest = place.ingest()
    landing = manifest.streams["survey_responses"]
    assert (landing.landed, landing.quarantined) == (2, 3)
    assert balances(manifest)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    edits=st.lists(
        st.tuples(
            st.integers(0, 400),
            st.sampled_from(["", '"', ",", "\n", "\r", "x", "\0", "é", ";", "'", "\n\n", '""']),
        ),
        max_size=12,
    ),
    windowed=st.booleans(),
)
def test_mutated_rows_always_add_up(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, str]], windowed: bool
) -> None:
    place = Place(tmp_path_factory.mktemp("fuzz"))
    body = "".join(
        f"r{n},{1 + n % 28:02d}/0{8 + n % 2}/2026 10:0{n % 10},{n % 6}\n" for n in range(20)
    )
    for at, what in edits:
        at %= len(body)
        body = body[:at] + what + body[at + 1 :]
    place.put("s.csv", HEAD + body)
    chosen = source(mapping(window="submitted_at" if windowed else None))
    try:
        manifest = place.ingest(chosen)
    except SourceChanged:
        assert not list(place.home.raw.glob("survey_responses/**/*.parquet"))
        return
    assert balances(manifest)
    landing = manifest.streams["survey_responses"]
    if landing.quarantine_file:
        assert len(place.bad(manifest)) == landing.quarantined
