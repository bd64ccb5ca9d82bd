"""Who signs a final release before it goes out, and until when: `[sign_off]`.

Standard library only; what is signed, and what a signature is worth, is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from perfhouse.config_reader import Table, did_you_mean
from perfhouse.contacts import has_contact

APPROVER, DEPUTY = "approver", "deputy"
_LOGIN = re.compile(r"[\w][\w.@+-]{0,63}")
_SHORTEST, _LONGEST = 0.001, 24 * 90.0  # hours


@dataclass(frozen=True)
class SignOff:
    """Logins of those who sign; a deputy may after `deputy_after_hours`, or when asked to.

    Nobody's answer within `deadline_hours` is a refusal. `airflow_ids`: what Airflow calls a login
    where that differs, as numbers of the FAB auth manager do.
    """

    approvers: tuple[str, ...]
    deputies: tuple[str, ...] = ()
    deadline_hours: float = 72.0
    deputy_after_hours: float = 24.0
    airflow_ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def signers(self) -> tuple[str, ...]:
        """Return everybody who may ever sign."""
        return (*self.approvers, *self.deputies)

    def role_of(self, login: str) -> str | None:
        """Return as what a login signs, or None if it may not."""
        if login in self.approvers:
            return APPROVER
        return DEPUTY if login in self.deputies else None

    def login_of(self, airflow_id: str) -> str | None:
        """Return the login behind Airflow's id of a user, or None if that is no signer's."""
        known = {self.airflow_ids.get(login, login): login for login in self.signers}
        return known.get(airflow_id)


def read_sign_off(top: Table) -> SignOff | None:
    """Read `[sign_off]`; absent: releases go out without anybody's signature."""
    if top.take("sign_off") is None:
        return None
    table = top.table("sign_off")
    approvers, deputies = _logins(table, "approvers"), _logins(table, "deputies")
    if not approvers:
        table.problem("approvers", "a list of logins such as hr.lead")
    for login in sorted({*approvers} & {*deputies}):
        table.problem("deputies", "somebody who is no approver", login)
    deadline = table.number("deadline_hours", 72.0, _SHORTEST, _LONGEST)
    after = table.number("deputy_after_hours", min(24.0, deadline / 2), _SHORTEST, _LONGEST)
    if deputies and after >= deadline:
        table.problem("deputy_after_hours", f"less than the deadline, {deadline:g} hours", after)
    ids = _airflow_ids(table.table("airflow_ids"), (*approvers, *deputies))
    table.finish()
    return SignOff(approvers, deputies, deadline, after, ids)


def _logins(table: Table, key: str) -> tuple[str, ...]:
    found = table.texts(key)
    for index, login in enumerate(found):
        if not _LOGIN.fullmatch(login):
            table.problem(f"{key}[{index}]", "a login such as hr.lead", login)
        elif has_contact(login):
            expected = "a login that is no mail address and no number: releases tell who signed"
            table.problem(f"{key}[{index}]", expected, login)
        if login in found[:index]:
            table.problem(f"{key}[{index}]", "each login once", login)
    return found


def _airflow_ids(table: Table, known: tuple[str, ...]) -> dict[str, str]:
    ids = {login: table.text(login) for login in sorted(table.data)}
    for login in ids:
        if login not in known:
            hint = did_you_mean(login, known)
            table.problem(login, f"an approver or a deputy{hint}", ids[login])
    meant = [ids.get(login, login) for login in known]
    for login, airflow_id in ids.items():
        if meant.count(airflow_id) > 1:
            table.problem(login, "an id of one signer alone", airflow_id)
    return ids
