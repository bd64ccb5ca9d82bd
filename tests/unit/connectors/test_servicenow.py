"""ServiceNow: what its records become, and what is fetched of a month."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
import stamina
from suite.cases import servicenow as case
from suite.kit import Bench, Exchange, Record, Reply, Vendor

from perfhouse.errors import TransientError
from perfhouse.lake import Manifest


class World:
    """What the vendor holds beside incidents, and the rows that an access rule hides."""

    def __init__(self) -> None:
        self.audits: list[Record] = []
        self.users: list[Record] = [dict(user) for user in case.USERS]
        self.hidden: set[str] = set()
        self.tells_totals = True

    def answer(self, exchange: Exchange, incidents: Sequence[Record]) -> Reply:
        asked = exchange.query["sysparm_fields"].split(",")
        table = exchange.path.removeprefix("/api/now/table/")
        if "time_zone" in asked:
            return case.answer(exchange, incidents)
        held = {"incident": incidents, "sys_audit": self.audits, "sys_user": self.users}[table]
        query, _, orders = exchange.query["sysparm_query"].partition("^ORDERBY")
        clock = orders.split("^ORDERBY")[0]
        found = [r for r in held if any(_holds(r, part) for part in query.split("^NQ"))]
        found.sort(key=lambda r: (r[clock], r["sys_id"]))
        page = [r for r in found[:10] if r["sys_id"] not in self.hidden]
        told = {"X-Total-Count": str(len(found))} if self.tells_totals else {}
        return Reply({"result": [{k: r[k] for k in asked} for r in page]}, headers=told)


def _holds(record: Record, query: str) -> bool:
    parts = query.split("^")
    named = [p.partition("fieldnameIN")[2].split(",") for p in parts if "fieldnameIN" in p]
    if named and record["fieldname"] not in named[0]:
        return False
    return case._holds(record, "^".join(p for p in parts if "fieldnameIN" not in p))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Bench, Vendor, World]]:
    world = World()
    vendor = Vendor(replace(case.CASE, answer=world.answer))
    with vendor.serving() as url, stamina.set_testing(True, attempts=2):
        it = Bench(case.CASE, url, tmp_path)
        monkeypatch.setenv(*it.connection)
        yield it, vendor, world


def rows(it: Bench, manifest: Manifest, stream: str, what: str) -> list[tuple[Any, ...]]:
    files = [str(it.home.root / f.path) for f in manifest.streams[stream].files]
    if not files:
        return []
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        return con.execute(f"select {what} from read_parquet(?) order by all", [files]).fetchall()


def audit(number: int, user: str, field: str, old: str = "", new: str = "") -> Record:
    return {
        "sys_id": f"audit{number:02d}",
        "tablename": "incident",
        "documentkey": f"{0:032x}",
        "sys_created_on": f"2026-09-10 08:00:{number:02d}",
        "user": user,
        "fieldname": field,
        "oldvalue": old,
        "newvalue": new,
    }


def test_an_incident_changed_again_after_the_month_is_in_the_month_it_was_solved_or_made_in(
    desk: tuple[Bench, Vendor, World],
) -> None:
    it, vendor, _ = desk
    made, solved, old, later = case.world(4)
    after = "2026-10-01 00:00:00"
    before = "2026-08-01 00:00:00"
    vendor.world = [
        {**made, "sys_updated_on": after},
        {
            **solved,
            **{"sys_created_on": before, "sys_updated_on": after},
            **{"incident_state": "7", "resolved_at": "2026-09-30 15:59:59", "closed_at": after},
        },
        {**old, "sys_created_on": before, "sys_updated_on": after},
        {**later, "sys_created_on": after, "sys_updated_on": after},
    ]
    landed = it.ingest()
    found = rows(it, landed, "tickets", "ticket_id, status")
    assert found == [(made["sys_id"], "new"), (solved["sys_id"], "closed")]


@pytest.mark.parametrize("at", [3, 12])
def test_records_that_an_access_rule_hides_are_noticed_and_do_not_end_the_fetch_early(
    desk: tuple[Bench, Vendor, World], at: int
) -> None:
    it, vendor, world = desk
    vendor.world = case.world(25)
    world.hidden = {vendor.world[at]["sys_id"]}
    with pytest.raises(TransientError, match=r"9 records on a page, 10 were told.*\(ACL\)"):
        it.ingest()
    assert not it.visible()


def test_where_no_total_is_told_a_short_page_is_not_the_end(
    desk: tuple[Bench, Vendor, World],
) -> None:
    it, vendor, world = desk
    vendor.world = case.world(25)
    world.hidden, world.tells_totals = {vendor.world[3]["sys_id"]}, False
    landed = it.ingest()
    assert landed.streams["tickets"].landed == 24


def test_an_audits_sign_in_name_becomes_the_id_that_tickets_and_accounts_know(
    desk: tuple[Bench, Vendor, World],
) -> None:
    it, vendor, world = desk
    caller = {**case.USERS[0], "sys_id": "caller0", "user_name": "ann@corp.example"}
    world.users.append(caller)
    vendor.world = case.world(1)
    world.audits = [
        audit(1, "ann@corp.example", "comments", new="my words"),
        audit(2, "agent1", "comments", new="our words"),
        audit(3, "agent1", "work_notes", new="inner words"),
        audit(4, "agent2", "incident_state", "2", "6"),
        audit(5, "system", "incident_state", "6", "7"),
        audit(6, "gone@corp.example", "priority", "3", "2"),
        audit(7, "departed", "priority", "2", "3"),
    ]
    landed = it.ingest()
    assert rows(it, landed, "ticket_events", "event_id, event_type, actor_type, actor_id") == [
        ("audit01", "customer_reply", "customer", None),
        ("audit02", "public_reply", "agent", case.USERS[1]["sys_id"]),
        ("audit03", "internal_note", "agent", case.USERS[1]["sys_id"]),
        ("audit04", "solved", "agent", case.USERS[2]["sys_id"]),
        ("audit05", "closed", "system", None),
        ("audit06", "priority_changed", "agent", None),
        ("audit07", "priority_changed", "agent", "departed"),
    ]
    told = rows(it, landed, "ticket_events", "old_value, new_value, is_public")
    assert set(told) == {
        *((None, None, True), (None, None, False)),
        *(("open", "solved", None), ("solved", "closed", None)),
        *(("3", "2", None), ("2", "3", None)),
    }


def test_neither_words_nor_addresses_are_kept(desk: tuple[Bench, Vendor, World]) -> None:
    it, vendor, world = desk
    world.users.append({**case.USERS[0], "sys_id": "u9", "user_name": "ann@corp.example"})
    vendor.world = case.world(1)
    world.audits = [audit(1, "agent1", "comments", new="our words")]
    landed = it.ingest()
    logins = {login for (login,) in rows(it, landed, "source_users", "login")}
    assert logins == {"agent0", "agent1", "agent2", None}
    for path in it.home.root.rglob("*"):
        assert not (path.is_file() and b"our words" in path.read_bytes())
