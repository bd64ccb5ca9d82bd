"""ServiceNow through its Table API: incidents, their audited changes and the users.

Reads by keyset on (time, sys_id), for offsets shift while records change; it writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from connectors import api
from connectors.base import Beside, column
from connectors.endpoints import Call, Endpoint, System
from connectors.http import Client, basic
from connectors.paging import Page, Request, number
from perfhouse.company import ColumnMapping, Source, StreamMapping
from perfhouse.errors import ConfigError, TransientError
from perfhouse.settings import Connection

PAGE = 1000
_CHANGED, _MADE = "sys_updated_on", "sys_created_on"
_INCIDENT = (
    "sys_id number sys_created_on sys_updated_on sys_mod_count category priority "
    "incident_state assignment_group assigned_to resolved_by resolved_at closed_at caller_id "
    "contact_type reopen_count reassignment_count made_sla sla_due due_date"
)
_NOTE = "sys_id documentkey sys_created_on user fieldname"  # that there was one, never its text
_AUDIT = f"{_NOTE} oldvalue newvalue"
_USER = "sys_id user_name employee_number email active sys_created_on sys_updated_on"
_AUDITED = ("incident_state", "assigned_to", "assignment_group", "priority")
_NOTES = ("work_notes", "comments")
_ROBOTS = frozenset(("system", "guest"))


def _client(source: Source, connection: Connection) -> Client:
    return Client(
        api.base_url(source, connection),
        headers={"Accept": "application/json"},
        credentials=basic(connection.login, connection.password),
    )


def _within(call: Call, clock: str, whole: bool = False) -> str:
    """Return a condition for the window, or for all of a table up to the window's end."""
    start, end = (f"{at:%Y-%m-%d %H:%M:%S}" for at in (call.window.start, call.window.end))
    return f"{clock}<{end}" if whole else f"{clock}>={start}^{clock}<{end}"


def _incidents(call: Call) -> Iterator[Page]:
    return _pages(call, "incident", _INCIDENT, _CHANGED, [_within(call, _CHANGED)])


def _touched(call: Call) -> Iterator[Page]:
    """Yield incidents made, resolved or closed in the window and changed again after it.

    A table names an incident once, at its last change: without this, one solved in the month and
    closed by itself an hour after its end would be missing from the month.
    """
    after = f"{_CHANGED}>={call.window.end:%Y-%m-%d %H:%M:%S}"
    clocks = (_MADE, "resolved_at", "closed_at")
    wanted = [f"{_within(call, clock)}^{after}" for clock in clocks]
    return _pages(call, "incident", _INCIDENT, _CHANGED, wanted)


def _audits(names: tuple[str, ...], fields: str, call: Call) -> Iterator[Page]:
    about = f"{_within(call, _MADE)}^tablename=incident^fieldnameIN{','.join(names)}"
    return _pages(call, "sys_audit", fields, _MADE, [about])


def _users(call: Call) -> Iterator[Page]:
    return _pages(call, "sys_user", _USER, _MADE, [_within(call, _MADE, whole=True)])


def _pages(call: Call, table: str, fields: str, clock: str, wanted: list[str]) -> Iterator[Page]:
    """Yield a table's records that meet one of the conditions, in the order of (clock, sys_id)."""
    _require_utc(call)
    size = call.whole("page_size", PAGE)
    first = Request(
        f"/api/now/table/{table}",
        {
            "sysparm_query": _query(wanted, clock),
            "sysparm_fields": ",".join(fields.split()),
            "sysparm_limit": size,
            "sysparm_display_value": "false",
            "sysparm_exclude_reference_link": "true",
        },
    )

    def following(request: Request, page: Page) -> Request | None:
        if _is_last(call, page, size):
            return None
        newest = page.last("result")
        at, last = newest[clock], newest["sys_id"]
        after = (f"{clock}={at}^sys_id>{last}", f"{clock}>{at}")
        return request.but(sysparm_query=_query([f"{w}^{a}" for w in wanted for a in after], clock))

    return call.pages(first, following)


def _is_last(call: Call, page: Page, size: int) -> bool:
    """Tell whether nothing follows; a short page alone does not say so: access rules cut it.

    ServiceNow counts and limits first and leaves out afterwards what the account may not see.
    """
    got, told = len(page.records("result")), number(page.headers.get("x-total-count"))
    if told is None:
        return not got
    due = min(told, size)
    if got < due:
        raise TransientError(
            f"{call.source.id}: {page.request.path}: {got:,} records on a page, {due:,} were told: "
            "it changed while it was read, or an access rule (ACL) hides records from the account"
        )
    return got >= told


def _query(conditions: list[str], clock: str) -> str:
    """Write an encoded query: a new query (`^NQ`) for each condition, one order for all."""
    return f"{'^NQ'.join(conditions)}^ORDERBY{clock}^ORDERBYsys_id"


def _require_utc(call: Call) -> None:
    """Refuse a service account whose zone is not UTC: it would shift the window unseen."""
    request = Request(
        "/api/now/table/sys_user",
        {
            "sysparm_query": f"user_name={call.connection.login}",
            "sysparm_fields": "sys_id,time_zone",
            "sysparm_limit": 1,
        },
    )
    if call.planning:
        return
    rows = call.send(request).at("result", [])
    zone = str(rows[0].get("time_zone") or "") if rows else ""
    if zone.upper() not in ("UTC", "GMT", "ETC/UTC"):
        raise ConfigError(
            [f"{call.source.id}: expected the time zone UTC for the service account, got {zone!r}"]
        )


def event(record: Mapping[str, Any], beside: Beside) -> Iterator[dict[str, Any]]:
    """Make an audit record's row: an audit names its user by sign-in name, tickets by sys_id."""
    name = str(record["user"])
    user = beside.lookup("sys_user", "user_name").get(name)
    either = (
        beside.lookup(folder, "sys_id").get(str(record["documentkey"]))
        for folder in ("incident", "touched")
    )
    about: Mapping[str, Any] = next((found for found in either if found), {})
    who: Any = user["sys_id"] if user else name
    role = "system" if name in _ROBOTS else "agent"
    if user and who == about.get("caller_id"):
        role = "customer"
    known = role == "agent" and (user or "@" not in name)
    yield {**record, "actor": who if known else None, "role": role}


def _at(name: str) -> ColumnMapping:
    return ColumnMapping(source=name, time_zone="UTC")


_TICKETS = {
    "ticket_id": column("sys_id"),
    "external_ref": column("number"),
    "category": column("category"),
    "channel": ColumnMapping(
        source="contact_type",
        values={
            **{"phone": "phone", "email": "email", "chat": "chat", "virtual_agent": "chat"},
            **{"self-service": "web", "walk-in": "other", "integration": "api", "sms": "sms"},
        },
        otherwise="other",
    ),
    "raw_channel": column("contact_type"),
    "priority": ColumnMapping(
        source="priority",
        values={"1": "urgent", "2": "high", "3": "normal", "4": "low", "5": "low"},
    ),
    "status": ColumnMapping(
        source="incident_state",
        values={
            **{"1": "new", "2": "open", "3": "hold", "6": "solved", "7": "closed"},
            "8": "closed",
        },
        otherwise="open",
    ),
    "raw_status": column("incident_state"),
    "queue_id": column("assignment_group"),
    "assignee_id": column("assigned_to"),
    "resolved_by_id": column("resolved_by"),
    "requester_key": ColumnMapping(source="caller_id", hash=True),
    "sla_breached": ColumnMapping(
        sql="case made_sla when 'true' then 'false' when 'false' then 'true' end"
    ),
    "sla_due_resolution_at": _at("sla_due"),
    "due_at": _at("due_date"),
    "created_at": _at("sys_created_on"),
    "resolved_at": _at("resolved_at"),
    "closed_at": _at("closed_at"),
    "reopen_count": column("reopen_count"),
    "reassign_count": column("reassignment_count"),
    "source_updated_at": _at("sys_updated_on"),
    "source_seq": column("sys_mod_count"),
}
# a state is told by its number; other fields' values stay as they are
_STATE = """case
    when fieldname not in ('state', 'incident_state') then {0}
    else case {0} when '1' then 'new' when '2' then 'open' when '3' then 'hold'
        when '6' then 'solved' when '7' then 'closed' when '8' then 'closed' else {0} end
end"""
_EVENTS = {
    "event_id": column("sys_id"),
    "ticket_id": column("documentkey"),
    "occurred_at": _at("sys_created_on"),
    "actor_id": column("actor"),
    "actor_type": column("role"),
    "event_type": ColumnMapping(
        sql="""case
            when fieldname = 'work_notes' then 'internal_note'
            when fieldname = 'comments' and role = 'customer' then 'customer_reply'
            when fieldname = 'comments' then 'public_reply'
            when fieldname = 'assigned_to' then 'assigned'
            when fieldname = 'assignment_group' then 'queue_changed'
            when fieldname = 'priority' then 'priority_changed'
            when newvalue = '6' then 'solved'
            when newvalue = '7' then 'closed'
            when oldvalue in ('6', '7') then 'reopened'
            else 'status_changed' end"""
    ),
    "raw_type": column("fieldname"),
    "field": column("fieldname"),
    "old_value": ColumnMapping(sql=_STATE.format("oldvalue")),
    "new_value": ColumnMapping(sql=_STATE.format("newvalue")),
    "is_public": ColumnMapping(
        sql="case fieldname when 'comments' then 'true' when 'work_notes' then 'false' end"
    ),
    "via_automation": ColumnMapping(sql="case when role = 'system' then 'true' else 'false' end"),
    "source_updated_at": _at("sys_created_on"),
}
_USERS = {
    "source_user_id": column("sys_id"),
    "employee_no": column("employee_number"),
    "email_hash": ColumnMapping(sql="lower(trim(email))", hash=True),
    # who signs in by an address is known by its hash alone
    "login": ColumnMapping(sql="case when user_name not like '%@%' then user_name end"),
    "is_active": column("active"),
    "source_updated_at": _at("sys_updated_on"),
}


def _mapping(stream: str, columns: dict[str, ColumnMapping], *ignore: str) -> StreamMapping:
    options: dict[str, Any] = {"format": api.FORMAT, "null_values": ["", "NULL"]}
    return StreamMapping(stream, options, None, columns, ignore)


def _endpoint(name: str, pages: Any, streams: tuple[str, ...], *beside: str) -> Endpoint:
    return Endpoint(name, pages, "result", streams, beside)


SYSTEM = System(
    client=_client,
    endpoints=(
        _endpoint("incident", _incidents, ("tickets",), "ticket_events"),
        _endpoint("touched", _touched, ("tickets",), "ticket_events"),
        _endpoint("sys_audit", partial(_audits, _AUDITED, _AUDIT), ("ticket_events",)),
        _endpoint("notes", partial(_audits, _NOTES, _NOTE), ("ticket_events",)),
        _endpoint("sys_user", _users, ("source_users",), "ticket_events"),
    ),
)
CONNECTOR = api.connector(
    name="servicenow",
    title="ServiceNow",
    reads="incidents, audited changes and users changed in the month, by the Table API",
    system=SYSTEM,
    defaults={
        "tickets": _mapping("tickets", _TICKETS),
        "ticket_events": _mapping("ticket_events", _EVENTS, "user"),
        "source_users": _mapping("source_users", _USERS),
    },
    unfold={"ticket_events": event},
    options=("page_size",),
    snapshots=("source_users",),
)
