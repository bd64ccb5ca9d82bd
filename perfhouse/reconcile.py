"""What the lake holds against what was published: finds what an event was lost for, and heals it.

Compares recorded state: no clock decides what is done. What needs a person's word is only named.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from perfhouse import (
    arrivals,
    hashing,
    lake,
    lateness,
    ledger,
    months,
    processed,
    sign_off_request,
    stages,
)
from perfhouse.errors import GateFailed, MonthClosed, NotSignedOff, PerfhouseError
from perfhouse.month import Month
from perfhouse.processed import JUDGED, STOPPED

if TYPE_CHECKING:
    from perfhouse.arrivals import Arrival
    from perfhouse.settings import Home
    from perfhouse.stages import Progress, Workspace

INGEST, BUILD, PUBLISH, RESTATE, JUDGE = "ingest", "build", "publish", "restate", "judge"


@dataclass(frozen=True)
class Work:
    """One thing that is not done.

    Args:
        step: INGEST, BUILD (and what follows it) or PUBLISH; RESTATE and JUDGE are a person's.
        why: what differs, in words.
        who: who must act, where we may not; empty where it can be healed.
        key: the same for the same state, another once it changes.
        since: when the state was reached, in seconds of 1970.
        as_of: the last delivery window that counts.
        announced: when an event named it, in milliseconds of 1970.
    """

    step: str
    month: Month
    why: str
    who: str = ""
    source: str = ""
    key: str = ""
    since: float = 0.0
    as_of: Month | None = None
    announced: int = 0

    @property
    def said(self) -> str:
        """Return a line for people."""
        what = f"{self.step} {self.source}".strip()
        acts = f" (who must act: {self.who})" if self.who else ""
        return f"{self.month}  {what}: {self.why}{acts}"


@dataclass(frozen=True)
class Healed:
    """What became of one work: `error` is None where it was done."""

    work: Work
    error: PerfhouseError | None = None

    @property
    def said(self) -> str:
        """Return a line for people."""
        what = f"{self.work.month}  {self.work.step} {self.work.source}".rstrip()
        if self.error is None:
            return f"{what}: done"
        return f"{what}: {type(self.error).__name__} (who must act: {self.error.who}) {self.error}"


def everything(ws: Workspace, today: date, hints: Collection[Arrival] = ()) -> list[Work]:
    """Return what is to be ingested, then what is landed and not published.

    `today` is the company's day: it tells which months are looked at, and who is late. `hints` are
    events that no ingest has followed.
    """
    arrived = arrivals.look(ws, today, hints).arrived
    return [*ingests(arrived), *overdue(ws, today), *outstanding(ws)]


def ingests(arrived: Iterable[Arrival]) -> list[Work]:
    """Return the ingests that arrivals ask for, in the order of the months."""
    found = [
        Work(
            *(INGEST, each.month, each.why),
            source=each.source,
            key=each.key,
            since=each.announced / 1000,
            announced=each.announced,
        )
        for each in arrived
    ]
    return sorted(found, key=lambda work: work.month)


def overdue(ws: Workspace, today: date) -> list[Work]:
    """Return ingests of sources that are late and not watched: they are tried once a day."""
    watched = {source.id for source in ws.company.sources if source.watch}
    return [
        Work(INGEST, each.month, each.said, source=each.source, key=f"late-{today}")
        for each in lateness.late(ws.company, ws.home, today)
        if each.source not in watched
    ]


def heal_all(ws: Workspace, today: date, progress: Progress) -> list[Healed]:
    """Ingest what arrived, then build and publish what that and lost events left behind."""
    arrived = arrivals.look(ws, today).arrived
    landed = heal(ws, [*ingests(arrived), *overdue(ws, today)], progress)
    return [*landed, *heal(ws, outstanding(ws), progress)]


def outstanding(ws: Workspace) -> list[Work]:
    """Return what complete months lack, in the order of the months; nothing is opened or changed.

    A month is complete when every required source has landed it. Months before the first release
    are history that later ones read: they are nobody's work.
    """
    first = min((entry.month for entry in ledger.entries(ws.home)), default="")
    found = (_of_month(ws, month) for month in _complete(ws) if month.key >= first)
    return [work for work in found if work is not None]


def heal(ws: Workspace, found: Iterable[Work], progress: Progress) -> list[Healed]:
    """Do what may be done without a person, in order; what fails keeps nothing else waiting."""
    return [_healed(ws, work, progress) for work in found if not work.who]


def _healed(ws: Workspace, work: Work, progress: Progress) -> Healed:
    try:
        for step in _STEPS[work.step]:
            step(ws, work, progress)
    except PerfhouseError as error:
        return Healed(work, error)
    return Healed(work)


def _ingest(ws: Workspace, work: Work, progress: Progress) -> None:
    stages.ingest(ws, work.source, work.month, progress)


def _build(ws: Workspace, work: Work, progress: Progress) -> None:
    stages.gate_raw(ws, work.month, work.as_of)
    stages.build(ws, work.month, work.as_of, progress)
    stages.gate_facts(ws, work.month, work.as_of)
    stages.gate_scorecards(ws, work.month, work.as_of)


def _publish(ws: Workspace, work: Work, progress: Progress) -> None:
    stages.publish(ws, work.month, work.as_of, progress)


_STEPS: Mapping[str, tuple[Callable[[Workspace, Work, Progress], None], ...]] = {
    INGEST: (_ingest,),
    BUILD: (_build, _publish),
    PUBLISH: (_publish,),
}


def _complete(ws: Workspace) -> Iterator[Month]:
    sources = ws.company.sources
    required = {s.id for s in sources if s.required} or {s.id for s in sources}
    keys = {path.name.removeprefix("month=") for path in ws.home.manifests.glob("month=*")}
    for month in map(Month, sorted(keys)):
        if all(lake.manifest_path(ws.home, source, month).exists() for source in required):
            yield month


def _of_month(ws: Workspace, month: Month) -> Work | None:
    """Compare one complete month's own deliveries with what was made of them."""
    home, company = ws.home, ws.company
    now = processed.landed(home, company, month)
    done = processed.published(home, company, month)
    if now == done:
        return None
    entry = processed.newest_entry(home, month)
    as_of = Month(max(entry.as_of, month.key)) if entry else month
    key = hashing.sha256_of([month.key, now, as_of.key])[:12]
    given: dict[str, Any] = {"key": key, "since": _since(home, month, now), "as_of": as_of}
    differs = _differs(now, done)
    if entry and months.is_past_close(company, home, month, Month(entry.as_of)):
        why = (
            f"the month is closed and {entry.name} was made before {differs}: "
            f"`perfhouse run --month {month}` says what would change; with --restate, --reason "
            "and --by it is published"
        )
        return Work(RESTATE, month, why, MonthClosed.who, **given)
    return _unpublished(home, month, now, differs, given)


def _unpublished(
    home: Home, month: Month, now: processed.Inputs, differs: str, given: dict[str, Any]
) -> Work:
    stopped = processed.noted(home, month, STOPPED)
    if stopped and stopped.inputs == now and stopped.gate == processed.CLOSED:
        why = f"publishing was refused: it would change what only a person may ({differs})"
        return Work(RESTATE, month, why, MonthClosed.who, **given)
    if stopped and stopped.inputs == now and stopped.gate == processed.UNSIGNED:
        if not sign_off_request.is_approved(home, month):
            why = f"a final release waits for a signature: `perfhouse sign-off --month {month}`"
            return Work(JUDGE, month, why, NotSignedOff.who, **given)
    elif stopped and stopped.inputs == now and not _is_passed(home, month, stopped.gate):
        why = f"gate {stopped.gate} stopped it: see gates/{month}/{stopped.gate}.json"
        return Work(JUDGE, month, why, GateFailed.who, **given)
    judged = processed.noted(home, month, JUDGED)
    if judged and judged.inputs == now:
        return Work(PUBLISH, month, "built and judged, but not published", **given)
    return Work(BUILD, month, f"not built since {differs}", **given)


def _is_passed(home: Home, month: Month, name: str) -> bool:
    from expectations import gate

    said = gate.verdict(home, month, name)
    return said is not None and said.passed


def _differs(now: processed.Inputs, done: processed.Inputs | None) -> str:
    changed = sorted(name for name in now if (done or {}).get(name) != now[name])
    gone = sorted(set(done or {}) - set(now))
    told = [f"{', '.join(changed)} landed"] if changed else []
    return " and ".join([*told, *([f"{', '.join(gone)} went"] if gone else [])])


def _since(home: Home, month: Month, now: Iterable[str]) -> float:
    files = (lake.manifest_path(home, source, month) for source in now)
    return max((file.stat().st_mtime for file in files), default=0.0)
