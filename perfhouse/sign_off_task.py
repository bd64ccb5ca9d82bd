"""The answers of a scheduler's form: what it shows, and what a given answer comes to.

Knows no scheduler: it is handed what the form said. It may not publish.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from perfhouse import sign_off_answer, sign_off_form, sign_off_request
from perfhouse.errors import ConfigError, NotSignedOff
from perfhouse.sign_off import APPROVED, REFUSED, Content
from perfhouse.sign_off_request import Request

if TYPE_CHECKING:
    from perfhouse.month import Month
    from perfhouse.settings import Home
    from perfhouse.stages import Workspace

APPROVE, REJECT, DEPUTY = "Approve", "Reject", "Deputy"
REASON = "reason"


@dataclass(frozen=True)
class Answer:
    """What a form said: `user_id` is None where nobody answered in time."""

    choice: str
    user_id: str | None
    at: str
    reason: str

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Answer:
        """Read what Airflow's form returns."""
        user, at = told.get("responded_by_user"), told.get("responded_at")
        when = at.isoformat(timespec="seconds") if isinstance(at, datetime) else str(at or "")
        said = (told.get("params_input") or {}).get(REASON) or ""
        return cls(told["chosen_options"][0], user["id"] if user else None, when, str(said))


def shown(ws: Workspace, request: Request) -> dict[str, str]:
    """Return what the form shows, and what it asks about; it names no employee."""
    return {
        "release": request.content.release,
        "sha256": request.content.release_sha256,
        "restated_by": request.content.restated_by,
        "subject": sign_off_form.subject(request.form),
        "body": sign_off_form.text(request.form, sign_off_answer.settings(ws).signers),
    }


def is_for_deputy(told: Mapping[str, Any]) -> bool:
    """Say whether an approver hands over to the deputy, or did not answer so long."""
    return Answer.of(told).choice == DEPUTY


def settle(
    ws: Workspace, month: Month, asked: Mapping[str, str], told: Sequence[Mapping[str, Any]]
) -> None:
    """Put on record what the forms of a run said about what they asked; return if it was signed.

    Raises:
        NotSignedOff: it was refused, by a person or by nobody (approver).
        ConfigError: whoever answered may not (operator); it does not count.
    """
    known = sign_off_request.read(ws.home, month)
    content = Content(month.key, asked["release"], asked["sha256"], asked["restated_by"])
    # a later run may have asked about other content by now: an answer is about what it was shown
    request = known if known and known.content == content else Request(content, 0.0)
    answers = [found for found in map(Answer.of, told) if found.choice != DEPUTY]
    if not answers:
        raise NotSignedOff(f"{content.release}: nobody was asked to the end; run `publish` again")
    given = answers[-1]
    if given.user_id is None:
        line = sign_off_answer.nobody(ws, request, given.at)
    else:
        login = _login(ws, given.user_id)
        line = sign_off_answer.answer(
            *(ws, request, login),
            sign_off_answer.publishable(ws.home, given.reason, login),
            is_approved=given.choice == APPROVE,
            at=given.at,
            in_time=True,
        )
    if line is not None and line.what["answer"] != APPROVED:
        raise NotSignedOff(
            f"{content.release} ({content.release_sha256[:12]}): "
            f"{sign_off_request.refusal(line)}; nothing was published. Mend it, or trigger "
            "`publish` for the month to ask again"
        )


def _login(ws: Workspace, user_id: str) -> str:
    who = sign_off_answer.settings(ws)
    login = who.login_of(user_id)
    if login is None:
        known = ", ".join(who.signers)
        raise ConfigError(
            [
                f"sign_off: expected an answer of one of {known}, got one of Airflow's user "
                f"{user_id!r}; it does not count: run `publish` again, or mend sign_off.airflow_ids"
            ]
        )
    return login


def refused(home: Home, month: Month) -> dict[str, str]:
    """Return who refused what was asked of a month, for an asset's event; empty if nobody did."""
    known = sign_off_request.read(home, month)
    if known is None or known.state != REFUSED:
        return {}
    return {"sign_off": f"{known.content.release}: refused by {known.by}"}
