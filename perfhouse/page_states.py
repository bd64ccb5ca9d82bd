"""What stands, told on operations pages: on the page of each release of a month, and in an index.

Reads the ledger and changes only the words about a release's state: what was landed, judged and
built is told as it was when the page was written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perfhouse import page_parts, release_list
from perfhouse.company_types import Company
from perfhouse.durable import sync_file
from perfhouse.month import Month
from perfhouse.release_fates import SUPERSEDED, WITHDRAWN
from perfhouse.release_list import Listed
from perfhouse.settings import Home

INDEX = "index.html"
_STATE = re.compile(r"<!--state-->.*?<!--/state-->", re.DOTALL)
_BEFORE = "</header>\n"  # of pages that were written before they told of it


def write(home: Home, company: Company, month: Month) -> Path:
    """Tell on every operations page of a month what stands; write the index of all months.

    Returns the index. A release that has no page is listed without a link.
    """
    found = release_list.releases(company, home)
    home.operations.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in found:
        path = home.operations / f"{each.release}.html"
        if each.month == month.key and path.exists():
            text = path.read_text(encoding="utf-8")
            _replace(path, told(text, _said(each, found)))
    index = home.operations / INDEX
    _replace(index, _index(home, found))
    return index


def told(page: str, said: Mapping[str, Any]) -> str:
    """Return a page that says of its release what `said` says."""
    template = page_parts.environment().get_template("operations_state.html")
    words = f"<!--state-->{template.render(said).strip()}<!--/state-->"
    if _STATE.search(page):
        return _STATE.sub(lambda _: words, page, count=1)
    head, between, rest = page.partition(_BEFORE)
    return f"{head}{between}{words}\n{rest}" if between else page


def _said(each: Listed, found: Sequence[Listed]) -> dict[str, Any]:
    stands = next((e.release for e in found if e.month == each.month and e.is_current), None)
    return {
        "release": each.release,
        "state": each.state if each.state in (SUPERSEDED, WITHDRAWN) else "stands",
        "of_month": each.state,
        "stands": stands,
        "by": each.by,
        "reason": each.reason,
    }


def _index(home: Home, found: Sequence[Listed]) -> str:
    template = page_parts.environment().get_template("operations_index.html")
    newest_first = sorted(found, key=lambda each: each.month, reverse=True)
    return template.render(
        releases=[
            {
                **_said(each, found),
                "has_page": (home.operations / f"{each.release}.html").exists(),
                "month": each.month,
                "as_of": each.as_of,
                "published_at": each.published_at,
                "change_count": each.change_count,
            }
            for each in newest_first
        ],
        css=page_parts.style("page.css"),
        policy=page_parts.policy(),
    )


def _replace(path: Path, text: str) -> None:
    """Put a whole page in the place of another: a reader sees the one or the other."""
    draft = path.with_suffix(".new")
    draft.write_text(text, encoding="utf-8")
    sync_file(draft)
    draft.replace(path)
