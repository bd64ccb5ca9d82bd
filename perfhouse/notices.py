"""Telling people of a month: cards are ready, something to look at, a gate or a source that failed.

Knows what is due and what was sent; it may not change a month. Nothing but a rehearsal unless it is
asked to send, and nothing goes out twice.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import durable, ledger, notice_cards, provenance, trust
from perfhouse.company_notices import EVENTS, PERSONAL, Channel
from perfhouse.errors import ConfigError, PerfhouseError, TransientError
from perfhouse.hashing import sha256_of
from perfhouse.settings import Home

if TYPE_CHECKING:
    from jinja2 import Environment

    from connectors.notices import Message, Sender
    from perfhouse.month import Month
    from perfhouse.notice_cards import Cards, News
    from perfhouse.stages import Workspace

_TEMPLATES = Path(__file__).resolve().parent / "templates" / "notices"
_GATES = ("raw", "facts", "scorecards", "exports")


@dataclass(frozen=True)
class Notice:
    """One thing to tell: `subject` is what makes it another one, such as a release's name."""

    event: str
    month: str
    subject: str
    facts: Mapping[str, Any]
    cards: Cards | None = None


@dataclass(frozen=True)
class Outcome:
    """How many notices of an event a channel got, or would get; `known` went out before.

    `preview` is the first of them as it would go; it may name its receiver, so no log shows it.
    `why` says why there is none, where the day or the month decides that.
    """

    channel: str
    event: str
    count: int
    known: int
    is_sent: bool
    preview: Message | None = field(default=None, repr=False)
    why: str = ""

    @property
    def said(self) -> str:
        """Return a line for people."""
        verb = "sent" if self.is_sent else "would send"
        before = f", {self.known} went out before" if self.known else ""
        why = f": {self.why}" if self.why else ""
        return f"{self.channel:<16} {self.event:<7} {verb} {self.count}{before}{why}"

    @property
    def shown(self) -> str:
        """Return the first message that would go, for the person who asks; empty if none would."""
        if self.preview is None or self.is_sent:
            return ""
        to = self.preview.to or "(the group)"
        to += f" and {self.count - 1} more" if self.count > 1 else ""
        text = f"to: {to}\n{self.preview.subject}\n\n{self.preview.body.rstrip()}"
        return "\n".join(f"    | {line}".rstrip() for line in text.splitlines())


def notify(
    ws: Workspace,
    month: Month,
    *,
    send: bool = False,
    as_chosen: bool = False,
    today: date | None = None,
    only: Collection[str] = EVENTS,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Outcome]:
    """Tell each channel of a month what it wants to hear and has not heard; rehearse unless `send`.

    `as_chosen` sends through the channels that say `send = true`, as the DAG does; `only` names the
    events to tell. Sources are late by `today`, the company's day; None asks of none. A channel
    that fails keeps no other waiting; what it did not take goes out with the next run.

    Raises:
        ConfigError: there is no channel, or one is not set up or refuses us (operator).
        TransientError: a server did not take a message (retry).
    """
    from perfhouse import stages

    if not ws.company.notices:
        raise ConfigError(["perfhouse.toml: notices: expected [[notices]], got nothing"])
    found = [each for each in _due(ws, month, today) if each.event in only]
    outcomes: list[Outcome] = []
    failed: list[PerfhouseError] = []
    with stages.exclusive(ws.home, "notices"):
        for channel in ws.company.notices:
            is_sent = send or (as_chosen and channel.send)
            with _Way(channel, ws.home) as way:
                for notice in found:
                    if notice.event not in channel.events:
                        continue
                    try:
                        told = _tell(ws.home, channel, notice, today, way if is_sent else None)
                        outcomes.append(told)
                    except PerfhouseError as error:
                        progress(str(error))
                        failed.append(error)
    if failed:  # what a retry may cure comes first: then there is one
        raise next((each for each in failed if isinstance(each, TransientError)), failed[0])
    return outcomes


def messages(channel: Channel, notice: Notice, today: date | None = None) -> list[Message]:
    """Return what a channel gets of a notice: a message each for the receivers it names.

    Cards before the day on which they are handed out, and those of old months, are for channels
    that ask for them; `today` None is a day on which every card is new.
    """
    made = []
    for to in channel.to or ("",):
        if PERSONAL not in to:
            told = notice if notice.cards is None else _of_all(channel, notice.cards, today)
            made += [_message(channel, told, to)] if told else []
        elif notice.cards is not None:
            made += [
                _message(channel, told, to.replace(PERSONAL, manager), manager)
                for manager, told in _of_each(channel, notice.cards, today)
            ]
    return made


def _message(channel: Channel, notice: Notice, receiver: str, manager: str = "") -> Message:
    from connectors.notices import Message

    subject, _, body = _text(channel, notice, manager).partition("\n")
    key = sha256_of([channel.id, notice.event, notice.month, notice.subject, receiver])
    return Message(key, subject, body.strip() + "\n", receiver)


def _silence(channel: Channel, cards: Cards, today: date | None) -> str:
    return cards.silence(
        today, provisional=channel.provisional, newest_months=channel.newest_months
    )


def _of_each(channel: Channel, cards: Cards, today: date | None) -> Iterator[tuple[str, Notice]]:
    """Yield what to tell each manager: of the release that brought the card's numbers."""
    if _silence(channel, cards, today):
        return
    for manager in cards.managers(today, channel.newest_months):
        yield manager, _notice(cards, cards.news[manager], 1, today)


def _of_all(channel: Channel, cards: Cards, today: date | None) -> Notice | None:
    """Return what to tell a group: how many cards the release brought; None if it brought none."""
    if _silence(channel, cards, today):
        return None
    told = cards.managers(today, channel.newest_months)
    count = sum(cards.news[manager].subject == cards.whole.subject for manager in told)
    return _notice(cards, cards.whole, count, today) if count else None


def _notice(cards: Cards, news: News, count: int, today: date | None) -> Notice:
    is_early = cards.is_provisional(today)
    is_open = today is None or today <= cards.questions_until
    facts = {
        "release": cards.release,
        "count": count,
        "kind": "provisional" if is_early else news.kind,
        "until": cards.handed_out_on,
        "waiting": cards.waiting,
        "questions_until": cards.questions_until if is_open and not is_early else None,
    }
    subject = f"{news.subject} provisional" if is_early else news.subject
    return Notice("cards", cards.month.key, subject, facts)


class _Way:
    """A channel that is opened when something goes, and again after its server was lost."""

    def __init__(self, channel: Channel, home: Home) -> None:
        self._channel, self._marks = channel, _file(home).parent
        self._open = ExitStack()
        self._sender: Sender | None = None

    def __enter__(self) -> _Way:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def send(self, message: Message) -> None:
        """Send a message; all of a channel go by one way, at one pace."""
        from connectors import notices as ways

        if self._sender is None:
            self._sender = self._open.enter_context(ways.opened(self._channel, self._marks))
        try:
            self._sender.send(message)
        except TransientError as error:
            if not isinstance(error, ways.NotNow):
                self._sender = None
                self._open.close()
            raise


def _tell(
    home: Home, channel: Channel, notice: Notice, today: date | None, way: _Way | None
) -> Outcome:
    from connectors import notices as ways

    made = messages(channel, notice, today)
    known = _sent(home)
    due = [message for message in made if message.key not in known]
    refused: list[PerfhouseError] = []
    if way is not None:
        for message in due:
            try:
                way.send(message)
            except (ConfigError, ways.NotNow) as error:  # one address keeps no other waiting
                refused.append(error)
            else:
                _note(home, channel, notice, message.key)
    if refused:
        raise next((each for each in refused if isinstance(each, TransientError)), refused[0])
    first = due[0] if due else None
    why = ""
    if notice.cards and not made:
        why = _silence(channel, notice.cards, today) or "it brought nobody a card of other numbers"
    return Outcome(
        *(channel.id, notice.event, len(due), len(made) - len(due), way is not None, first), why
    )


# ---------------------------------------------------------------- what is due


def _due(ws: Workspace, month: Month, today: date | None) -> Iterator[Notice]:
    home = ws.home
    if today:
        yield from _late(ws, month, today)
        yield from _overdue(ws, month, today)
    lines = trust.lines(home)
    entry = ledger.standing(lines).get(month.key)
    if entry is not None:
        trust.require_tables(home, entry)
        yield Notice(
            "cards",
            month.key,
            entry.name,
            {},
            notice_cards.read(ws.company, home, lines, entry),
        )
    yield from _unsigned(ws, month)
    yield from _alerts(home, month)
    yield from _failed_gates(home, month)


def _late(ws: Workspace, month: Month, today: date) -> Iterator[Notice]:
    from perfhouse import lateness

    for late in lateness.late(ws.company, ws.home, today):
        if late.month == month:
            yield Notice("late", month.key, late.source, {"late": late})


def _overdue(ws: Workspace, month: Month, today: date) -> Iterator[Notice]:
    from perfhouse import overdue

    for what in overdue.of_month(ws, month, today):
        facts = {"what": what, "waits": overdue.waits(ws, month)}
        yield Notice("overdue", month.key, f"{what.step} {what.due}", facts)


def _unsigned(ws: Workspace, month: Month) -> Iterator[Notice]:
    """Yield that a final release waits for an approver, or for a deputy, or was refused."""
    from perfhouse import sign_off, sign_off_request

    who, known = ws.company.sign_off, sign_off_request.read(ws.home, month)
    if who is None or known is None or known.state == sign_off.APPROVED:
        return
    waited = known.hours(sign_off_request.now(ws.home))
    is_late = bool(who.deputies) and (known.is_handed_over or waited >= who.deputy_after_hours)
    event = "sign_off_late" if is_late and known.state == sign_off_request.OPEN else "sign_off"
    sha256 = known.content.release_sha256
    yield Notice(
        event,
        month.key,
        f"{known.content.release} {sha256} {known.state} {known.asked_at}",
        {
            "release": known.content.release,
            "sha12": sha256[:12],
            "state": known.state,
            "by": known.by,
            "hours": who.deadline_hours,
        },
    )


def _alerts(home: Home, month: Month) -> Iterator[Notice]:
    """Yield the digest of the monitors: how many findings each has, of nobody by name."""
    from perfhouse import monitors
    from perfhouse.card_alerts import MONITOR_NAMES

    if not home.warehouse.exists() or provenance.read(home, month) is None:
        return
    counts = Counter(finding.monitor for finding in monitors.findings(home, month))
    if counts:
        listed = sorted(counts.items())
        told = [(*MONITOR_NAMES.get(name, (name, name)), number) for name, number in listed]
        yield Notice("alerts", month.key, sha256_of(listed), {"monitors": told})


def _failed_gates(home: Home, month: Month) -> Iterator[Notice]:
    from expectations import gate
    from expectations.rules import CRITICAL

    for name in _GATES:
        said = gate.verdict(home, month, name)
        if said is None or said.passed:
            continue
        checks = [c for c in said.checks if not c.passed and c.severity == CRITICAL]
        yield Notice(
            "gate", month.key, f"{name} {said.subject_sha256}", {"gate": name, "checks": checks}
        )


# ---------------------------------------------------------------- words, and what was sent


def _text(channel: Channel, notice: Notice, manager: str) -> str:
    link = channel.link.replace("{month}", notice.month)
    if not manager and PERSONAL in link:
        link = ""
    told = {**notice.facts, "month": notice.month, "lang": channel.language, "manager": manager}
    template = _environment().get_template(f"{notice.event}.txt")
    return template.render(told, link=link.replace(PERSONAL, manager))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(  # plain text: there is nothing to escape
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=False,  # noqa: S701
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _file(home: Home) -> Path:
    return home.root / "notices" / "sent.jsonl"


def _sent(home: Home) -> frozenset[str]:
    file = _file(home)
    lines = file.read_text(encoding="utf-8").split("\n")[:-1] if file.exists() else []
    return frozenset(str(json.loads(line)["key"]) for line in lines)


def _note(home: Home, channel: Channel, notice: Notice, key: str) -> None:
    """Put on record that a notice went out; its receiver is in the key alone, as a hash."""
    file = _file(home)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    said = {"channel": channel.id, "event": notice.event, "key": key, "month": notice.month}
    whole = file.read_bytes().rpartition(b"\n")[0] + b"\n" if file.exists() else b""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "r+b") as handle:
        handle.truncate(len(whole.lstrip(b"\n")))  # a torn last line
        handle.seek(0, os.SEEK_END)
        handle.write(json.dumps(said, sort_keys=True).encode() + b"\n")
        handle.flush()
        os.fsync(handle.fileno())
    durable.sync_folder(file.parent)
