"""Golden structures: what every page holds and in which order, without its numbers.

`python tests/golden_pages.py` writes them anew after a change that was looked at; a test compares.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import largest_card as largest
import overview_fixture
import scorecard_fixture as fixture
from pypdf import PdfReader

from perfhouse import (
    card_pdf,
    cards,
    page_director,
    page_operations,
    page_states,
    stages,
)
from perfhouse.month import Month
from perfhouse.release_list import Listed
from perfhouse.settings import Home

FOLDER = Path(__file__).parent / "golden"
MONTH = Month("2026-09")
_COMPANY = Path(__file__).parents[1] / "examples" / "uci_incidents"
_SHOWN = ("h1", "h2", "h3", "th", "caption", "summary", "dt", "label")  # whose words are told
_NUMBER = re.compile(r"[-+−]?\d[\d.,]*")
_HELD = ("main", "header", "section", "table", "svg", "details", "footer", "nav", "form", "script")


class _Outline(HTMLParser):
    """Lists elements that a reader or a program would look for, with their words."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._words: list[str] | None = None
        self._of = ""
        self._rows = self._depth = 0
        self._is_hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self._is_hidden = tag in ("script", "style")
        if tag in ("tr", "td") or tag in _SHOWN:
            self._end()
        if tag == "tr":
            self._rows += 1
        if tag in _SHOWN and not (tag == "th" and said.get("scope") == "row"):
            self._of, self._words = tag, []
        names = [f"{n}={said[n]}" for n in ("id", "role", "data-v", "for") if said.get(n)]
        if tag in _HELD or (names and tag not in ("th", "td", *_SHOWN)):
            self._add(" ".join((tag, *names)))
        if tag in _HELD:
            self._depth += 1
            self._rows = 0 if tag == "table" else self._rows

    def handle_endtag(self, tag: str) -> None:
        self._end()
        self._is_hidden = False
        if tag in _HELD:
            if tag == "table":
                self._add(f"rows {self._rows}")
            self._depth -= 1

    def handle_data(self, data: str) -> None:
        if self._words is not None and not self._is_hidden:
            self._words.append(data)

    def _end(self) -> None:
        if self._words is not None and self._of != "i":
            text = _NUMBER.sub("0", " ".join("".join(self._words).split()))
            self._add(f"{self._of}: {text}")
            self._words = None

    def _add(self, line: str) -> None:
        self.lines.append("  " * max(self._depth, 0) + line)


def outline(page: str) -> str:
    """Return a page's structure, with one sign for every number."""
    parser = _Outline()
    marked = re.sub(r"</?i\b[^>]*>", " ", page)  # the two languages of a text stand side by side
    parser.feed(marked)
    return "\n".join(parser.lines) + "\n"


def tags(content: bytes) -> str:
    """Return how often each tag of a PDF's structure stands in it, and the pages."""
    file = PdfReader(io.BytesIO(content))
    found: Counter[str] = Counter()
    todo: list[Any] = [file.trailer["/Root"]["/StructTreeRoot"]["/K"]]  # type: ignore[index]
    while todo:
        each = todo.pop().get_object() if hasattr(todo[-1], "get_object") else todo.pop()
        if isinstance(each, list):
            todo += each
        elif isinstance(each, dict):
            if "/S" in each:
                found[str(each["/S"])] += 1
            todo += [each["/K"]] if "/K" in each else []
    lines = [f"{name} {found[name]}" for name in sorted(found)]
    return "\n".join([f"pages {len(file.pages)}", *lines]) + "\n"


def structures() -> dict[str, str]:
    """Return the structure of every kind of page, by the name of its golden file."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        con = fixture.make()
        for page in cards.render_all(con, MONTH, Path(folder), release={"number": 1}, pdf=True):
            if page.stem in ("M01", "M04", "M08", "index"):  # plain, several teams, no total
                found[f"card_{page.stem}"] = outline(page.read_text("utf-8"))
        sheet = cards.read_sheet(con, MONTH, {"number": 1})
        plain = next(t for t in sheet.totals if t.manager_id == "M01")
        found["pdf_M01"] = tags(card_pdf.render(card_pdf.describe(sheet, plain), MONTH))
        con.close()
        con = largest.make()
        sheet = cards.read_sheet(con, MONTH, largest.restated(con))
        con.close()
        total = next(t for t in sheet.totals if t.manager_id == largest.MANAGER)
        found["card_largest"] = outline(cards.render_card(sheet, total).decode())
        found["pdf_largest"] = tags(card_pdf.render(card_pdf.describe(sheet, total), MONTH))
        con = overview_fixture.make()
        for page in page_director.render_all(con, MONTH, Path(folder), release={"number": 1}):
            found[f"overview_{page.stem}"] = outline(page.read_text("utf-8"))
        found |= _operations(con, Home(Path(folder) / "home").ensure())
        con.close()
    return found


def _operations(con: Any, home: Home) -> dict[str, str]:
    company = stages.open_workspace(_COMPANY, home=home.root).company
    said = {
        "name": "2026-09.r1", "as_of": "2026-09", "closes_on": "2026-10-06",
        "gates": {"raw": {"passed": True, "checks": 9, "warnings": []}},
        "release_sha256": "0f" * 32, "provisional": [],
        "tables": {"releases": {"rows": 1, "sha256": "0f" * 32}},
    }  # fmt: skip
    page = page_operations.render(home, company, MONTH, con, said).decode()
    state = {"release": "2026-09.r1", "state": "stands", "stands": "2026-09.r1", "by": None}
    listed = Listed(
        release="2026-09.r1", month="2026-09", state="provisional", is_current=True, is_shown=True,
        as_of="2026-09", published_at="", by="HR", reason="x", follows=None, change_count=None,
        inputs_sha256="", merkle_root=None, release_sha256="",
    )  # fmt: skip
    return {
        "operations": outline(page_states.told(page, state)),
        "operations_index": outline(page_states._index(home, [listed])),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in structures().items():
        (FOLDER / f"{name}.txt").write_text(text, encoding="utf-8")
