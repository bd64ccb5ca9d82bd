"""Learning records as xAPI statements, from files or a learning record store: `training_records`.

One row per statement: an assignment, its completion and its waiver are rows of the same learner
and course. A voiding statement lands as a newer, voided version of the statement it names.
Nothing here writes to a store.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from connectors import addresses, api, files, instants
from connectors.base import Beside, Connector, ExtractContext, Extracted, column
from connectors.endpoints import Call, Endpoint, System
from connectors.http import Client, basic
from connectors.paging import Page, Request, by_link
from perfhouse import settings
from perfhouse.company import ColumnMapping, Source, StreamMapping
from perfhouse.errors import ConfigError
from perfhouse.month import Month
from perfhouse.settings import Connection

EXTENSIONS = "https://perfhouse.dev/xapi/"
# last step of the verb's IRI to our status; other verbs are progress
STATUSES = {
    "assigned": "assigned",
    "assign": "assigned",
    "registered": "assigned",
    "enrolled": "assigned",
    "completed": "completed",
    "passed": "passed",
    "failed": "failed",
    "waived": "waived",
    "expired": "expired",
    "withdrew": "withdrawn",
    "unregistered": "withdrawn",
    "abandoned": "withdrawn",
    "voided": "withdrawn",
}
SETTLE = timedelta(minutes=5)  # where a store does not tell how far it is consistent
PAGE = 500
_VERB = r"""regexp_extract("verb.id", '([^/#]+)/?$', 1)"""
_VOIDED = f"{_VERB} = 'voided'"
_NUMBER = r"(\d+(?:[.,]\d+)?)"
_DURATION = rf"P(?:{_NUMBER}W|(?:{_NUMBER}D)?(?:T(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?)"


def _part(group: int, seconds: int) -> str:
    text = f"""regexp_extract("result.duration", '^{_DURATION}$', {group})"""
    return f"coalesce(try_cast(replace({text}, ',', '.') as double), 0) * {seconds}"


# weeks to seconds have a length; a year or a month has none, so that it is unknown
_MILLISECONDS = f"""case
    when "result.duration" is null then null
    when regexp_full_match("result.duration", '{_DURATION}') then cast(cast(round(1000 * (
        {" + ".join(_part(n, s) for n, s in enumerate((604800, 86400, 3600, 60, 1), start=1))}
        )) as bigint) as varchar)
    when regexp_full_match("result.duration", 'P(\\d+Y)?(\\d+M)?(\\d+D)?(T[\\dHMS.]+)?') then null
    else "result.duration" end"""


def _extension(name: str) -> ColumnMapping:
    return ColumnMapping(source=f'context.extensions["{EXTENSIONS}{name}"]')


def _at_verbs(*verbs: str) -> ColumnMapping:
    listed = ", ".join(f"'{verb}'" for verb in verbs)
    return ColumnMapping(sql=f'case when {_VERB} in ({listed}) then "timestamp" end')


_NAME = "actor.account.name"
_MAIL = r"""lower(trim(regexp_replace("actor.mbox", '^mailto:', '', 'i')))"""
_COLUMNS = {
    "record_id": ColumnMapping(sql=f'case when {_VOIDED} then "object.id" else "id" end'),
    # the roster is matched by employee number (the account's name), by the hash of the address or
    # by identity map; what only a store's own hash or an openid tells is hashed again, with our key
    "learner_id": ColumnMapping(
        sql=f"""coalesce({addresses.person(_NAME).sql}, address_hash({_MAIL}),
            'mbox_sha1sum:' || left(address_hash("actor.mbox_sha1sum"), 16),
            'openid:' || left(address_hash("actor.openid"), 16))"""
    ),
    "course_id": column("object.id"),
    "course_name": ColumnMapping(
        sql='coalesce("object.definition.name.zh-CN", "object.definition.name.en-US", '
        '"object.definition.name.en")'
    ),
    "course_type": ColumnMapping(
        sql=r"""case regexp_extract("object.definition.type", '([^/#]+)/?$', 1)
            when 'assessment' then 'exam' when 'exam' then 'exam'
            when 'certification' then 'certification' when 'onboarding' then 'onboarding'
            when 'coaching' then 'coaching' when 'course' then 'course' end"""
    ),
    "is_mandatory": _extension("mandatory"),
    "assigned_at": _at_verbs("assigned", "assign", "registered", "enrolled"),
    "due_at": _extension("due-at"),
    "started_at": _at_verbs("initialized", "launched", "attempted", "start"),
    "completed_at": _at_verbs("completed", "passed"),
    "status": ColumnMapping(
        sql="case "
        + " ".join(f"when {_VERB} = '{verb}' then '{status}'" for verb, status in STATUSES.items())
        + " else 'in_progress' end"
    ),
    "attempt_no": _extension("attempt-no"),
    "score": column("result.score.raw"),
    "scale_max": column("result.score.max"),
    "passed": column("result.success"),
    "time_spent_ms": ColumnMapping(sql=_MILLISECONDS),
    "xapi_verb": ColumnMapping(sql=_VERB),
    "voided": ColumnMapping(sql=_VOIDED),
    "source_updated_at": column("timestamp"),
}

# a source that lists its accounts must list all: an id left out is nobody's
_LEARNERS = {
    "source_user_id": _COLUMNS["learner_id"],
    "employee_no": addresses.unless_address(_NAME),
    "email_hash": ColumnMapping(sql=f"coalesce({_MAIL}, {addresses.found(_NAME)})", hash=True),
    "login": addresses.unless_address(_NAME),
}
_QUIET = ("actor.name", "actor.objectType", "verb.display", "version", "authority", "stored")


# --- a learning record store


def _client(source: Source, connection: Connection) -> Client:
    return Client(
        api.base_url(source, connection),
        headers={"Accept": "application/json", "X-Experience-API-Version": "1.0.3"},
        credentials=basic(connection.login, connection.password),
    )


def _statements(call: Call) -> Iterator[Page]:
    """Yield pages of the statements stored in the window, and of some days before it.

    `since` is exclusive and `until` inclusive, by `stored`; some stores go by `timestamp`, which
    may lie days before it. What was stored outside the window is left out where rows are made.
    """
    days = call.option("lookback_days", "7")
    if not days.isdecimal():
        raise ConfigError([f"{call.source.id}.lookback_days: expected a number of days"])
    since = call.window.start - timedelta(days=int(days), milliseconds=1)
    first = Request(
        "/statements",
        {
            "since": _text(since),
            "until": _text(call.window.end),
            "ascending": "true",
            "limit": PAGE,
        },
    )
    return call.pages(first, by_link("more"))


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _watermark(call: Call) -> datetime | None:
    """Return how far the store says that it is consistent, else its clock minus some minutes."""
    for page in call.pages(Request("/statements", {"limit": 1})):
        told = page.headers.get("x-experience-api-consistent-through")
        if told:
            return instants.parsed(told, "X-Experience-API-Consistent-Through")
        clock = page.headers.get("date")
        return parsedate_to_datetime(clock).astimezone(UTC) - SETTLE if clock else None
    return None


def _statement(record: dict[str, Any], beside: Beside) -> Iterator[dict[str, Any]]:
    """Leave out what a store told from outside the window; a file holds what it holds."""
    if isinstance(beside.page, dict) and "statements" in beside.page:
        stored = datetime.fromisoformat(record.get("stored") or record["timestamp"])
        if _outside(stored.astimezone(UTC), beside):
            return
    yield record


def _outside(stored: datetime, beside: Beside) -> bool:
    early = beside.start is not None and stored < beside.start
    return early or (beside.end is not None and stored >= beside.end)


SYSTEM = System(
    client=_client,
    endpoints=(
        Endpoint("statements", _statements, "statements", ("training_records", "source_users")),
    ),
    watermark=_watermark,
)


def _is_store(source: Source) -> bool:
    """Tell whether statements come from a store; files may lie behind a connection too."""
    url, name = source.options.get("url"), source.options.get("connection")
    kind = str(url).partition(":")[0] if url else ""
    if not kind and isinstance(name, str):
        kind = settings.connection(name).kind
    return kind in ("http", "https")


def _extract(source: Source, month: Month, context: ExtractContext) -> Iterator[Extracted]:
    """Yield the store's answers or the month's files."""
    if _is_store(source):
        yield from api.extract(SYSTEM, source, month, context)
    else:
        yield from files.extract(source, month, context)


def _plan(source: Source, month: Month, context: ExtractContext) -> Iterator[str]:
    if _is_store(source):
        yield from api.plan(SYSTEM, source, month, context)
    else:
        yield from files.plan(source, month, context)


def _ready(stream: str, columns: dict[str, ColumnMapping]) -> dict[str, StreamMapping]:
    path = {"path": "xapi/{month}/*.jsonl"}
    return {stream: StreamMapping(stream, path, None, columns, _QUIET)}


CONNECTOR = Connector(
    name="xapi",
    title="xAPI learning records",
    reads="statements stored in the month, from a store or as xapi/YYYY-MM/*.jsonl",
    extract=_extract,
    plan=_plan,
    defaults=_ready("training_records", _COLUMNS) | _ready("source_users", _LEARNERS),
    unfold={"training_records": _statement},
    records={"statements": "statements"},
    options=("lookback_days", *files.OPTIONS),
    stream_options=files.STREAM_OPTIONS,
)
