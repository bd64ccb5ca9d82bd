"""What Request Tracker's records mean, and how its searches are kept honest."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest

from connectors import request_tracker
from connectors.base import Beside
from connectors.endpoints import Call, Window
from connectors.paging import Page, Request
from perfhouse.company import Source
from perfhouse.errors import ConfigError, SourceChanged, TransientError
from perfhouse.month import Month
from perfhouse.settings import Connection

FRAME = Window(
    Month("2026-09"),
    datetime(2026, 8, 31, 16, tzinfo=UTC),
    datetime(2026, 9, 30, 16, tzinfo=UTC),
)
BESIDE = {
    ("staff", "id"): {"li.na": {"id": "li.na"}},
    ("customfields", "id"): {
        "2": {"id": "2", "Name": "CSAT"},
        "4": {"id": "4", "Name": "Notes"},
    },
    ("tickets", "id"): {"7": {"id": "7", "Owner": {"id": 42, "Name": "li.na"}}},
    ("active", "id"): {"42": {"id": 42}},
}


def beside(name: str = "transactions/000001.json") -> Beside:
    found = lambda endpoint, key: BESIDE.get((endpoint, key), {})  # noqa: E731
    return Beside({}, name, found, FRAME.start, FRAME.end, {"csat_field": "CSAT"})


def source(**options: Any) -> Source:
    return Source(
        id="rt", connector="request_tracker", owner="Desk <desk@corp.example>",
        schedule="0 3 1 * *", required=True, time_zone="UTC", options=options, streams=(),
    )  # fmt: skip


def call(answer: Callable[[Request], Any], **options: Any) -> Call:
    def send(request: Request) -> Page:
        return Page(json.dumps(answer(request)).encode(), request)

    return Call(source(**options), FRAME, send, Connection("rt", "https"))


def page(request: Request, items: list[Any], total: Any, **more: Any) -> dict[str, Any]:
    size = request.params["per_page"]
    return {"items": items, "total": total, "per_page": size, "count": len(items), **more}


# ---------------------------------------------------------------- events


def event(**record: Any) -> dict[str, Any]:
    """Unfold a transaction and classify it with the mapping's own SQL."""
    whole = {
        "type": "transaction", "id": "80", "ObjectId": "7", "Type": "Set", "Field": "",
        "OldValue": "", "NewValue": "", "TimeTaken": "0", "Created": "2026-09-01T01:42:00Z",
        "Creator": {"type": "user", "id": 42, "Name": "li.na"}, **record,
    }  # fmt: skip
    [row] = request_tracker.event(whole, beside())
    sql = request_tracker.CONNECTOR.defaults["ticket_events"].columns["event_type"].sql
    names = ("Type", "Field", "OldValue", "NewValue", "Actor", "IsMerge", "IsRating")
    given = ", ".join(f'? as "{name}"' for name in names)
    with duckdb.connect() as con:
        values = [row[name] for name in names]
        found = con.execute(f"select {sql} from (select {given})", values).fetchall()
    return {**row, "event_type": found[0][0]}


SYSTEM = {"type": "user", "id": 1, "Name": "RT_System"}
CUSTOMER = {"type": "user", "id": 48, "Name": "customer1@mail.example"}
URI = "fsck.com-rt://perfhouse.test/ticket/"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"Type": "Create"}, "created"),
        ({"Type": "Status", "OldValue": "open", "NewValue": "resolved"}, "solved"),
        ({"Type": "Status", "OldValue": "open", "NewValue": "rejected"}, "closed"),
        ({"Type": "Status", "OldValue": "new", "NewValue": "deleted"}, "deleted"),
        ({"Type": "Status", "OldValue": "resolved", "NewValue": "open"}, "reopened"),
        ({"Type": "Status", "OldValue": "open", "NewValue": "stalled"}, "status_changed"),
        ({"Field": "Owner", "OldValue": "6", "NewValue": "42"}, "assigned"),
        ({"Type": "Steal", "Field": "Owner", "NewValue": "42"}, "assigned"),
        ({"Type": "SetWatcher", "Field": "Owner", "NewValue": "42"}, "field_changed"),
        ({"Field": "Queue", "OldValue": "5", "NewValue": "4"}, "queue_changed"),
        ({"Field": "Priority", "OldValue": "0", "NewValue": "100"}, "priority_changed"),
        ({"Type": "Correspond"}, "public_reply"),
        ({"Type": "Correspond", "Creator": SYSTEM}, "public_reply"),
        ({"Type": "Correspond", "Creator": CUSTOMER}, "customer_reply"),
        ({"Type": "Comment"}, "internal_note"),
        ({"Type": "AddLink", "Field": "MergedInto", "NewValue": f"{URI}6"}, "merged"),
        ({"Type": "AddLink", "Field": "MergedInto", "NewValue": f"{URI}7"}, "field_changed"),
        ({"Type": "CustomField", "Field": "2", "NewValue": "5"}, "csat_received"),
        ({"Type": "CustomField", "Field": "4", "NewValue": "5"}, "field_changed"),
        ({"Type": "EmailRecord"}, None),
        ({"Field": "Subject", "NewValue": "My card 6222"}, "field_changed"),
    ],
)
def test_a_transaction_is_one_kind_of_event(record: dict[str, Any], expected: str | None) -> None:
    assert event(**record)["event_type"] == expected


def test_who_did_it_is_staff_the_system_or_a_customer() -> None:
    assert event()["Actor"] == "agent"
    assert event(Creator=SYSTEM)["Actor"] == "system"
    assert event(Creator=CUSTOMER)["Actor"] == "customer"


def test_values_land_only_of_fields_that_are_no_free_text() -> None:
    kept = event(Type="Status", Field="Status", OldValue="new", NewValue="open")
    assert (kept["Old"], kept["New"]) == ("new", "open")
    for record in (
        {"Type": "Set", "Field": "Subject", "NewValue": "My card 6222"},
        {"Type": "CustomField", "Field": "4", "NewValue": "call 138 0013 8000"},
        {"Type": "AddWatcher", "Field": "Cc", "NewValue": "48"},
    ):
        dropped = event(**record)
        assert (dropped["Old"], dropped["New"]) == (None, None), record
    assert event(Type="AddLink", Field="MergedInto", NewValue=f"{URI}6")["New"] == "6"


def test_a_rating_is_a_row_and_an_emptied_one_is_deleted() -> None:
    record = {
        "id": "90", "ObjectId": "7", "Type": "CustomField", "Field": "2", "OldValue": "",
        "NewValue": "5", "Created": "2026-09-01T01:42:00Z", "Creator": CUSTOMER,
    }  # fmt: skip
    [row] = request_tracker.rating(record, beside())
    assert (row["Score"], row["Answer"], row["OwnerId"]) == ("5", "completed", "42")
    [row] = request_tracker.rating({**record, "NewValue": ""}, beside())
    assert row["Answer"] == "deleted"
    assert not list(request_tracker.rating({**record, "Field": "4"}, beside()))
    assert not list(request_tracker.rating({**record, "Type": "Comment"}, beside()))


# ---------------------------------------------------------------- tickets


TICKET = {
    "type": "ticket", "id": "8", "EffectiveId": "8", "Status": "open", "Priority": "50",
    "Queue": {"id": 3, "Name": "Support"}, "Owner": {"id": 42, "Name": "li.na"},
    "Requestor": [{"id": "a@b.example", "EmailAddress": "A@b.example"}],
    "Created": "2026-09-01T01:00:00Z", "Resolved": "1970-01-01T00:00:00Z",
    "LastUpdated": "2026-09-01T03:12:00Z",
    "CustomFields": [
        {"id": "2", "name": "CSAT", "values": ["4"]},
        {"id": "4", "name": "Is Complaint", "values": []},
        {"id": "5", "name": "Tags", "values": ["a", "b"]},
    ],
}  # fmt: skip


def test_a_ticket_row_says_who_holds_it_what_it_is_and_what_it_was_rated() -> None:
    [row] = request_tracker.ticket(TICKET, beside("tickets/000001.json"))
    assert (row["State"], row["MergedInto"], row["OwnerId"]) == ("open", None, "42")
    assert (row["RequestorAddress"], row["Resolved"], row["Rating"]) == ("A@b.example", None, "4")
    assert row["cf"] == {"CSAT": "4", "Is Complaint": None, "Tags": ["a", "b"]}


def test_a_merged_ticket_is_merged_whatever_its_status() -> None:
    [row] = request_tracker.ticket({**TICKET, "EffectiveId": "7"}, beside("tickets/1.json"))
    assert (row["State"], row["MergedInto"]) == ("merged", "7")


def test_nobody_is_no_owner() -> None:
    [row] = request_tracker.ticket({**TICKET, "Owner": {"id": 6, "Name": "Nobody"}}, beside())
    assert row["OwnerId"] is None


def test_a_deleted_ticket_that_lives_again_is_left_to_the_search() -> None:
    whole = {**TICKET, "id": 8, "EffectiveId": {"type": "ticket", "id": "8"}, "Status": "deleted"}
    whole["Owner"] = {"type": "user", "id": "Nobody"}
    [row] = request_tracker.ticket(whole, beside("deleted/000001.json"))
    assert (row["id"], row["State"], row["OwnerId"]) == ("8", "deleted", None)
    again = {**whole, "Status": "open"}
    assert not list(request_tracker.ticket(again, beside("deleted/000001.json")))


# ---------------------------------------------------------------- searches


def test_limits_on_one_field_are_joined_by_and() -> None:
    asked: list[Request] = []

    def answer(request: Request) -> Any:
        asked.append(request)
        return page(request, [], None)

    assert not list(request_tracker._events(call(answer)))
    created = [limit for limit in asked[0].body if limit["field"] == "Created"]
    assert [limit["value"] for limit in created] == ["2026-08-31 16:00:00", "2026-09-30 16:00:00"]
    assert {limit["entry_aggregator"] for limit in asked[0].body} == {"AND"}


def test_a_page_of_hidden_transactions_is_not_the_end() -> None:
    shown = {0: [1, 2], 2: [], 5: [6]}  # by the id after which is asked; 3 and 4 are hidden

    def answer(request: Request) -> Any:
        if request.params["order"] == "DESC":
            return page(request, [{"id": "6"}, {"id": "2"}], None)
        after = int(request.body[-1]["value"])
        further = request.params.get("page", 1) - 1
        ids = shown[after] if not further else [5]
        return page(request, [{"id": str(i)} for i in ids], None, page=further)

    pages = request_tracker._events(call(answer, page_size=2))
    assert [item["id"] for p in pages for item in p.at("items")] == ["1", "2", "5", "6"]


def test_a_newest_transaction_that_is_never_reached_is_a_torn_read() -> None:
    def answer(request: Request) -> Any:
        newest = request.params["order"] == "DESC"
        items = [{"id": "9"}] if newest else []
        return page(request, items, None, page=request.params.get("page", 1))

    with pytest.raises(TransientError, match="changed while it was read"):
        list(request_tracker._events(call(answer)))


@pytest.mark.parametrize(
    ("told", "error", "said"),
    [
        ({"total": None}, ConfigError, "ShowTicket, granted globally"),
        ({"total": 5}, TransientError, "1 records on a page, of 5"),
        ({"per_page": 50}, SourceChanged, "its limit has changed"),
    ],
)
def test_a_page_that_cannot_be_whole_is_refused(
    told: dict[str, Any], error: type[Exception], said: str
) -> None:
    def answer(request: Request) -> Any:
        if request.params["per_page"] == 1:  # the look at the zone
            return page(request, [], 0)
        return {**page(request, [{"id": "1"}], 1), **told}

    with pytest.raises(error, match=said):
        list(request_tracker._tickets(call(answer)))


def test_totals_may_come_as_numbers_of_any_kind() -> None:
    def answer(request: Request) -> Any:
        if request.params["per_page"] == 1:
            return page(request, [], 0)
        return page(request, [{"id": "1"}], 1.0, pages=1.0)

    assert len(list(request_tracker._tickets(call(answer)))) == 1


def _zoned(hours: int, changing: int = 0) -> Callable[[Request], Any]:
    """Answer as RT does for a user whose zone is that many hours ahead of UTC."""
    probes = [0]

    def answer(request: Request) -> Any:
        query = request.params["query"]
        if not query.startswith("id = "):
            return page(request, [{"id": "7", "LastUpdated": "2026-09-30T12:00:00Z"}], 1)
        probes[0] += 1
        honoured = hours == 0 and probes[0] > changing and "'2026-09-30 12:00:00'" in query
        return page(request, [{"id": "7"}] * honoured, int(honoured))

    return answer


def test_a_user_in_utc_is_taken_even_if_the_ticket_looked_at_changes_meanwhile() -> None:
    request_tracker._require_utc(call(_zoned(0)))
    request_tracker._require_utc(call(_zoned(0, changing=2)))


def test_a_user_in_another_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="time zone other than UTC"):
        request_tracker._require_utc(call(_zoned(8)))


@pytest.mark.parametrize("size", ["0", "101", "many"])
def test_a_page_larger_than_rt_gives_is_refused(size: str) -> None:
    with pytest.raises(ConfigError, match="expected 1 to 100"):
        list(request_tracker._tickets(call(_zoned(0), page_size=size)))


def test_customers_are_never_asked_for() -> None:
    asked: list[Any] = []

    def answer(request: Request) -> Any:
        asked.extend(limit["value"] for limit in request.body)
        return page(request, [{"id": 42, "Name": "li.na"}], 1)

    staff = [{"type": "user", "id": "li.na"}, {"type": "group", "id": "5"}]
    one = call(answer)
    one.records = lambda endpoint: iter(staff)  # type: ignore[method-assign]
    list(request_tracker._users(True, one))
    assert asked == ["li.na"]
