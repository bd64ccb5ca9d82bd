"""Zendesk Support: tickets, their events, agents and customer ratings through its REST API.

Reads what changed in a month by incremental exports, paced as the vendor asks; writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from connectors import api, zendesk_rows
from connectors.endpoints import Call, Endpoint, System, first
from connectors.http import Client, Policy, basic, bearer
from connectors.paging import Following, Page, Request, number
from perfhouse.company import Source
from perfhouse.errors import ConfigError, SourceChanged
from perfhouse.settings import Connection

PAGE, MANY = 1000, 100
# a ticket closes at most 28 days after it was solved; until then its rating may be given
RATING_LOOKBACK = timedelta(days=35)


def _client(source: Source, connection: Connection) -> Client:
    per_minute = source.options.get("exports_per_minute", 10)
    if not isinstance(per_minute, int) or per_minute < 1:
        raise ConfigError([f"{source.id}.exports_per_minute: expected a whole number above 0"])
    subdomain = source.options.get("subdomain")
    default = f"https://{subdomain}.zendesk.com" if isinstance(subdomain, str) else ""
    login = connection.login.removesuffix("/token")
    return Client(
        api.base_url(source, connection, default),
        headers={"Accept": "application/json"},
        policy=Policy(per_second=per_minute / 60, paced="/incremental/"),
        credentials=(
            basic(f"{login}/token", connection.password) if login else bearer(connection.password)
        ),
    )


# --- what is fetched


def _list(path: str, **params: Any) -> Request:
    return Request(f"/api/v2/{path}", {**params, "page[size]": MANY})


def _next_in_list(request: Request, page: Page) -> Request | None:
    if _told(page, "meta.has_more") is not True:
        return None
    return request.but(**{"page[after]": _told(page, "meta.after_cursor")})


def _export(call: Call, what: str, **params: Any) -> Request:
    start = int(call.window.start.timestamp())
    return Request(f"/api/v2/incremental/{what}", {"start_time": start, **params})


def _tickets(call: Call) -> Iterator[Page]:
    """Yield every ticket changed since the window's start, up to the first beyond its end."""
    end = call.window.end.timestamp()

    def following(request: Request, page: Page) -> Request | None:
        last = page.last("tickets")
        stamp = number(last.get("generated_timestamp")) if isinstance(last, dict) else None
        if _ended(page) or (stamp or 0) >= end:
            return None
        return request.but(start_time=None, cursor=_told(page, "after_cursor"))

    first = _export(call, "tickets/cursor", per_page=PAGE, include="metric_sets")
    return call.pages(first, following)


def _ended(page: Page) -> bool:
    return _told(page, "end_of_stream") is True


def _told(page: Page, field: str) -> Any:
    """Return what must be told to go on: an export without it would end early, unseen."""
    value = page.at(field)
    if value is None:
        raise SourceChanged(f"{page.request.path}: the answer has no {field!r}")
    return value


def _events(call: Call) -> Iterator[Page]:
    """Yield the window's ticket events; pages overlap at their edges, by the vendor's design."""
    with_comments = call.option("comment_events", "true").lower() == "true"
    include = {"include": "comment_events"} if with_comments else {}
    return call.pages(_export(call, "ticket_events", **include), _by_time(call))


def _by_time(call: Call) -> Following:
    end = call.window.end.timestamp()

    def following(request: Request, page: Page) -> Request | None:
        if _ended(page):
            return None
        until = number(_told(page, "end_time"))
        return None if until is None or until >= end else request.but(start_time=until)

    return following


def _touched(call: Call) -> Iterator[Page]:
    """Yield tickets with events in the window that were changed again after it.

    An export names a ticket once, at its last change: without this, a ticket solved in the month
    and closed by an automation an hour after its end would be missing from the month.
    """
    start, end = call.window.start.timestamp(), call.window.end.timestamp()
    told = {
        number(ticket.get("id"))
        for ticket in _dicts(call, "tickets")
        if start <= (number(ticket.get("generated_timestamp")) or start) < end
    }
    ids = {
        number(event.get("ticket_id"))
        for event in _dicts(call, "ticket_events")
        if (number(event.get("timestamp")) or 0) < end
    }
    yield from _many(call, "tickets", ids - told, include="metric_sets")


def _former(call: Call) -> Iterator[Page]:
    """Yield users who held a ticket in this delivery and are no agents any more."""
    agents = {number(user.get("id")) for user in _dicts(call, "agents")}
    held = {number(ticket.get("assignee_id")) for ticket in _dicts(call, "tickets", "touched")}
    for event in _dicts(call, "ticket_events"):
        children = event.get("child_events")
        for child in children if isinstance(children, list) else ():
            if isinstance(child, dict) and "assignee_id" in child:
                held |= {number(child["assignee_id"]), number(child.get("previous_value"))}
    yield from _many(call, "users", held - agents)


def _many(call: Call, what: str, ids: set[int | None], **params: Any) -> Iterator[Page]:
    wanted = sorted(i for i in ids if i is not None and 0 < i < 1 << 63)
    for at in range(0, len(wanted), MANY):
        listed = ",".join(str(i) for i in wanted[at : at + MANY])
        yield from call.pages(Request(f"/api/v2/{what}/show_many", {"ids": listed, **params}))


def _dicts(call: Call, *endpoints: str) -> Iterator[dict[str, Any]]:
    for endpoint in endpoints:
        yield from (record for record in call.records(endpoint) if isinstance(record, dict))


def _ratings(call: Call) -> Iterator[Page]:
    start, end = (int(at.timestamp()) for at in (call.window.start, call.window.end))
    first = _list("satisfaction_ratings", start_time=start, end_time=end)
    return call.pages(first, _next_in_list)


SYSTEM = System(
    client=_client,
    endpoints=(
        Endpoint("groups", first(lambda _: _list("groups"), _next_in_list), "groups",
                 beside=("tickets",)),
        Endpoint("schedules", first(lambda _: Request("/api/v2/business_hours/schedules")),
                 "schedules", beside=("tickets",), optional=True),
        Endpoint("agents", first(lambda _: _list("users", **{"role[]": ["agent", "admin"]}),
                                 _next_in_list),
                 "users", ("source_users",), beside=("ticket_events",)),
        Endpoint("ticket_events", _events, "ticket_events", ("ticket_events",),
                 beside=("tickets", "source_users")),
        Endpoint("tickets", _tickets, "tickets", ("tickets",),
                 beside=("ticket_events", "source_users")),
        Endpoint("touched", _touched, "tickets", ("tickets",),
                 beside=("ticket_events", "source_users")),
        Endpoint("former_agents", _former, "users", ("source_users",), beside=("ticket_events",)),
        Endpoint("satisfaction_ratings", _ratings, "satisfaction_ratings", ("survey_responses",),
                 lookback=RATING_LOOKBACK, optional=True),
    ),
)  # fmt: skip

CONNECTOR = api.connector(
    name="zendesk",
    title="Zendesk Support",
    reads="tickets, ticket events, agents and satisfaction ratings that changed in the month",
    system=SYSTEM,
    defaults=zendesk_rows.DEFAULTS,
    unfold=zendesk_rows.UNFOLD,
    options=("subdomain", "exports_per_minute", "comment_events"),
    snapshots=("source_users",),
)
