"""Names that are code or paths are refused before they become a path or SQL."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from perfhouse import cards, cli, reproduce, verify
from perfhouse.company import load_company
from perfhouse.errors import ConfigError
from perfhouse.month import Month
from perfhouse.settings import Home

HOSTILE = (
    "2026-09\n",
    "2026-09'",
    "2026-09'; drop table x; --",
    "../2026-09",
    "2026-09/../..",
    "2026-09\x00",
    "\uff12\uff10\uff12\uff16-09",  # digits of full width, which int() would read
    "2026-9",
    "{{ 2026 }}-09",
)
IDS = ("a'b", "a b", "../up", "a/b", "desk\n", "a;b", "<b>", "{{ x }}", "$(id)", "", "Ａ")
TOML = """
[company]
id = {id}
name_en = "x"
time_zone = "UTC"
default_calendar = "c"
[[sources]]
id = {source}
connector = "files"
owner = "o"
"""


@pytest.mark.parametrize("text", HOSTILE)
def test_a_month_is_seven_letters_and_nothing_else(text: str) -> None:
    with pytest.raises(ConfigError):
        Month(text)
    with pytest.raises(argparse.ArgumentTypeError):
        cli._month(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_release_is_named_by_month_and_number(text: str, tmp_path: Path) -> None:
    home = Home(tmp_path).ensure()
    name = f"{text}.r1"
    with pytest.raises(ConfigError):
        reproduce.reproduce(home, name)
    with pytest.raises((ConfigError, ValueError)):
        verify.verify(home.published, name, [])


@pytest.mark.parametrize("text", IDS)
def test_an_id_of_the_settings_is_no_path_and_no_code(text: str, tmp_path: Path) -> None:
    quoted = '"' + text.replace("\n", "\\n").replace('"', '\\"') + '"'
    settings = TOML.format(id=quoted, source=quoted)
    (tmp_path / "perfhouse.toml").write_text(settings, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_company(tmp_path)
    for place in ("company.id: expected an id", "sources[0].id: expected an id"):
        assert any(place in problem for problem in caught.value.problems), caught.value.problems


@pytest.mark.parametrize("text", [*IDS, *HOSTILE, "INDEX", "m" * 300, ".hidden", "-rf"])
def test_a_managers_page_has_a_plain_name_whatever_the_id_is(text: str) -> None:
    name = cards.file_names([text])[text]
    assert name == Path(name).name
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & set("/\\'\"<>;$ {}")
    assert not name.startswith((".", "-"))
    assert len(name) < 100
    assert name.lower() != "index.html"
