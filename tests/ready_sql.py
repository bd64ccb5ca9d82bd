"""The SQL that the pages about BI show, ready to run: test material, no test."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"
_BLOCK = re.compile(r"^```sql\n(.*?)^```", re.DOTALL | re.MULTILINE)
_TITLE = re.compile(r"^-- (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Query:
    """One query of a page; `may_be_empty` where the page says so."""

    page: str
    title: str
    place: int
    text: str
    may_be_empty: bool

    def __str__(self) -> str:
        return f"{self.page.removesuffix('.md')}-{self.place}"

    def about(self, names: Mapping[str, str]) -> str:
        """Return the query about other months and people than the page's."""
        text = self.text
        for ours, theirs in names.items():
            text = text.replace(ours, theirs)
        return text


def queries(*pages: str) -> list[Query]:
    """Return every query of the pages; each has a title, and nothing but queries stands there."""
    found = []
    for page in pages or sorted(path.name for path in DOCS.glob("bi*.md")):
        place = 0
        for block in _BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
            for part in filter(str.strip, block.split(";\n")):
                title = _TITLE.search(part)
                text = _TITLE.sub("", part).strip().rstrip(";")
                if not text.startswith("select"):
                    continue
                assert title, f"{page}: a query without a title: {text[:60]}"
                place += 1
                found.append(Query(page, title[1], place, text, "(may be none)" in title[1]))
    return found


def comparable(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return rows as two engines can agree on them: any order, twelve digits of a quotient."""
    return sorted((tuple(map(_value, row)) for row in rows), key=repr)


def _value(value: Any) -> Any:
    return float(f"{float(value):.11e}") if isinstance(value, (Decimal, float)) else value
