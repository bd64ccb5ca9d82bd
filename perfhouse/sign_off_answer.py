"""Answers to what was asked: an approver, a deputy or nobody, put on record in the signed ledger.

Writes one line an answer, and the request's state; it may not publish.
"""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

from perfhouse import ledger, public_words, release, sign_off, sign_off_request
from perfhouse.company_sign_off import DEPUTY, SignOff
from perfhouse.errors import ConfigError
from perfhouse.restatement import Reason
from perfhouse.sign_off import APPROVED, NOBODY, REFUSED, Content
from perfhouse.sign_off_request import OPEN, Request

if TYPE_CHECKING:
    from perfhouse.month import Month
    from perfhouse.settings import Home
    from perfhouse.stages import Workspace

WITHHELD = "the reason named somebody or told an address, so it is not published"
UNSAID = "no reason was given"
_HASH = 8  # digits of it that somebody must give at least


def settings(ws: Workspace) -> SignOff:
    """Return who signs; ConfigError if nobody needs to (operator)."""
    if ws.company.sign_off is None:
        raise ConfigError(["perfhouse.toml: sign_off: expected [sign_off], got nothing"])
    return ws.company.sign_off


def asked(ws: Workspace, month: Month, sha256: str) -> Request:
    """Return the request that a person saw, by the first digits of its hash.

    Raises:
        ConfigError: another content is asked for, or none (whoever answers).
    """
    known = sign_off_request.read(ws.home, month)
    if known is None:
        raise ConfigError([f"--month: nothing of {month} is asked: perfhouse publish asks"])
    if len(sha256) < _HASH or not known.content.release_sha256.startswith(sha256):
        raise ConfigError(
            [
                f"--approve, --refuse: expected {known.content.release_sha256[:12]}, the hash of "
                f"what is asked now ({known.content.release}), got {sha256!r}: read it again"
            ]
        )
    return known


def answer(
    ws: Workspace,
    request: Request,
    by: str,
    reason: str,
    *,
    is_approved: bool,
    at: str | None = None,
    in_time: bool = False,
) -> ledger.Record:
    """Put on record that a login signs or refuses what was asked; the same answer twice is one.

    `in_time`: a scheduler kept the deadline and the deputies' turn; else the disk's clock does.

    Raises:
        ConfigError: that login may not, may not yet, or it gave the reason of this restatement; or
            the deadline has passed, which is then on record as a refusal (whoever answers).
    """
    home, content = ws.home, request.content
    role = _role(ws, request, by, in_time=in_time)
    if is_approved and _same(by, content.restated_by):
        raise ConfigError(
            [f"--by: {by} decided on this restatement, so somebody else signs it ({_who(ws)})"]
        )
    public_words.require(home, Reason(reason, by))
    said = APPROVED if is_approved else REFUSED
    return _record(home, content, content.what(said, role), (by, reason or UNSAID, at))


def nobody(ws: Workspace, request: Request, at: str | None = None) -> ledger.Record | None:
    """Put on record that nobody answered in time; None where it was signed by another way."""
    content = request.content
    signed = sign_off.approval(ledger.lines(ledger.ledger_path(ws.home)), content)
    if signed is not None:
        sign_off_request.answered(ws.home, content, APPROVED, signed.who)
        return None
    why = f"no answer within {settings(ws).deadline_hours:g} hours"
    return _record(ws.home, content, content.what(REFUSED, NOBODY), (NOBODY, why, at))


def expired(ws: Workspace, request: Request) -> Request:
    """Return a request as it stands by the disk's clock: past the deadline it is refused."""
    now = sign_off_request.now(ws.home)
    if request.state != OPEN or request.hours(now) < settings(ws).deadline_hours:
        return request
    nobody(ws, request)
    return sign_off_request.read(ws.home, _month(request)) or request


def hand_over(ws: Workspace, month: Month) -> None:
    """Let the deputies answer what waits, from now on."""
    known = sign_off_request.read(ws.home, month)
    if known is not None and known.state == OPEN:
        sign_off_request.keep(ws.home, replace(known, is_handed_over=True))


def publishable(home: Home, reason: str, by: str) -> str:
    """Return a reason as it may stand in the ledger: one that names somebody is withheld.

    For answers from a form, which are given for good when we read them.
    """
    try:
        public_words.require(home, Reason(reason, by))
    except ConfigError:
        return WITHHELD
    return " ".join(reason.split()) or UNSAID


def _role(ws: Workspace, request: Request, by: str, *, in_time: bool) -> str:
    who = settings(ws)
    role = who.role_of(by)
    if role is None:
        raise ConfigError([f"--by: expected one of {_who(ws)}; got {by!r}"])
    if in_time:
        return role
    if expired(ws, request).state == REFUSED and request.state == OPEN:
        raise ConfigError(
            [
                f"--month: nobody answered within {who.deadline_hours:g} hours, which is a "
                f"refusal, now on record: perfhouse publish asks again"
            ]
        )
    waited = request.hours(sign_off_request.now(ws.home))
    if role == DEPUTY and not request.is_handed_over and waited < who.deputy_after_hours:
        raise ConfigError(
            [
                f"--by: {by} is a deputy and may answer after {who.deputy_after_hours:g} hours; "
                f"until then one of {', '.join(who.approvers)}"
            ]
        )
    return role


def _record(
    home: Home, content: Content, what: dict[str, str], said: tuple[str, str, str | None]
) -> ledger.Record:
    who, why, at = said
    known = sign_off.answers(ledger.lines(ledger.ledger_path(home)), content)
    last = known[-1] if known else None
    if last is None or (dict(last.what), last.who, last.why, last.at) != (what, who, why, at):
        last = release.record(home, kind=sign_off.KIND, what=what, who=who, why=why, at=at)
    sign_off_request.answered(home, content, what["answer"], who)
    return last


def _same(one: str, other: str) -> bool:
    return _folded(one) == _folded(other)


def _folded(words: str) -> str:
    return "".join(unicodedata.normalize("NFKC", words).casefold().split())


def _who(ws: Workspace) -> str:
    return ", ".join(settings(ws).signers)


def _month(request: Request) -> Month:
    from perfhouse.month import Month

    return Month(request.content.month)
