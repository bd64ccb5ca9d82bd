"""Every kind of page has the structure that was looked at last; see tests/golden_pages.py."""

from __future__ import annotations

import golden_pages
import pytest

NAMES = sorted(path.stem for path in golden_pages.FOLDER.glob("*.txt"))


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return golden_pages.structures()


def test_every_kind_of_page_has_a_golden_structure(made: dict[str, str]) -> None:
    assert sorted(made) == NAMES
    assert {name.partition("_")[0] for name in NAMES} == {"card", "overview", "operations", "pdf"}


@pytest.mark.parametrize("name", NAMES)
def test_the_structure_of_a_page_is_the_golden_one(made: dict[str, str], name: str) -> None:
    golden = (golden_pages.FOLDER / f"{name}.txt").read_text("utf-8")
    assert made[name].splitlines() == golden.splitlines(), (
        "look at the page; if it is as it should be: python tests/golden_pages.py"
    )


def test_a_section_or_a_column_that_is_gone_is_seen() -> None:
    page = "<main><h2><i>甲</i><i lang=en>A</i></h2><table><tr><th>B<th>C<tr><td>1</table></main>"
    whole = golden_pages.outline(page)
    assert whole.split("\n") == [
        "main", "  h2: 甲 A", "  table", "    th: B", "    th: C", "    rows 2", "",
    ]  # fmt: skip
    assert golden_pages.outline(page.replace("<th>C", "")) != whole
    assert golden_pages.outline(page.replace("<td>1", "<td>2")) == whole
