"""Telling people of a month: cards are ready, something to look at, a gate that failed.

Knows what is due and what was sent; it may not change a month. Nothing but a rehearsal unless it is
asked to send, and nothing goes out twice.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import durable, ledger, provenance, trust, warehouse
from perfhouse.company_notices import PERSONAL, Channel
from perfhouse.errors import ConfigError, PerfhouseError, TransientError
from perfhouse.hashing import sha256_of
from perfhouse.settings import Home

if TYPE_CHECKING:
    from jinja2 import Environment

    from connectors.notices import Message
    from perfhouse.month import Month
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
    managers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How many notices of an event a channel got, or would get; `known` went out before."""

    channel: str
    event: str
    count: int
    known: int
    is_sent: bool

    @property
    def said(self) -> str:
        """Return a line for people."""
        verb = "sent" if self.is_sent else "would send"
        before = f", {self.known} went out before" if self.known else ""
        return f"{self.channel:<16} {self.event:<7} {verb} {self.count}{before}"


def notify(
    ws: Workspace,
    month: Month,
    *,
    send: bool = False,
    as_chosen: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Outcome]:
    """Tell each channel of a month what it wants to hear and has not heard; rehearse unless `send`.

    `as_chosen` sends through the channels that say `send = true`, as the DAG does. A channel that
    fails keeps no other waiting; what it did not take goes out with the next run.

    Raises:
        ConfigError: there is no channel, or one is not set up or refuses us (operator).
        TransientError: a server did not take a message (retry).
    """
    from perfhouse import stages

    if not ws.company.notices:
        raise ConfigError(["perfhouse.toml: notices: expected [[notices]], got nothing"])
    found = list(_due(ws.home, month))
    outcomes: list[Outcome] = []
    failed: list[PerfhouseError] = []
    with stages.exclusive(ws.home, "notices"):
        for channel in ws.company.notices:
            for notice in found:
                if notice.event not in channel.events:
                    continue
                try:
                    outcomes.append(
                        _tell(ws.home, channel, notice, send or (as_chosen and channel.send))
                    )
                except PerfhouseError as error:
                    progress(str(error))
                    failed.append(error)
    if failed:  # what a retry may cure comes first: then there is one
        raise next((each for each in failed if isinstance(each, TransientError)), failed[0])
    return outcomes


def messages(channel: Channel, notice: Notice) -> list[Message]:
    """Return what a channel gets of a notice: a message each for the receivers it names."""
    from connectors.notices import Message

    made = []
    for to in channel.to or ("",):
        personal = PERSONAL in to
        if personal and notice.event != "cards":
            continue
        for manager in notice.managers if personal else ("",):
            receiver = to.replace(PERSONAL, manager)
            subject, _, body = _text(channel, notice, manager).partition("\n")
            key = sha256_of([channel.id, notice.event, notice.month, notice.subject, receiver])
            made.append(Message(key, subject, body.strip() + "\n", receiver))
    return made


def _tell(home: Home, channel: Channel, notice: Notice, send: bool) -> Outcome:
    from connectors import notices as ways

    made = messages(channel, notice)
    known = _sent(home)
    due = [message for message in made if message.key not in known]
    refused: list[PerfhouseError] = []
    if send and due:
        with ways.opened(channel) as sender:
            for message in due:
                try:
                    sender.send(message)
                except (ConfigError, ways.NotNow) as error:  # one address keeps no other waiting
                    refused.append(error)
                else:
                    _note(home, channel, notice, message.key)
    if refused:
        raise next((each for each in refused if isinstance(each, TransientError)), refused[0])
    return Outcome(channel.id, notice.event, len(due), len(made) - len(due), send)


# ---------------------------------------------------------------- what is due


def _due(home: Home, month: Month) -> Iterator[Notice]:
    lines = trust.lines(home)
    entry = ledger.standing(lines).get(month.key)
    if entry is not None:
        trust.require_tables(home, entry)
        managers = _managers(home.published / entry.path)
        facts = {"release": entry.name, "count": len(managers)}
        yield Notice("cards", month.key, entry.name + _again(lines, entry), facts, managers)
    yield from _alerts(home, month)
    yield from _failed_gates(home, month)


def _again(lines: Sequence[ledger.Line], entry: ledger.Entry) -> str:
    """Tell a release that a rollback made stand again from the same one before: it is news."""
    rollbacks = [
        line.sequence
        for line in lines
        if isinstance(line, ledger.Record)
        and line.kind == ledger.ROLLED_BACK
        and line.what["release"] == entry.name
    ]
    return f" again {rollbacks[-1]}" if rollbacks else ""


def _managers(release: Path) -> tuple[str, ...]:
    with warehouse.connect() as con:
        file = str(release / "parquet" / "scorecard_manager_months.parquet")
        rows = con.execute("select manager_id from read_parquet(?) order by 1", [file]).fetchall()
    return tuple(str(row[0]) for row in rows)


def _alerts(home: Home, month: Month) -> Iterator[Notice]:
    """Yield the digest of the monitors: how many findings each has, of nobody by name."""
    from perfhouse import monitors

    if not home.warehouse.exists() or provenance.read(home, month) is None:
        return
    counts = Counter(finding.monitor for finding in monitors.findings(home, month))
    if counts:
        listed = sorted(counts.items())
        yield Notice("alerts", month.key, sha256_of(listed), {"monitors": listed})


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
