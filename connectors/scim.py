"""SCIM 2.0 directories: the people as they stand, with managers, as roster and accounts.

Reads every user once, in an order that does not move, and refuses a torn read; writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from connectors import api, rosters
from connectors.base import Beside, column
from connectors.endpoints import Call, Endpoint, System
from connectors.http import Answer, Client, basic, bearer
from connectors.paging import Page, Request, by_offset, number
from perfhouse.company import ColumnMapping, Source, StreamMapping
from perfhouse.errors import ConfigError, SourceChanged, TransientError
from perfhouse.settings import Connection

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PAGE = 100
_WORK = ("employeeNumber", "costCenter", "organization", "division", "department", "manager")
# what is asked for; telephone numbers, addresses and the like stay where they are
_ATTRIBUTES = (
    *("id", "userName", "displayName", "name", "title", "userType", "active", "emails", "meta"),
    *(f"{ENTERPRISE}:{name}" for name in _WORK),
)
_IN_ORDER = by_offset("startIndex", "Resources", "totalResults")


def _client(source: Source, connection: Connection) -> Client:
    if connection.login:
        credentials = basic(connection.login, connection.password)
    else:
        credentials = bearer(connection.password)
    return Client(
        api.base_url(source, connection),
        headers={"Accept": "application/scim+json, application/json"},
        credentials=credentials,
    )


def _users(call: Call) -> Iterator[Page]:
    """Yield every user, oldest first: an order that new ones join at the end."""
    size = number(call.option("page_size", str(PAGE)))
    if not size or size < 1:
        raise ConfigError([f"{call.source.id}.page_size: expected a whole number above 0"])
    sort = call.option("sort_by", "meta.created")
    more = (*call.options("attributes"), *call.options("hire_date"))
    asked = ",".join(dict.fromkeys((*_ATTRIBUTES, *more)))
    order = {"sortBy": sort, "sortOrder": "ascending"} if sort else {}
    first = Request("/Users", {"startIndex": 1, "count": size, **order, "attributes": asked})
    told: int | None = None

    def following(request: Request, page: Page) -> Request | None:
        nonlocal told
        total = _total(page)
        if told is not None and total != told:
            raise TransientError(
                f"{call.source.id}: {told:,} users were told, then {total:,}: the directory "
                "changed while it was read; nothing was landed"
            )
        told = total
        return _IN_ORDER(request, page)

    for page in call.pages(first, following):
        _check_age(call, page)
        yield page


def _total(page: Page) -> int:
    total = number(page.at("totalResults"))
    if total is None:
        raise SourceChanged(f"{page.request.path}: the answer has no 'totalResults'")
    return total


def _check_age(call: Call, page: Page) -> None:
    taken = Answer(200, page.headers, b"").date
    if taken is not None:
        rosters.check_age(call.source, call.window.month, call.window.end, taken)


# ---------------------------------------------------------------- records to rows


def _address(record: Mapping[str, Any]) -> str | None:
    """Return the primary address, else one for work, else the first."""
    emails = record.get("emails") or []
    ranked = sorted(emails, key=lambda e: (e.get("primary") is not True, e.get("type") != "work"))
    return ranked[0]["value"] if ranked else None


def _name(record: Mapping[str, Any]) -> str | None:
    name = record.get("name") or {}
    parts = (name.get("familyName"), name.get("givenName"))
    return record.get("displayName") or name.get("formatted") or " ".join(filter(None, parts))


def _manager(work: Mapping[str, Any], beside: Beside) -> str | None:
    """Return the manager's employee number; an id that nobody has is kept for the gate to see."""
    value = (work.get("manager") or {}).get("value")
    if value in (None, ""):
        return None
    found = beside.lookup("users", "id").get(str(value))
    return ((found or {}).get(ENTERPRISE) or {}).get("employeeNumber") or str(value)


def _hired(record: Mapping[str, Any], beside: Beside) -> date | None:
    """Return the day of entry from the attribute that the source names, an extension's too."""
    attribute = beside.options.get("hire_date")
    if not attribute:
        return None
    schema, _, name = str(attribute).rpartition(":")
    place = (record.get(schema) or {}) if schema else record
    return rosters.day(place.get(name))


def person(record: Any, beside: Beside) -> Iterable[Mapping[str, Any]]:
    """Make a user's row: who, where, under whom; and which days the snapshot stands for."""
    work = record.get(ENTERPRISE) or {}
    meta = record.get("meta") or {}
    active = record.get("active", True)
    if not isinstance(active, bool):
        raise TypeError("active is true or false")
    created, changed = (rosters.day(meta.get(name)) for name in ("created", "lastModified"))
    yield {
        **{name: value for name, value in record.items() if name != ENTERPRISE},
        "enterprise": work,
        "Address": _address(record),
        "Name": _name(record),
        "Manager": _manager(work, beside),
        "Created": created.isoformat() if created else None,
        "Status": "active" if active else "left",
        **rosters.span(beside, _hired(record, beside), active, changed),
    }


_LOGIN = ColumnMapping(sql="case when userName not like '%@%' then userName end")
_ROSTER = {
    **rosters.SPAN,
    "employee_id": column("enterprise.employeeNumber"),
    # other systems know a person by the name they sign in with; an address by its hash alone
    "source_user_id": _LOGIN,
    "display_name": column("Name"),
    "work_email_hash": ColumnMapping(sql='lower(trim("Address"))', hash=True),
    "legal_entity": column("enterprise.organization"),
    "department_id": column("enterprise.department"),
    "position_name": column("title"),
    "job_family": rosters.family("title"),
    "manager_employee_id": column("Manager"),
    "employment_status": column("Status"),
    # SCIM itself has no day of entry; an account is usually made for it
    "hire_date": ColumnMapping(sql="coalesce(Hired, Created)"),
    "cost_center": column("enterprise.costCenter"),
    "source_updated_at": column("meta.lastModified"),
}
_ACCOUNTS = {
    "source_user_id": column("id"),
    "employee_no": column("enterprise.employeeNumber"),
    "email_hash": ColumnMapping(sql='lower(trim("Address"))', hash=True),
    "login": _LOGIN,
    "is_active": column("active"),
    "snapshot_date": column("SnapshotDay"),
    "source_updated_at": column("meta.lastModified"),
}
_QUIET = (
    *("schemas", "emails", "name", "displayName", "userType", "externalId", "meta.resourceType"),
    *("meta.location", "meta.version", "meta.created", "enterprise.manager", "groups"),
    "enterprise.division",
)


def _mapping(stream: str, columns: dict[str, ColumnMapping], *quiet: str) -> StreamMapping:
    return StreamMapping(stream, {"format": api.FORMAT}, None, columns, quiet)


SYSTEM = System(
    client=_client,
    endpoints=(
        Endpoint(
            "users",
            _users,
            records="Resources",
            streams=("hr_roster", "source_users"),
            total="totalResults",
        ),
    ),
)
CONNECTOR = api.connector(
    name="scim",
    title="SCIM 2.0",
    reads="every user of a SCIM 2.0 directory as it stands after the month's end",
    system=SYSTEM,
    defaults={
        "hr_roster": _mapping("hr_roster", _ROSTER, *_QUIET),
        "source_users": _mapping("source_users", _ACCOUNTS, *_QUIET),
    },
    unfold={"hr_roster": person, "source_users": person},
    options=("attributes", "backdate", "hire_date", "page_size", "sort_by"),
    snapshots=("hr_roster", "source_users"),
)
