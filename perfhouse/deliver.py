"""Hand the exports of a month to their receivers, and hear what they answer.

Sends what delivery_files.py makes, through an outbox, and notes it in deliveries.py.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from perfhouse import deliveries, delivery_files, ledger, signing, trust
from perfhouse.deliveries import ACCEPTED, REJECTED, SENT, Event, Standing
from perfhouse.errors import ConfigError, PerfhouseError, TransientError

if TYPE_CHECKING:
    from pathlib import Path

    from minisign import SecretKey

    from connectors.outbox import Outbox
    from perfhouse.delivery_files import Parcel
    from perfhouse.export_types import Receiver
    from perfhouse.month import Month
    from perfhouse.settings import Home
    from perfhouse.stages import Workspace

_log = logging.getLogger(__name__)
_REASON_LENGTH = 500
_ANOTHER = (
    "Put that key back; or, to go on with a new one, move exports.pub away and hand the new one, "
    "which the next delivery makes, to every receiver"
)


def deliver(
    ws: Workspace,
    month: Month,
    *,
    receiver: str | None = None,
    again: bool = False,
    progress: Callable[[str], None] = _log.info,
) -> list[Event]:
    """Deliver the release of a month that stands to its receivers; return what was sent.

    A receiver gets everything the first time, and then the rows that differ from what it accepted
    last, after a rollback too; everything again where it has not answered what was sent last. What
    was sent last is not sent again; with `again` everything is.

    Raises:
        ConfigError: there is no receiver or no release, or a place refuses us (operator).
        ReleaseError: the ledger or what would be sent is not as it was signed (data engineer).
        TransientError: a place did not answer; nothing half-written is there (retry).
    """
    chosen = _receivers(ws, receiver)
    entry = ledger.standing(trust.lines(ws.home)).get(month.key)
    if entry is None:
        raise ConfigError([f"--month: expected a published month, {month} has no release"])
    trust.require_intact(ws.home, entry)
    release = f"{entry.month}.r{entry.number}"
    folder = ws.home.published / entry.path
    sent: list[Event] = []
    failed: list[PerfhouseError] = []
    with _alone(ws.home):
        for each in chosen:
            try:
                with _outbox(ws, each) as outbox:
                    _hear(ws.home, each, outbox, progress)
                    made = _due(ws, each, month, (release, folder), again, progress)
                    if made is not None:
                        sent.append(_send(ws.home, each, made, outbox, progress))
            except PerfhouseError as error:  # one receiver's fault keeps nobody else waiting
                progress(f"{each.id}: {error}")
                failed.append(error)
    if failed:
        raise failed[0]
    return sent


def standings(ws: Workspace, progress: Callable[[str], None] = _log.info) -> list[Standing]:
    """Ask every place for answers; say where each delivery stands, by receiver and in order."""
    found: list[Standing] = []
    with _alone(ws.home):
        for each in ws.company.receivers:
            with _outbox(ws, each) as outbox:
                try:
                    _hear(ws.home, each, outbox, progress)
                except TransientError as error:
                    progress(f"{each.id}: not asked: {error}")
                own = [e for e in deliveries.events(ws.home) if e.receiver == each.id]
                found += deliveries.standings(own, each.acknowledge_days, outbox.now())
    return found


def signing_key(home: Home) -> SecretKey:
    """Return the key that deliveries are signed with; show its public half to hand on.

    Raises:
        ConfigError: receivers hold the public half of another key, or of one that is gone
            (operator).
    """
    home.deliveries.mkdir(mode=0o700, parents=True, exist_ok=True)
    return signing.shown_key(home.secrets / "exports.minisign", public_key(home), _ANOTHER)


def public_key(home: Home) -> Path:
    """Return the file of the public key: deliveries/exports.pub."""
    return home.deliveries / "exports.pub"


def _receivers(ws: Workspace, chosen: str | None) -> list[Receiver]:
    known = [each.id for each in ws.company.receivers]
    if not known:
        raise ConfigError(
            ["perfhouse.toml: exports: expected [[exports.hr]] with a url, got nothing"]
        )
    if chosen is not None and chosen not in known:
        raise ConfigError([f"--receiver: expected one of {', '.join(known)}; got {chosen!r}"])
    return [each for each in ws.company.receivers if chosen in (None, each.id)]


def _due(
    ws: Workspace,
    receiver: Receiver,
    month: Month,
    release: tuple[str, Path],
    again: bool,
    progress: Callable[[str], None],
) -> Parcel | None:
    """Return what a receiver has not been sent yet, or None; all of it, if `again`."""
    known = deliveries.events(ws.home)
    last = None if again else deliveries.accepted(known, receiver.id, month.key)
    own = [event for event in known if event.kind == SENT and event.receiver == receiver.id]
    own_of_month = [event for event in own if event.month == month.key]
    held = [] if receiver.mapping is None else _held(ws.home, known, own_of_month)
    before = _accepted_release(ws.home, last)
    made = delivery_files.parcel(receiver, month, *release, before, held)
    if made is None:
        progress(f"{receiver.id}: {release[0]} holds no {receiver.export} export")
        return None
    if made.since is not None and made.rows + made.withdrawn == 0:
        progress(f"{receiver.id}: has accepted all of {release[0]}")
        return None
    last_sent = own_of_month[-1:]
    if last_sent and last_sent[0].sha256 == made.sha256 and not again:
        progress(f"{receiver.id}: {last_sent[0].delivery} was sent at {last_sent[0].at}, not again")
        return None
    return _named_anew(made, own)


def _send(
    home: Home, receiver: Receiver, made: Parcel, outbox: Outbox, progress: Callable[[str], None]
) -> Event:
    for name, content in delivery_files.packed(made, signing_key(home)).items():
        outbox.put(name, content)
    event = Event(
        SENT, made.name, receiver.id, made.export, made.month, made.release, made.since, made.rows,
        made.sha256, deliveries.instant(outbox.now()),
    )  # fmt: skip
    deliveries.append(home, event)
    progress(f"{receiver.id}: sent {made.name}, {made.rows} rows")
    if made.withdrawn:
        progress(
            f"{receiver.id}: {made.withdrawn} rows are withdrawn, as {made.withdrawn_in} lists: "
            "the system must take them back"
        )
    return event


def _named_anew(made: Parcel, sent: Sequence[Event]) -> Parcel:
    """Give a delivery a name that no other has: an answer to one is none to the next."""
    names = {event.delivery for event in sent}
    tries = (f"{made.name}.{number}" for number in range(2, len(names) + 3))
    return replace(made, name=next(n for n in (made.name, *tries) if n not in names))


def _held(home: Home, known: Sequence[Event], sent: Sequence[Event]) -> list[Path]:
    """Return the folders of all releases that a receiver may hold: sent, and not rejected."""
    rejected = {event.delivery for event in known if event.kind == REJECTED}
    last = {event.release: event for event in sent if event.delivery not in rejected}
    found = [_accepted_release(home, event) for event in last.values()]
    return [each[1] for each in found if each]


def _accepted_release(home: Home, last: Event | None) -> tuple[str, Path] | None:
    if last is None:
        return None
    for entry in ledger.entries(home):
        if entry.name == last.release:
            trust.require_intact(home, entry)
            return last.release, home.published / entry.path
    return None


def _hear(home: Home, receiver: Receiver, outbox: Outbox, progress: Callable[[str], None]) -> None:
    """Note the answers to deliveries that have none yet."""
    known = [event for event in deliveries.events(home) if event.receiver == receiver.id]
    answered = {event.delivery for event in known if event.kind != SENT}
    waiting = {event.delivery: event for event in known if event.delivery not in answered}
    for event in waiting.values():
        text = outbox.read(f"{event.delivery}.ack")
        if text is None:
            continue
        answer = _answer(text)
        wrong = _misfit(answer, event)
        if wrong:
            progress(f"{receiver.id}: {event.delivery}.ack does not count: {wrong}")
            continue
        kind, reason = answer["status"], str(answer.get("reason") or "")
        noted = replace(
            event,
            kind=kind,
            at=deliveries.instant(outbox.now()),
            reason=" ".join(reason.split())[:_REASON_LENGTH],
        )
        deliveries.append(home, noted)
        progress(f"{receiver.id}: {event.delivery} was {kind}")


def _answer(text: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(text.decode("utf-8-sig"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _misfit(answer: Mapping[str, Any], event: Event) -> str:
    """Say why an answer does not fit what was sent; nothing if it does."""
    if answer.get("status") not in (ACCEPTED, REJECTED):
        return f"expected JSON with a status {ACCEPTED} or {REJECTED}"
    if answer.get("sha256") != event.sha256:
        return "its sha256 is not that of the ready file"
    if answer["status"] == ACCEPTED and answer.get("rows") != event.rows:
        return f"expected {event.rows} rows"
    return ""


@contextmanager
def _outbox(ws: Workspace, receiver: Receiver) -> Iterator[Outbox]:
    from connectors.outbox import open_outbox

    where = f"exports.{receiver.export}.{receiver.id}.url"
    outbox = open_outbox(where, receiver.url, receiver.connection, ws.home.root)
    try:
        yield outbox
    finally:
        outbox.close()


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Hold the lock of deliveries: two at once would send twice."""
    import fcntl

    home.tmp.mkdir(parents=True, exist_ok=True)
    with (home.tmp / "deliver.lock").open("w", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
