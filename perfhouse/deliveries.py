"""What was delivered to whom, and what each receiver answered: an append-only, hash-chained list.

It lies in the home, private; it may not send or read anything elsewhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from perfhouse.durable import sync_folder
from perfhouse.errors import ReleaseError
from perfhouse.hashing import canonical_json, sha256_of
from perfhouse.settings import Home

SENT, ACCEPTED, REJECTED = "sent", "accepted", "rejected"
OVERDUE = "overdue"
_GENESIS = "0" * 64
_DAY = 86_400


@dataclass(frozen=True)
class Event:
    """One line: a delivery was sent, accepted or rejected.

    `at` is when, in UTC, by the clock of the place where it was put; `sha256` is of what is inside.
    """

    kind: str
    delivery: str
    receiver: str
    export: str
    month: str
    release: str
    since: str | None
    rows: int
    sha256: str
    at: str
    reason: str = ""


@dataclass(frozen=True)
class Standing:
    """Where a delivery stands: sent, accepted, rejected or overdue; `reason` is the receiver's."""

    sent: Event
    state: str
    reason: str = ""


def path(home: Home) -> Path:
    """Return the list's file: deliveries/deliveries.jsonl."""
    return home.deliveries / "deliveries.jsonl"


def events(home: Home) -> list[Event]:
    """Read the list and verify its chain; a torn last line is left out.

    Raises:
        ReleaseError: a line was changed, moved or removed (data engineer).
    """
    return [event for event, _ in _chained(home)]


def append(home: Home, event: Event) -> None:
    """Append one event and sync it to disk; the caller is the only one who delivers."""
    file = path(home)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = _chained(home)
    body = {**asdict(event), "previous_sha256": known[-1][1] if known else _GENESIS}
    line = canonical_json({**body, "entry_sha256": sha256_of(body)}) + b"\n"
    whole = b"".join(each + b"\n" for each in _lines(file))
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "r+b") as handle:
        handle.truncate(len(whole))  # a torn last line, which only a crash here leaves
        handle.seek(len(whole))
        handle.write(line)
        handle.flush()
        os.fsync(handle.fileno())
    sync_folder(file.parent)


def standings(known: Sequence[Event], days: int, now: float) -> list[Standing]:
    """Say where every delivery stands; overdue without an answer after so many days.

    `now` is in seconds of 1970.
    """
    answers = {event.delivery: event for event in known if event.kind != SENT}
    found = {}
    for event in known:
        if event.kind != SENT:
            continue
        answer = answers.get(event.delivery)
        age = now - datetime.fromisoformat(event.at).timestamp()
        waiting = OVERDUE if age > days * _DAY else SENT
        found[event.delivery] = Standing(
            event,
            answer.kind if answer else waiting,
            answer.reason if answer else "",
        )
    return list(found.values())


def accepted(known: Sequence[Event], receiver: str, month: str) -> Event | None:
    """Return the delivery of a month that a receiver holds for certain, or None.

    That is the one that was sent last and not rejected, if it was accepted. Where it has no answer
    yet the receiver may hold this or what came before: no difference fits both.
    """
    of_them = [event for event in known if (event.receiver, event.month) == (receiver, month)]
    answers = {event.delivery: event for event in of_them if event.kind != SENT}
    for sent in reversed([event for event in of_them if event.kind == SENT]):
        answer = answers.get(sent.delivery)
        if answer is None or answer.kind == ACCEPTED:
            return answer
    return None


def instant(seconds: float) -> str:
    """Return a time in seconds of 1970 as ISO 8601, UTC."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()


def _lines(file: Path) -> list[bytes]:
    return file.read_bytes().split(b"\n")[:-1] if file.exists() else []


def _chained(home: Home) -> list[tuple[Event, str]]:
    found: list[tuple[Event, str]] = []
    for number, line in enumerate(_lines(path(home)), start=1):
        body: dict[str, Any] = json.loads(line)
        own = body.pop("entry_sha256", None)
        previous = found[-1][1] if found else _GENESIS
        if own != sha256_of(body) or body.pop("previous_sha256") != previous:
            raise ReleaseError(f"deliveries/deliveries.jsonl: line {number} does not fit the chain")
        found.append((Event(**body), own))
    return found
