"""A connector's page can be trusted: its examples are read as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connectors import base, streams
from perfhouse.company_sources import Known, read_sources
from perfhouse.config_reader import Table

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "connectors").glob("*.md"))
EXAMPLE = re.compile(r"^```toml\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_are_sound_configurations(page: Path) -> None:
    import tomllib

    examples = EXAMPLE.findall(page.read_text(encoding="utf-8"))
    assert examples, "a page shows at least one [[sources]] table"
    known = Known(streams.columns_by_stream(), streams.required_by_stream(), base.Keys())
    for example in examples:
        problems: list[str] = []
        found = read_sources(Table(tomllib.loads(example), "", problems), "UTC", known)
        assert not problems, problems
        assert page.stem in {source.connector for source in found}
        for source in found:
            base.effective(source)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_about_a_connector_that_exists(page: Path) -> None:
    assert page.stem in base.names()
