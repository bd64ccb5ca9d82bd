"""Request Tracker 5 through its REST2 interface: tickets, transactions, ratings and staff.

Reads by keyset on the id, for pages shift while tickets change; it writes nothing to RT.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from connectors import api, instants
from connectors.base import Beside, column
from connectors.endpoints import Call, Endpoint, System
from connectors.http import Client, Credentials
from connectors.paging import Page, Request, number
from perfhouse.company import ColumnMapping, Source, StreamMapping
from perfhouse.errors import ConfigError, SourceChanged, TransientError
from perfhouse.settings import Connection

REST = "/REST/2.0"
MOST = 100  # RT answers no more records a page than this, whatever it is asked
_MOST_HIDDEN = 100  # pages in a row of which the token's user may see nothing
NOBODY = "Nobody"
SYSTEM_USER = "RT_System"
_TIME = "%Y-%m-%d %H:%M:%S"
_WIDEST = timedelta(hours=15)  # no zone lies further from UTC
_UNSET = "1970-01-01T00:00:00Z"
_TICKET = "RT::Ticket"
_TICKET_URI = re.compile(r"/ticket/(\d+)$")
_TICKET_FIELDS = {
    "fields": "EffectiveId,Status,Queue,Owner,Requestor,Priority,SLA,Created,Resolved,Due,"
    "LastUpdated,CustomFields",
    "fields[Owner]": "id,Name",  # the id of a user is a number only where it is asked for
    "fields[Queue]": "id,Name",
    "fields[Requestor]": "EmailAddress",
}
_EVENT_FIELDS = {
    "fields": "Type,Field,OldValue,NewValue,Created,Creator,ObjectId,TimeTaken",
    "fields[Creator]": "id,Name",
}
# of other fields old and new values may be free text, such as a subject
_TOLD_FIELDS = frozenset(("Status", "Owner", "Queue", "Priority", "SLA"))


def _client(source: Source, connection: Connection) -> Client:
    token = Credentials("Authorization", connection.password, prefix="token ")
    return Client(api.base_url(source, connection), {"Accept": "application/json"}, None, token)


# ---------------------------------------------------------------- requests


def _size(call: Call) -> int:
    size = number(call.option("page_size", str(MOST)))
    if size is None or not 1 <= size <= MOST:
        raise ConfigError([f"{call.source.id}.page_size: expected 1 to {MOST}, RT's own limit"])
    return size


def _list(
    call: Call, path: str, fields: Mapping[str, str], limits: list[dict[str, Any]]
) -> Request:
    """Return a search by limits on columns; instants in them are UTC, whoever asks."""
    # RT joins limits on one field by OR unless told otherwise, which undoes a window
    body = [{"entry_aggregator": "AND", **limit} for limit in limits]
    params = {"orderby": "id", "per_page": _size(call), **fields}
    return Request(f"{REST}/{path}", params, body, "POST")


def _limit(field: str, value: Any, operator: str = "=", **more: str) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value, **more}


def _right(name: str) -> str:
    return f"the right {name}, granted globally"


def _visible(call: Call, page: Page, right: str) -> int:
    """Return the total of a page; RT tells none to a user who may not see all of it."""
    total = number(page.at("total"))
    if total is None:
        raise ConfigError(
            [
                f"{call.source.id}: RT tells no total of {page.request.path}, for the token's user "
                f"may not see all of it: it needs {right}"
            ]
        )
    asked = number(page.request.params.get("per_page"))
    if asked != number(page.at("per_page")):
        raise SourceChanged(
            f"{page.request.path}: asked for {asked} records a page, RT gives "
            f"{page.at('per_page')}: its limit has changed"
        )
    got = len(page.records("items"))
    if got != min(total, asked or 0):
        raise TransientError(
            f"{call.source.id}: {page.request.path}: {got:,} records on a page, of {total:,} that "
            "were told: RT changed while it was read"
        )
    return total


def _whole(path: str, field: str, value: str, right: str, call: Call) -> Iterator[Page]:
    """Yield all things of a small kind; refuse when some are hidden from us."""
    request = _list(call, path, {"fields": "Name"}, [_limit(field, value)])
    yield from _keyset(call, request, right)


def _keyset(call: Call, request: Request, right: str) -> Iterator[Page]:
    """Yield pages of a search by limits, each beginning after the last id of the one before."""

    def following(before: Request, page: Page) -> Request | None:
        if _visible(call, page, right) <= len(page.records("items")):
            return None
        after = _limit("id", _last_id(before, page), ">", entry_aggregator="AND")
        return Request(request.path, request.params, [*request.body, after], request.method)

    return call.pages(request, following)


def _last_id(request: Request, page: Page) -> int:
    items = page.at("items")
    found = [number(item.get("id")) if isinstance(item, dict) else None for item in items]
    if not found or None in found or sorted(found, key=lambda n: n or 0) != found:
        raise SourceChanged(f"{request.path}: the answer is not in the order of its ids")
    return found[-1] or 0


def _tickets(call: Call) -> Iterator[Page]:
    """Yield tickets whose last change lies in the window, merged ones too."""
    if not call.planning:
        _require_utc(call)
    start, end = f"{call.window.start:{_TIME}}", f"{call.window.end:{_TIME}}"
    yield from _found(call, f"LastUpdated >= '{start}' AND LastUpdated < '{end}'")


def _touched(call: Call) -> Iterator[Page]:
    """Yield tickets with transactions in the window whose last change lies outside of it.

    A search by the last change finds a ticket in one month only: without this, a ticket solved
    in the month and asked about an hour after its end would be missing from the month. And a
    merge need not count as a change of the ticket that ended.
    """
    start, end = f"{call.window.start:{_TIME}}", f"{call.window.end:{_TIME}}"
    outside = f"(LastUpdated >= '{end}' OR LastUpdated < '{start}')"
    return _found(call, f"{outside} AND Updated >= '{start}' AND Updated < '{end}'")


def _found(call: Call, frame: str) -> Iterator[Page]:
    first = _search(f"id > 0 AND {frame}", _size(call), **_TICKET_FIELDS)
    last = 0

    def following(request: Request, page: Page) -> Request | None:
        nonlocal last
        if _visible(call, page, _right("ShowTicket")) <= len(page.records("items")):
            return None
        here = _last_id(request, page)
        if here <= last:
            raise SourceChanged(f"{request.path}: the source repeats a page")
        last = here
        return _search(f"id > {here} AND {frame}", _size(call), **_TICKET_FIELDS)

    return call.pages(first, following)


def _search(query: str, size: int, order: str = "", **fields: str) -> Request:
    # RT leaves merged tickets out of every search that does not speak of EffectiveId
    by = {"orderby": order, "order": "DESC"} if order else {"orderby": "id"}
    params = {"query": f"{query} AND EffectiveId > 0", **by, "per_page": size, **fields}
    return Request(f"{REST}/tickets", params)


def _require_utc(call: Call) -> None:
    """Refuse a user whose zone is not UTC: RT reads the instants of a search in it.

    What RT does is looked at, not what the user's settings say: they may leave it to the server.
    The newest ticket before the window's end and before its start are looked up by the second of
    their last change; the searches for them are wide enough for any zone.
    """
    for bound in (call.window.end, call.window.start):
        near = f"LastUpdated < '{bound + _WIDEST:{_TIME}}'"
        if not any(_honoured(call, near) for _ in range(3)):  # a ticket may change meanwhile
            raise ConfigError(
                [
                    f"{call.source.id}: the token's user has a time zone other than UTC, in which "
                    "RT would read our searches: set it to UTC under Preferences, About me"
                ]
            )


def _honoured(call: Call, near: str) -> bool:
    newest = call.send(_search(near, 1, "LastUpdated", fields="LastUpdated")).at("items")
    if not newest:
        return True
    ticket, text = newest[0]["id"], newest[0]["LastUpdated"]
    at = instants.parsed(text, "LastUpdated")
    if at is None:
        return True
    second = (
        f"LastUpdated >= '{at:{_TIME}}' AND LastUpdated < '{at + timedelta(seconds=1):{_TIME}}'"
    )
    found = call.send(_search(f"id = {number(ticket)} AND {second}", 1))
    total = number(found.at("total"))
    if total not in (0, 1):
        raise SourceChanged(f"{REST}/tickets: one ticket was asked for, RT tells of {total}")
    return total == 1


def _transactions(call: Call, *limits: dict[str, Any], order: str = "ASC") -> Request:
    window = (
        _limit("Created", f"{call.window.start:{_TIME}}", ">="),
        _limit("Created", f"{call.window.end:{_TIME}}", "<"),
    )
    request = _list(
        call, "transactions", _EVENT_FIELDS, [_limit("ObjectType", _TICKET), *window, *limits]
    )
    return request.but(order=order)


def _events(call: Call) -> Iterator[Page]:
    """Yield the window's transactions by keyset up to the newest, which is asked for first.

    RT tells no total of transactions and leaves out of a page what we may not see, so a short
    page, even an empty one, says nothing about the end.
    """
    if call.planning:
        call.send(_transactions(call, _limit("id", 0, ">")))
    newest = call.send(_transactions(call, order="DESC")).at("items")
    if not newest:
        return iter(())
    end = number(newest[0]["id"]) or 0

    def following(request: Request, page: Page) -> Request | None:
        if not page.at("items"):
            return _past_hidden(call, request)
        here = _last_id(request, page)
        return _transactions(call, _limit("id", here, ">")) if here < end else None

    return call.pages(_transactions(call, _limit("id", 0, ">")), following)


def _past_hidden(call: Call, request: Request) -> Request:
    """Look further where a whole page of transactions was hidden from us."""
    further = int(request.params.get("page", 1)) + 1
    if further > _MOST_HIDDEN:
        raise TransientError(
            f"{call.source.id}: {request.path}: the newest transaction of the month was told, and "
            "is not found: RT changed while it was read"
        )
    return request.but(page=further)


def _deleted(call: Call) -> Iterator[Page]:
    """Yield each ticket deleted in the window: no search of RT ever returns one."""
    limits = (_limit("Type", "Status"), _limit("NewValue", "deleted"))

    def following(request: Request, page: Page) -> Request | None:
        if not page.at("items"):
            return None
        return _transactions(call, *limits, _limit("id", _last_id(request, page), ">"))

    pages = call.pages(_transactions(call, *limits), following)
    gone = {_id(item["ObjectId"]) for page in pages for item in page.at("items")}
    for found in sorted(gone, key=int):
        yield call.send(Request(f"{REST}/ticket/{found}"))


def _staff(call: Call) -> Iterator[Page]:
    """Yield the group of all privileged users, whose members are staff and no customers."""
    request = _list(
        call,
        "groups",
        {"fields": "Name"},
        [_limit("Domain", "SystemInternal"), _limit("Name", "Privileged")],
    )
    found = call.send(request)
    _visible(call, found, _right("SeeGroup"))
    groups = found.at("items")
    if len(groups) != 1:
        raise SourceChanged(f"{request.path}: expected one group Privileged, got {len(groups)}")
    yield call.send(Request(f"{REST}/group/{groups[0]['id']}"))


def _users(disabled: bool, call: Call) -> Iterator[Page]:
    """Yield the accounts of the staff by name, some at a time; customers are never asked for."""
    members = [m for m in call.records("staff") if isinstance(m, dict) and m.get("type") == "user"]
    fields = {"fields": "id,Name,EmailAddress,LastUpdated"}
    size = _size(call)
    for at in range(0, len(members), size):
        names = [_id(member) for member in members[at : at + size]]
        limits = [_limit("Name", name, entry_aggregator="OR") for name in names]
        request = _list(call, "users", fields, limits)
        page = call.send(request.but(find_disabled_rows=1 if disabled else None))
        if _visible(call, page, "the status privileged") != len(names) and disabled:
            raise SourceChanged(
                f"{request.path}: asked for {len(names)} users by name, RT found "
                f"{page.at('total')}: it does not limit by name"
            )
        yield page


# ---------------------------------------------------------------- records to rows


def _set(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record without the instants that RT writes for never."""
    return {k: None if v == _UNSET else v for k, v in record.items()}


def _id(thing: Any) -> str:
    """Return the id of a reference, which RT writes as an object, a text or a number."""
    found = thing["id"] if isinstance(thing, dict) else thing
    if not isinstance(found, str | int) or isinstance(found, bool):
        raise TypeError("an id is text or a number")
    return str(found)


def _person(thing: Any) -> str | None:
    """Return a user's number; None for nobody."""
    if thing is None or thing.get("Name", thing["id"]) == NOBODY:
        return None
    return _id(thing) if _id(thing).isdigit() else None


def _fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return custom fields by name: a text, or a list where there are several values."""
    found = {}
    for each in record.get("CustomFields") or ():
        values = each["values"]
        found[str(each["name"])] = values[0] if len(values) == 1 else values or None
    return found


def ticket(record: Any, beside: Beside) -> Iterable[Mapping[str, Any]]:
    """Make a ticket's row; a deleted one that lives again is found by the search instead."""
    if beside.name.startswith("deleted/") and record["Status"] != "deleted":
        return
    into = _id(record["EffectiveId"])
    merged = into != _id(record["id"])
    fields = _fields(record)
    asked = record.get("Requestor") or [{}]
    yield {
        **_set(record),
        "id": _id(record["id"]),
        "State": "merged" if merged else record["Status"],
        "MergedInto": into if merged else None,
        "OwnerId": _person(record.get("Owner")),
        "RequestorAddress": asked[0].get("EmailAddress") or asked[0].get("id"),
        "cf": fields,
        "Rating": fields.get(str(beside.options.get("csat_field"))),
    }


def event(record: Any, beside: Beside) -> Iterable[Mapping[str, Any]]:
    """Make a transaction's row: who did it, and values only of fields that are no free text."""
    creator = record["Creator"]
    name = str(creator.get("Name", creator["id"]))
    told = record.get("Field") in _TOLD_FIELDS
    linked = _TICKET_URI.search(str(record.get("NewValue") or ""))
    into = linked[1] if linked and record.get("Field") == "MergedInto" else None
    custom = record.get("Type") == "CustomField"
    field = _rated(record, beside) if custom else record.get("Field")
    yield {
        **_set(record),
        "FieldName": field,
        "Actor": "system" if name == SYSTEM_USER else _kind(name, beside),
        "Old": record.get("OldValue") if told else None,
        "New": record.get("NewValue") if told else into,
        # both tickets of a merge keep a record of it; the one that lives on was not merged
        "IsMerge": "true" if into and into != _id(record["ObjectId"]) else "false",
        "IsRating": "true" if custom and _is_rating(field, beside) else "false",
    }


def _kind(name: str, beside: Beside) -> str:
    return "agent" if name in beside.lookup("staff", "id") else "customer"


def _rated(record: Mapping[str, Any], beside: Beside) -> str | None:
    known = beside.lookup("customfields", "id").get(str(record.get("Field")))
    return str(known["Name"]) if known else None


def _is_rating(field: str | None, beside: Beside) -> bool:
    return field is not None and field == beside.options.get("csat_field")


def rating(record: Any, beside: Beside) -> Iterable[Mapping[str, Any]]:
    """Make a row of each transaction that set the field customers rate in."""
    if record.get("Type") != "CustomField":
        return
    field = _rated(record, beside)
    if not _is_rating(field, beside):
        return
    ticket_id = _id(record["ObjectId"])
    either = (beside.lookup(name, "id").get(ticket_id) for name in ("tickets", "touched"))
    rated = next((found for found in either if found), None)
    yield {
        **_set(record),
        "FieldName": field,
        "Score": record["NewValue"],
        "Answer": "completed" if record["NewValue"] else "deleted",
        "OwnerId": _person(rated.get("Owner")) if rated else None,
    }


def user(record: Any, beside: Beside) -> Iterable[Mapping[str, Any]]:
    """Make an account's row; RT tells who is disabled only by leaving them out of a search."""
    active = _id(record["id"]) in beside.lookup("active", "id")
    yield {**_set(record), "id": _id(record["id"]), "Active": "true" if active else "false"}


# ---------------------------------------------------------------- mappings


def _at(name: str) -> ColumnMapping:
    return ColumnMapping(source=name, time_zone="UTC")


_TICKETS = {
    "ticket_id": column("id"),
    # RT's own words: low 0, medium 50, high 100
    "priority": ColumnMapping(
        sql="case when try_cast(\"Priority\" as integer) >= 100 then 'high' "
        "when try_cast(\"Priority\" as integer) >= 50 then 'normal' "
        "when try_cast(\"Priority\" as integer) is not null then 'low' end"
    ),
    "status": ColumnMapping(
        source="State",
        values={
            **{"new": "new", "open": "open", "stalled": "pending", "resolved": "solved"},
            **{"rejected": "closed", "deleted": "deleted", "merged": "merged"},
        },
    ),
    "raw_status": column("Status"),
    "queue_id": column("Queue.id"),
    "queue_name": column("Queue.Name"),
    "assignee_id": column("OwnerId"),
    "requester_key": ColumnMapping(sql='lower(trim("RequestorAddress"))', hash=True),
    "sla_policy": column("SLA"),
    "created_at": _at("Created"),
    # RT notes when a ticket became inactive: rejected ones were closed, not solved
    "resolved_at": ColumnMapping(
        sql="case when \"Status\" not in ('rejected', 'deleted') then \"Resolved\" end",
        time_zone="UTC",
    ),
    "closed_at": ColumnMapping(
        sql='case when "Status" = \'rejected\' then "Resolved" end', time_zone="UTC"
    ),
    "due_at": _at("Due"),
    "merged_into": column("MergedInto"),
    # a rating that is no number keeps no ticket out: the answer is judged by itself
    "csat_score": ColumnMapping(sql='try_cast("Rating" as decimal(9, 4))'),
    "source_updated_at": _at("LastUpdated"),
    # a merge need not move LastUpdated: the merged version is the newer one all the same
    "source_seq": ColumnMapping(sql="case when \"State\" = 'merged' then 1 else 0 end"),
}
_EVENTS = {
    "event_id": column("id"),
    "ticket_id": column("ObjectId"),
    "seq": column("id"),
    "occurred_at": _at("Created"),
    "actor_id": column("Creator.id"),
    "actor_type": column("Actor"),
    "event_type": ColumnMapping(
        sql="""case
            when "Type" = 'Create' then 'created'
            when "Type" = 'Status' and "NewValue" = 'resolved' then 'solved'
            when "Type" = 'Status' and "NewValue" = 'rejected' then 'closed'
            when "Type" = 'Status' and "NewValue" = 'deleted' then 'deleted'
            when "Type" = 'Status' and "OldValue" in ('resolved', 'rejected', 'deleted')
                then 'reopened'
            when "Type" = 'Status' then 'status_changed'
            when "Type" in ('Set', 'Give', 'Take', 'Untake', 'Steal', 'Force')
                and "Field" = 'Owner' then 'assigned'
            when "Type" = 'Set' and "Field" = 'Queue' then 'queue_changed'
            when "Type" = 'Set' and "Field" = 'Priority' then 'priority_changed'
            when "Type" = 'Correspond' and "Actor" = 'customer' then 'customer_reply'
            when "Type" = 'Correspond' then 'public_reply'
            when "Type" = 'Comment' then 'internal_note'
            when "IsMerge" = 'true' then 'merged'
            when "IsRating" = 'true' then 'csat_received'
            when "Type" not in ('EmailRecord', 'CommentEmailRecord') then 'field_changed' end"""
    ),
    "raw_type": column("Type"),
    "field": column("FieldName"),
    "old_value": column("Old"),
    "new_value": column("New"),
    "is_public": ColumnMapping(
        sql="case \"Type\" when 'Correspond' then 'true' when 'Comment' then 'false' end"
    ),
    "via_automation": ColumnMapping(
        sql="case when \"Actor\" = 'system' then 'true' else 'false' end"
    ),
    "time_spent_ms": ColumnMapping(sql='try(try_cast("TimeTaken" as bigint) * 60000)'),
    "source_updated_at": _at("Created"),
    "source_seq": column("id"),
}
_RATINGS = {
    # one ticket has one rating; a changed one is a newer version of it
    "response_id": column("ObjectId"),
    "survey_id": column("FieldName"),
    "survey_kind": ColumnMapping(value="csat"),
    "question_id": column("FieldName"),
    "metric": ColumnMapping(value="csat"),
    "status": column("Answer"),
    "submitted_at": _at("Created"),
    "score": column("Score"),
    "scale_min": ColumnMapping(value=1),
    "scale_max": ColumnMapping(value=5),
    "score_choice": column("Score"),
    "agent_id": column("OwnerId"),
    "ticket_id": column("ObjectId"),
    "rater_type": ColumnMapping(value="customer"),
    "source_updated_at": _at("Created"),
    "source_seq": column("id"),
}
_USERS = {
    "source_user_id": column("id"),
    "email_hash": ColumnMapping(sql='lower(trim("EmailAddress"))', hash=True),
    # who signs in by an address is known by its hash alone
    "login": ColumnMapping(sql='case when "Name" not like \'%@%\' then "Name" end'),
    "role": ColumnMapping(value="agent"),
    "is_active": column("Active"),
    "source_updated_at": _at("LastUpdated"),
}


def _mapping(stream: str, columns: dict[str, ColumnMapping], *ignore: str) -> StreamMapping:
    quiet = ("_url", "type", *ignore)
    return StreamMapping(stream, {"format": api.FORMAT}, None, columns, quiet)


_REFERENCES = ("EffectiveId", "CustomFields", "Owner", "Requestor", "Queue._url", "Queue.type")
# what RT tells of a single ticket beside what its searches are asked for
_WHOLE = (
    *("_hyperlinks", "AdminCc", "Cc", "Creator", "FinalPriority", "InitialPriority", "Started"),
    *("LastUpdatedBy", "Starts", "Subject", "TimeEstimated", "TimeLeft", "TimeWorked", "Told"),
    *("Type", "OwnerId", "cf"),
)
_CHANGE = ("Creator", "OldValue", "NewValue", "Field", "TimeTaken", "Type")
SYSTEM = System(
    client=_client,
    endpoints=(
        Endpoint(
            "queues",
            partial(_whole, "queues", "Disabled", "0", _right("SeeQueue")),
            records="items",
            beside=("tickets",),
        ),
        Endpoint(
            "customfields",
            partial(
                _whole,
                "customfields",
                "LookupType",
                "RT::Queue-RT::Ticket",
                _right("SeeCustomField"),
            ),
            records="items",
            beside=("ticket_events", "survey_responses"),
        ),
        Endpoint("staff", _staff, records="Members", beside=("ticket_events", "source_users")),
        Endpoint("users", partial(_users, True), records="items", streams=("source_users",)),
        Endpoint("active", partial(_users, False), records="items", beside=("source_users",)),
        Endpoint("tickets", _tickets, "items", streams=("tickets",), beside=("survey_responses",)),
        Endpoint("touched", _touched, "items", streams=("tickets",), beside=("survey_responses",)),
        Endpoint("deleted", _deleted, streams=("tickets",)),
        Endpoint("transactions", _events, "items", streams=("ticket_events", "survey_responses")),
    ),
)
CONNECTOR = api.connector(
    name="request_tracker",
    title="Request Tracker",
    reads="tickets and transactions changed in the month and the staff, by REST2",
    system=SYSTEM,
    defaults={
        "tickets": _mapping("tickets", _TICKETS, *_REFERENCES, *_WHOLE),
        "ticket_events": _mapping("ticket_events", _EVENTS),
        "survey_responses": _mapping("survey_responses", _RATINGS, *_CHANGE),
        "source_users": _mapping("source_users", _USERS),
    },
    unfold={
        "tickets": ticket,
        "ticket_events": event,
        "survey_responses": rating,
        "source_users": user,
    },
    options=("csat_field", "page_size"),
    snapshots=("source_users",),
)
