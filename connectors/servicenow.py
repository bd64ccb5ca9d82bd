"""ServiceNow through its Table API: incidents, their audited changes and the users.

Reads by keyset on (time, sys_id), for offsets shift while records change; it writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from connectors import api
from connectors.api import Call, Endpoint, System
from connectors.http import Client, basic
from connectors.paging import Page, Request
from perfhouse.company import ColumnMapping, Source, StreamMapping
from perfhouse.errors import ConfigError
from perfhouse.settings import Connection

PAGE = 1000
_FIELDS = {
    "incident": "sys_id number sys_created_on sys_updated_on sys_mod_count category priority "
    "incident_state assignment_group assigned_to resolved_by resolved_at closed_at caller_id "
    "contact_type reopen_count reassignment_count made_sla sla_due due_date",
    "sys_audit": "sys_id documentkey sys_created_on user fieldname oldvalue newvalue",
    "sys_user": "sys_id user_name employee_number email active sys_created_on sys_updated_on",
}
_AUDITED = ("incident_state", "assigned_to", "assignment_group", "priority", "work_notes")


def _client(source: Source, connection: Connection) -> Client:
    return Client(
        api.base_url(source, connection),
        headers={"Accept": "application/json"},
        credentials=basic(connection.login, connection.password),
    )


def _pages(table: str, clock: str, extra: str, call: Call, whole: bool = False) -> Iterator[Page]:
    """Yield a table's records whose `clock` lies in the window, in the order of (clock, sys_id).

    The `whole` table up to the window's end is read where each month needs all of it: users.
    """
    _require_utc(call)
    size = int(call.option("page_size", str(PAGE)))
    end = f"{call.window.end:%Y-%m-%d %H:%M:%S}"
    begin = "1970-01-01 00:00:00" if whole else f"{call.window.start:%Y-%m-%d %H:%M:%S}"
    start = f"{clock}>={begin}"
    first = Request(
        f"/api/now/table/{table}",
        {
            "sysparm_query": _query([start], clock, end, extra),
            "sysparm_fields": ",".join(_FIELDS[table].split()),
            "sysparm_limit": size,
            "sysparm_display_value": "false",
            "sysparm_exclude_reference_link": "true",
        },
    )

    def following(request: Request, page: Page) -> Request | None:
        if len(page.records("result")) < size:
            return None
        newest = page.last("result")
        at, last = newest[clock], newest["sys_id"]
        after = [f"{clock}={at}^sys_id>{last}", f"{clock}>{at}"]
        return request.but(sysparm_query=_query(after, clock, end, extra))

    return call.pages(first, following)


def _query(starts: list[str], clock: str, end: str, extra: str) -> str:
    """Write an encoded query: a new query (`^NQ`) for each start, one order for all."""
    parts = [f"{start}^{clock}<{end}{extra}" for start in starts]
    return f"{'^NQ'.join(parts)}^ORDERBY{clock}^ORDERBYsys_id"


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


def _field(name: str) -> ColumnMapping:
    return ColumnMapping(source=name)


def _at(name: str) -> ColumnMapping:
    return ColumnMapping(source=name, time_zone="UTC")


_TICKETS = {
    "ticket_id": _field("sys_id"),
    "external_ref": _field("number"),
    "category": _field("category"),
    "channel": ColumnMapping(
        source="contact_type",
        values={
            **{"phone": "phone", "email": "email", "chat": "chat", "virtual_agent": "chat"},
            **{"self-service": "web", "walk-in": "other", "integration": "api", "sms": "sms"},
        },
        otherwise="other",
    ),
    "raw_channel": _field("contact_type"),
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
    "raw_status": _field("incident_state"),
    "queue_id": _field("assignment_group"),
    "assignee_id": _field("assigned_to"),
    "resolved_by_id": _field("resolved_by"),
    "requester_key": ColumnMapping(source="caller_id", hash=True),
    "sla_breached": ColumnMapping(
        sql="case made_sla when 'true' then 'false' when 'false' then 'true' end"
    ),
    "sla_due_resolution_at": _at("sla_due"),
    "due_at": _at("due_date"),
    "created_at": _at("sys_created_on"),
    "resolved_at": _at("resolved_at"),
    "closed_at": _at("closed_at"),
    "reopen_count": _field("reopen_count"),
    "reassign_count": _field("reassignment_count"),
    "source_updated_at": _at("sys_updated_on"),
    "source_seq": _field("sys_mod_count"),
}
_EVENTS = {
    "event_id": _field("sys_id"),
    "ticket_id": _field("documentkey"),
    "occurred_at": _at("sys_created_on"),
    "actor_id": _field("user"),
    "event_type": ColumnMapping(
        sql="""case
            when fieldname = 'work_notes' then 'internal_note'
            when fieldname = 'assigned_to' then 'assigned'
            when fieldname = 'assignment_group' then 'queue_changed'
            when fieldname = 'priority' then 'priority_changed'
            when newvalue = '6' then 'solved'
            when newvalue = '7' then 'closed'
            when oldvalue in ('6', '7') then 'reopened'
            else 'status_changed' end"""
    ),
    "raw_type": _field("fieldname"),
    "field": _field("fieldname"),
    # notes are free text: never landed
    "old_value": ColumnMapping(sql="case when fieldname <> 'work_notes' then oldvalue end"),
    "new_value": ColumnMapping(sql="case when fieldname <> 'work_notes' then newvalue end"),
    "source_updated_at": _at("sys_created_on"),
}
_USERS = {
    "source_user_id": _field("sys_id"),
    "employee_no": _field("employee_number"),
    "email_hash": ColumnMapping(sql="lower(trim(email))", hash=True),
    "login": _field("user_name"),
    "is_active": _field("active"),
    "source_updated_at": _at("sys_updated_on"),
}


def _mapping(stream: str, columns: dict[str, ColumnMapping]) -> StreamMapping:
    options: dict[str, Any] = {"format": api.FORMAT, "null_values": ["", "NULL"]}
    return StreamMapping(stream, options, None, columns, ())


_AUDIT_ONLY = f"^tablename=incident^fieldnameIN{','.join(_AUDITED)}"
SYSTEM = System(
    client=_client,
    endpoints=(
        Endpoint(
            "incident",
            partial(_pages, "incident", "sys_updated_on", ""),
            records="result",
            streams=("tickets",),
        ),
        Endpoint(
            "sys_audit",
            partial(_pages, "sys_audit", "sys_created_on", _AUDIT_ONLY),
            records="result",
            streams=("ticket_events",),
        ),
        Endpoint(
            "sys_user",
            partial(_pages, "sys_user", "sys_created_on", "", whole=True),
            records="result",
            streams=("source_users",),
        ),
    ),
)
CONNECTOR = api.connector(
    name="servicenow",
    title="ServiceNow",
    reads="incidents, audited changes and users changed in the month, by the Table API",
    system=SYSTEM,
    defaults={
        "tickets": _mapping("tickets", _TICKETS),
        "ticket_events": _mapping("ticket_events", _EVENTS),
        "source_users": _mapping("source_users", _USERS),
    },
    options=("page_size",),
)
