"""What is to tell managers of their cards: which release brought the numbers, and how far they are.

Reads releases and the company's days; it may not send anything, or know what was sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from perfhouse import appeal_days, ledger, months, restatement, warehouse
from perfhouse.company_types import Company
from perfhouse.month import Month
from perfhouse.settings import Home

READY, UPDATED, CORRECTED = "ready", "updated", "corrected"
# What is news of one's own on a card; ranks and references follow from others.
_CHANGED = (
    "select distinct manager_id from read_parquet(?) where manager_id is not null and ("
    "(table_name = 'scorecard_kpi_months' and column_name in ('value', 'score', 'status')) or "
    "(table_name = 'scorecard_manager_months' "
    "and column_name in ('total_score', 'grade', 'status')))"
)


@dataclass(frozen=True)
class News:
    """What a manager's card of a month is: of which release its numbers are, and what they are.

    `subject` is the same in every later release that leaves the card as it was.
    """

    subject: str
    kind: str


@dataclass(frozen=True)
class Cards:
    """The cards of the release of a month that stands.

    Args:
        month: whose cards.
        release: its name, such as `2026-09.r1`.
        news: by manager, in the order of ids.
        whole: what the release as such brings, for who hears of all cards.
        waiting: KPIs that later events may still change.
        handed_out_on: from this day on cards are handed out; before, they are provisional.
        questions_until: the last day to appeal the month.
    """

    month: Month
    release: str
    news: Mapping[str, News]
    whole: News
    waiting: int
    handed_out_on: date
    questions_until: date

    def is_provisional(self, today: date | None) -> bool:
        """Say whether the day has not come on which cards are handed out; None: it has."""
        return today is not None and today < self.handed_out_on

    def silence(self, today: date | None, *, provisional: bool, newest_months: int) -> str:
        """Say why nobody hears of these cards yet, or any more; empty where they are news.

        `provisional` and `newest_months` are what a channel asks for.
        """
        if self.is_provisional(today) and not provisional:
            return f"cards of {self.month} are handed out on {self.handed_out_on}"
        if self.managers(today, newest_months):
            return ""
        if not self.news:
            return f"{self.release} has no cards"
        return f"of {self.month} only corrected cards are news by now (newest_months)"

    def managers(self, today: date | None, newest_months: int) -> tuple[str, ...]:
        """Return whose cards are news: of old months only those that a person had corrected."""
        is_old = today is not None and self.month.plus(newest_months) < Month.of(today)
        return tuple(
            manager for manager, news in self.news.items() if not is_old or news.kind == CORRECTED
        )


def read(company: Company, home: Home, known: Sequence[ledger.Line], entry: ledger.Entry) -> Cards:
    """Read the cards of a release that stands, `entry`, among the lines of the ledger."""
    month = Month(entry.month)
    folder = home.published / entry.path
    managers = _managers(folder)
    named = {line.name: line for line in known if isinstance(line, ledger.Entry)}
    chain = list(_chain(home, named, entry))
    undone = _undone(home, known, named, entry)
    news = {manager: _news(manager, chain, undone) for manager in managers}
    whole = _kind(entry, chain)
    if undone is not None:
        whole = News(f"{entry.name} again {undone.number}", CORRECTED)
    return Cards(
        *(month, entry.name, news, whole, len(months.provisional(folder))),
        appeal_days.published_on(company, month),
        appeal_days.deadline(company, month),
    )


@dataclass(frozen=True)
class _Undone:
    """A rollback: its line in the ledger, and whose cards it changed; None: all."""

    number: int
    managers: frozenset[str] | None


_Chain = Sequence[tuple[ledger.Entry, frozenset[str] | None]]


def open_months(company: Company, home: Home, today: date) -> list[Month]:
    """List published months whose cards are handed out and may be appealed on a day."""
    found = [Month(entry.month) for entry in ledger.newest(home)]
    return [
        month
        for month in found
        if appeal_days.published_on(company, month) <= today <= appeal_days.deadline(company, month)
    ]


def _news(manager: str, chain: _Chain, undone: _Undone | None) -> News:
    """Tell by which release a card came to be what it is: the newest that changed it."""
    if undone is not None and (undone.managers is None or manager in undone.managers):
        return News(f"{chain[0][0].name} again {undone.number}", CORRECTED)
    brought = (entry for entry, changed in chain if changed is None or manager in changed)
    return _kind(next(brought, chain[-1][0]), chain)


def _kind(entry: ledger.Entry, chain: _Chain) -> News:
    if entry.reason is not None:
        return News(entry.name, CORRECTED)
    return News(entry.name, READY if entry is chain[-1][0] else UPDATED)


def _chain(
    home: Home, named: Mapping[str, ledger.Entry], entry: ledger.Entry
) -> Iterator[tuple[ledger.Entry, frozenset[str] | None]]:
    """Yield a release and those that it follows, each with whose cards it changed; None: all."""
    at: ledger.Entry | None = entry
    while at is not None:
        folder = home.published / at.path
        said = json.loads((folder / "release.json").read_text(encoding="utf-8"))
        before = named.get(str(said.get("follows")))
        yield at, None if before is None else _changed(folder)
        at = before


def _changed(folder: Path) -> frozenset[str] | None:
    file = folder / restatement.FOLDER / "changes.parquet"
    if not file.exists():
        return None
    with warehouse.connect() as con:
        rows = con.execute(_CHANGED, [str(file)]).fetchall()
    return frozenset(str(row[0]) for row in rows)


def _undone(
    home: Home,
    known: Sequence[ledger.Line],
    named: Mapping[str, ledger.Entry],
    entry: ledger.Entry,
) -> _Undone | None:
    """Return the last rollback that made a release stand again; None if there was none.

    Cards differ by what changed in releases that only one of the two follows.
    """
    back = [
        line
        for line in known
        if isinstance(line, ledger.Record)
        and line.kind == ledger.ROLLED_BACK
        and line.what["release"] == entry.name
    ]
    if not back:
        return None
    instead = named.get(back[-1].what.get("instead_of", ""))
    if instead is None:
        return _Undone(back[-1].sequence, None)
    ours, theirs = (dict(_named(home, named, each)) for each in (entry, instead))
    apart = [changed for each in ours.keys() ^ theirs for changed in [{**ours, **theirs}[each]]]
    if None in apart:
        return _Undone(back[-1].sequence, None)
    return _Undone(back[-1].sequence, frozenset().union(*(each for each in apart if each)))


def _named(
    home: Home, named: Mapping[str, ledger.Entry], entry: ledger.Entry
) -> Iterator[tuple[str, frozenset[str] | None]]:
    yield from ((each.name, changed) for each, changed in _chain(home, named, entry))


def _managers(release: Path) -> tuple[str, ...]:
    with warehouse.connect() as con:
        file = str(release / "parquet" / "scorecard_manager_months.parquet")
        rows = con.execute("select manager_id from read_parquet(?) order by 1", [file]).fetchall()
    return tuple(str(row[0]) for row in rows)
