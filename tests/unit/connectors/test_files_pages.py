"""The pages of the file connectors say what is true."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from connectors import base, completeness, reading_xlsx, remote, remote_s3, remote_sftp, streams
from perfhouse.company_sources import Known, read_sources
from perfhouse.config_reader import Table

PAGES = Path(__file__).resolve().parents[3] / "docs" / "connectors"
SECTIONS = ["Reads", "Permissions", "Configuration", "How rows are made", "Limits",
            "Tested against", "Known gaps"]  # fmt: skip


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["files", "amazon_connect"])
def test_a_page_has_the_sections_of_every_connector(name: str) -> None:
    assert re.findall(r"^## (.*)$", page(name), re.MULTILINE) == SECTIONS


@pytest.mark.parametrize("name", ["files", "amazon_connect"])
def test_the_configuration_of_a_page_is_read_without_a_complaint(name: str) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", page(name), re.DOTALL)
    problems: list[str] = []
    known = Known(streams.columns_by_stream(), streams.required_by_stream(), base.Keys())
    found = read_sources(Table(tomllib.loads(example), "", problems), "Asia/Shanghai", known)
    assert problems == []
    assert [source.connector for source in found] == [name]


def test_the_page_of_files_names_the_bounds_that_hold() -> None:
    text = page("files")
    assert f"{remote.MAX_ENTRIES:,} names" in text
    assert f"{reading_xlsx.MAX_CELLS // 1_000_000} million cells" in text
    assert f"{reading_xlsx.MAX_BYTES >> 20} MiB" in text
    assert (remote_sftp.ATTEMPTS, remote_s3.ATTEMPTS) == (4, 6)
    assert "asks four times, S3 six" in text
    for value in completeness.COMPLETE:
        assert f"| `{value}` |" in text
