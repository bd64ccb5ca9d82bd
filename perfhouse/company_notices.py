"""Whom a company wants to hear of a month, and where: `[[notices]]`.

Standard library only; what a notice says and how it is sent is not known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from perfhouse.config_reader import Table

KINDS = ("email", "slack", "webhook", "wecom_app", "wecom_robot")
EVENTS = ("alerts", "cards", "gate", "late", "overdue", "sign_off", "sign_off_late")
LANGUAGES = ("both", "en", "zh")
PERSONAL = "{manager_id}"
ROBOT_PER_MINUTE = 20  # WeCom refuses more
_ID = re.compile(r"^[a-z][a-z0-9_-]*$")
_NEED_TO = ("email", "wecom_app")


@dataclass(frozen=True)
class Channel:
    """Where notices go; `connection` names the secret address.

    `to`: mail addresses or users of WeCom; one with `{manager_id}` is each manager's own, and hears
    of the own card only. `link`: where cards are read, with `{month}` and `{manager_id}`. `send`:
    the DAG sends by itself; else it says what would go. `per_minute`: messages; 0 for what the kind
    allows. `provisional`: also of cards before the day on which they are handed out.
    `newest_months`: of which months cards are told, besides the current one.
    """

    id: str
    kind: str
    connection: str
    events: tuple[str, ...]
    language: str = "both"
    to: tuple[str, ...] = ()
    sender: str = ""
    link: str = ""
    send: bool = False
    per_minute: int = 0
    provisional: bool = False
    newest_months: int = 2


def read_notices(top: Table) -> tuple[Channel, ...]:
    """Read every `[[notices]]`; notes every problem."""
    found: list[Channel] = []
    for entry in top.tables("notices"):
        channel = _channel(entry)
        if channel.id in [each.id for each in found]:
            entry.problem("id", "an id of its own for each channel", channel.id)
        found.append(channel)
    return tuple(found)


def _channel(entry: Table) -> Channel:
    channel = Channel(
        id=entry.text("id", pattern=_ID, expected="an id such as hr-mail"),
        kind=entry.one_of("kind", KINDS),
        connection=entry.text("connection", pattern=_ID, expected="a connection such as mail"),
        events=entry.texts("events", EVENTS),
        language=entry.one_of("language", LANGUAGES, "both"),
        to=entry.texts("to"),
        sender=entry.text("sender", ""),
        link=entry.text("link", ""),
        send=entry.flag("send", default=False),
        per_minute=entry.whole("per_minute", 0),
        provisional=entry.flag("provisional", default=False),
        newest_months=entry.whole("newest_months", 2),
    )
    for index, event in enumerate(channel.events):
        if event not in EVENTS:
            entry.problem(f"events[{index}]", f"one of {', '.join(EVENTS)}", event)
    if channel.kind in _NEED_TO and not channel.to:
        entry.problem("to", "a list of receivers")
    if channel.kind == "email" and "@" not in channel.sender:
        entry.problem("sender", "a mail address", channel.sender)
    if channel.kind == "wecom_robot" and channel.per_minute > ROBOT_PER_MINUTE:
        entry.problem("per_minute", f"at most {ROBOT_PER_MINUTE} a minute", channel.per_minute)
    entry.finish()
    return channel
