"""The exports gate's rules about cards as files: a page for every manager, and a PDF where agreed.

Reads names, first and last bytes and titles; what a card says is judged elsewhere.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from expectations.rules import CRITICAL, Rule, rows
from perfhouse import warehouse

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from expectations.gate import Case

_TITLE = re.compile(rb"<dc:title>.*?<rdf:li[^>]*>(.*?)</rdf:li>", re.DOTALL)
_TAIL = 32  # bytes in which a whole PDF says that it ends
MISSING, EXTRA, BROKEN, OTHER = "missing", "not agreed", "not whole", "of another manager"


def prepare(con: DuckDBPyConnection, case: Case) -> None:
    """Make `cards`, the pages of managers, and `papers`: what is wrong with which PDF.

    `managers` holds the managers of the month.
    """
    assert case.staged is not None  # noqa: S101
    folder = case.staged / "cards"
    pages = sorted(page.stem for page in folder.glob("*.html") if page.name != "index.html")
    con.execute("create table cards (page varchar)")
    con.execute("create table papers (card varchar, fault varchar)")
    managers = [str(row[0]) for row in con.execute("select manager_id from managers").fetchall()]
    wanted = pages if case.company.cards.pdf else ()
    found = list(_faults(folder, wanted, _by_file(managers)))
    for table, lines in (("cards", [(page,) for page in pages]), ("papers", found)):
        warehouse.insert(con, table, lines)


def card_rules() -> list[Rule]:
    """Return the rules over the tables of `prepare`."""
    return [
        rows(
            "cards_are_the_managers", CRITICAL, "cards",
            "select cards, managers from (select count(*) as cards, "
            "(select count(*) from managers) as managers from batch) where cards <> managers",
            ("There is one card for every manager of the month", "当月每位主管各有一张绩效卡页面"),
        ),
        rows(
            "papers_are_the_cards", CRITICAL, "papers", "select card, fault from batch",
            ("Where PDF is agreed, every card has one beside it: whole, and the same manager's; "
             "else there is none",
             "约定输出 PDF 时每张绩效卡各有一份完整且属于同一主管的 PDF，否则一份也没有"),
        ),
    ]  # fmt: skip


def _by_file(managers: Iterable[str]) -> Mapping[str, str]:
    """Return whose card a file may be, by its name without suffix: an id, or a digest of one."""
    found = {}
    for manager in managers:
        digest = hashlib.sha256(manager.encode()).hexdigest()[:12]
        found[f"manager-{digest}"] = found[manager] = manager
    return found


def _faults(
    folder: Path, wanted: Iterable[str], of_file: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    there = {paper.stem: paper for paper in folder.glob("*.pdf")}
    agreed = set(wanted)
    for card in sorted(agreed | set(there)):
        if card not in there:
            yield card, MISSING
        elif card not in agreed:
            yield card, EXTRA
        else:
            content = there[card].read_bytes()
            if not content.startswith(b"%PDF-") or b"%%EOF" not in content[-_TAIL:]:
                yield card, BROKEN
            elif not _is_of(content, of_file.get(card, "")):
                yield card, OTHER


def _is_of(content: bytes, manager: str) -> bool:
    """Say whether a PDF's title ends with a manager's id, so far as letters of ids can be told."""
    title = _TITLE.search(content)
    said = html.unescape(title[1].decode("utf-8", "replace")) if title else ""
    return said.rpartition(" · ")[2] == manager or not manager.isascii()
