"""Superset's configuration: secrets from the environment, rights per person, nothing sent outside.

Superset imports it by its name; `PERFHOUSE_BI_CONFIG` names a file of your own that goes over it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import mart_login
from superset.errors import ErrorLevel, SupersetError, SupersetErrorType
from superset.exceptions import SupersetSecurityException

SECRET_KEY = os.environ["SUPERSET_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = os.environ["PERFHOUSE_BI_METADATA"]
_LOGIN_KEY = os.environ["PERFHOUSE_BI_LOGIN_KEY"]

APP_NAME = "perfhouse"
LANGUAGES = {
    "zh": {"flag": "cn", "name": "中文"},
    "en": {"flag": "us", "name": "English"},
}
BABEL_DEFAULT_LOCALE = os.environ.get("PERFHOUSE_BI_LANGUAGE", "zh")

FEATURE_FLAGS = {
    "ALLOW_ADHOC_SUBQUERY": False,
    "ENABLE_TEMPLATE_PROCESSING": False,  # no text of a user is a program
    "CACHE_QUERY_BY_USER": True,  # what one person was shown is never another's
    "EMBEDDED_SUPERSET": False,
    "ALERT_REPORTS": False,
}
AUTH_USER_REGISTRATION = False
PUBLIC_ROLE_LIKE = None
FAB_API_SWAGGER_UI = False
PREVENT_UNSAFE_DB_CONNECTIONS = True
RATELIMIT_STORAGE_URI = "memory://"
RESULTS_BACKEND = None

# Behind a proxy that ends TLS
_BEHIND_TLS = os.environ.get("PERFHOUSE_BI_TLS") == "1"
ENABLE_PROXY_FIX = _BEHIND_TLS
SESSION_COOKIE_SECURE = _BEHIND_TLS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"

# Pages may talk to this server alone: the pixel that Superset's pages count visits with, maps and
# fonts of others are refused by the browser.
CONTENT_SECURITY_POLICY_WARNING = False
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'"],
        "script-src": ["'self'", "'strict-dynamic'"],
        "frame-ancestors": ["'none'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": _BEHIND_TLS,
}
_LIMITS = (
    "-c statement_timeout=60000 -c default_transaction_read_only=on "
    "-c search_path=perfhouse -c timezone=UTC"
)


def DB_CONNECTION_MUTATOR(  # noqa: N802 - Superset's name
    uri: Any, params: dict[str, Any], username: str | None, security_manager: Any, source: Any
) -> tuple[Any, dict[str, Any]]:
    """Connect to the mart as the person who asks; the mart's own row rights then hold as well."""
    if uri.username not in (mart_login.ANALYST, mart_login.HR):
        return uri, params  # a database that somebody added
    user = security_manager.find_user(username=username) if username else None
    roles = {role.name for role in security_manager.get_user_roles(user)} if user else set()
    try:
        login = mart_login.choose(uri.username, username if user else None, roles)
    except mart_login.NobodyError as error:
        raise SupersetSecurityException(
            SupersetError(
                message=f"perfhouse: {error}",
                error_type=SupersetErrorType.DATABASE_SECURITY_ACCESS_ERROR,
                level=ErrorLevel.ERROR,
            )
        ) from None
    arguments = params.setdefault("connect_args", {})
    arguments["options"] = _LIMITS
    arguments["application_name"] = "perfhouse bi"
    return uri.set(username=login, password=mart_login.password(_LOGIN_KEY, login)), params


_own = os.environ.get("PERFHOUSE_BI_CONFIG")
if _own:
    exec(compile(Path(_own).read_text(encoding="utf-8"), _own, "exec"))  # noqa: S102
