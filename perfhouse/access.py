"""The logins of an Airflow that several people use: the FAB auth manager with the house's roles.

It may import airflow and know nothing about data. A laptop's Airflow (`make up`) has one user and
does not need it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager

from perfhouse.errors import ConfigError
from perfhouse.roles import ROLES, Pair
from perfhouse.settings import option, secret

ADMIN = "Admin"  # Airflow's own: users, roles, connections, variables
_FIRST, _PASSWORD = "admin", "PERFHOUSE_AIRFLOW_ADMIN_PASSWORD"
_SHORTEST = 12


class HouseAuthManager(FabAuthManager):
    """FAB's logins and roles; who may answer a form need not be let to pause its DAG."""

    def is_authorized_dag(
        self,
        *,
        method: Any,
        user: Any,
        access_entity: DagAccessEntity | None = None,
        details: Any = None,
    ) -> bool:
        """Ask, for an answer, for reading the DAG and editing forms; else as FAB does."""
        if access_entity != DagAccessEntity.HITL_DETAIL or method == "GET":
            return bool(
                super().is_authorized_dag(
                    method=method, user=user, access_entity=access_entity, details=details
                )
            )
        may_read = super().is_authorized_dag(
            method="GET", user=user, access_entity=access_entity, details=details
        )
        may_answer = self.is_authorized_custom_view(
            method=method, resource_name="HITL Detail", user=user
        )
        return bool(may_read and may_answer)


def prepare(echo: Callable[[str], None], signers: Iterable[str] = ()) -> None:
    """Make what Airflow's metadata needs: the roles with exactly their rights, the writers' pool.

    An empty deployment gets its first Admin. Doing it again changes nothing. Tells which of
    Airflow's ids the signers have.

    Raises:
        ConfigError: there is no Admin, and no password for one (operator).
    """
    from airflow.models import Pool
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    logging.getLogger("airflow.providers.fab").setLevel(logging.WARNING)  # a line for each right
    with get_application_builder() as builder:
        known = builder.sm
        for name, pairs in ROLES.items():
            changed = _exactly(known, name, pairs)
            echo(f"airflow: role {name}, {changed or 'unchanged'}")
        if not any(role.name == ADMIN for user in known.get_all_users() for role in user.roles):
            _first_admin(known)
            echo(f"airflow: made the first user, {_FIRST}")
        ids = {user.username: user.id for user in known.get_all_users()}
    pool = option("pool")
    if pool and Pool.get_pool(pool) is None:
        Pool.create_or_update_pool(pool, 1, "Who writes the warehouse", include_deferred=False)
        echo(f"airflow: made the pool {pool}")
    for login in signers:
        found = f'"{login}" = "{ids[login]}"' if login in ids else f"nobody is called {login} yet"
        echo(f"airflow: [sign_off.airflow_ids]  {found}")


def _exactly(known: Any, name: str, pairs: set[Pair]) -> str:
    """Make a role hold these rights and no others; say what changed."""
    role = known.add_role(name)
    held = {(each.action.name, each.resource.name): each for each in role.permissions}
    for pair in sorted(set(held) - pairs):
        known.remove_permission_from_role(role, held[pair])
    for pair in sorted(pairs - set(held)):
        known.add_permission_to_role(role, known.create_permission(*pair))
    given, taken = len(pairs - set(held)), len(set(held) - pairs)
    return f"{given} rights given, {taken} taken" if given or taken else ""


def _first_admin(known: Any) -> None:
    password = secret(_PASSWORD)
    if password is None or len(password) < _SHORTEST:
        raise ConfigError(
            [f"{_PASSWORD} or {_PASSWORD}_FILE: expected {_SHORTEST} characters or more"]
        )
    role = known.find_role(ADMIN)
    known.add_user(_FIRST, _FIRST, _FIRST, f"{_FIRST}@localhost", role, password)
