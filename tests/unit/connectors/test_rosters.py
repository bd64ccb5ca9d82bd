"""What SCIM and LDAP say about a month: which days, whose manager, who is told apart."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from connectors import base, ldap, rosters, scim
from connectors.base import Beside
from perfhouse.company import Source
from perfhouse.errors import (
    ConfigError,
    PerfhouseError,
    SourceChanged,
    SourceMissing,
    TransientError,
)
from perfhouse.month import Month

MONTH = Month("2026-09")
END = datetime(2026, 9, 30, 16, tzinfo=UTC)  # in Shanghai


def source(**options: Any) -> Source:
    return Source(
        id="hr", connector="scim", owner="HR <hr@corp.example>", schedule="0 3 1 * *",
        required=True, time_zone="UTC", options=options, streams=(),
    )  # fmt: skip


def beside(end: datetime = END, held: dict[str, Any] | None = None, **options: Any) -> Beside:
    return Beside({}, "users/000001.json", lambda *_: held or {}, None, end, options)


# ---------------------------------------------------------------- days


@pytest.mark.parametrize(
    "zone", ["UTC", "Asia/Shanghai", "America/Los_Angeles", "Pacific/Kiritimati", "Etc/GMT+12"]
)
@pytest.mark.parametrize("month", ["2026-02", "2026-09", "2026-12"])
def test_a_snapshot_stands_for_its_month_in_every_zone(zone: str, month: str) -> None:
    it = Month(month)
    end = datetime.combine(it.end, datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)
    assert rosters.days(beside(end)) == (it.start, it.last_day)


@pytest.mark.parametrize(
    ("hired", "active", "changed", "expected"),
    [
        (None, True, None, ("2026-09-01", None)),
        (date(2020, 1, 1), True, None, ("2026-09-01", None)),
        (date(2026, 9, 10), True, None, ("2026-09-10", None)),
        (None, False, date(2026, 9, 12), ("2026-09-01", "2026-09-13")),
        # gone before the month: no day of it
        (None, False, date(2026, 3, 1), ("2026-09-01", "2026-09-01")),
        (None, False, None, ("2026-09-01", "2026-09-01")),
    ],
)
def test_a_snapshot_claims_its_month_from_entry_to_leaving(
    hired: date | None, active: bool, changed: date | None, expected: tuple[str, str | None]
) -> None:
    span = rosters.span(beside(), hired, active, changed)
    assert (span["ValidFrom"], span["ValidTo"]) == expected
    assert span["SnapshotDay"] == "2026-09-30"


def test_today_may_stand_for_a_month_that_just_ended_and_for_no_older_one() -> None:
    rosters.check_age(source(), MONTH, END, END)
    rosters.check_age(source(), MONTH, END, END + rosters.GRACE)
    late = END + rosters.GRACE + timedelta(seconds=1)
    with pytest.raises(ConfigError, match="backdate = true"):
        rosters.check_age(source(), MONTH, END, late)
    rosters.check_age(source(backdate=True), MONTH, END, late)
    with pytest.raises(ConfigError, match="true or false"):
        rosters.check_age(source(backdate="yes"), MONTH, END, late)
    with pytest.raises(SourceMissing, match="the month ends at"):
        rosters.check_age(source(backdate=True), MONTH, END, END - timedelta(seconds=1))


# ---------------------------------------------------------------- SCIM

# the enterprise user of RFC 7643, section 8.3, without what is never asked for
ENTERPRISE_USER = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", scim.ENTERPRISE],
    "id": "2819c223-7f76-453a-919d-413861904646",
    "externalId": "701984",
    "userName": "bjensen@example.com",
    "name": {
        "formatted": "Ms. Barbara J Jensen, III", "familyName": "Jensen", "givenName": "Barbara",
        "middleName": "Jane", "honorificPrefix": "Ms.", "honorificSuffix": "III",
    },
    "displayName": "Babs Jensen",
    "emails": [
        {"value": "bjensen@example.com", "type": "work", "primary": True},
        {"value": "babs@jensen.org", "type": "home"},
    ],
    "userType": "Employee",
    "title": "Tour Guide",
    "active": True,
    scim.ENTERPRISE: {
        "employeeNumber": "701984", "costCenter": "4130", "organization": "Universal Studios",
        "division": "Theme Park", "department": "Tour Operations",
        "manager": {
            "value": "26118915-6090-4610-87e4-49d8ca9f808d",
            "$ref": "../Users/26118915-6090-4610-87e4-49d8ca9f808d", "displayName": "John Smith",
        },
    },
    "meta": {
        "resourceType": "User", "created": "2010-01-23T04:56:22Z",
        "lastModified": "2011-05-13T04:42:34Z", "version": 'W/"3694e05e9dff591"',
        "location": "https://example.com/v2/Users/2819c223-7f76-453a-919d-413861904646",
    },
}  # fmt: skip
SMITH = {scim.ENTERPRISE: {"employeeNumber": "100"}}


def user(record: dict[str, Any], **more: Any) -> dict[str, Any]:
    [row] = scim.person(record, beside(**more))
    return dict(row)


def test_the_enterprise_user_of_the_standard_becomes_a_roster_row() -> None:
    row = user(ENTERPRISE_USER, held={"26118915-6090-4610-87e4-49d8ca9f808d": SMITH})
    made = {name: row[name] for name in ("Name", "Address", "Manager", "Status", "Created")}
    assert made == {
        "Name": "Babs Jensen", "Address": "bjensen@example.com", "Manager": "100",
        "Status": "active", "Created": "2010-01-23",
    }  # fmt: skip
    assert row["enterprise"]["department"] == "Tour Operations"
    assert (row["ValidFrom"], row["ValidTo"]) == ("2026-09-01", None)


def test_a_manager_nobody_knows_is_kept_for_the_gate_to_name() -> None:
    assert user(ENTERPRISE_USER)["Manager"] == "26118915-6090-4610-87e4-49d8ca9f808d"
    alone = {**ENTERPRISE_USER, scim.ENTERPRISE: {"employeeNumber": "1"}}
    assert user(alone)["Manager"] is None


def test_the_primary_address_counts_then_one_for_work_then_the_first() -> None:
    home, work = {"value": "h", "type": "home"}, {"value": "w", "type": "work"}
    told = lambda *emails: user({**ENTERPRISE_USER, "emails": list(emails)})["Address"]  # noqa: E731
    assert told(home, work) == "w"
    assert told({**home, "primary": True}, work) == "h"
    assert told(home) == "h"
    assert told() is None


def test_a_day_of_entry_may_come_from_an_extension() -> None:
    urn = "urn:acme:params:scim:schemas:hr:2.0:User"
    record = {**ENTERPRISE_USER, urn: {"hireDate": "2026-09-15"}}
    assert user(record, hire_date=f"{urn}:hireDate")["ValidFrom"] == "2026-09-15"
    assert user({**record, "since": "2026-09-16"}, hire_date="since")["Hired"] == "2026-09-16"
    assert user(ENTERPRISE_USER, hire_date=f"{urn}:hireDate")["Hired"] is None


def test_who_is_not_active_has_left_on_the_day_of_the_last_change() -> None:
    meta = {**ENTERPRISE_USER["meta"], "lastModified": "2026-09-20T10:00:00Z"}  # type: ignore[dict-item]
    row = user({**ENTERPRISE_USER, "active": False, "meta": meta})
    assert (row["Status"], row["ValidTo"]) == ("left", "2026-09-21")
    with pytest.raises(TypeError):
        user({**ENTERPRISE_USER, "active": "false"})


# ---------------------------------------------------------------- LDAP


@pytest.mark.parametrize(
    "other",
    [
        "UID=Ana,OU=People,DC=corp,DC=example",
        "uid=ana, ou=people, dc=corp, dc=example",
        "uid = ana,ou=people,dc=corp,dc=example",
    ],
)
def test_two_spellings_of_a_name_are_one(other: str) -> None:
    assert ldap.same_name(other) == ldap.same_name("uid=ana,ou=people,dc=corp,dc=example")


def test_names_that_differ_stay_apart_and_no_name_is_no_error() -> None:
    assert ldap.same_name("cn=a\\,b,dc=x") != ldap.same_name("cn=a,cn=b,dc=x")
    assert ldap.same_name("no name at all") == "no name at all"


def test_an_entry_is_archived_as_text_and_bytes_that_are_none_as_base64() -> None:
    response = {
        "dn": "uid=ana,dc=x",
        "raw_attributes": {"cn": ["王芳".encode()], "objectGUID": [b"\xff\x00"], "title": []},
    }
    assert ldap._entry(response) == {
        "dn": "uid=ana,dc=x",
        "key": "uid=ana,dc=x",
        "attributes": {"cn": ["王芳"], "objectGUID": ["base64:/wA="]},
    }


def test_an_entry_becomes_a_row_with_the_number_of_its_manager() -> None:
    record = {
        "dn": "uid=bo,dc=x",
        "key": "uid=bo,dc=x",
        "attributes": {
            "uid": ["bo"], "manager": ["UID=Ana,DC=x"], "employeeType": ["LEFT"],
            "createTimestamp": ["20200102030405Z"], "modifyTimestamp": ["20260912120000Z"],
        },
    }  # fmt: skip
    ana = {"attributes": {"employeeNumber": ["E1"]}}
    [row] = ldap.person(record, beside(held={"uid=ana,dc=x": ana}))
    assert (row["Manager"], row["Created"], row["Changed"]) == (
        "E1", "2020-01-02", "2026-09-12T12:00:00+00:00",
    )  # fmt: skip
    assert (row["Status"], row["ValidTo"]) == ("left", "2026-09-13")
    [row] = ldap.person(record, beside())
    assert row["Manager"] == "UID=Ana,DC=x"


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        (4, SourceChanged, "size limit, after 500 entries"),
        (11, SourceChanged, "administrative limit"),
        (32, ConfigError, "base does not exist"),
        (49, ConfigError, "name or password"),
        (50, ConfigError, "may not search"),
        (51, TransientError, "result code 51"),
    ],
)
def test_a_result_code_says_who_must_act(code: int, error: type[PerfhouseError], said: str) -> None:
    found = ldap._refused(source(), code, 500)
    assert type(found) is error
    assert said in str(found)


@pytest.mark.parametrize("name", ["scim", "ldap"])
@pytest.mark.parametrize("stream", ["hr_roster", "source_users"])
def test_an_address_that_somebody_signs_in_with_lands_as_a_hash_alone(
    name: str, stream: str
) -> None:
    field = {"scim": "userName", "ldap": "uid"}[name]
    columns = base.get(name).defaults[stream].columns
    reads = {column: chosen.sql or chosen.source or "" for column, chosen in columns.items()}
    plain = [c for c, text in reads.items() if field in text and not columns[c].hash]
    assert plain
    with duckdb.connect() as con:
        for column in plain:
            for told, lands in (("ann@corp.example", None), ("ann", "ann")):
                found = con.execute(f"select {reads[column]} from (select ? as {field})", [told])
                assert found.fetchone() == (lands,)
