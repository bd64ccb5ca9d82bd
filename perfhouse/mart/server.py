"""Transactions with the mart's PostgreSQL: opened with limits, their failures told in our words.

No message holds a value, a password or a login.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors

from perfhouse import settings
from perfhouse.errors import ConfigError, PerfhouseError, ReleaseError, TransientError

Connection = psycopg.Connection[tuple[Any, ...]]

# One loader or migration at a time, in this database.
_LOCK = 7_214_062_001
_TURN = "15min"
# The server notices within minutes that we, or the network, are gone, and rolls back.
_OPTIONS = (
    "-c search_path=pg_catalog,pg_temp -c timezone=UTC -c datestyle=ISO -c client_encoding=UTF8 "
    "-c idle_in_transaction_session_timeout=30min -c tcp_keepalives_idle=30 "
    "-c tcp_keepalives_interval=10 -c tcp_keepalives_count=6"
)
_REFUSED = ("password authentication failed", "does not exist", "no pg_hba.conf entry")
# What a database says in which `migrate` has not run, or not for this login.
_UNMADE = (
    errors.InsufficientPrivilege,
    errors.InvalidSchemaName,
    errors.UndefinedColumn,
    errors.UndefinedObject,
    errors.UndefinedTable,
)


@contextmanager
def transaction(name: str) -> Iterator[Connection]:
    """Open the named connection for one transaction: all of it is kept, or nothing.

    Args:
        name: the connection, as `settings.connection_url` knows it.

    Raises:
        ConfigError: the connection, the login or what `migrate` makes is missing (operator).
        TransientError: the server cannot be reached, was lost or is busy.
        ReleaseError: the server refuses what is published (data engineer).
    """
    url = settings.connection_url(name)
    if not url.startswith("postgresql://"):
        raise ConfigError([f"connection {name!r}: expected a postgresql:// URL for the mart"])
    try:
        with psycopg.connect(
            url,
            application_name="perfhouse",
            connect_timeout=10,
            keepalives_idle=30,
            tcp_user_timeout=120_000,
            options=f"{_OPTIONS} -c lock_timeout=10s",
        ) as connection:
            yield connection
    except psycopg.Error as error:
        raise _told(error) from None


def only_one(connection: Connection, *, lock_timeout: str, turn: str = _TURN) -> None:
    """Wait, at most `turn`, to be the only loader or migration until the transaction ends.

    From then on it waits `lock_timeout` for a lock that somebody else holds.
    """
    set_timeout = "select set_config('lock_timeout', %s, true)"
    connection.execute(set_timeout, [turn])
    connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
    connection.execute(set_timeout, [lock_timeout])


def _told(error: psycopg.Error) -> PerfhouseError:
    """Return the error of ours that says who must act."""
    if isinstance(error, _UNMADE):
        said = error.diag.message_primary
        return ConfigError(
            [f"the mart: {said}: `perfhouse mart migrate`, or another administrator"]
        )
    if isinstance(error, psycopg.OperationalError):
        return _lost(error)
    if error.sqlstate is None and isinstance(error, psycopg.ProgrammingError):
        return ConfigError(["the mart's connection: expected a URL that libpq can read"])
    place = error.diag.constraint_name or error.diag.table_name or ""
    return ReleaseError(f"the mart refuses what is published: {type(error).__name__} {place}")


def _lost(error: psycopg.Error) -> PerfhouseError:
    """Tell a server that refuses us from one that is away: before a session it says so in words."""
    if error.sqlstate is not None:
        return TransientError(f"the mart's server is busy or stopped: {type(error).__name__}")
    if any(words in str(error) for words in _REFUSED):
        return ConfigError(["the mart's connection: the server refuses the login or the database"])
    return TransientError("the mart's server cannot be reached, or was lost")
