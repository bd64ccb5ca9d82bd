"""As whom Superset asks the mart: one login for each manager, one for analysts, one for HR.

Used by Superset's configuration and by the script that makes the logins, so standard library only.
A login's password is made from one key and never kept anywhere.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection

ANALYST, HR = "perfhouse_bi_analyst", "perfhouse_bi_hr"
ANALYST_ROLE, HR_ROLE, MANAGER_ROLE = "perfhouse analyst", "perfhouse HR", "perfhouse manager"
ADMIN_ROLE = "Admin"
_PREFIX = "perfhouse_bi_is_"
# PostgreSQL cuts names at 63 bytes; two users must never become one login.
USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,45}")


class NobodyError(Exception):
    """A user whose roles give no right to the mart."""


def of_manager(username: str) -> str:
    """Return the login of a manager's user."""
    if not USERNAME.fullmatch(username):
        raise NobodyError("expected a user name of at most 46 letters, digits and . _ @ -")
    return _PREFIX + username


def password(key: str, login: str) -> str:
    """Return a login's password."""
    return hmac.new(key.encode(), login.encode(), hashlib.sha256).hexdigest()


def choose(asked: str, username: str | None, roles: Collection[str]) -> str:
    """Return the login that a user's queries run as; `asked` is the one in the database's URI.

    Raises:
        NobodyError: the user may not ask there.
    """
    if username is None:
        raise NobodyError("nobody is logged in")
    if asked == HR:
        if HR_ROLE in roles:
            return HR
        raise NobodyError("names are for HR alone")
    if {ADMIN_ROLE, HR_ROLE, ANALYST_ROLE} & set(roles):
        return ANALYST
    if MANAGER_ROLE in roles:
        return of_manager(username)
    raise NobodyError("this user has no role of perfhouse")
