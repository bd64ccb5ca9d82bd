"""LDAP directories: the people below a base as they stand, with managers, as roster and accounts.

Owns the LDAP socket; reads listed attributes in pages and refuses a truncated answer.
"""

from __future__ import annotations

import base64
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from connectors import api, rosters
from connectors.base import Beside, Connector, ExtractContext, Extracted, column
from perfhouse import settings
from perfhouse.company import ColumnMapping, Source, StreamMapping
from perfhouse.errors import ConfigError, PerfhouseError, SourceChanged, TransientError
from perfhouse.month import Month
from perfhouse.settings import Connection

if TYPE_CHECKING:
    import ldap3

PAGE = 500
MOST_PAGES = 100_000
_STREAMS = ("hr_roster", "source_users")
_FILTER = "(objectClass=inetOrgPerson)"
# what is asked for; passwords, telephone numbers and the like stay where they are
_ATTRIBUTES = (
    *("uid", "cn", "displayName", "mail", "title", "employeeNumber", "employeeType"),
    *("departmentNumber", "ou", "o", "manager", "createTimestamp", "modifyTimestamp", "entryUUID"),
)
_PAGED = "1.2.840.113556.1.4.319"
_SECONDS = 60


def _wrong(source: Source, key: str, what: str) -> ConfigError:
    return ConfigError([f"{source.id}.{key}: expected {what}"])


def _text(source: Source, key: str, default: str | None = None) -> str:
    value = source.options.get(key, default)
    if not isinstance(value, str) or not value:
        raise _wrong(source, key, "text")
    return value


def _size(source: Source) -> int:
    size = source.options.get("page_size", PAGE)
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise _wrong(source, "page_size", "a whole number above 0")
    return size


def _attributes(source: Source) -> list[str]:
    more = source.options.get("attributes", [])
    if not isinstance(more, list) or not all(isinstance(name, str) for name in more):
        raise _wrong(source, "attributes", "a list of attribute names")
    if refused := [name for name in more if name in ("*", "+") or "password" in name.lower()]:
        raise _wrong(source, "attributes", f"names of attributes, not {', '.join(refused)}")
    hired = [_text(source, "hire_date")] if "hire_date" in source.options else []
    return list(dict.fromkeys((*_ATTRIBUTES, *more, *hired)))


# ---------------------------------------------------------------- the socket


def extract(source: Source, month: Month, context: ExtractContext) -> Iterator[Extracted]:
    """Yield the entries page by page, as the directory tells them.

    Raises:
        SourceMissing: the month is not over yet.
        SourceChanged: the directory cuts the answer off (its administrator).
        TransientError: it could not be reached, or not read to its end.
        ConfigError: it refuses us, or finds nobody (operator).
    """
    from ldap3.core.exceptions import LDAPException

    # LDAP has no clock to ask, so this machine's stands in for it
    taken = datetime.fromtimestamp(time.time(), UTC)
    rosters.check_age(source, month, api.window(source, month, context).end, taken)
    found = 0
    try:
        with _opened(source, settings.connection(_text(source, "connection"))) as directory:
            for number, entries in enumerate(_pages(directory, source), start=1):
                found += len(entries)
                body = msgspec.json.encode(entries)
                save = partial(_save, body)
                yield Extracted(_STREAMS, f"entries/{number:06d}.json", api.FORMAT, save)
                if number % 50 == 0:
                    context.progress(f"{source.id} {month}: {found:,} entries")
    except LDAPException as error:
        raise TransientError(f"{source.id}: the directory: {type(error).__name__}") from None
    yield from context.part(month)
    if not found:
        raise ConfigError(
            [
                f"{source.id}: the search found nobody: check base and filter, and what the "
                "account may read"
            ]
        )


def _save(body: bytes, target: Path) -> None:
    target.write_bytes(body)


@contextmanager
def _opened(source: Source, connection: Connection) -> Iterator[ldap3.Connection]:
    """Give a bound connection that only reads; its password goes over TLS alone."""
    import ldap3
    from ldap3.core.exceptions import LDAPException

    secure = connection.kind == "ldaps"
    start = str(connection.extra.get("starttls", "false")).lower() == "true"
    plain = str(connection.extra.get("plain", "false")).lower() == "true"
    if not (secure or start or plain):
        raise ConfigError(
            [
                f"connection {connection.name!r}: expected ldaps, or ldap with starttls=true "
                "(plain=true sends the password readable)"
            ]
        )
    tls = ldap3.Tls(
        validate=ssl.CERT_REQUIRED, ca_certs_file=connection.extra.get("ca_file") or None
    )
    server = ldap3.Server(
        connection.host,
        port=connection.port or (636 if secure else 389),
        use_ssl=secure,
        tls=tls if secure or start else None,
        get_info=ldap3.NONE,
        connect_timeout=_SECONDS,
    )
    opened = ldap3.Connection(
        server,
        user=connection.login or None,
        password=connection.password or None,
        read_only=True,
        auto_referrals=False,
        check_names=False,
        receive_timeout=_SECONDS,
    )
    try:
        opened.open()
        if start:
            opened.start_tls()
        if not opened.bind():
            raise _refused(source, opened.result["result"])
        yield opened
    finally:
        with suppress(LDAPException, OSError):
            opened.unbind()
        if opened.socket is not None:  # left open where TLS or signing in failed
            opened.socket.close()


def _pages(directory: ldap3.Connection, source: Source) -> Iterator[list[dict[str, Any]]]:
    base, query = _text(source, "base"), _text(source, "filter", _FILTER)
    names = _attributes(source)
    cookie: bytes | None = None
    found = 0
    for _ in range(MOST_PAGES):
        directory.search(
            base,
            query,
            "SUBTREE",
            attributes=names,
            paged_size=_size(source),
            paged_cookie=cookie,
        )
        result = directory.result
        entries = [_entry(each) for each in directory.response or () if "raw_attributes" in each]
        found += len(entries)
        if result["result"] != 0:
            raise _refused(source, result["result"], found)
        yield entries
        control = (result.get("controls") or {}).get(_PAGED)
        cookie = control["value"]["cookie"] if control else None
        if not cookie:
            return
    raise SourceChanged(f"{source.id}: more than {MOST_PAGES:,} pages")


def _refused(source: Source, code: int, found: int = 0) -> PerfhouseError:
    """Say what a result code means and who must act; servers' own texts may quote an entry."""
    if code in (4, 11):
        limit = "size limit" if code == 4 else "administrative limit"
        return SourceChanged(
            f"{source.id}: the directory cut the answer off at its {limit}, after {found:,} "
            f"entries (result code {code}); "
            "nothing was landed: its administrator lifts the limit for our account (OpenLDAP: "
            '`limits dn.exact="..." size=unlimited`; Active Directory: paging is enough)'
        )
    meanings = {
        8: "it wants a stronger way to sign in: use ldaps or starttls",
        13: "it wants an encrypted connection: use ldaps or starttls",
        32: "the base does not exist, or is hidden from the account",
        34: "the base is no name of an entry",
        49: "it refuses the account's name or password",
        50: "the account may not search here",
        53: "it is unwilling to answer",
    }
    if code in meanings:
        return ConfigError([f"{source.id}: the directory: {meanings[code]} (result code {code})"])
    return TransientError(f"{source.id}: the directory answered with result code {code}")


def _entry(response: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry as it is archived: its name, a form of it to compare by, its values."""
    values = {
        name: [_value(raw) for raw in raws]
        for name, raws in sorted(response["raw_attributes"].items())
        if raws
    }
    return {"dn": response["dn"], "key": same_name(response["dn"]), "attributes": values}


def _value(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(raw).decode()}"


def same_name(dn: str) -> str:
    """Return a form in which two spellings of one distinguished name are equal."""
    from ldap3.core.exceptions import LDAPException
    from ldap3.utils.dn import parse_dn

    try:
        parts = parse_dn(dn, escape=False, strip=True)
    except LDAPException:
        return dn.casefold()
    return "".join(f"{kind}={value}{plus}" for kind, value, plus in parts).casefold()


def plan(source: Source, month: Month, _: ExtractContext) -> Iterator[str]:
    """Say what would be searched for, without connecting."""
    yield (
        f"search {_text(source, 'base')} for {_text(source, 'filter', _FILTER)}, "
        f"{_size(source)} a page: {', '.join(_attributes(source))} -> {', '.join(_STREAMS)}"
    )


# ---------------------------------------------------------------- records to rows


def _day(text: str | None) -> date | None:
    """Return the day of a generalized time, such as 20260901123000Z, or of an ISO day."""
    if text is None:
        return None
    return datetime.strptime(text.replace("-", "")[:8], "%Y%m%d").replace(tzinfo=UTC).date()


def _instant(text: str | None) -> str | None:
    if text is None:
        return None
    return datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC).isoformat()


def person(record: Any, beside: Beside) -> Iterable[Mapping[str, Any]]:
    """Make an entry's row: first values, the manager's number, which days it stands for."""
    values = {name: found[0] for name, found in record["attributes"].items()}
    inactive = str(beside.options.get("inactive", "left"))
    active = str(values.get("employeeType", "")).casefold() != inactive.casefold()
    created = _day(values.get("createTimestamp"))
    changed = _day(values.get("modifyTimestamp"))
    hired = _day(values.get(str(beside.options.get("hire_date"))))
    yield {
        **values,
        "dn": record["dn"],
        "Manager": _manager(values.get("manager"), beside),
        "Created": created.isoformat() if created else None,
        "Changed": _instant(values.get("modifyTimestamp")),
        "Active": "true" if active else "false",
        "Status": "active" if active else "left",
        **rosters.span(beside, hired, active, changed),
    }


def _manager(dn: str | None, beside: Beside) -> str | None:
    """Return the manager's employee number; a name that nobody has is kept for the gate to see."""
    if not dn:
        return None
    found = beside.lookup("entries", "key").get(same_name(dn))
    numbers = found["attributes"].get("employeeNumber") if found else None
    return str(numbers[0]) if numbers else dn


_LOGIN = ColumnMapping(sql="case when uid not like '%@%' then uid end")
_ROSTER = {
    **rosters.SPAN,
    "employee_id": column("employeeNumber"),
    # other systems know a person by the name they sign in with; an address by its hash alone
    "source_user_id": _LOGIN,
    "display_name": ColumnMapping(sql="coalesce(displayName, cn)"),
    "work_email_hash": ColumnMapping(sql="lower(trim(mail))", hash=True),
    "legal_entity": column("o"),
    "department_id": ColumnMapping(sql="coalesce(departmentNumber, ou)"),
    "position_name": column("title"),
    "job_family": rosters.family("title"),
    "manager_employee_id": column("Manager"),
    "employment_status": column("Status"),
    # LDAP itself has no day of entry; an account is usually made for it
    "hire_date": ColumnMapping(sql="coalesce(Hired, Created)"),
    "source_updated_at": column("Changed"),
}
_ACCOUNTS = {
    "source_user_id": ColumnMapping(sql="coalesce(entryUUID, dn)"),
    "employee_no": column("employeeNumber"),
    "email_hash": ColumnMapping(sql="lower(trim(mail))", hash=True),
    "login": _LOGIN,
    "is_active": column("Active"),
    "snapshot_date": column("SnapshotDay"),
    "source_updated_at": column("Changed"),
}
_QUIET = ("employeeType", "manager", "createTimestamp", "modifyTimestamp")


def _mapping(stream: str, columns: dict[str, ColumnMapping]) -> StreamMapping:
    return StreamMapping(stream, {"format": api.FORMAT}, None, columns, _QUIET)


CONNECTOR = Connector(
    name="ldap",
    title="LDAP",
    reads="every person below a base of an LDAP directory as they stand after the month's end",
    extract=extract,
    plan=plan,
    defaults={
        "hr_roster": _mapping("hr_roster", _ROSTER),
        "source_users": _mapping("source_users", _ACCOUNTS),
    },
    unfold={"hr_roster": person, "source_users": person},
    options=(
        *("attributes", "backdate", "base", "connection", "filter", "hire_date", "inactive"),
        "page_size",
    ),
    snapshots=("hr_roster", "source_users"),
)
