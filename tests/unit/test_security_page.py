"""The pages on security and privacy name tests, commands and settings that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from perfhouse.company_retention import KINDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("security.md", "privacy.md")


@pytest.mark.parametrize("name", PAGES)
def test_every_test_that_a_page_names_exists(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    known = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    named = set(re.findall(r"\b(test_\w+\.py)", text))
    assert named
    assert named - known == set()


def test_every_kind_that_is_kept_for_a_time_is_explained() -> None:
    text = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^(\w+)_months = ", text, re.MULTILINE)) == set(KINDS)
