"""The SCIM connector against scim2-server and its 250 invented people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from landed import Landed
from servers.scim import ENTERPRISE, Scim

from connectors.http import Client
from perfhouse.errors import ConfigError, SourceMissing, TransientError

SOURCE = """
[[sources]]
id = "directory"
connector = "scim"
connection = "directory"
owner = "HR <hr@corp.example>"
page_size = 60
"""
BACKDATED = SOURCE + "backdate = true\n"
MONTH = "2026-09"


@pytest.fixture(autouse=True)
def connected(scim: Scim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DIRECTORY", scim.url.replace("://", f"://:{scim.token}@"))


def test_every_person_lands_with_the_number_of_their_manager(scim: Scim, tmp_path: Path) -> None:
    landed = Landed(tmp_path, BACKDATED)
    manifest = landed.ingest(MONTH)
    rows = landed.rows(manifest, "hr_roster", "employee_id")
    assert {
        key: (
            row["display_name"], row["source_user_id"], row["department_id"],
            row["manager_employee_id"], row["employment_status"], row["job_family"],
        )
        for key, row in rows.items()
    } == {
        person.number: (
            person.name, person.login, person.department, person.manager,
            "active" if person.active else "left",
            "cs_manager" if person.title == "Manager" else "agent",
        )
        for person in scim.people
    }  # fmt: skip
    for stream in manifest.streams.values():
        assert stream.quarantined == 0
        assert not stream.undeclared_fields


def test_a_snapshot_claims_its_own_month_and_no_other(scim: Scim, tmp_path: Path) -> None:
    landed = Landed(tmp_path, BACKDATED)
    rows = landed.rows(landed.ingest(MONTH), "hr_roster", "employee_id").values()
    assert {str(row["snapshot_date"]) for row in rows} == {"2026-09-30"}
    assert {str(row["valid_from"]) for row in rows} == {"2026-09-01"}
    assert {row["valid_to"] for row in rows if row["employment_status"] == "active"} == {None}


def test_accounts_carry_the_number_and_the_same_hash_as_the_roster(
    scim: Scim, tmp_path: Path
) -> None:
    landed = Landed(tmp_path, BACKDATED)
    manifest = landed.ingest(MONTH)
    roster = landed.rows(manifest, "hr_roster", "employee_id")
    accounts = landed.rows(manifest, "source_users", "source_user_id")
    assert set(accounts) == set(scim.ids.values())
    for person in scim.people:
        account = accounts[scim.ids[person.number]]
        assert (account["employee_no"], account["login"], account["is_active"]) == (
            person.number, person.login, person.active,
        )  # fmt: skip
        assert account["email_hash"] == roster[person.number]["work_email_hash"]
        assert len(account["email_hash"]) == 64


def test_today_does_not_stand_for_a_month_long_past_unless_it_is_said_so(
    scim: Scim, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="backdate = true"):
        Landed(tmp_path, SOURCE).ingest("2026-01")


def test_a_month_that_is_not_over_is_waited_for(scim: Scim, tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="the month ends at"):
        Landed(tmp_path, BACKDATED).ingest("2999-01")


def test_a_directory_that_changes_while_it_is_read_is_refused_whole(
    scim: Scim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    fetch = Client.fetch

    def meanwhile(self: Client, *args: Any, **more: Any) -> Any:
        answer = fetch(self, *args, **more)
        if not made:  # somebody joins after our first page
            user = {"userName": "late", ENTERPRISE: {"employeeNumber": "E99999"}}
            made.append(scim.call("POST", "/Users", user)["id"])
        return answer

    monkeypatch.setattr(Client, "fetch", meanwhile)
    landed = Landed(tmp_path, BACKDATED)
    try:
        with pytest.raises(TransientError, match="changed while it was read"):
            landed.ingest(MONTH)
        assert not list(landed.home.manifests.rglob("*.json"))
    finally:
        scim.call("DELETE", f"/Users/{made[0]}")


def test_only_listed_attributes_are_asked_for(scim: Scim, tmp_path: Path) -> None:
    number = scim.people[0].number
    change = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [
            {"op": "add", "path": "phoneNumbers", "value": [{"value": "+86 10 5555 1234"}]}
        ],
    }
    scim.call("PATCH", f"/Users/{scim.ids[number]}", change)
    landed = Landed(tmp_path, BACKDATED)
    landed.ingest(MONTH)
    archived = b"".join(p.read_bytes() for p in landed.home.archive.rglob("*.json"))
    assert number.encode() in archived
    assert b"5555 1234" not in archived
