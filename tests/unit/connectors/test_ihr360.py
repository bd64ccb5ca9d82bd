"""i人事: people, jobs, superiors and moves to rows, in the shapes of the manual's public copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import stamina
from suite.cases import ihr360
from suite.cases.ihr360 import API, CASE
from suite.kit import SECRET, Bench, Exchange, Record, Reply, Vendor

from perfhouse.errors import ConfigError, SourceChanged, TransientError
from perfhouse.lake import Manifest

PRIVATE = "35044266668888"
Landed = tuple[Bench, Manifest, Vendor]
Land = Callable[..., Landed]


@pytest.fixture
def land(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Land]:
    def landed(world: list[Record], answers: dict[str, Any]) -> Landed:
        vendor = Vendor(CASE, world)

        def fault(exchange: Exchange, nth: int) -> Reply | None:
            told = answers.get(exchange.path.removeprefix(f"{API}/"))
            told = told(exchange, nth) if callable(told) else told
            if told is None or isinstance(told, Reply):
                return told
            return Reply({"code": 0, "message": "OK", "data": told, "errorResult": False})

        vendor.fault = fault
        with vendor.serving() as url:
            it = Bench(CASE, url, tmp_path)
            monkeypatch.setenv(*it.connection)
            return it, it.ingest(), vendor

    with stamina.set_testing(True, attempts=2):
        yield landed


def rows(it: Bench, manifest: Manifest, what: str, stream: str = "hr_roster") -> list[Any]:
    files = [str(it.home.root / f.path) for f in manifest.streams[stream].files]
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        return con.execute(f"select {what} from read_parquet(?) order by all", [files]).fetchall()


def person(n: int, **more: Any) -> Record:
    return {**ihr360.world(n + 1)[n], **more}


def job(staff: Record, department: Any, begin: str, end: str | None, **more: Any) -> Record:
    whole = ihr360.job(staff)
    return {
        **whole,
        "departmentId": department,
        "employBeginDate": begin,
        "employEndDate": end,
        **more,
    }


def test_jobs_are_rows_from_their_begin_to_the_day_after_their_end(land: Land) -> None:
    anna, boss, head = person(0), person(1), person(2)
    jobs = [
        job(anna, "2", "2025-07-01", "2026-09-14", positionGradeName="P4"),
        job(anna, "0", "2026-09-15", None),
        job(anna, "1", "2026-01-01", None, employType=2),  # a second post beside the main one
    ]
    above = [
        {
            "staffId": anna["staffId"],
            "reportToType": "Enum.Administration",
            "superiorId": boss["staffId"],
        }
    ]
    units = [{"id": 2, "name": "二部", "parentId": -1, "principalStaffId": head["staffId"]}]
    it, manifest, _ = land(
        [anna, boss, head],
        {
            "staff/v1/employmentRecords": jobs,
            "staff/v1/superiors": above,
            "org/v1/organizations/search": {"totalPages": 1, "content": units},
        },
    )
    shown = (
        "employee_id, valid_from, valid_to, department_id, grade, manager_employee_id, "
        "is_people_manager, employment_status, employment_type, snapshot_date"
    )
    last = date(2026, 9, 30)
    assert rows(it, manifest, shown) == [
        (
            *("FN000000", date(2025, 7, 1), date(2026, 9, 15), "2", "P4", "FN000002"),
            *(False, "active", "full", last),
        ),
        (
            *("FN000000", date(2026, 9, 15), None, "0", "P5", "FN000001"),
            *(False, "active", "full", last),
        ),
        ("FN000001", date(2025, 7, 2), None, "1", None, None, True, "active", "full", last),
        ("FN000002", date(2025, 7, 3), None, "2", None, None, False, "active", "full", last),
    ]
    assert rows(it, manifest, "org_id, parent_id, name, head_employee_id", "org_units") == [
        ("2", None, "二部", "FN000002")
    ]


def test_statuses_are_those_of_the_months_end(land: Land) -> None:
    gone = {"staffStatus": "QUIT"}
    world = [
        person(0, probationEndDate="2026-11-30"),
        person(1, leaveDate="2026-10-31"),
        person(2, leaveDate="2026-09-10", **gone),
        person(3, leaveDate="2026-11-15", **gone),  # left after the month, before the fetch
        person(4, leaveDate="2020-01-01", **gone),  # left long ago: no longer of the roster
        person(5, enrollInDate="2026-10-01"),  # comes after the month
    ]
    it, manifest, vendor = land(world, {})
    assert rows(it, manifest, "employee_id, employment_status, last_work_date") == [
        ("FN000000", "probation", None),
        ("FN000001", "notice", date(2026, 10, 31)),
        ("FN000002", "left", date(2026, 9, 10)),
        ("FN000003", "notice", date(2026, 11, 15)),
    ]
    assert manifest.streams["hr_roster"].outside_window == 2
    asked = next(e for e in vendor.seen if e.path.endswith("/employmentRecords")).json()
    assert asked == {"staffIds": [person(n)["staffId"] for n in range(4)]}


TRANSFER = {
    "staffName": "张三",
    "staffNo": "FN000000",
    "departmentName": "技术部",
    "positionName": "技术经理",
    "transferMode": "PROMOTION",
    "entryApplicationStatus": "PASSED",
    "positiveStatus": "COMPLETED",
    "salary": 30000.00,
    "effectiveAt": "2026-08-01",
    "datasourceType": "APPLICATION_ARCHIVE",
    "transferDetailList": [
        {"fieldId": "positionId", "metaDataCode": "position", "beforeId": "pos-001",
         "beforeName": "高级开发工程师", "afterId": "pos-005", "afterName": "技术经理"},
        {"fieldId": "departmentId", "metaDataCode": "department", "beforeId": "dept-001",
         "beforeName": "技术部", "afterId": "dept-003", "afterName": "研发中心"},
        {"fieldId": "salary", "metaDataCode": "salary", "beforeName": "25000",
         "afterName": "30000"},
    ],
    "transferReasonDetails": [
        {"codeValue": "APPLICATIONS", "displayName": "业务发展需要", "optionsCode": "OPT"}
    ],
}  # fmt: skip
POSITIVE = {
    "staffId": "x",
    "staffNo": "FN000001",
    "staffName": "李四",
    "positiveDate": "2026-09-03",
    "actualPositiveDate": "2026-09-02",
    "positiveStatus": "COMPLETED",
}


def test_hires_moves_and_departures_are_events_of_the_month_they_were_entered(
    land: Land,
) -> None:
    def positives(exchange: Exchange, nth: int) -> list[Record]:
        waiting = {**POSITIVE, "staffNo": "FN000009", "positiveStatus": "STAY_CONFIRM"}
        return [POSITIVE, waiting] if exchange.query["date"] == "2026-09-02" else []

    lead = {"fieldId": "reportTo", "beforeId": person(1)["staffId"], "afterId": None}
    moved = {**TRANSFER, "transferMode": "ADJUST", "transferDetailList": [lead]}
    world = [
        person(0),
        person(1, enrollInDate="2026-09-07"),
        person(2, enrollInDate="2026-07-20"),  # may have been entered late: told again
        person(3, staffStatus="QUIT", leaveDate="2026-09-10"),
    ]
    it, manifest, vendor = land(
        world,
        {
            "staff/v1/positiveForms/positive": positives,
            "staff/v1/transferWithinInterval": {
                "pageInfo": {"totalPages": 1},
                "dataList": [TRANSFER, moved],
            },
            "staff/v1/staffs/reinstatedAdditions": [person(2)["staffId"]],
        },
    )
    shown = (
        "event_type, employee_id, effective_date, from_department, to_department, from_position, "
        "to_position, from_manager, is_voluntary, reason_code"
    )
    nothing = (None,) * 7
    assert rows(it, manifest, shown, "employment_events") == [
        ("hire", "FN000001", date(2026, 9, 7), *nothing),
        (
            *("manager_change", "FN000000", date(2026, 8, 1), None, None, None, None),
            *("FN000001", None, "APPLICATIONS"),
        ),
        (
            *("promotion", "FN000000", date(2026, 8, 1), "dept-001", "dept-003", "pos-001"),
            *("pos-005", None, None, "APPLICATIONS"),
        ),
        ("regularize", "FN000001", date(2026, 9, 2), *nothing),
        ("rehire", "FN000002", date(2026, 7, 20), *nothing),
        ("termination", "FN000003", date(2026, 9, 10), *(None,) * 5, True, "FAMILY"),
    ]
    asked = next(e for e in vendor.seen if e.path.endswith("transferWithinInterval"))
    assert asked.query["startDate"] == "2026-09-01"
    assert asked.query["endDate"] == "2026-09-30"
    assert asked.query["isByOperatingTime"] == "true", "what was entered in the month"


def test_nothing_private_is_archived_and_a_new_field_keeps_its_name_alone(
    land: Land, tmp_path: Path
) -> None:
    told = {"pageInfo": {"totalPages": 1}, "dataList": [TRANSFER]}
    world = [person(0, passportNo="NEW-SECRET"), person(9)]
    _, manifest, _ = land(world, {"staff/v1/transferWithinInterval": told})
    assert "passportNo" in manifest.streams["hr_roster"].undeclared_fields
    private = (PRIVATE, "NEW-SECRET", "13355550000", "private.example", "PRIVATE", "30000", "1990-")
    seen = 0
    for path in (tmp_path / "home").rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        seen += "FN000000" in text
        assert not [word for word in private if word in text], path
    assert seen > 1, "the archive was looked into"


@pytest.mark.parametrize(
    ("reply", "error", "told"),
    [
        pytest.param(
            {"code": -1, "message": f"no access for {PRIVATE}"},
            ConfigError,
            "the answer's code is -1: look at the app's permissions",
            id="refused",
        ),
        pytest.param({"code": 500, "message": "x"}, TransientError, "code is 500", id="busy"),
        pytest.param(
            {"code": 0, "errorResult": True, "data": []}, ConfigError, "code is 0", id="flagged"
        ),
        pytest.param({"code": 0, "message": "OK"}, SourceChanged, "no list of records", id="bare"),
        pytest.param([1, 2], TransientError, "no envelope", id="no-envelope"),
    ],
)
def test_an_answer_of_http_200_that_is_none_is_told_from_one(
    land: Land, reply: Any, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told) as raised:
        land([person(0)], {"staff/v1/staffs/basic": Reply(reply)})
    assert PRIVATE not in str(raised.value)


def test_a_copy_of_the_manual_that_calls_200_success_is_believed(land: Land) -> None:
    answer = Reply({"code": 200, "message": "success", "data": [person(0)]})
    it, manifest, _ = land([person(0)], {"staff/v1/staffs/basic": answer})
    assert len(rows(it, manifest, "employee_id")) == 1


def test_departments_may_lie_in_the_page_or_beside_its_count(land: Land) -> None:
    def flat(exchange: Exchange, nth: int) -> Reply:
        here = exchange.json()["page"]
        unit = {"id": here, "name": "x", "parentId": 0, "departmentStatus": "ENABLE"}
        return Reply({"code": 0, "data": [unit], "totalPages": 3, "end": here == 2})

    it, manifest, _ = land([person(0)], {"org/v1/organizations/search": flat})
    assert rows(it, manifest, "org_id", "org_units") == [("0",), ("1",), ("2",)]


def test_a_stale_token_told_with_http_200_is_renewed_once(land: Land) -> None:
    def stale(exchange: Exchange, nth: int) -> Reply | None:
        return Reply({"error": "invalid_token"}) if nth == 0 else None

    _, manifest, vendor = land([person(0)], {"staff/v1/staffs/basic": stale})
    assert manifest.streams["hr_roster"].landed == 1
    assert len([e for e in vendor.seen if e.path == "/openapi/oauth/token"]) == 2


def test_a_token_may_lie_within_the_data_of_the_answer(land: Land) -> None:
    token = Reply({"code": 0, "data": {"access_token": f"token-{SECRET}", "expires_in": 7200}})
    _, manifest, _ = land([person(0)], {"/openapi/oauth/token": token})
    assert manifest.streams["hr_roster"].landed == 1


def test_a_person_missing_from_a_batch_refuses_the_fetch(land: Land) -> None:
    with pytest.raises(TransientError, match="asked for 2 people, got 1"):
        land([person(0), person(1)], {"staff/v1/staffs/basic": [person(0)]})


def test_a_page_that_no_longer_tells_how_many_there_are_is_no_end(land: Land) -> None:
    ids = {"pageInfo": {"pages": 3}, "dataList": [person(0)["staffId"]]}
    with pytest.raises(SourceChanged, match="staffs/ids: the answer does not tell 'totalPages'"):
        land([person(0)], {"staff/v1/staffs/ids": ids})
    unit = {"name": "x", "parentId": 0, "departmentStatus": "ENABLE"}
    units = {"content": [{**unit, "id": n} for n in range(100)]}
    with pytest.raises(SourceChanged, match="search: the answer does not tell 'totalPages'"):
        land([person(0)], {"org/v1/organizations/search": units})
