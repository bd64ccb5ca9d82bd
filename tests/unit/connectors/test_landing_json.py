from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from landing_kit import SURVEY, Place, balances, column, mapping, source

from connectors import reading_fields, reading_json, splitting
from connectors.base import effective, get, names
from connectors.reading_pages import Piece
from perfhouse.errors import ConfigError, SourceChanged
from perfhouse.month import Month

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
TRAINING = {"id": "x"}


def answer(key: str, **more: object) -> dict[str, object]:
    return {"id": key, "at": {"when": "02/09/2026 10:00"}, "marks": [{"score": 5}], **more}


COLUMNS = {
    **SURVEY,
    "submitted_at": column("at.when", format="%d/%m/%Y %H:%M"),
    "score": column("marks[0].score"),
}


def stream(**keys: object) -> object:
    return source(mapping(COLUMNS, format="json", **keys))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Well-formed files must never need the patient reader."""

    def refuse(*_: object) -> None:
        raise AssertionError("the patient reader was used")

    monkeypatch.setattr(reading_json, "_slow", refuse)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    "form",
    ["lines", "array", "glued", "pretty"],
)
def test_every_form_of_json_lands_the_same_rows(place: Place, form: str) -> None:
    records = [answer("a"), answer('b"{}\n'), answer("c")]
    texts = [json.dumps(r, ensure_ascii=False) for r in records]
    text = {
        "lines": "\n".join(texts),
        "array": json.dumps(records),
        "glued": "".join(texts),
        "pretty": "\n".join(json.dumps(r, indent=2) for r in records),
    }[form]
    place.put("one.json", text)
    place.put("two.json", json.dumps(answer("d")))
    manifest = place.ingest(stream())
    assert place.rows(manifest, "response_id, cast(score as int), _file, _row_number") == [
        ("a", 5, "2026-09/one.json", 1),
        ('b"{}\n', 5, "2026-09/one.json", 2),
        ("c", 5, "2026-09/one.json", 3),
        ("d", 5, "2026-09/two.json", 1),
    ]


@pytest.mark.parametrize("together", [1, 150, 1 << 20])
def test_files_land_in_their_order_however_many_are_split_at_once(
    place: Place, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setattr(reading_json, "_TOGETHER", together)
    texts = {
        "a.json": json.dumps([answer("a1"), answer("a2")]),
        "b.json": json.dumps(answer("b1")) + "\n{broken\n" + json.dumps(answer("a2")),
        "c.json": json.dumps(answer("c1")) + json.dumps(answer("a1")),
        "d.json": json.dumps([answer("b1"), answer("d2")]),
    }
    for name, text in texts.items():
        place.put(name, text)
    manifest = place.ingest(stream())
    assert place.rows(manifest, "response_id, _file, _row_number") == [
        ("a1", "2026-09/a.json", 1),
        ("a2", "2026-09/a.json", 2),
        ("b1", "2026-09/b.json", 1),
        ("c1", "2026-09/c.json", 1),
        ("d2", "2026-09/d.json", 2),
    ]
    assert manifest.streams["survey_responses"].duplicates == 3
    assert [(r[0], r[3].strip()) for r in place.bad(manifest)] == [(2, "{broken")]
    assert balances(manifest)


def test_where_the_engine_stops_the_patient_reader_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_json, "CHUNK_ROWS", 500)
    read: list[int] = []
    patiently = reading_json._after

    def after(pieces: Iterator[Piece], passed: dict[int, int]) -> Iterator[Piece]:
        read.extend(passed.values())
        return patiently(pieces, passed)

    monkeypatch.setattr(reading_json, "_after", after)
    texts = [json.dumps(answer(f"r{n}", text="x" * 200)) for n in range(40_000)]
    place.put("one.json", "[" + ",\n".join(texts) + "]")
    place.put("two.json", f"[{json.dumps(answer('y'))},\n{{broken,\n{json.dumps(answer('z'))}]")
    manifest = place.ingest(stream())
    assert 0 < read[0] < 40_000
    rows = place.rows(manifest, "response_id, _file, _row_number")
    assert rows == [
        *((f"r{n}", "2026-09/one.json", n + 1) for n in range(40_000)),
        ("y", "2026-09/two.json", 1),
        ("z", "2026-09/two.json", 3),
    ]
    assert [(r[0], r[3]) for r in place.bad(manifest)] == [(2, "{broken,")]
    assert balances(manifest)


def test_a_damaged_record_of_a_list_is_quarantined_alone(place: Place) -> None:
    texts = [json.dumps(answer(key)) for key in "abc"]
    place.put("one.json", "[" + ",\n".join([texts[0], "{broken", texts[1], texts[2]]) + "]")
    manifest = place.ingest(stream())
    rows = place.rows(manifest, "response_id, _row_number")
    assert rows == [("a", 1), ("b", 3), ("c", 4)]
    assert [(r[0], r[3]) for r in place.bad(manifest)] == [(2, "{broken,")]
    cut = Place(place.root / "cut")
    cut.put("one.json", "[" + ",".join(texts))
    manifest = cut.ingest(stream())
    assert [r[0] for r in cut.rows(manifest, "response_id")] == ["a", "b", "c"]
    assert [(r[0], r[3]) for r in cut.bad(manifest)] == [(4, "[")]


def test_a_large_object_without_its_list_refuses_the_delivery(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splitting, "_BLOCK", 100)
    monkeypatch.setattr(splitting, "_LARGEST", 1000)
    place.put("one.json", json.dumps({"items": [answer(f"r{n}") for n in range(100)]}))
    with pytest.raises(SourceChanged, match=r"one\.json: .*no list of records at 'data'.*Desk"):
        place.ingest(stream(records="data"))


def test_what_is_no_json_is_quarantined_and_the_rest_lands(place: Place) -> None:
    good = json.dumps(answer("a"))
    place.put("one.json", good + "\n{broken\n" + json.dumps(answer("b")) + '\n"text"\n{"id":')
    place.put("two.json", json.dumps(answer("c")))
    manifest = place.ingest(stream())
    assert [r[0] for r in place.rows(manifest, "response_id")] == ["a", "b", "c"]
    assert [(r[0], r[2]) for r in place.bad(manifest)] == [
        (2, "not a JSON object"),
        (4, "not a JSON object"),
        (5, "not a JSON object"),
    ]
    assert balances(manifest)


def test_json_lines_number_rows_by_line_and_keep_broken_ones(place: Place) -> None:
    lines = ["", json.dumps(answer("a")), "{oops", "", json.dumps(answer("b"))]
    place.put("one.jsonl", "\ufeff" + "\r\n".join(lines) + "\r\n")
    manifest = place.ingest(source(mapping(COLUMNS, format="jsonl")))
    assert place.rows(manifest, "response_id, _row_number") == [("a", 2), ("b", 5)]
    assert [(r[0], r[3].strip()) for r in place.bad(manifest)] == [(3, "{oops")]


def test_empty_lists_and_empty_line_files_are_an_empty_month(place: Place) -> None:
    place.put("one.json", "[]")
    place.put("two.json", " \n")
    assert place.ingest(stream()).streams["survey_responses"].rows_in == 0
    other = Place(place.root / "lines")
    other.put("one.jsonl", "")
    manifest = other.ingest(source(mapping(COLUMNS, format="jsonl")))
    assert manifest.streams["survey_responses"].rows_in == 0


def test_an_empty_json_file_is_refused_by_name(place: Place) -> None:
    place.put("one.json", "")
    with pytest.raises(SourceChanged, match=r"one\.json: the file is empty"):
        place.ingest(stream())


def test_a_required_field_that_no_record_has_refuses_the_delivery(place: Place) -> None:
    place.put("one.json", json.dumps({"key": "a", "at": {"when": "02/09/2026 10:00"}}))
    with pytest.raises(SourceChanged, match=r"no record .* has 'id' \(for response_id\)"):
        place.ingest(stream())


def test_keys_that_are_values_are_hidden_and_any_number_of_them_is_bounded(place: Place) -> None:
    record = {"id": "a", "when": "02/09/2026 10:00", "score": 5}
    keyed = {"li.na@corp.example": 1, "13912345678": 2, "by": {"wang@corp.example": 3}}
    many = {f"team {n}": n for n in range(600)}
    place.put("s.json", json.dumps([{**record, **keyed}, {**record, "id": "b", **many}]))
    chosen = source(mapping(None, format="json", records=""))
    undeclared = place.ingest(chosen).streams["survey_responses"].undeclared_fields
    assert undeclared[0] == "<hidden>"
    assert undeclared[-1] == "and 102 more"
    assert len(undeclared) == 501
    assert not any("corp" in name or "13912" in name for name in undeclared)


def test_nested_undeclared_fields_are_reported_by_path(place: Place) -> None:
    more = {"at": {"when": "02/09/2026 10:00", "zone": "x"}, "extra": {"deep": 1}, "known": 2}
    place.put("one.json", json.dumps(answer("a", **more)))
    chosen = source(mapping(COLUMNS, format="json", ignore=("known",)))
    undeclared = place.ingest(chosen).streams["survey_responses"].undeclared_fields
    assert undeclared == ("at.zone", "extra")


def test_records_inside_a_wrapping_object_are_found(place: Place) -> None:
    place.put("one.json", json.dumps({"more": "", "data": {"items": [answer("a"), answer("b")]}}))
    assert place.ingest(stream(records="data.items")).streams["survey_responses"].landed == 2


def test_json_in_another_encoding_lands(place: Place) -> None:
    place.put("one.json", json.dumps(answer("甲"), ensure_ascii=False).encode("gb18030"))
    manifest = place.ingest(stream(encoding="auto"))
    assert place.rows(manifest, "response_id") == [("甲",)]


@pytest.mark.parametrize(
    "record",
    [
        {"a": 1.0, "b": {"c": None}}, {"a": True, "b": 3}, {"a": "", "b": {"c": {"d": [1, "x"]}}},
        {"a": [1, {"b": "x"}], "b": {"c": '"'}}, {"A": 1, "b": []}, {"a": 0.1, "b": {"c": "甲😀"}},
        {"a": 12345678901234567890123, "b": {"c": -0.0}}, {}, {"a": 1e15, "b": {"C": 1}},
    ],
)  # fmt: skip
def test_fields_are_the_same_by_structure_and_by_path(record: dict[str, object]) -> None:
    steps = {name: reading_fields.path_steps(name) for name in ("a", "b.c")}
    found = reading_fields.values(steps)
    picked = ", ".join(found.used[name] for name in steps)
    paths = [reading_fields.engine_path(path) for path in steps.values()]
    con = duckdb.connect()
    con.execute("create table r as select ? as __raw", [json.dumps(record)])
    assert "json_transform" in found.select
    one = con.execute(f"select {picked} from (select {found.select} from r)").fetchone()
    other = con.execute("select json_extract_string(__raw, ?) from r", [paths]).fetchone()
    assert other is not None
    assert list(one or ()) == other[0]


def test_a_structure_leaves_to_paths_what_it_cannot_hold() -> None:
    names = ("a", "A", "a.b", "c.d", "c.D.e", "c.d.e", "l[0]", "c.f")
    found = reading_fields.values({name: reading_fields.path_steps(name) for name in names})
    by_path = {name for name in names if found.used[name].startswith("__values")}
    assert by_path == {"A", "a.b", "c.D.e", "c.d.e", "l[0]"}


def test_a_whole_number_may_be_written_with_an_exponent(place: Place) -> None:
    record = json.dumps(answer("a")).replace('"a"', "12345678901234567")
    place.put("one.json", f"[{record}, {record.replace('12345678901234567', '1e16')}]")
    manifest = place.ingest(stream())
    assert place.rows(manifest, "response_id") == [("12345678901234567",), ("1e+16",)]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("a.b[0].c", ("a", "b", 0, "c")),
        ('x["http://y.z/k.l"].m', ("x", "http://y.z/k.l", "m")),
        ("工号", ("工号",)),
    ],
)
def test_paths_name_nested_fields(text: str, steps: tuple[object, ...]) -> None:
    assert reading_fields.path_steps(text) == steps


@pytest.mark.parametrize("text", ["", "a[", 'a["x', "a[b]"])
def test_a_path_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a path"):
        reading_fields.path_steps(text)


def test_a_path_cannot_break_out_of_its_literal(place: Place) -> None:
    odd = "x'); drop table lines; --"
    place.put("one.json", json.dumps({**answer("a"), odd: "v"}))
    columns = {**COLUMNS, "agent_id": column(odd)}
    manifest = place.ingest(source(mapping(columns, format="json")))
    assert place.rows(manifest, "agent_id") == [("v",)]


# --- Amazon Connect ----------------------------------------------------------------------


def contact(key: str, updated: str = "2026-09-01T01:10:00Z", **more: object) -> dict[str, object]:
    return {
        "ContactId": key,
        "InitialContactId": None,
        "Agent": {
            "Username": "A1",
            "ConnectedToAgentTimestamp": "2026-09-01T01:00:30Z",
            "AgentInteractionDuration": 60,
            "CustomerHoldDuration": 5,
            "AfterContactWorkDuration": 12,
            "NumberOfHolds": 1,
        },
        "Channel": "VOICE",
        "CustomerEndpoint": {"Address": "+15550100001", "Type": "TELEPHONE_NUMBER"},
        "DisconnectReason": "CUSTOMER_DISCONNECT",
        "DisconnectTimestamp": "2026-09-01T01:02:00Z",
        "InitiationMethod": "INBOUND",
        "InitiationTimestamp": "2026-09-01T01:00:00Z",
        "LastUpdateTimestamp": updated,
        "PreviousContactId": None,
        "NextContactId": None,
        "Queue": {"Name": "T1", "Duration": 25, "EnqueueTimestamp": "2026-09-01T01:00:05Z"},
        "TransferCompletedTimestamp": None,
        "TransferredToEndpoint": None,
        **more,
    }


def connect() -> object:
    return source(id="voice", connector="amazon_connect", streams=(), time_zone="Asia/Shanghai")


def drop(place: Place, hour: str, *contacts: object) -> None:
    path = place.data / "ctr" / hour / "ctr-1.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(c) for c in contacts))


def test_hourly_contact_records_of_the_local_month_land_in_all_versions(place: Place) -> None:
    gone = contact("c3", Agent=None)
    drop(place, "2026/08/31/15", contact("too-early"))
    drop(place, "2026/08/31/16", contact("c1"))
    drop(place, "2026/09/01/02", contact("c1", "2026-09-01T02:00:00Z", NextContactId="c2"), gone)
    drop(place, "2026/09/30/16", contact("too-late"))
    manifest = place.ingest(connect())
    rows = place.rows(
        manifest,
        "leg_id, interaction_id, disposition, agent_id, queue_id, wait_ms, talk_ms, hold_ms, "
        "acw_ms, transferred_to, cast(source_updated_at as varchar), length(customer_key)",
        "calls",
    )
    assert rows == [
        ("c1", "c1", "answered", "A1", "T1", 25000, 60000, 5000, 12000, None,
         "2026-09-01 01:10:00+00", 64),
        ("c1", "c1", "answered", "A1", "T1", 25000, 60000, 5000, 12000, "c2",
         "2026-09-01 02:00:00+00", 64),
        ("c3", "c3", "abandoned", None, "T1", 25000, None, None, None, None,
         "2026-09-01 01:10:00+00", 64),
    ]  # fmt: skip


def test_real_contact_records_land(place: Place) -> None:
    folder = SHARED / "amazon_connect_ctr"
    if not folder.is_dir():
        pytest.skip("the sample data is not here")
    for at, month in (("2022/04/08/15", "2022-04"), ("2020/03/31/16", "2020-03")):
        year = at[:4]
        path = place.data / "ctr" / at / "c.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(next(folder.glob(f"ctr_{year}*.json")).read_bytes())
        utc = Place(place.root, zone="UTC")
        landing = utc.ingest(connect(), Month(month)).streams["calls"]
        assert (landing.landed, landing.quarantined) == (1, 0), landing.reasons


# --- xAPI --------------------------------------------------------------------------------


def statement(key: str, verb: str, at: str, **more: object) -> str:
    body = {
        "id": key,
        "actor": {"account": {"name": "E1"}},
        "verb": {"id": f"http://adlnet.gov/expapi/verbs/{verb}"},
        "object": {"id": "C-101", "definition": {"name": {"zh-CN": "产品"}, "type": "x/course"}},
        "timestamp": at,
        "context": {"extensions": {"https://perfhouse.dev/xapi/due-at": "2026-09-20T00:00:00Z"}},
        **more,
    }
    return json.dumps(body, ensure_ascii=False)


def test_statements_become_training_records_and_voiding_names_its_statement(place: Place) -> None:
    path = place.data / "xapi" / "2026-09" / "s.jsonl"
    path.parent.mkdir(parents=True)
    void = {"object": {"objectType": "StatementRef", "id": "s2"}, "context": None}
    path.write_text(
        "\n".join(
            [
                statement("s1", "assigned", "2026-09-01T01:00:00.000Z"),
                statement("s2", "passed", "2026-09-02T01:00:00+08:00",
                          result={"score": {"raw": 88.5, "max": 100}, "success": True,
                                  "duration": "PT1H2M3.5S"}),
                statement("s3", "voided", "2026-09-03T01:00:00Z", **void),
                statement("s4", "waived", "soon"),
            ]
        )
    )  # fmt: skip
    manifest = place.ingest(source(id="lms", connector="xapi", streams=()))
    rows = place.rows(
        manifest,
        "record_id, learner_id, course_id, status, voided, cast(assigned_at as varchar), "
        "cast(completed_at as varchar), cast(due_at as varchar), cast(score as varchar), "
        "passed, time_spent_ms, xapi_verb, course_name",
        "training_records",
    )
    due = "2026-09-20 00:00:00+00"
    assert rows == [
        ("s1", "E1", "C-101", "assigned", False, "2026-09-01 01:00:00+00", None, due, None,
         None, None, "assigned", "产品"),
        ("s2", "E1", "C-101", "passed", False, None, "2026-09-01 17:00:00+00", due, "88.5000",
         True, 3723500, "passed", "产品"),
        ("s2", "E1", "s2", "withdrawn", True, None, None, None, None, None, None, "voided", None),
    ]  # fmt: skip
    assert [r[:2] for r in place.bad(manifest, "training_records")] == [(4, "source_updated_at")]


def test_ready_made_mappings_give_way_to_the_configuration() -> None:
    stream = mapping({"agent_id": column("Agent.ARN")}, stream="calls")
    merged = effective(source(stream, connector="amazon_connect")).streams[0]
    assert merged.columns["agent_id"].source == "Agent.ARN"
    assert merged.columns["leg_id"].source == "ContactId"


def test_every_connector_is_known_by_its_module() -> None:
    assert [get(name).name for name in names()] == list(names())
    with pytest.raises(ConfigError, match=", ".join(names())):
        get("ftp")
