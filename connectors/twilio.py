"""Twilio's voice calls by its REST API: who called, which agent's leg answered, for how long.

A contact is a call and the legs it dialled; nothing here guesses what the Calls list cannot tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote

import msgspec

from connectors import addresses, api
from connectors.base import Beside, column
from connectors.endpoints import Call, Endpoint, System
from connectors.http import Client, Policy, basic
from connectors.paging import Page, Request, by_link, linked
from perfhouse.company import ColumnMapping, Source, StreamMapping
from perfhouse.errors import ConfigError
from perfhouse.settings import Connection

PAGE = 1000
# A call lasts at most a day; the filter is described in days of GMT, so a day more on both sides.
LONGEST = timedelta(days=1)
MARGIN = timedelta(days=1)
RUNNING = ("queued", "initiated", "ringing", "in-progress")
_OUTCOMES = {
    "completed": "answered",
    "busy": "busy",
    "failed": "failed",
    "no-answer": "no_answer",
    "canceled": "no_answer",
}
_ESCAPED, _ADDRESS = re.compile(r"_([0-9A-Fa-f]{2})"), re.compile(r"@.+\.|:\+\d{7,15}$")
_RFC_2822 = "%a, %d %b %Y %H:%M:%S %z"


def _client(source: Source, connection: Connection) -> Client:
    return Client(
        api.base_url(source, connection, "https://api.twilio.com"),
        headers={"Accept": "application/json"},
        policy=Policy(per_second=10, burst=10),
        credentials=basic(connection.login, connection.password),
    )


def _calls(call: Call) -> Iterator[Page]:
    """Yield the calls of every account that may have ended in the month."""
    form = "%Y-%m-%dT%H:%M:%SZ"
    accounts = call.options("accounts") or (call.connection.login,)
    if not call.planning and not all(account.startswith("AC") for account in accounts):
        raise ConfigError([f"{call.source.id}.accounts: expected the SIDs of accounts: AC..."])
    for account in accounts:
        first = Request(
            f"/2010-04-01/Accounts/{account}/Calls.json",
            {
                "StartTime>": (call.window.start - MARGIN).strftime(form),
                "StartTime<": (call.window.end + MARGIN).strftime(form),
                "PageSize": call.whole("page_size", PAGE),
            },
        )
        yield from call.pages(first, by_link("next_page_uri"))


def _workers(call: Call) -> Iterator[Page]:
    """Yield the workers of a TaskRouter workspace; without one, an empty page says so."""
    workspace = call.option("workspace", "")
    if not workspace:
        yield Page(b'{"workers": []}', Request("/v1/Workspaces"))
        return
    host = call.option("taskrouter_url", "https://taskrouter.twilio.com").rstrip("/")
    first = Request(f"{host}/v1/Workspaces/{workspace}/Workers", {"PageSize": str(PAGE)})

    def following(request: Request, page: Page) -> Request | None:
        link = page.at("meta.next_page_url")
        if not link:
            return None
        after = linked(request, str(link))  # a page cannot send our credentials elsewhere
        return replace(after, path=f"{host}{after.path}")

    yield from call.pages(first, following)


def workers(worker: Mapping[str, Any], beside: Beside) -> Iterable[Mapping[str, Any]]:
    """Return a worker as the address that calls know, with what its attributes tell."""
    told = msgspec.json.decode(worker.get("attributes") or "{}")
    yield {
        "worker": _known(told.get("contact_uri"), _agents(beside)) or worker["sid"],
        "email": told.get("email"),
        "date_updated": worker.get("date_updated"),
    }


def legs(call: Mapping[str, Any], beside: Beside) -> Iterable[Mapping[str, Any]]:
    """Return the row of a call, or none where the call is no leg of its own.

    A leg is a call to or from an agent (`client:`, `sip:` or a number of option `agents`), and
    a call that met none. The caller's half of an answered contact and the customer's half of an
    agent's call are told by the agent's leg.
    """
    if call["status"] in RUNNING:
        return
    agents = _agents(beside)
    parent = _one(beside.group("calls", "sid").get(_text(call.get("parent_call_sid"))))
    children = _in_order(beside.group("calls", "parent_call_sid").get(_text(call["sid"]), []))
    made: dict[str, Any] | None
    if _agent(call, agents) is not None:
        made = _agents_leg(call, parent, children, agents)
    elif parent:
        made = _dialled_leg(call, parent, agents)
    else:
        made = _lonely_leg(call, children)
    if made is not None:
        yield {
            **call,
            **_timing(call, made),
            "interaction": call.get("parent_call_sid") or call["sid"],
        }


def _agents_leg(
    call: Mapping[str, Any],
    parent: Mapping[str, Any] | None,
    children: list[Mapping[str, Any]],
    agents: Mapping[str, Any],
) -> dict[str, Any]:
    """An agent's own leg: rung for a caller, or calling somebody."""
    made: dict[str, Any] = {"agent": _agent(call, agents), "told_by": call}
    if parent is not None:
        internal = _agent(parent, agents) is not None
        made |= {"way": "internal" if internal else "inbound", "since": parent.get("start_time")}
        made |= {} if internal else {"customer": parent.get("from"), "queue": _number(parent)}
        return made
    dialled = [c for c in children if _agent(c, agents) is None]
    if children or _is_agent(call.get("from"), agents):
        other = next(iter(dialled or children), call)
        answered = next((c for c in children if c.get("status") == "completed"), None)
        made["way"] = "outbound" if dialled or not children else "internal"
        made["customer"] = other.get("to") if made["way"] == "outbound" else None
        made["told_by"] = answered or (children[-1] if children else call)
        return made
    return made | {"way": "inbound"}


def _dialled_leg(
    call: Mapping[str, Any], parent: Mapping[str, Any], agents: Mapping[str, Any]
) -> dict[str, Any] | None:
    """A number that a call dialled on: the customer an agent called, or a forwarded caller."""
    if _agent(parent, agents) is not None:
        return None
    return {
        "way": "inbound" if _comes_in(parent) else "outbound",
        "customer": parent.get("from") if _comes_in(parent) else call.get("to"),
        "queue": _number(parent) if _comes_in(parent) else None,
        "since": parent.get("start_time"),
        "told_by": call,
    }


def _lonely_leg(
    call: Mapping[str, Any], children: list[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """A call without an agent's end: a caller's half, a notice, a trunk's call."""
    if not _comes_in(call):
        return {"way": "outbound", "customer": call.get("to"), "told_by": call}
    if any(child.get("status") == "completed" for child in children):
        return None
    made = {"way": "inbound", "customer": call.get("from"), "told_by": call}
    if call.get("direction") != "inbound":
        return made
    if children:  # it rang somewhere, nobody answered, the caller went
        return made | {"outcome": "abandoned", "queue": _number(call), "waited": call}
    # nothing was dialled: an announcement, a menu, or agents reached in another way
    given_up = call.get("status") in ("canceled", "no-answer")
    return made | {"outcome": "abandoned" if given_up else None}


def _timing(call: Mapping[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    """Complete a leg's row by its outcome and times, told by itself or by the leg it dialled."""
    told_by = made.pop("told_by")
    since, waited = made.pop("since", None), made.pop("waited", None)
    outcome = made.get("outcome", _outcome(told_by))
    row = {"customer": None, "queue": None, "agent": None, **made, "outcome": outcome}
    row["ended"] = next(filter(None, map(call.get, ("end_time", "start_time", "date_created"))), "")
    row["started"] = call.get("start_time") or call.get("date_created")
    spoke = outcome == "answered"
    row["talked_ms"] = _milliseconds(told_by.get("duration")) if spoke else None
    answered = _answered(told_by) if spoke else None
    row["answered"] = answered.isoformat() if answered else None
    row["waited_ms"] = _milliseconds(waited.get("duration")) if waited else _gap(since, answered)
    return row


def _outcome(call: Mapping[str, Any]) -> str | None:
    if _text(call.get("answered_by")).startswith("machine"):
        return "voicemail"
    return _OUTCOMES.get(_text(call.get("status")))


def _answered(call: Mapping[str, Any]) -> datetime | None:
    """Return when somebody picked up: the duration before the end."""
    end, milliseconds = _at(call.get("end_time")), _milliseconds(call.get("duration"))
    if end is None or not isinstance(milliseconds, int):
        return _at(call.get("start_time"))
    return end - timedelta(milliseconds=milliseconds)


def _gap(since: Any, until: datetime | None) -> int | None:
    start = _at(since)
    if start is None or until is None:
        return None
    return max(0, int((until - start) / timedelta(milliseconds=1)))


def _milliseconds(seconds: Any) -> Any:
    """Return seconds as milliseconds; what is no count stays as it is, to be quarantined."""
    text = _text(seconds).strip()
    if not text:
        return None
    return int(text) * 1000 if text.isascii() and text.isdigit() and len(text) < 9 else text


def _at(text: Any) -> datetime | None:
    try:
        found: datetime = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, AttributeError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _seconds(text: Any) -> float:
    found = _at(text)
    return found.timestamp() if found else 0.0


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _in_order(calls: list[Any]) -> list[Mapping[str, Any]]:
    return sorted(calls, key=lambda c: (_seconds(c.get("start_time")), _text(c.get("sid"))))


def _one(found: list[Any] | None) -> Mapping[str, Any] | None:
    return found[-1] if found else None


def _comes_in(call: Mapping[str, Any]) -> bool:
    return call.get("direction") in ("inbound", "trunking-originating")


def _number(call: Mapping[str, Any]) -> Any:
    """Return the company's own number that was called, as Twilio names it."""
    return call.get("phone_number_sid")


def _agents(beside: Beside) -> Mapping[str, Any]:
    given = beside.options.get("agents", {})
    return given if isinstance(given, Mapping) else {}


def _is_agent(end: Any, agents: Mapping[str, Any]) -> bool:
    return _text(end).startswith(("client:", "sip:")) or _text(end) in agents


def _agent(call: Mapping[str, Any], agents: Mapping[str, Any]) -> Any:
    """Return the agent at the leg's own end: the one called, else the one calling."""
    for end in (call.get("to"), None if call.get("parent_call_sid") else call.get("from")):
        if _is_agent(end, agents):
            return _known(end, agents)
    return None


def _known(end: Any, agents: Mapping[str, Any]) -> Any:
    """Return the id of an agent's end: what the source says, else the end as it is told.

    An address in it lands as a keyed hash. In a client's name Flex writes other signs than
    letters and digits by their code, `_40` for @: such an address is told plainly.
    """
    text = _text(end)
    if text in agents or not text.startswith("client:") or "@" in text:
        return agents.get(text, end)
    plain = unquote(_ESCAPED.sub(r"%\1", text))
    return plain if _ADDRESS.search(plain) else end


def _moment(name: str) -> ColumnMapping:
    return ColumnMapping(source=name, format=_RFC_2822)


_USERS = {
    "source_user_id": addresses.person("worker"),
    "email_hash": ColumnMapping(source="email", hash=True),
    "role": ColumnMapping(value="agent"),
    "is_active": ColumnMapping(value=True),
    "source_updated_at": column("date_updated"),
}
_COLUMNS = {
    "leg_id": column("sid"),
    "interaction_id": column("interaction"),
    "media": ColumnMapping(value="voice"),
    "direction": column("way"),
    "queue_id": column("queue"),
    "agent_id": addresses.person("agent"),
    "customer_key": ColumnMapping(source="customer", hash=True),
    "ani_hash": ColumnMapping(source="customer", hash=True),
    "started_at": _moment("started"),
    "answered_at": column("answered"),
    "ended_at": _moment("ended"),
    "wait_ms": column("waited_ms"),
    "talk_ms": column("talked_ms"),
    "disposition": column("outcome"),
    "raw_disposition": column("status"),
    "source_updated_at": _moment("date_updated"),
}
# what a call also has: people's numbers and names, money, links; none of it lands
_IGNORED = (
    *("from", "to", "from_formatted", "to_formatted", "caller_name", "forwarded_from"),
    *("account_sid", "annotation", "answered_by", "api_version", "date_created", "direction"),
    *("duration", "end_time", "group_sid", "parent_call_sid", "phone_number_sid", "price"),
    *("price_unit", "queue_time", "start_time", "subresource_uris", "trunk_sid", "uri"),
)
SYSTEM = System(
    client=_client,
    endpoints=(
        Endpoint("calls", _calls, records="calls", streams=("calls",), lookback=LONGEST),
        Endpoint("workers", _workers, records="workers", streams=("source_users",)),
    ),
    settle=timedelta(minutes=15),
)
CONNECTOR = api.connector(
    name="twilio",
    title="Twilio Voice",
    reads="calls that ended in the month, of one or more accounts, and TaskRouter's workers",
    system=SYSTEM,
    defaults={
        "calls": StreamMapping("calls", {"format": api.FORMAT}, "ended_at", _COLUMNS, _IGNORED),
        "source_users": StreamMapping("source_users", {"format": api.FORMAT}, None, _USERS, ()),
    },
    unfold={"calls": legs, "source_users": workers},
    options=("accounts", "agents", "page_size", "taskrouter_url", "url", "workspace"),
    snapshots=("source_users",),
    version=2,
)
